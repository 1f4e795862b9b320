"""The model on chosen rows agrees with the comparison; the tornado with scenarios made by hand."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from estimator.alternatives.quality import CHANCES
from estimator.decision import evaluate
from estimator.decision.evaluate import (
    Columns,
    cause_of,
    draw_inputs,
    knowable,
    medians,
    model_of,
    world_of,
)
from estimator.decision.one_at_a_time import tornado_at_medians
from estimator.decision.simulate import compare
from estimator.hardware.calibration import shipped_calibration
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 18
alternatives: [rag, saas, self_hosted_finetune]
quality: {incidents_per_million_answers: 0}
""")


def certain(scenario: Scenario, **changes: float) -> Scenario:
    """The scenario with every input at its median, some of them changed."""
    fixed = {path: float(q.ppf(0.5)) for path, q in scenario.inputs().items()}
    given = {path.replace("__", "."): value for path, value in changes.items()}
    return with_inputs(scenario, {**fixed, **given, "correlations": []})


def test_rows_are_the_draws_of_the_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = draw_inputs(BASE, n=256, seed=7)
    monkeypatch.setattr(evaluate, "BLOCK_ROWS", 100)  # three blocks, the last one shorter
    npv = model_of(BASE)(dict(draws))
    for name, outcome in compare(BASE, n=256, seed=7).outcomes.items():
        np.testing.assert_allclose(npv[name], outcome.npv_usd, rtol=1e-9, atol=1e-3)


def test_a_pilot_is_planned_on_the_scenario_not_on_the_rows() -> None:
    with_pilot = with_inputs(BASE, {"alternatives": ["rag", "staged"]})
    draws = dict(draw_inputs(with_pilot, n=512, seed=7))
    model = model_of(with_pilot, ["staged"])
    whole = model(draws)["staged"]
    few = model({p: x[:7] if x.ndim else x for p, x in draws.items()})["staged"]
    np.testing.assert_allclose(few, whole[:7], rtol=1e-9)


def test_medians_are_one_row_like_a_scenario_without_doubt() -> None:
    middle = model_of(BASE)(medians(BASE))
    known = compare(certain(BASE), n=256).payoffs()
    for name, npv in middle.items():
        assert npv.shape == (1,)
        assert npv[0] == pytest.approx(known[name].mean(), rel=1e-9, abs=1e-3)


def test_a_bar_is_two_scenarios_with_one_input_changed() -> None:
    path = "value.human_cost_usd_per_request"
    bars = {bar.input: bar for bar in tornado_at_medians(BASE, model_of(BASE))["rag"]}
    low, high = (float(q) for q in BASE.inputs()[path].ppf(np.array([0.1, 0.9])))
    for value, shown in ((low, bars[path].payoff_at_low), (high, bars[path].payoff_at_high)):
        npv = compare(certain(BASE, value__human_cost_usd_per_request=value), n=256).payoffs()
        assert shown == pytest.approx(npv["rag"].mean(), rel=1e-9)
    assert (bars[path].low_value, bars[path].high_value) == pytest.approx((low, high))
    assert bars["quality.saas_skill_ratio"].swing == 0
    swings = [bar.swing for bar in tornado_at_medians(BASE, model_of(BASE))["rag"]]
    assert swings == sorted(swings, reverse=True)


def test_an_event_happens_or_not_and_inputs_of_one_cause_move_together() -> None:
    """A payoff made by hand: 1,000 x the event + a wage of two roles; every other input is idle."""
    scenario = with_inputs(BASE, {"demand.in_scope_share": {"probability": 0.05}})
    roles = [path for path in scenario.inputs() if path.startswith("team.wages_usd_per_year.")][:2]

    def model(columns: Columns) -> dict[AlternativeId, FloatArray]:
        wages = sum(columns[role] for role in roles)
        return {"rag": np.asarray(1000 * columns["demand.in_scope_share"] + wages)}

    found = tornado_at_medians(scenario, model)["rag"]
    bars = {bar.input: bar for bar in found}
    event, wages = bars["demand.in_scope_share"], bars["team.wages_usd_per_year.*"]
    assert (event.low_value, event.high_value) == (0, 1)
    assert event.payoff_at_high - event.payoff_at_low == pytest.approx(1000)
    ends = [scenario.inputs()[role].ppf(np.array([0.1, 0.9])) for role in roles]
    assert wages.swing == pytest.approx(sum(high - low for low, high in ends))
    idle = [bar for bar in found if bar not in (event, wages)]
    assert idle
    assert all(bar.swing == 0 for bar in idle)


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("project.effort_days.rag.evaluate", "project.effort_days.*.evaluate"),
        ("project.overrun_factor", "project.overrun_factor"),
        ("team.wages_usd_per_year.ml_engineer", "team.wages_usd_per_year.*"),
        ("team.load_factor", "team.load_factor"),
        ("quality.error_rate.rag", "quality.error_rate.rag"),
    ],
)
def test_causes_are_shared_by_activities_and_by_wages(path: str, cause: str) -> None:
    assert cause_of(path) == cause


def test_inputs_of_one_cause_or_of_a_correlation_are_drawn_together() -> None:
    assert BASE.correlations
    draws = draw_inputs(BASE, n=4096, seed=1)
    rag, saas = (draws[f"project.effort_days.{name}.evaluate"] for name in ("rag", "saas"))
    assert spearmanr(rag, saas).statistic == pytest.approx(1)
    for pair in BASE.correlations:
        assert spearmanr(draws[pair.a], draws[pair.b]).statistic == pytest.approx(
            pair.rank, abs=0.05
        )
    found = knowable(draws)
    assert not set(found) & set(CHANCES)
    uncertain = {cause_of(path) for path, q in BASE.inputs().items() if not q.is_fixed}
    assert set(found) == uncertain
    activity = found["project.effort_days.*.evaluate"]
    assert spearmanr(activity, rag).statistic == pytest.approx(1)


def test_a_world_has_the_calibration_given() -> None:
    own = shipped_calibration()
    assert world_of(BASE, draw_inputs(BASE, n=16, seed=1), own).calibration is own
