"""Measures of accounts that are made by hand, so that every figure can be worked out on paper."""

from collections.abc import Callable

import numpy as np
import numpy_financial as npf
import pytest
from worlds import STEADY, world

from estimator.alternatives.account import Account
from estimator.alternatives.items import Category, Kind, LineItem, Profile
from estimator.alternatives.quality import right_share
from estimator.alternatives.world import World
from estimator.decision import payback
from estimator.decision.cost_only import CostOnly, cost_only
from estimator.decision.evaluate import npv_usd
from estimator.decision.frames import alternatives_frame, cash_flows_frame, line_items_frame
from estimator.decision.measures import Measures, measures
from estimator.decision.payback import (
    account_payback_months,
    expected_cash_usd,
    expected_net_cash_usd,
)
from estimator.decision.resolved import own_cost_usd, resolved_requests
from estimator.decision.simulate import Comparison, Outcome
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId

MONTHS = 36
ONE_PERCENT_A_MONTH = 1.01**12 - 1


def item(
    category: Category,
    amount: object,
    monthly: object,
    kind: Kind = "cost",
    monthly_rate: float = 0.0,
) -> LineItem:
    rhythm = np.asarray(monthly, dtype=np.float64)
    discount = (1 + monthly_rate) ** -np.arange(float(rhythm.shape[-1]))
    return LineItem(
        name=f"{category}, {kind}",
        category=category,
        kind=kind,
        amount_usd=np.asarray(amount, dtype=np.float64),
        profile=Profile.of(rhythm, discount=discount),
        formula="",
        inputs=("an input",),
    )


def account(*items: LineItem, name: AlternativeId = "rag", live: object = 1.5) -> Account:
    return Account(id=name, items=items, go_live_months=np.asarray(live, float), project=None)


def monthly(first: float, then: float, months: int = MONTHS) -> FloatArray:
    return np.array([first, *[then] * (months - 1)])


def test_payback_of_each_draw() -> None:
    """-$1,200 at once; a month later on +$284, +$134 or -$6 a month, from the first month on."""
    built = item("project people", 1200, monthly(1, 0))
    running = [item("tokens", 10, monthly(1, 1)), item("people handling requests", 2, [3.0] * 36)]
    saved = item("avoided", [300, 150, 10], monthly(1, 1), "benefit")
    found = account_payback_months(account(built, *running, saved), 3, MONTHS)
    assert found == pytest.approx([1200 / 284, 1200 / 134, np.nan], nan_ok=True)
    # the same money as a rhythm per draw and one amount
    spread = item("avoided", 10, np.outer([30, 15, 1], np.ones(36)), "benefit")
    again = account_payback_months(account(built, *running, spread), 3, MONTHS)
    assert again == pytest.approx(found, nan_ok=True)


def test_what_is_left_by_rounding_is_no_debt_and_a_debt_is_no_rounding() -> None:
    parts = [item("avoided", 0.1, [1.0, 0, 0], "benefit") for _ in range(3)]
    even = account(*parts, item("fees", 0.3, [1.0, 0, 0]))
    assert account_payback_months(even, 1, 3).tolist() == [0]
    assert expected_net_cash_usd(even, 3).tolist() == [0, 0, 0]
    owed = account(item("fees", 1 + 1e-8, [1.0, 0]), item("gain", 1, [1.0, 0], "benefit"))
    assert np.isnan(account_payback_months(owed, 1, 2)).all()
    assert expected_net_cash_usd(owed, 2) == pytest.approx([-1e-8, 0])
    assert expected_net_cash_usd(account(item("fees", 1e-3, [1.0, 2.0])), 2).tolist() == [
        -1e-3,
        -2e-3,
    ]


def test_small_money_is_money() -> None:
    owed = account(item("fees", 1 + 1e-10, [1.0, 0]), item("gain", 1, [1.0, 0], "benefit"))
    assert np.isnan(account_payback_months(owed, 1, 2)).all()
    cents = account(item("fees", 3e-13, [1.0, 0, 0]), item("gain", 2e-13, [0, 1.0, 1], "benefit"))
    assert account_payback_months(cents, 1, 3) == pytest.approx(2.5)
    assert expected_net_cash_usd(cents, 3) == pytest.approx([-3e-13, 2e-13, 2e-13], rel=1e-6, abs=0)


