"""`tuneroi init`: templates are written whole, listed, and explained input by input."""

from pathlib import Path

import pytest
from command import Tuneroi

from estimator.scenario.files import load_scenario
from estimator.scenario.templates import template, template_names


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


@pytest.mark.parametrize("name", template_names())
def test_a_template_becomes_a_file(tuneroi: Tuneroi, tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.yaml"
    ran = tuneroi("init", name, "-o", path)
    assert ran.status == 0 and str(path) in ran.out
    assert load_scenario(path) == template(name)


def test_a_file_is_not_written_over_unless_asked(tuneroi: Tuneroi, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    assert "exists already" in tuneroi("init", "support-assistant", "-o", path).refusal
    assert path.read_text() == "precious"
    assert tuneroi("init", "support-assistant", "-o", path, "--force").status == 0
    assert load_scenario(path) == template("support-assistant")


def test_templates_are_listed(tuneroi: Tuneroi) -> None:
    assert set(tuneroi("init", "--json").json["templates"]) == set(template_names())
    assert "nearest known: code-assistant" in tuneroi("init", "code-asistant").refusal


def test_a_folder_that_is_not_there_is_one_line(tuneroi: Tuneroi, tmp_path: Path) -> None:
    refusal = tuneroi("init", "support-assistant", "-o", tmp_path / "no" / "x.yaml").refusal
    assert "cannot write there" in refusal


def test_inputs_are_explained_with_unit_range_and_source(tuneroi: Tuneroi) -> None:
    inputs = tuneroi("init", "--inputs", "--json").json
    assert set(inputs) == set(template("support-assistant").inputs())
    recall = inputs["quality.retrieval_recall"]
    assert recall["unit"] == "share" and recall["source"] and recall["meaning"]
    text = tuneroi("init", "--inputs").out
    assert "retrieval_recall" in text and "your figure" in text


def test_the_schema_describes_every_section(tuneroi: Tuneroi) -> None:
    schema = tuneroi("init", "--schema").json
    assert {"demand", "value", "quality", "training", "team"} <= set(schema["properties"])
