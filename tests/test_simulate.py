"""The comparison as a whole: sums, determinism, identities, and answers common sense expects."""

import json

import numpy as np
import pytest

from estimator.decision.simulate import Comparison, compare
from estimator.errors import InfeasiblePlan
from estimator.report.comparison import as_dict
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

N = 512
BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 24
pretrain: {gpus: 64}
""")


def run(scenario: Scenario, seed: int = 7) -> Comparison:
    return compare(scenario, n=N, seed=seed)


@pytest.fixture(scope="module")
def base() -> Comparison:
    return run(BASE)


def test_line_items_sum_to_the_totals(base: Comparison) -> None:
    for row in as_dict(base)["alternatives"]:
        costs = sum(i["usd"]["mean"] for i in row["line_items"] if i["kind"] == "cost")
        benefits = sum(i["usd"]["mean"] for i in row["line_items"] if i["kind"] == "benefit")
        assert costs == pytest.approx(row["tco_usd"]["mean"], rel=1e-9)
        assert benefits - costs == pytest.approx(row["npv_usd"]["mean"], rel=1e-6, abs=1e-3)


def test_same_seed_same_bytes_and_another_seed_other_draws(base: Comparison) -> None:
    first = json.dumps(as_dict(base))
    assert json.dumps(as_dict(run(BASE))) == first
    assert json.dumps(as_dict(run(BASE, seed=8))) != first


def test_the_order_and_the_number_of_alternatives_change_no_other_result(base: Comparison) -> None:
    some = run(with_inputs(BASE, {"alternatives": ["saas", "rag"]}))
    swapped = run(with_inputs(BASE, {"alternatives": ["rag", "saas"]}))
    assert as_dict(some) == as_dict(swapped)
    for name in ("rag", "saas"):
        np.testing.assert_array_equal(some.outcomes[name].npv_usd, base.outcomes[name].npv_usd)


def test_identities_of_choice(base: Comparison) -> None:
    outcomes = base.outcomes.values()
    assert sum(o.probability_best for o in outcomes) == pytest.approx(1)
    assert min(o.expected_regret_usd for o in outcomes) == pytest.approx(base.evpi_usd)
    best = max(outcomes, key=lambda o: float(o.npv_usd.mean()))
    assert base.verdict.alternative == best.account.id
    assert base.outcomes["status_quo"].npv_usd.tolist() == [0.0] * N
    assert all(0 <= worth <= base.evpi_usd * (1 + 1e-9) for worth in base.evppi_usd.values())


def test_npv_is_the_difference_of_total_costs(base: Comparison) -> None:
    nothing = base.outcomes["status_quo"].tco_usd
    for outcome in base.outcomes.values():
        np.testing.assert_allclose(outcome.npv_usd, nothing - outcome.tco_usd, atol=1e-3)


def test_without_demand_doing_nothing_wins() -> None:
    result = run(with_inputs(BASE, {"demand.requests_per_month": 0}))
    assert result.verdict.alternative == "status_quo"
    assert not result.verdict.too_close


def test_a_certain_world_leaves_nothing_to_find_out() -> None:
    certain = {path: q.median() for path, q in BASE.inputs().items()}
    certain["quality.incidents_per_million_answers"] = 0  # incidents are chance, not ignorance
    result = run(with_inputs(BASE, {**certain, "correlations": []}))
    assert run(BASE).evpi_usd > 1000
    assert result.evpi_usd == pytest.approx(0, abs=1e-6)
    assert result.evppi_usd == {}
    assert result.outcomes[result.verdict.alternative].probability_best == 1


def test_dearer_saas_never_ranks_better(base: Comparison) -> None:
    price = BASE.saas.price_usd_per_unit
    dear = run(with_inputs(BASE, {"saas.price_usd_per_unit": price.scaled(2)}))
    assert dear.outcomes["saas"].npv_usd.mean() < base.outcomes["saas"].npv_usd.mean()
    assert dear.outcomes["saas"].probability_best <= base.outcomes["saas"].probability_best


def test_a_model_too_large_for_its_gpus_is_said_with_a_way_out() -> None:
    scenario = with_inputs(
        BASE, {"model": "meta-llama/Llama-3.3-70B-Instruct", "training.gpu": "l4-24gb"}
    )
    with pytest.raises(InfeasiblePlan, match=r"self_hosted_finetune.*does not fit.*leave it out"):
        run(scenario)
    rest = run(with_inputs(scenario, {"alternatives": ["rag", "saas"]}))
    assert set(rest.outcomes) == {"status_quo", "rag", "saas"}


def test_json_is_finite_and_has_the_promised_keys(base: Comparison) -> None:
    data = as_dict(base)
    json.dumps(data, allow_nan=False)
    promised = {
        "id",
        "npv_usd",
        "tco_usd",
        "probability_best",
        "expected_regret_usd",
        "payback_months",
        "go_live_months",
        "line_items",
    }
    for row in data["alternatives"]:
        assert promised <= set(row)
    assert {"alternative", "sentence", "confidence", "flips"} <= set(data["verdict"])
    assert {"evpi_usd", "evppi_usd"} <= set(data["information"])
    assert {"seed", "version", "prices_as_of"} <= set(data)


def test_nothing_pays_back_before_it_is_live(base: Comparison) -> None:
    for name, outcome in base.outcomes.items():
        if name != "status_quo":
            paid = ~np.isnan(outcome.payback_months)
            live = outcome.account.go_live_months
            # Cash within a month accrues evenly, so the month of go-live itself is blurred.
            assert (outcome.payback_months[paid] >= np.floor(live[paid])).all()


def free(scenario: Scenario, *patterns: str) -> Scenario:
    """The scenario with every input whose path begins like this at no cost."""
    paths = [path for path in scenario.inputs() if path.startswith(patterns)]
    return with_inputs(scenario, dict.fromkeys(paths, 0.0))


def test_with_free_people_and_free_gpus_tuning_costs_its_data_and_its_review() -> None:
    """What is left of the way's own costs: examples, review of answers, and services bought."""
    costless = free(
        BASE,
        "team.wages_usd_per_year.",
        "training.gpu_usd_per_hour",
        "serving.gpu_usd_per_hour",
        "serving.on_call_usd_per_month",
        "project.operate_fte.",
    )
    account = run(costless).outcomes["self_hosted_finetune"].account
    not_own = ("people handling requests", "errors", "avoided", "gain")
    left = {
        item.name: float(np.mean(item.present_value_usd()))
        for item in account.items
        if item.category not in not_own
    }
    data = sum(usd for name, usd in left.items() if "examples" in name)
    review = sum(usd for name, usd in left.items() if "Review" in name)
    bought = sum(usd for name, usd in left.items() if name in ("Monitoring tools",))
    assert data > 0
    assert review > 0
    assert data + review + bought == pytest.approx(sum(left.values()))
    assert bought < 0.5 * (data + review)


