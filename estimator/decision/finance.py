"""Cash-flow measures: NPV, IRR, MIRR, payback, ROI, annual and level cost.

Cash has its periods on the last axis, the first at time 0 ("now", undiscounted) and, unless a name
says per_period, one per month. Any leading axis (draws) is kept.
Source of the definitions: Brealey, Myers and Allen, Principles of Corporate Finance, chapters 5-6.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from estimator.decision.breakeven import roots_on
from estimator.quantity import FloatArray

MONTHS_PER_YEAR = 12


def monthly_rate(rate_per_year: ArrayLike) -> FloatArray:
    """Rate per month with the same yearly effect: (1 + r)^(1/12) - 1."""
    return np.asarray((1.0 + np.asarray(rate_per_year)) ** (1 / MONTHS_PER_YEAR) - 1.0)


def yearly_rate(rate_per_month: ArrayLike) -> FloatArray:
    """Rate per year with the same monthly effect: (1 + r)^12 - 1."""
    return np.asarray((1.0 + np.asarray(rate_per_month)) ** MONTHS_PER_YEAR - 1.0)


def discount_factors(months: int, rate_per_year: ArrayLike) -> FloatArray:
    """Today's value of a dollar in month m = 0 .. months-1: (1 + r)^(-m/12), so month 0 is 1.

    Shape (months,), or (n, months) for n rates.
    """
    growth = 1.0 + np.asarray(rate_per_year, dtype=np.float64)[..., None]
    return np.asarray(growth ** (-np.arange(months) / MONTHS_PER_YEAR))


def present_value(cash: ArrayLike, rate_per_year: ArrayLike) -> FloatArray:
    """Today's value of monthly cash at a yearly rate, first month undiscounted; shape (...)."""
    cash = np.asarray(cash, dtype=np.float64)
    return np.asarray(np.vecdot(cash, discount_factors(cash.shape[-1], rate_per_year)))


def npv(cash: ArrayLike, rate_per_period: ArrayLike) -> FloatArray:
    """Net present value: sum over t of CF_t / (1 + r)^t, t = 0 now; shape (...)."""
    cash = np.asarray(cash, dtype=np.float64)
    growth = 1.0 + np.asarray(rate_per_period, dtype=np.float64)[..., None]
    return np.asarray(np.vecdot(cash, growth ** -np.arange(float(cash.shape[-1]))))


def npv_excel(cash: ArrayLike, rate_per_period: ArrayLike) -> FloatArray:
    """The NPV() of a spreadsheet, which puts the first cash flow at the END of period 1.

    Equals npv / (1 + r): offered so that a reader can reconcile a spreadsheet with our figures.
    """
    return np.asarray(npv(cash, rate_per_period) / (1.0 + np.asarray(rate_per_period)))


@dataclass(frozen=True, slots=True, kw_only=True)
class IrrResult:
    """Every internal rate of return of a cash flow; only a single one may be quoted."""

    rates_per_period: tuple[float, ...]
    """All rates at which the NPV is zero, ascending."""
    sign_changes: int
    """Changes of sign in the cash flow: Descartes' upper limit on the number of rates."""

    @property
    def kind(self) -> Literal["none", "one", "many"]:
        """Whether there is a rate to quote: "one", "none", or "many" (then quote the MIRR)."""
        if len(self.rates_per_period) == 1:
            return "one"
        return "many" if self.rates_per_period else "none"

    @property
    def rate_per_period(self) -> float | None:
        """The rate, if there is exactly one."""
        return self.rates_per_period[0] if self.kind == "one" else None


def irr(cash: ArrayLike) -> IrrResult:
    """Every internal rate of return per period of one cash flow (periods,), above -100 %.

    Retraining spikes change the sign of a cash flow more than once, and then several rates, or
    none, can solve NPV = 0. All lie in Cauchy's bounds on polynomial roots, which are searched on
    4,001 geometric steps; two rates within one step of each other count as none.
    """
    trimmed = np.trim_zeros(np.asarray(cash, dtype=np.float64))
    signs = np.sign(trimmed[trimmed != 0])
    changes = int(np.count_nonzero(np.diff(signs)))
    if changes == 0:
        return IrrResult(rates_per_period=(), sign_changes=0)
    sizes = np.abs(trimmed)
    largest_growth = 1 + sizes.max() / sizes[0]
    smallest_growth = 1 / (1 + sizes.max() / sizes[-1])
    grid = np.geomspace(smallest_growth, largest_growth, 4001)
    roots = roots_on(lambda growth: _scaled_npv(trimmed, growth), grid)
    return IrrResult(rates_per_period=tuple(g - 1 for g in roots), sign_changes=changes)


