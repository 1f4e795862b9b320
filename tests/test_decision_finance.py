"""Cash-flow measures against textbook numbers, spreadsheet documentation and numpy-financial."""

import numpy as np
import numpy_financial as npf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.decision import finance

TEXTBOOK = np.array([-100.0, 30, 40, 50, 60])
EIGHT_PERCENT_A_MONTH = 1.08**12 - 1
CASH = st.lists(st.integers(-1000, 1000).map(float), min_size=2, max_size=60)


def test_textbook_project() -> None:
    assert finance.npv(TEXTBOOK, 0.08) == pytest.approx(45.8647, abs=5e-5)
    assert finance.irr(TEXTBOOK).rate_per_period == pytest.approx(0.24888, abs=5e-6)
    assert finance.payback_months(TEXTBOOK) == pytest.approx(2.6)
    discounted = finance.discounted_payback_months(TEXTBOOK, EIGHT_PERCENT_A_MONTH)
    assert discounted == pytest.approx(2.95558, abs=5e-6)


def test_spreadsheet_convention_discounts_the_first_cash_flow() -> None:
    cash = [-10_000, 3000, 4200, 6800]
    assert finance.npv_excel(cash, 0.10) == pytest.approx(1188.44, abs=5e-3)
    assert finance.npv(cash, 0.10) == pytest.approx(1188.44 * 1.1, abs=5e-3)


def test_irr_of_the_spreadsheet_documentation() -> None:
    cash = [-70_000, 12_000, 15_000, 18_000, 21_000]
    assert finance.irr(cash).rate_per_period == pytest.approx(-0.02124, abs=5e-6)
    assert finance.irr([*cash, 26_000]).rate_per_period == pytest.approx(0.08663, abs=5e-6)


def test_irr_says_none_and_many() -> None:
    assert finance.irr([100, 50]).kind == finance.irr([0, 0]).kind == "none"
    assert finance.irr([100, 50]).sign_changes == 0
    assert finance.irr([100, -150, 100]).kind == "none"  # two sign changes, no rate
    many = finance.irr([-1000, 2300, -1320])  # 10 % and 20 %: Brealey-Myers' kind of example
    assert many.kind == "many"
    assert many.rate_per_period is None
    assert many.rates_per_period == pytest.approx((0.10, 0.20))
    assert many.sign_changes == 2


def test_irr_of_five_years_with_yearly_retraining_spikes() -> None:
    cash = np.full(60, 10_000.0)
    cash[0], cash[12::12] = -200_000, -15_000
    result = finance.irr(cash)
    assert result.sign_changes == 9
    assert result.kind == "one"
    assert result.rate_per_period == pytest.approx(npf.irr(cash), rel=1e-9)


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_irr_is_the_same_in_any_unit_of_money(unit: float) -> None:
    """From losing nearly all to a thousandfold: (1 + r)^periods is what a dollar became."""
    for periods, became in ((1, 1000.0), (1, 0.001), (2, 1000.0), (2, 1e-6), (3, 8.0)):
        cash = np.zeros(periods + 1)
        cash[0], cash[-1] = -unit, became * unit
        assert finance.irr(cash).rates_per_period == pytest.approx((became ** (1 / periods) - 1,))


@pytest.mark.parametrize("rate", [0.05, 0.10, 0.20, 0.30])
def test_irr_tells_two_rates_apart_that_are_close(rate: float) -> None:
    """-(g - 1 - r)(g - 1.02 - r) x 1000 has the rates r and r + 2 %."""
    low, high = 1 + rate, 1.02 + rate
    cash = [-1000, 1000 * (low + high), -1000 * low * high]
    assert finance.irr(cash).rates_per_period == pytest.approx((rate, rate + 0.02))


@pytest.mark.parametrize("growth", [0.9, 0.999, 1.001, 1.5])
def test_irr_of_a_century_in_months_does_not_overflow(growth: float) -> None:
    """A dollar spent; each of 1,200 months brings 1/1,200 of what it has grown to by then."""
    cash = np.concatenate([[-1.0], growth ** np.arange(1.0, 1201) / 1200])
    assert finance.irr(cash).rates_per_period == pytest.approx((growth - 1,))


@settings(deadline=None)
@given(CASH)
def test_every_irr_found_is_a_root(cash: list[float]) -> None:
    result = finance.irr(cash)
    assert len(result.rates_per_period) <= result.sign_changes
    for rate in result.rates_per_period:
        growth = (1 + rate) ** -np.arange(float(len(cash)))
        assert abs(cash @ growth) <= 1e-8 * (np.abs(cash) @ growth)


@settings(deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40), st.integers(1, 20_000))
def test_irr_of_an_investment_agrees_with_numpy_financial(earned: list[int], spent: int) -> None:
    cash = np.array([-spent, *earned], dtype=np.float64)
    rate = finance.irr(cash).rate_per_period
    assert rate is not None
    assert finance.npv(cash, rate) == pytest.approx(0, abs=1e-6 * spent)
    assert npf.npv(rate, cash) == pytest.approx(0, abs=1e-6 * spent)


@given(CASH, st.floats(0, 0.5))
def test_npv_agrees_with_numpy_financial(cash: list[float], rate: float) -> None:
    assert finance.npv(cash, rate) == pytest.approx(npf.npv(rate, cash), rel=1e-9, abs=1e-6)