def test_payback_in_blocks_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """$100 at once, then 10, 20, ... 50 a month: 10, 5, 3.3, 2.5 and 2 months later."""
    monkeypatch.setattr(payback, "BLOCK_DRAWS", 2)
    earned = np.arange(10.0, 60, 10)
    expected = 1 + 100 / earned
    later = monthly(0, 1)
    for saved in (
        item("gain", earned, later, "benefit"),
        item("gain", 1, np.outer(earned, later), "benefit"),
    ):
        both = account(item("fees", 100, monthly(1, 0)), saved)
        assert account_payback_months(both, 5, MONTHS) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("amount", "rhythm", "expected"),
    [
        ([2.0, 4.0], [1.0, 10.0], [3, 30]),
        (2.0, [[1.0, 10.0], [3.0, 20.0]], [4, 30]),
        ([2.0, 4.0], [[1.0, 10.0], [3.0, 20.0]], [(2 + 12) / 2, (20 + 80) / 2]),
        (2.0, [1.0, 10.0], [2, 20]),
    ],
)
def test_expected_cash_is_the_mean_over_draws(
    amount: object, rhythm: object, expected: list[float]
) -> None:
    cost = item("tokens", amount, rhythm)
    assert expected_cash_usd(cost) == pytest.approx(expected)
    both = account(cost, item("gain", 1.0, [5.0, 7.0], "benefit"))
    assert expected_net_cash_usd(both, 2) == pytest.approx([5 - expected[0], 7 - expected[1]])


def test_own_cost_leaves_out_what_people_still_do_and_errors() -> None:
    """$1,200 + 36 x $10; and a net value of 36 x $50 less all costs."""
    whole = account(
        item("project people", [1200, 600], monthly(1, 0)),
        item("tokens", 10, monthly(1, 1)),
        item("people handling requests", 5, monthly(1, 1)),
        item("errors", 1, monthly(1, 1)),
        item("avoided", 50, monthly(1, 1), "benefit"),
    )
    assert own_cost_usd(whole, 2).tolist() == [1560, 960]
    assert npv_usd(whole, 2).tolist() == [36 * 50 - 1560 - 216, 36 * 50 - 960 - 216]


@pytest.mark.parametrize(("name", "way"), [("rag", "rag"), ("pretrain", "finetune")])
def test_resolved_requests_are_those_in_scope_answered_rightly_while_live(
    name: AlternativeId, way: str
) -> None:
    """1,000 requests a month, half in scope, live for 34.5 of 36 months, no discounting."""
    steady = world(STEADY)
    found = resolved_requests(account(name=name), steady)
    right = right_share(steady.draws, way)  # type: ignore[arg-type]
    assert found == pytest.approx(1000 * 0.5 * 34.5 * right)
    for without in ("status_quo", "staged"):
        assert resolved_requests(account(name=without), steady) is None  # type: ignore[arg-type]


def compared(
    steady: World,
    payoffs: dict[AlternativeId, FloatArray],
    make: Callable[[AlternativeId], Account],
) -> Comparison:
    n = steady.draws.n
    outcomes = {}
    for name, npv in payoffs.items():
        one = make(name)
        cost = sum((i.present_value_usd() for i in one.items if i.kind == "cost"), np.zeros(n))
        outcomes[name] = Outcome(
            account=one,
            npv_usd=npv,
            tco_usd=cost,
            roi=npv,
            horizon_months=steady.scenario.horizon_months,
            probability_best=0.2,
            expected_regret_usd=7.0,
        )
    return Comparison(
        scenario=steady.scenario,
        draws=steady.draws,
        outcomes=outcomes,
        verdict=None,  # type: ignore[arg-type]
        evpi_usd=0.0,
        evppi_usd={},
        version="",
    )


CASH = np.array([-9000.0, -700, *[500] * 34])


