"""Options of `tuneroi compare`: settings from the shell, fewer ways, cost alone, explanations."""

from pathlib import Path

import pytest
from command import Tuneroi

SCENARIO = """
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 12
"""


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "data"))
    Path("mine.yaml").write_text(SCENARIO, encoding="utf-8")
    return Tuneroi(monkeypatch, capsys)


def compare(tuneroi: Tuneroi, *options: str) -> dict:  # type: ignore[type-arg]
    return tuneroi("compare", "mine.yaml", "--draws", "512", *options, "--json").json


def test_settings_are_those_of_the_file(tuneroi: Tuneroi) -> None:
    by_option = compare(
        tuneroi,
        "--alternatives",
        "rag, saas",
        "--set",
        "demand.growth_per_year={low: 0, high: 0.2}",
        "--set",
        "training.gpu=l4-24gb",
        "--set",
        "horizon_months=18",
    )
    Path("mine.yaml").write_text(
        SCENARIO.replace("12", "18").replace(
            "26000}", "26000}, growth_per_year: {low: 0, high: 0.2}"
        )
        + "alternatives: [rag, saas]\ntraining: {gpu: l4-24gb}\n",
        encoding="utf-8",
    )
    assert compare(tuneroi) == by_option
    assert [row["id"] for row in by_option["alternatives"]] == ["status_quo", "rag", "saas"]


def test_measures_and_dominance_stand_beside_the_promised_keys(tuneroi: Tuneroi) -> None:
    data = compare(tuneroi, "--alternatives", "rag,pretrain", "--set", "pretrain.gpus=64")
    rag = next(row for row in data["alternatives"] if row["id"] == "rag")
    assert {"irr", "mirr_per_year", "roi", "equivalent_annual_cost_usd"} <= set(rag["measures"])
    assert rag["measures"]["irr"]["kind"] in ("none", "one", "many")
    pairs = {(d["better"], d["worse"]): d["order"] for d in data["dominance"]}
    assert pairs[("status_quo", "pretrain")] == 1
    sensitivity = data["sensitivity"]
    assert sensitivity["between"] == ["rag", "status_quo"]
    swings = [abs(b["gap_usd"]["high"] - b["gap_usd"]["low"]) for b in sensitivity["tornado"]]
    assert swings == sorted(swings, reverse=True)
    shown = tuneroi(
        "compare", "mine.yaml", "--draws", "512", "--alternatives", "rag,saas", "--details",
        "--risk-tolerance", "1e6",
    ).out  # fmt: skip
    for title in ("The usual measures", "Surely worth", "what moves it", "What separates"):
        assert title in shown


def test_cost_alone_in_words_and_as_data(tuneroi: Tuneroi) -> None:
    data = compare(tuneroi, "--cost-only")
    assert data["mode"] == "cost_only"
    levels = [row["usd_per_resolved_request"]["level"] for row in data["alternatives"]]
    assert levels == sorted(levels)
    assert data["verdict"]["alternative"] == data["alternatives"][0]["id"]
    assert "status_quo" in data["left_out"]
    shown = tuneroi("compare", "mine.yaml", "--draws", "512", "--cost-only").out
    assert data["verdict"]["sentence"] in " ".join(shown.split())


def test_a_number_is_explained_by_formula_inputs_and_sources(tuneroi: Tuneroi) -> None:
    data = compare(tuneroi, "--explain", "rag.tokens")
    (item,) = data["items"]
    assert item["category"] == "tokens"
    assert "price" in item["formula"]
    assert item["inputs"]["api.input_usd_per_mtok"]["source"].startswith("genai-prices")
    whole = next(row for row in compare(tuneroi)["alternatives"] if row["id"] == "rag")
    assert item["usd"] == next(i["usd"] for i in whole["line_items"] if i["category"] == "tokens")
    shown = tuneroi("compare", "mine.yaml", "--draws", "512", "--explain", "rag.tokens").out
    assert f"= {item['formula']}" in " ".join(shown.split())


def test_words_find_line_items_and_inputs_find_their_users(tuneroi: Tuneroi) -> None:
    training = compare(tuneroi, "--explain", "self_hosted_finetune.training")["items"]
    assert {item["category"] for item in training} == {"GPUs for training"}
    people = compare(tuneroi, "--explain", "rag.project_people")["items"]
    assert any(path.startswith("project.effort_days.rag.") for path in people[0]["inputs"])
    everything = compare(tuneroi, "--explain", "saas")["items"]
    assert len(everything) > 5
    price = compare(tuneroi, "--explain", "saas.price_usd_per_unit")
    assert price["used_by"]
    assert all(user.startswith(("saas:", "staged:")) for user in price["used_by"])
    assert price["unit"] == "USD/unit"
    shown = tuneroi("compare", "mine.yaml", "--explain", "quality.skill").out
    assert "Used by" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "quality.skil=1"), "quality.skil: unknown key; nearest known: skill"),
        (("--set", "quality.skill=1.5"), "must be at most 1 share"),
        (("--set", "quality.skill"), "write PATH=VALUE, such as demand.growth_per_year=0.1"),
        (("--set", "quality.skill={low: [}"), "--set quality.skill: line 1: not YAML"),
        (("--alternatives", "rag,sass"), "'sass' given"),
        (("--explain", "rag.tokns"), "unknown part of rag 'tokns'; nearest known: tokens"),
        (("--explain", "quality.skil"), "unknown alternative or input 'quality.skil'"),
        (("--risk-tolerance", "0"), "risk tolerance 0: must be above 0"),
    ],
)
def test_mistakes_in_one_line(tuneroi: Tuneroi, options: tuple[str, ...], said: str) -> None:
    assert said in tuneroi("compare", "mine.yaml", "--draws", "256", *options).refusal