def _scaled_npv(cash: FloatArray, growth: FloatArray) -> FloatArray:
    """A positive multiple of the NPV at each growth factor 1 + r that cannot overflow."""
    periods = np.arange(float(cash.size))
    anchor = np.where(growth < 1, cash.size - 1.0, 0.0)
    return np.asarray(growth[:, None] ** (anchor[:, None] - periods) @ cash)


def mirr(
    cash: ArrayLike, finance_rate_per_period: float, reinvest_rate_per_period: float
) -> FloatArray:
    """Modified internal rate of return per period; nan without both money out and money in.

    (future value of inflows at the reinvestment rate / present value of outflows at the finance
    rate)^(1/periods) - 1: unique where the IRR is not.
    """
    cash = np.asarray(cash, dtype=np.float64)
    periods = cash.shape[-1] - 1
    out = -npv(np.minimum(cash, 0.0), finance_rate_per_period)
    back = npv(np.maximum(cash, 0.0), reinvest_rate_per_period)
    ratio = _ratio(np.where(back > 0, back, np.nan), out)
    return np.asarray(ratio ** (1 / periods) * (1 + reinvest_rate_per_period) - 1)


def payback_months(cash: ArrayLike) -> FloatArray:
    """Months until the cumulative cash is back at zero and stays there; nan = never; shape (...).

    Linear inside the month of the last crossing from below zero, which for money out first and in
    afterwards is the textbook's only crossing. A flow that recovers and then sinks again has not
    paid back. 0 when the cumulative cash is never negative.
    """
    total = np.cumsum(np.asarray(cash, dtype=np.float64), axis=-1)
    rounding = 1e-12 * np.abs(total).max(axis=-1, keepdims=True)
    below = total < -rounding
    periods = total.shape[-1]
    last = periods - 1 - np.argmax(below[..., ::-1], axis=-1)
    after = np.minimum(last + 1, periods - 1)
    owed = -np.take_along_axis(total, last[..., None], axis=-1)[..., 0]
    earned = np.take_along_axis(total, after[..., None], axis=-1)[..., 0] + owed
    part = np.divide(owed, earned, out=np.zeros_like(owed), where=earned > 0)
    months = np.where(below[..., -1], np.nan, last + np.minimum(part, 1.0))
    return np.asarray(np.where(below.any(axis=-1), months, 0.0))


def discounted_payback_months(cash: ArrayLike, rate_per_year: ArrayLike) -> FloatArray:
    """Payback of the discounted monthly cash: months, nan = never; shape (...)."""
    cash = np.asarray(cash, dtype=np.float64)
    return payback_months(cash * discount_factors(cash.shape[-1], rate_per_year))


def roi(pv_benefits_usd: ArrayLike, pv_costs_usd: ArrayLike) -> FloatArray:
    """Return on investment (PV benefits - PV costs) / PV costs, as a share; nan without costs.

    Over the whole horizon, not per year. Source: Forrester, Total Economic Impact methodology.
    """
    return _ratio(np.subtract(pv_benefits_usd, pv_costs_usd), pv_costs_usd)


def equivalent_annual_cost(
    pv_cost_usd: ArrayLike, rate_per_year: float, years: float
) -> FloatArray:
    """Equal payment at the end of each year with the same present value, in USD per year.

    PV * r / (1 - (1 + r)^-years); PV / years at a rate of 0.
    """
    pv_cost_usd = np.asarray(pv_cost_usd, dtype=np.float64)
    if rate_per_year == 0:
        return np.asarray(pv_cost_usd / years)
    return np.asarray(pv_cost_usd * rate_per_year / (1 - (1 + rate_per_year) ** -years))


def level_cost(pv_cost_usd: ArrayLike, pv_volume: ArrayLike) -> FloatArray:
    """Constant cost per unit (such as a resolved request) over the horizon; nan without volume.

    PV of cost / PV of volume at the same rate: the level-cost identity of energy economics (LCOE).
    """
    return _ratio(pv_cost_usd, pv_volume)


def _ratio(above: ArrayLike, below: ArrayLike) -> FloatArray:
    """above / below with broadcasting; nan where `below` is not positive."""
    above, below = np.broadcast_arrays(
        np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    )
    out = np.full(below.shape, np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out
