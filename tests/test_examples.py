"""The examples run, and their answers differ for the reasons that they give."""

import runpy
import sys
from pathlib import Path

import pytest

import estimator
from estimator.decision.simulate import Comparison, compare
from estimator.scenario.files import dump_scenario, load_scenario, parse_scenario

EXAMPLES = Path(__file__).parent.parent / "examples"
FILES = sorted(EXAMPLES.glob("*.yaml"))
ANSWERS = {
    "support-assistant": "rag",
    "listing-tagging": "managed_finetune",
    "small-shop": "saas",
    "rare-contracts": "status_quo",
    "meeting-minutes": "prompting",
}
TUNED = {"managed_finetune", "self_hosted_finetune", "finetune_rag"}


@pytest.fixture(scope="module")
def comparisons() -> dict[str, Comparison]:
    return {path.stem: compare(load_scenario(path), n=2048) for path in FILES}


def test_every_example_has_a_stated_answer(comparisons: dict[str, Comparison]) -> None:
    assert set(comparisons) == set(ANSWERS) | {"mid-size-desk"}


@pytest.mark.parametrize(("name", "way"), ANSWERS.items())
def test_the_answer_is_clear(comparisons: dict[str, Comparison], name: str, way: str) -> None:
    verdict = comparisons[name].verdict
    assert verdict.alternative == way
    assert not verdict.too_close
    assert comparisons[name].outcomes[way].probability_best > 0.6


def test_fine_tuning_clearly_wins_where_the_task_is_narrow(
    comparisons: dict[str, Comparison],
) -> None:
    outcomes = comparisons["listing-tagging"].outcomes
    assert sum(outcomes[way].probability_best for way in TUNED) > 0.9


def test_one_example_is_too_close_to_call(comparisons: dict[str, Comparison]) -> None:
    verdict = comparisons["mid-size-desk"].verdict
    assert verdict.too_close
    assert verdict.sentence.startswith("Too close to call")
    assert {"rag", "saas"} <= set(verdict.contenders)


def test_training_from_scratch_never_wins(comparisons: dict[str, Comparison]) -> None:
    for comparison in comparisons.values():
        assert comparison.outcomes["pretrain"].probability_best < 0.01


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_examples_round_trip(path: Path) -> None:
    scenario = load_scenario(path)
    assert parse_scenario(dump_scenario(scenario)) == scenario


def test_the_planning_script_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["portfolio.py", "300000"])
    runpy.run_path(str(EXAMPLES / "portfolio.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert "support-assistant    rag" in out
    assert "rare-contracts" in out and "left of the budget" in out


def test_the_public_interface_is_what_it_says() -> None:
    assert len(set(estimator.__all__)) == len(estimator.__all__)
    for name in estimator.__all__:
        assert getattr(estimator, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = estimator.nothing_of_the_kind
