"""Measures, cost at equal service and tables of a comparison: identities between them."""

import numpy as np
import pytest

from estimator.alternatives.items import net_cash_usd
from estimator.decision import payback
from estimator.decision.cost_only import cost_only
from estimator.decision.finance import payback_months, present_value
from estimator.decision.measures import Measures, measures
from estimator.decision.payback import account_payback_months, expected_net_cash_usd
from estimator.decision.resolved import NOT_OWN
from estimator.decision.simulate import Comparison, compare
from estimator.report.comparison_cost_only import sentence
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 24
alternatives: [rag, saas, prompting, self_hosted_finetune, staged]
""")


@pytest.fixture(scope="module")
def base() -> Comparison:
    return compare(BASE, n=1024)


@pytest.fixture(scope="module")
def found(base: Comparison) -> dict[str, Measures]:
    return dict(measures(base, risk_tolerance_usd=1e6))


def test_the_expected_cash_has_the_expected_npv(base: Comparison) -> None:
    for outcome in base.outcomes.values():
        cash = expected_net_cash_usd(outcome.account, BASE.horizon_months)
        value = present_value(cash, BASE.discount_rate_per_year)
        assert value == pytest.approx(outcome.npv_usd.mean(), rel=1e-9, abs=1e-2)


def test_payback_in_blocks_is_payback_of_all(base: Comparison) -> None:
    for name, outcome in base.outcomes.items():
        cash = net_cash_usd(outcome.account.items, 1024, BASE.horizon_months)
        whole = payback_months(np.concatenate([np.zeros((1024, 1)), cash], axis=1))
        if name != "status_quo":  # whose cash is what is left by rounding
            np.testing.assert_allclose(outcome.payback_months, whole, rtol=1e-6, atol=1e-6)


def test_blocks_of_draws_change_nothing(base: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payback, "BLOCK_DRAWS", 100)
    for outcome in base.outcomes.values():
        again = account_payback_months(outcome.account, 1024, BASE.horizon_months)
        np.testing.assert_array_equal(again, outcome.payback_months)


def test_a_single_rate_makes_the_npv_zero(base: Comparison, found: dict[str, Measures]) -> None:
    single = {name: m for name, m in found.items() if m.irr_per_year is not None}
    assert single
    for name, m in single.items():
        cash = expected_net_cash_usd(base.outcomes[name].account, BASE.horizon_months)
        at_rate = present_value(cash, m.irr_per_year)
        assert at_rate == pytest.approx(0, abs=1e-6 * np.abs(cash).sum())


def test_doing_nothing_has_no_rate_and_owes_nothing(
    base: Comparison, found: dict[str, Measures]
) -> None:
    nothing = found["status_quo"]
    assert nothing.irr.kind == "none"
    assert nothing.mirr_per_year is nothing.roi is None
    assert nothing.cost_usd_per_resolved_request is None
    assert nothing.payback_months == nothing.pv_costs_usd == 0
    assert nothing.certainty_equivalent_usd == 0
    assert (base.outcomes["status_quo"].payback_months == 0).all()


def test_money_measures_agree_with_each_other(base: Comparison, found: dict[str, Measures]) -> None:
    for name, m in found.items():
        outcome = base.outcomes[name]
        npv = outcome.npv_usd.mean()
        assert m.pv_benefits_usd - m.pv_costs_usd == pytest.approx(npv, rel=1e-9, abs=1e-3)
        assert m.cvar_usd <= npv
        assert m.certainty_equivalent_usd is not None
        assert m.certainty_equivalent_usd <= npv + 1e-6
        if m.roi is not None:
            assert m.roi == pytest.approx(npv / m.pv_costs_usd)
        years = BASE.horizon_months / 12
        annuity = sum(m.equivalent_annual_cost_usd / 1.1**year for year in range(1, int(years) + 1))
        assert annuity == pytest.approx(outcome.tco_usd.mean())
        if m.discounted_payback_months is not None:
            assert m.payback_months is not None
            assert m.discounted_payback_months >= m.payback_months
    assert measures(base)["rag"].certainty_equivalent_usd is None


def test_cost_at_equal_service_needs_no_worth_of_an_answer(base: Comparison) -> None:
    """Review, which people do at their usual cost, is a cost of the assistant: none here."""
    review = next(path for path in BASE.inputs() if path.endswith(".review_share"))
    unread = with_inputs(BASE, {review: 0.0})
    before = cost_only(compare(unread, n=1024))
    inputs = BASE.inputs()  # scaled, so that the draws of all others stay
    dearer = {
        "value.human_cost_usd_per_request": inputs["value.human_cost_usd_per_request"].scaled(9),
        "value.error_cost_usd": inputs["value.error_cost_usd"].scaled(0.1),
        "value.gain_usd_per_resolved_request": 9.0,
    }
    other = compare(with_inputs(unread, dearer), n=1024)
    assert other.verdict.gain_usd != pytest.approx(base.verdict.gain_usd, rel=0.1)
    after = cost_only(other)
    level = {way.id: way.level_usd_per_request for way in before.ways}
    assert {way.id: way.level_usd_per_request for way in after.ways} == pytest.approx(level)
    assert list(level.values()) == sorted(level.values())


def test_cost_at_equal_service_is_own_cost_over_answers(base: Comparison) -> None:
    found = cost_only(base)
    assert set(found.left_out) == {"status_quo", "staged"}
    assert sum(way.probability_cheapest for way in found.ways) == pytest.approx(1)
    for way in found.ways:
        single = measures(base)[way.id].cost_usd_per_resolved_request
        assert single == pytest.approx(way.level_usd_per_request)
        own = [
            item
            for item in base.outcomes[way.id].account.items
            if item.kind == "cost" and item.category not in NOT_OWN
        ]
        total = sum(float(np.mean(item.present_value_usd())) for item in own)
        assert way.own_cost_usd.mean() == pytest.approx(total)


def test_a_cost_that_doubles_loses_rank_at_equal_service(base: Comparison) -> None:
    rank = [way.id for way in cost_only(base).ways].index("saas")
    price = BASE.inputs()["saas.price_usd_per_unit"]
    dear = with_inputs(BASE, {"saas.price_usd_per_unit": price.scaled(4)})
    assert [way.id for way in cost_only(compare(dear, n=1024)).ways].index("saas") >= rank


def test_a_way_that_never_answers_is_left_out_and_close_costs_are_said() -> None:
    late = with_inputs(BASE, {"horizon_months": 1, "project.overrun_factor": 5.0})
    none = cost_only(compare(late, n=256))
    assert none.ways == ()
    assert sentence(none) == "No way answers any request within the horizon."
    alike = cost_only(compare(with_inputs(BASE, {"materiality_usd": 1e12}), n=256))
    assert sentence(alike).startswith("Too close to call at equal service")
    clear = cost_only(compare(with_inputs(BASE, {"materiality_usd": 0}), n=1024))
    assert "is the cheapest at equal service: $" in sentence(clear)


def test_tables_hold_the_same_numbers(base: Comparison) -> None:
    pytest.importorskip("pandas")
    frame = base.to_frame()
    assert list(frame.index) == sorted(
        base.outcomes, key=lambda name: -base.outcomes[name].npv_usd.mean()
    )
    assert frame.loc["rag", "npv_usd_mean"] == pytest.approx(base.outcomes["rag"].npv_usd.mean())
    assert frame["probability_best"].sum() == pytest.approx(1)
    items = base.line_items()
    costs = items[items["kind"] == "cost"].groupby("alternative")["usd_mean"].sum()
    assert costs["saas"] == pytest.approx(base.outcomes["saas"].tco_usd.mean())
    cash = base.cash_flows()
    assert set(cash["month"]) == set(range(BASE.horizon_months))
    monthly = cash[cash["alternative"] == "rag"].groupby("month")["usd"].sum().to_numpy()
    net = expected_net_cash_usd(base.outcomes["rag"].account, BASE.horizon_months)
    assert monthly == pytest.approx(net, rel=1e-9, abs=1e-2)
