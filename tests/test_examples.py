"""The examples run, and their answers differ for the reasons that they give."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
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


@pytest.fixture(scope="module")
def portfolio() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "portfolio.py"))


def test_the_planning_script_runs(
    capsys: pytest.CaptureFixture[str], portfolio: dict[str, Any]
) -> None:
    portfolio["main"](250_000.0)
    out = capsys.readouterr().out
    assert re.search(r"support-assistant +Buy a SaaS assistant", out)
    assert re.search(r"rare-contracts +leave as it is +0 +0\n", out)
    assert re.search(r"500,000: .*support-assistant: RAG on an API model", out)


def test_a_plan_keeps_its_budget_and_more_money_buys_no_less(portfolio: dict[str, Any]) -> None:
    random = np.random.default_rng(3)
    n = portfolio["DRAWS"]

    def choice(case: str, way: str, build: float, worth: float) -> Any:
        spent = build * random.uniform(0.5, 1.5, n)
        return portfolio["Choice"](case, way, spent, np.full(n, worth), 1.0)

    cases = [
        [choice(case, "none", 0.0, 0.0)]
        + [choice(case, f"way {i}", *random.uniform(10, 100, 2)) for i in range(3)]
        for case in ("a", "b", "c")
    ]
    before = 0.0
    for budget in (1.0, 30.0, 100.0, 200.0, 1e9):
        plan = portfolio["best_plan"](cases, budget)
        assert [c.use_case for c in plan] == ["a", "b", "c"]
        assert np.quantile(sum(c.build_usd for c in plan), 0.8) <= budget
        worth = sum(c.worth_usd.mean() for c in plan)
        assert worth >= before
        before = worth
    assert before == pytest.approx(sum(max(c.worth_usd.mean() for c in case) for case in cases))


def test_the_public_interface_is_what_it_says() -> None:
    assert len(set(estimator.__all__)) == len(estimator.__all__)
    for name in estimator.__all__:
        assert getattr(estimator, name) is not None
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        _ = estimator.nothing_of_the_kind
