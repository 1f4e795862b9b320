"""What changed between two scenarios, and what that does."""

from pathlib import Path

import pytest
from command import Tuneroi
from hypothesis import given
from hypothesis import strategies as st

from estimator import save_scenario, template, with_inputs
from estimator.cli.diff import VERDICT_CHANGED
from estimator.scenario.differences import differences
from estimator.scenario.templates import template_names

DEMAND = "demand.requests_per_month"


@pytest.mark.parametrize("name", template_names())
def test_a_scenario_does_not_differ_from_itself(name: str) -> None:
    assert differences(template(name), template(name)) == ()


@given(st.floats(1, 1e7), st.integers(1, 120))
def test_every_change_is_found_and_nothing_else(requests: float, months: int) -> None:
    before = template("support-assistant")
    after = with_inputs(before, {DEMAND: requests, "horizon_months": months})
    found = {d.path: d for d in differences(before, after)}
    wanted = {DEMAND} | ({"horizon_months"} if months != before.horizon_months else set())
    assert set(found) == wanted
    back = {d.path: (d.after, d.before) for d in differences(after, before)}
    assert back == {path: (d.before, d.after) for path, d in found.items()}


def test_a_price_that_follows_the_gpu_is_told_too() -> None:
    before = template("support-assistant")
    after = with_inputs(before, {"training.gpu": "l4-24gb"})
    paths = {d.path for d in differences(before, after)}
    assert {"training.gpu", "training.gpu_usd_per_hour"} <= paths


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    before = template("support-assistant")
    after = with_inputs(before, {DEMAND: 500})
    paths = tmp_path / "a.yaml", tmp_path / "b.yaml"
    save_scenario(before, paths[0])
    save_scenario(after, paths[1])
    return paths


def test_the_exit_status_tells_whether_the_verdict_changed(
    tuneroi: Tuneroi, files: tuple[Path, Path]
) -> None:
    a, b = files
    assert tuneroi("diff", a, a).status == 0
    changed = tuneroi("diff", a, b)
    assert changed.status == VERDICT_CHANGED
    assert DEMAND in changed.out and "The verdict changes" in changed.out


def test_the_differences_as_data(tuneroi: Tuneroi, files: tuple[Path, Path]) -> None:
    a, b = files
    found = tuneroi("diff", a, b, "--json").json
    assert found["verdict_changed"] is True
    assert [d["path"] for d in found["inputs"]] == [DEMAND]
    by_id = {row["id"]: row for row in found["alternatives"]}
    assert by_id["saas"]["before"]["npv_usd"]["mean"] > by_id["saas"]["after"]["npv_usd"]["mean"]
    assert by_id["status_quo"]["after"]["npv_usd"]["mean"] == 0


def test_a_missing_file_is_one_line(tuneroi: Tuneroi, files: tuple[Path, Path]) -> None:
    assert "nowhere.yaml" in tuneroi("diff", files[0], "nowhere.yaml").refusal