def test_a_huge_volume_of_a_narrow_task_is_worth_hosting_yourself() -> None:
    """A small model, tuned on labels that exist, against tokens paid by the million."""
    narrow = with_inputs(
        BASE,
        {
            "alternatives": ["prompting", "self_hosted_finetune", "saas"],
            "demand.requests_per_month": {"low": 4e8, "high": 6e8},
            "demand.in_scope_share": 1.0,
            "demand.input_tokens_per_request": 300,
            "demand.output_tokens_per_request": 20,
            "value.human_cost_usd_per_request": 0.005,
            "value.handover_cost_usd_per_request": 0,
            "value.error_cost_usd": 0.005,
            "quality.task_family": "classic_nlp",
            "quality.knowledge_share": 0.0,
            "quality.tuning_gain": 0.1,
            "quality.incidents_per_million_answers": 0,
            "quality.error_rate.finetune": 0.04,
            "quality.error_rate.prompting": 0.06,
            "correlations": [],
            "knowledge.tuned_instruction_tokens_per_request": 20,
            "model": "Qwen/Qwen2.5-1.5B",
            "data.ready_share": 1.0,
            "saas.price_usd_per_unit": 0.01,
        },
    )
    result = run(narrow)
    assert result.verdict.alternative == "self_hosted_finetune"
    assert result.outcomes["self_hosted_finetune"].probability_best > 0.7


@pytest.mark.parametrize("factor", [1.5, 2, 10])
def test_a_dearer_saas_never_climbs_in_the_ranking(base: Comparison, factor: float) -> None:
    price = BASE.saas.price_usd_per_unit
    dear = run(with_inputs(BASE, {"saas.price_usd_per_unit": price.scaled(factor)}))
    others = [name for name in base.outcomes if name not in ("saas", "staged")]

    def beaten_by(result: Comparison) -> int:
        npv = {name: float(u.mean()) for name, u in result.payoffs().items()}
        return sum(npv[name] > npv["saas"] for name in others)

    assert beaten_by(dear) >= beaten_by(base)


def test_least_regret_is_the_value_of_perfect_information_to_rounding(base: Comparison) -> None:
    least = min(outcome.expected_regret_usd for outcome in base.outcomes.values())
    assert least == pytest.approx(base.evpi_usd, rel=1e-12)