@pytest.fixture(scope="module")
def project() -> tuple[Comparison, Measures, FloatArray]:
    """One way that costs $9,000, $700 and then brings $500 a month, at 1 % a month."""
    steady = world({**STEADY, "discount_rate_per_year": ONE_PERCENT_A_MONTH})
    n = steady.draws.n
    costs = np.where(CASH < 0, -CASH, 0) + 100
    made = account(
        item("project people", 1, costs, monthly_rate=0.01),
        item("errors", 1, np.full(36, 40.0), monthly_rate=0.01),
        item("gain", 1, np.maximum(CASH, 0) + 140, "benefit", monthly_rate=0.01),
    )
    draws = npf.npv(0.01, CASH) + 1000 * np.tile([-1.0, 1.0], n // 2)
    comparison = compared(steady, {"rag": draws}, lambda name: made)
    return comparison, measures(comparison, risk_tolerance_usd=5000)["rag"], costs


def test_measures_agree_with_numpy_financial(
    project: tuple[Comparison, Measures, FloatArray],
) -> None:
    _, m, costs = project
    assert (1 + m.irr_per_year) ** (1 / 12) - 1 == pytest.approx(npf.irr(CASH))  # type: ignore[operator]
    assert (1 + m.mirr_per_year) ** (1 / 12) - 1 == pytest.approx(  # type: ignore[operator]
        npf.mirr(CASH, 0.01, 0.01)
    )
    own = npf.npv(0.01, costs)
    assert m.pv_costs_usd == pytest.approx(own)
    assert m.pv_benefits_usd == pytest.approx(own + npf.npv(0.01, CASH))
    assert m.roi == pytest.approx(npf.npv(0.01, CASH) / own)
    assert m.tco_usd == pytest.approx(own + npf.npv(0.01, np.full(36, 40.0)))
    assert m.equivalent_annual_cost_usd == pytest.approx(
        -npf.pmt(ONE_PERCENT_A_MONTH, 3, m.tco_usd)
    )


def test_measures_by_hand(project: tuple[Comparison, Measures, FloatArray]) -> None:
    comparison, m, costs = project
    assert m.payback_months == pytest.approx(2 + 9700 / 500)
    owed, month = 9000 + 700 / 1.01, 2  # of today's dollars
    while owed > 500 / 1.01**month:
        owed, month = owed - 500 / 1.01**month, month + 1
    assert m.discounted_payback_months == pytest.approx(month + owed / (500 / 1.01**month))
    n = comparison.draws.n
    mean = npf.npv(0.01, CASH)
    assert m.cvar_usd == pytest.approx(mean - 1000)
    assert m.npv_standard_error_usd == pytest.approx(1000 / np.sqrt(n - 1))
    assert m.probability_best_standard_error == pytest.approx(np.sqrt(0.2 * 0.8 / n))
    # a gamble of +-1,000 under exponential utility: R ln cosh(1000 / R) below its mean
    assert m.certainty_equivalent_usd == pytest.approx(mean - 5000 * np.log(np.cosh(0.2)))
    right = float(
        resolved_requests(comparison.outcomes["rag"].account, world_of(comparison)).mean()
    )  # type: ignore[union-attr]
    assert m.cost_usd_per_resolved_request == pytest.approx(npf.npv(0.01, costs) / right)


def world_of(comparison: Comparison) -> World:
    return World(comparison.scenario, comparison.draws, 1.01 ** -np.arange(36.0))


def test_tables_of_the_hand_made_project(project: tuple[Comparison, Measures, FloatArray]) -> None:
    comparison = project[0]
    mean = npf.npv(0.01, CASH)
    row = alternatives_frame(comparison).loc["rag"]
    assert row["npv_usd_p10"] == pytest.approx(mean - 1000)
    assert row["npv_usd_p90"] == pytest.approx(mean + 1000)
    assert row["npv_usd_p50"] == row["npv_usd_mean"] == pytest.approx(mean)
    assert (row["irr_kind"], row["go_live_months"]) == ("one", 1.5)
    items = line_items_frame(comparison).set_index("category")
    assert items.loc["errors", "usd_p50"] == pytest.approx(npf.npv(0.01, np.full(36, 40.0)))
    assert items.loc["errors", "inputs"] == "an input"
    assert cash_flows_frame(comparison).index.tolist() == list(range(3 * 36))
    cash = cash_flows_frame(comparison).set_index(["category", "month"])["usd"]
    assert cash["project people", 0] == -9100
    assert cash["project people", 5] == -100
    assert cash["gain", 0] == 140
    assert cash["gain", 5] == 640


WAY_COSTS: dict[str, object] = {"rag": 1000.0, "saas": 1100.0, "prompting": 5000.0}


def service(materiality_usd: float = 0.0) -> tuple[CostOnly, World]:
    """Three ways of one quality in a world where every answer is right; and two without any."""
    alike = {
        **STEADY,
        "materiality_usd": materiality_usd,
        "quality.error_rate.rag": 0,
        "quality.error_rate.saas": 0,
        "quality.error_rate.prompting": 0,
    }
    steady = world(alike)
    names: tuple[AlternativeId, ...] = ("status_quo", "prompting", "saas", "rag", "staged")

    def make(name: AlternativeId) -> Account:
        return account(item("fees", WAY_COSTS.get(name, 0.0), monthly(1, 0)), name=name)

    zeros = np.zeros(steady.draws.n)
    return cost_only(compared(steady, dict.fromkeys(names, zeros), make)), steady


def test_cost_at_equal_service_by_hand() -> None:
    found, steady = service()
    assert set(found.left_out) == {"status_quo", "staged"}
    level = {}
    for way in found.ways:
        right = 1000 * 0.5 * 34.5 * right_share(steady.draws, way.id)  # type: ignore[arg-type]
        assert way.resolved_requests == pytest.approx(right)
        np.testing.assert_allclose(way.usd_per_request, float(WAY_COSTS[way.id]) / right)  # type: ignore[arg-type]
        level[way.id] = float(WAY_COSTS[way.id]) / right.mean()  # type: ignore[arg-type]
        assert way.level_usd_per_request == pytest.approx(level[way.id])
    assert [way.id for way in found.ways] == sorted(level, key=lambda name: level[name])
    means = [way.resolved_requests.mean() for way in found.ways]
    assert found.requests == pytest.approx(np.mean(means))
    each = np.stack([way.usd_per_request for way in found.ways])
    for i, way in enumerate(found.ways):
        assert way.probability_cheapest == pytest.approx((each.argmin(axis=0) == i).mean())
    assert found.close is not None
    assert found.close.best == found.ways[0].id


def test_contenders_at_equal_service_lie_within_what_matters() -> None:
    """The gap of two ways is the difference of their level costs for the common service."""
    free, _ = service()
    level = {way.id: way.level_usd_per_request for way in free.ways}
    gaps = sorted((level[name] - level[free.ways[0].id]) * free.requests for name in level)
    second, third = gaps[1:]
    close, _ = service(materiality_usd=(second + third) / 2)
    assert close.close is not None
    assert (len(close.close.contenders), close.close.reason) == (2, "immaterial")
    assert close.close.spread_usd == pytest.approx(second, rel=1e-6)
    every, _ = service(materiality_usd=third * 1.001)
    assert every.close is not None
    assert len(every.close.contenders) == 3
    assert every.close.spread_usd == pytest.approx(third, rel=1e-6)


def two_ways(cost: FloatArray, live: FloatArray, **changes: float) -> CostOnly:
    """A way of these costs and months to go-live per draw, beside one of $1,000 that is alike."""
    steady = world({**STEADY, "materiality_usd": 0, **changes})

    def make(name: AlternativeId) -> Account:
        usd, start = (1000.0, 1.5) if name == "rag" else (cost, live)
        return account(item("fees", usd, monthly(1, 0)), name="rag", live=start)

    names: tuple[AlternativeId, ...] = ("rag", "prompting")
    zeros = np.zeros(steady.draws.n)
    return cost_only(compared(steady, dict.fromkeys(names, zeros), make))


def test_a_draw_without_answers_costs_no_end_and_is_never_the_cheapest() -> None:
    cheap, late = np.full(256, 10.0), np.where(np.arange(256) % 4 == 0, 40.0, 1.5)
    other = next(way for way in two_ways(cheap, late).ways if way.id == "prompting")
    assert np.isinf(other.usd_per_request[::4]).all()
    assert np.isfinite(other.usd_per_request[1::4]).all()
    assert other.probability_cheapest == 0.75
    never = two_ways(cheap, np.full(256, 40.0))
    assert ([way.id for way in never.ways], never.left_out) == (["rag"], ("prompting",))


def test_few_answers_are_answers_and_none_is_a_service_of_none() -> None:
    few = two_ways(np.full(256, 1.0), np.full(256, 1.5), **{"demand.requests_per_month": 1e-4})
    assert len(few.ways) == 2
    assert all(np.isfinite(way.usd_per_request).all() for way in few.ways)
    none = two_ways(np.ones(256), np.ones(256), **{"demand.requests_per_month": 0})
    assert (none.ways, none.requests, none.close) == ((), 0, None)


@pytest.mark.parametrize(("spread_usd", "reason"), [(1.0, "clear"), (900.0, "noise")])
def test_a_gap_within_the_simulation_error_is_too_close(spread_usd: float, reason: str) -> None:
    """$1,020 +- spread against $1,000: a standard error of a sixteenth of the spread."""
    cost = 1020 + spread_usd * np.tile([1.0, -1.0], 128)
    close = two_ways(cost, np.full(256, 1.5)).close
    assert close is not None
    assert close.reason == reason
