"""A pilot first: textbook trees, honesty of the rule, and the account that follows from it."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.alternatives import build_alternative, plan_pilot
from estimator.alternatives.items import net_cash_usd, present_value_usd
from estimator.alternatives.policy import plan_policy
from estimator.alternatives.staged import pilot_run_usd, signal
from estimator.alternatives.world import World
from estimator.decision.evaluate import draw_inputs, model_of, npv_usd, world_of
from estimator.decision.simulate import compare
from estimator.errors import InputError
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

N = 1024
WAYS = ["prompting", "rag", "managed_finetune", "saas", "staged"]
BASE = parse_scenario(f"""
demand: {{requests_per_month: {{p10: 15000, p90: 26000}}}}
horizon_months: 24
alternatives: [{", ".join(WAYS)}]
""")
# Nobody knows whether it will work, and it is dear if it does not: what pilots are for.
UNSURE = with_inputs(
    BASE,
    {
        "alternatives": ["prompting", "staged"],
        "quality.skill": {"p10": 0.1, "p90": 0.9},
        "quality.knowledge_share": 0.1,
        "value.error_cost_usd": {"min": 10, "mode": 14, "max": 20},
        "value.handover_cost_usd_per_request": 6,
    },
)


def world(scenario: Scenario, n: int = N) -> World:
    return world_of(scenario, draw_inputs(scenario, n=n, seed=3))


def value_of(plan_seen: np.ndarray, worth: np.ndarray) -> float:
    return plan_policy("rag", ("rag", "status_quo"), plan_seen, worth).expected_usd


def test_the_tree_of_a_perfect_pilot() -> None:
    """Pilot 1, build 9, success in 0.4 of cases worth 25, else 4: commit 2.4, stage 5.4."""
    works = np.array([1.0] * 4 + [0.0] * 6)
    build = np.where(works > 0, 25.0, 4.0) - 9.0
    worth = np.stack([build, np.zeros(10)])
    staged = value_of(works, worth) - 1
    committed = build.mean() - 1
    assert committed == pytest.approx(2.4)
    assert staged == pytest.approx(5.4)
    assert staged - committed == pytest.approx(3.0)  # what the option is worth


def test_goferbroke_with_its_seismic_survey() -> None:
    """Hillier and Lieberman: with an imperfect survey 153, without 100."""
    draws = [(1, 1)] * 3 + [(1, 0)] * 3 + [(0, 1)] * 2 + [(0, 0)] * 12  # (survey, oil) of 20
    survey, oil = np.array(draws, dtype=float).T
    worth = np.stack([np.where(oil > 0, 700.0, -100.0), np.full(20, 90.0)])
    assert worth.mean(axis=1).max() == pytest.approx(100)
    assert value_of(survey, worth) == pytest.approx(153)


def test_a_signal_that_says_nothing_changes_nothing() -> None:
    worth = np.random.default_rng(1).normal(size=(2, 500))
    assert value_of(np.full(500, 0.5), worth) == pytest.approx(worth.mean(axis=1).max())


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_planning_on_a_signal_never_loses_on_average(seed: int) -> None:
    random = np.random.default_rng(seed)
    seen = random.random(200)
    worth = np.stack([seen * 3 - 1 + random.normal(size=200), np.zeros(200)])
    assert value_of(seen, worth) >= worth.mean(axis=1).max() - 1e-9


def test_more_requests_tell_more() -> None:
    worth = []
    for requests in (1, 30, 1000):
        scenario = with_inputs(UNSURE, {"staged.pilot_requests": requests})
        worth.append(plan_pilot(world(scenario, 4096)).expected_usd)
    assert worth[0] < worth[1] < worth[2]


def test_the_signal_is_the_share_answered_rightly_with_the_noise_of_a_sample() -> None:
    fixed = {
        "quality.skill": 0.8,
        "quality.knowledge_share": 0,
        "quality.error_rate.prompting": 0.25,
        "staged.transfer_error": 0,
        "staged.pilot_requests": 100,
        "correlations": [],
    }
    seen = signal(world(with_inputs(UNSURE, fixed), 8192), "prompting")
    assert seen.mean() == pytest.approx(0.6, abs=1e-3)
    assert seen.std() == pytest.approx(np.sqrt(0.6 * 0.4 / 100), rel=0.01)


def test_the_decision_knows_only_what_the_pilot_shows() -> None:
    here = world(UNSURE)
    policy = plan_pilot(here)
    seen = signal(here, policy.candidate)
    taken = policy.choose(seen)
    assert 0 < (taken == policy.names.index("prompting")).mean() < 1
    # One threshold: a better pilot never speaks for stopping, whatever the truth of the draw is.
    goes = taken == policy.names.index("prompting")
    assert seen[goes].min() >= seen[~goes].max()
    truth = npv_usd(build_alternative("prompting", here), N)
    assert (truth[goes] < 0).any()  # it errs, as it must
    assert (truth[~goes] > 0).any()


def test_where_nobody_knows_the_pilot_is_best() -> None:
    result = compare(UNSURE, n=2048)
    assert result.verdict.alternative == "staged"
    outcomes = result.outcomes
    assert outcomes["staged"].npv_usd.mean() > max(0, outcomes["prompting"].npv_usd.mean())


def test_a_pilot_that_changes_nothing_costs_its_price() -> None:
    result = compare(BASE, n=N)
    best = max(o.npv_usd.mean() for name, o in result.outcomes.items() if name != "staged")
    assert result.outcomes["staged"].npv_usd.mean() < best
    assert result.verdict.alternative != "staged"
    assert "pilot" not in result.verdict.sentence


def test_a_free_pilot_without_delay_is_what_follows_it() -> None:
    free: Mapping[str, object] = {
        f"project.{what}.staged.{activity}": 0
        for what in ("effort_days", "wait_days")
        for activity in BASE.project.effort_days["staged"]
    }
    scenario = with_inputs(BASE, {**free, "staged.candidate": "rag"})
    here = world(scenario)
    policy = plan_pilot(here)
    taken = policy.choose(signal(here, "rag"))
    staged = npv_usd(build_alternative("staged", here), N)
    expected = np.choose(
        taken, [npv_usd(build_alternative(name, here), N) for name in policy.names]
    )
    np.testing.assert_allclose(staged, expected, rtol=1e-9, atol=1e-3)


def test_what_follows_is_the_same_way_started_later() -> None:
    scenario = with_inputs(BASE, {"staged.candidate": "managed_finetune", "staged.reused_share": 0})
    here = world(scenario)
    account = build_alternative("staged", here)
    assert account.project is not None
    delay = account.project.go_live_months
    policy = plan_pilot(here)
    taken = policy.choose(signal(here, "managed_finetune"))
    pilot = present_value_usd(
        [
            i
            for i in account.items
            if i.name in ("People of the pilot", "Training run of the pilot")
        ],
        "cost",
        N,
    )
    assert (pilot > 0).all()
    for place, name in enumerate(policy.names):
        rows = np.flatnonzero(taken == place)
        if rows.size:
            later = build_alternative(name, here.of_draws(rows, delay[rows]))
            expected = npv_usd(later, rows.size)
            np.testing.assert_allclose((npv_usd(account, N) + pilot)[rows], expected, rtol=1e-9)
            if name != "status_quo":
                np.testing.assert_allclose(account.go_live_months[rows], later.go_live_months)


def test_nothing_that_follows_is_spent_or_earned_during_the_pilot() -> None:
    here = world(BASE)
    account = build_alternative("staged", here)
    assert account.project is not None
    begun = ("project people", "running people", "tokens", "retrieval")
    follows = [i for i in account.items if i.category in begun and "pilot" not in i.name]
    assert follows
    cash = net_cash_usd(follows, N, 24)
    for draw, months in enumerate(np.floor(account.project.go_live_months).astype(int)):
        assert (cash[draw, :months] == 0).all()


def test_only_tuned_ways_need_a_run_in_the_pilot() -> None:
    here = world(BASE)
    assert float(pilot_run_usd(here, "rag")) == 0
    assert (pilot_run_usd(here, "managed_finetune") > 0).all()


def test_the_plan_is_kept_in_rows_of_ones_own_choosing() -> None:
    """At the medians, with one input moved, the pilot must not know more than it would show."""
    model = model_of(UNSURE, ["staged", "prompting"])
    columns = {p: np.asarray(float(q.ppf(0.5))) for p, q in UNSURE.inputs().items()}
    skill = np.linspace(0.05, 0.95, 50)
    columns |= {"chance.incidents": np.asarray(0.5), "quality.skill": skill}
    bad, good = (
        model(columns | {"chance.pilot": np.asarray(chance)})["staged"] for chance in (0.02, 0.98)
    )
    # Between the two thresholds, the same world is stopped by a bad sample and started by a good.
    torn = (bad < -10_000) & (bad > -100_000) & (np.abs(good - bad) > 10_000)
    assert 0 < torn.sum() < 15
    assert (bad[skill < 0.3] == good[skill < 0.3]).all()


def test_a_pilot_needs_something_to_try() -> None:
    with pytest.raises(InputError, match="staged needs another way"):
        with_inputs(BASE, {"alternatives": ["staged"]})
    with pytest.raises(InputError, match=r"'finetune_rag' is not compared; compared: prompting"):
        with_inputs(BASE, {"staged.candidate": "finetune_rag"})