@settings(deadline=None)
@given(CASH, st.floats(0, 0.3), st.floats(0, 0.3))
def test_mirr_agrees_with_numpy_financial(cash: list[float], finance_rate: float, r: float) -> None:
    expected = npf.mirr(cash, finance_rate, r)
    assert finance.mirr(cash, finance_rate, r) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_mirr_is_the_same_in_any_unit_of_money() -> None:
    """A cent that becomes two in two months: sqrt(2) - 1 per month."""
    for unit in (0.01, 1.0, 1e6):
        found = finance.mirr([-unit, 0.0, 2 * unit], 0.05, 0.02)
        assert found == pytest.approx(2**0.5 - 1)
    assert np.isnan(finance.mirr([-1.0, 0.0], 0.05, 0.02))


def test_monthly_and_yearly_rates_are_one_rate() -> None:
    assert finance.monthly_rate(0.10) == pytest.approx(0.00797414, abs=5e-9)
    assert finance.yearly_rate(finance.monthly_rate(0.10)) == pytest.approx(0.10)


def test_first_month_is_undiscounted_and_a_year_later_is_one_rate() -> None:
    factors = finance.discount_factors(13, 0.10)
    assert factors[0] == 1
    assert factors[12] == pytest.approx(1 / 1.10)
    assert finance.discount_factors(13, np.array([0.1, 0.2])).shape == (2, 13)


def test_present_value_is_npv_at_the_monthly_rate_for_every_draw() -> None:
    cash = np.random.default_rng(0).normal(size=(5, 36))
    rates = np.linspace(0, 0.2, 5)
    expected = [npf.npv(finance.monthly_rate(r), row) for r, row in zip(rates, cash, strict=True)]
    assert finance.present_value(cash, rates) == pytest.approx(expected)
    assert finance.present_value(cash, 0.0) == pytest.approx(cash.sum(axis=1))


def test_payback_of_many_draws_with_every_kind_of_answer() -> None:
    cash = np.array(
        [
            [-100.0, 30, 40, 50, 60],  # inside month 3
            [-100, 30, 40, 30, 0],  # exactly at month 3
            [-100, 30, 40, 20, 5],  # never
            [0, 10, 10, 10, 10],  # nothing ever owed
            [0, -50, 25, 25, 25],  # the money goes out later
            [-50, 60, -60, 25, 50],  # recovers, sinks again, recovers for good
            [-50, 60, 0, 0, -20],  # recovers, and sinks for good
        ]
    )
    expected = [2.6, 3, np.nan, 0, 3, 3.5, np.nan]
    assert finance.payback_months(cash) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.integers(0, 500), min_size=1, max_size=48), st.integers(1, 3000))
def test_payback_of_one_investment_is_the_first_crossing(earned: list[int], spent: int) -> None:
    total, expected = -spent, np.nan
    for month, cash in enumerate(earned):
        if total + cash >= 0:
            expected = month + -total / cash
            break
        total += cash
    found = finance.payback_months([-spent, *earned])
    assert found == pytest.approx(expected, nan_ok=True)


def test_roi_and_level_cost_are_unknown_without_a_base() -> None:
    assert finance.roi(150.0, 100.0) == pytest.approx(0.5)
    assert finance.roi(0.03, 0.01) == pytest.approx(2.0)
    assert np.isnan(finance.roi(150.0, 0.0))
    assert finance.level_cost(1000.0, np.array([500.0, 0.0])) == pytest.approx(
        [2.0, np.nan], nan_ok=True
    )


def test_level_cost_times_volume_has_the_present_value_of_the_costs() -> None:
    rng = np.random.default_rng(1)
    cost, volume = rng.uniform(1, 9, 36), rng.uniform(100, 900, 36)
    unit = finance.level_cost(finance.present_value(cost, 0.1), finance.present_value(volume, 0.1))
    assert finance.present_value(unit * volume, 0.1) == pytest.approx(
        finance.present_value(cost, 0.1)
    )


def test_equivalent_annual_cost_of_owned_servers() -> None:
    """8 x H100 for $280k over 4 years at 8 % with 15 % residual value: an annuity of $75,217."""
    pv_cost = 280_000 - 0.15 * 280_000 * 1.08**-4
    annual = finance.equivalent_annual_cost(pv_cost, 0.08, 4)
    assert annual == pytest.approx(75_217, abs=0.5)
    assert annual == pytest.approx(-npf.pmt(0.08, 4, pv_cost))
    assert finance.equivalent_annual_cost(1200.0, 0.0, 4) == pytest.approx(300)


def test_payback_is_in_the_money_of_each_draw() -> None:
    """What counts as zero is a share of a draw's own money, however rich its neighbours are."""
    pennies, billions = [-1e-8, 5e-9, 1e-8], [-1e12, 5e11, 1e12]
    assert finance.payback_months(pennies) == pytest.approx(1.5)
    assert finance.payback_months([pennies, billions]) == pytest.approx([1.5, 1.5])


def test_payback_of_nothing_or_of_rounding_is_at_once() -> None:
    assert finance.payback_months([0.0, 0.0, 0.0]) == 0.0
    assert finance.payback_months([0.3, -0.1, -0.2, 1.0]) == 0.0  # the sum is -3e-17, not a debt


def test_payback_within_rounding_is_never_later_than_its_month() -> None:
    """The crossing may stop a hair below zero: the month is over then, and no later one counts."""
    assert finance.payback_months([-1.0, 1.0 - 1e-13]) == pytest.approx(1.0, abs=0)
    assert np.isnan(finance.payback_months([-1.0, 1.0 - 1e-10]))  # a debt, not rounding
