"""Every usual measure of an alternative: of the expected cash flow, and of the draws' spread."""

from dataclasses import dataclass

import numpy as np

from estimator.alternatives.world import World
from estimator.decision.choose import (
    certainty_equivalent,
    cvar,
    probability_standard_error,
    standard_error,
)
from estimator.decision.evaluate import world_of
from estimator.decision.finance import (
    IrrResult,
    discounted_payback_months,
    equivalent_annual_cost,
    irr,
    level_cost,
    mirr,
    monthly_rate,
    roi,
    yearly_rate,
)
from estimator.decision.payback import expected_net_cash_usd
from estimator.decision.resolved import own_cost_usd, resolved_requests
from estimator.decision.simulate import Comparison, Outcome
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a finance department asks about one alternative; None where it does not exist."""

    irr: IrrResult
    """Of the expected monthly cash against doing nothing: none, one or many."""
    irr_per_year: float | None
    """Its yearly rate, if there is exactly one."""
    mirr_per_year: float | None
    """Outflows financed and inflows reinvested at the scenario's discount rate."""
    payback_months: float | None
    """Of the expected cash; None: never."""
    discounted_payback_months: float | None
    roi: float | None
    """(PV benefits - PV costs) / PV costs over the horizon, as Total Economic Impact defines it:
    costs are those of the way itself, what it saves and loses elsewhere is its benefit."""
    pv_benefits_usd: float
    pv_costs_usd: float
    tco_usd: float
    equivalent_annual_cost_usd: float
    """The TCO as equal payments at the end of each year."""
    cost_usd_per_resolved_request: float | None
    """Own costs for each request answered rightly, both discounted."""
    cvar_usd: float
    """Mean NPV of the worst tenth of draws."""
    npv_standard_error_usd: float
    probability_best_standard_error: float
    certainty_equivalent_usd: float | None
    """The sure sum worth as much to somebody of the given risk tolerance; None without one."""


def measures(
    comparison: Comparison, *, risk_tolerance_usd: float | None = None
) -> dict[AlternativeId, Measures]:
    """The measures of every alternative of a comparison."""
    world = world_of(comparison.scenario, comparison.draws)
    return {
        name: _measures(outcome, world, risk_tolerance_usd)
        for name, outcome in comparison.outcomes.items()
    }


def _measures(outcome: Outcome, world: World, risk_tolerance_usd: float | None) -> Measures:
    scenario, n = world.scenario, world.draws.n
    yearly = scenario.discount_rate_per_year
    cash = expected_net_cash_usd(outcome.account, world.months)
    at_ends = np.concatenate([[0.0], cash])  # cash within a month accrues evenly
    found = irr(cash)
    own = float(own_cost_usd(outcome.account, n).mean())
    benefits = float(outcome.npv_usd.mean()) + own
    resolved = resolved_requests(outcome.account, world)
    tco = float(outcome.tco_usd.mean())
    rate = float(monthly_rate(yearly))
    single = found.rate_per_period
    return Measures(
        irr=found,
        irr_per_year=None if single is None else float(yearly_rate(single)),
        mirr_per_year=_number(yearly_rate(mirr(cash, rate, rate))),
        payback_months=_number(discounted_payback_months(at_ends, 0.0)),
        discounted_payback_months=_number(discounted_payback_months(at_ends, yearly)),
        roi=_number(roi(benefits, own)),
        pv_benefits_usd=benefits,
        pv_costs_usd=own,
        tco_usd=tco,
        equivalent_annual_cost_usd=float(equivalent_annual_cost(tco, yearly, world.months / 12)),
        cost_usd_per_resolved_request=(
            None if resolved is None else _number(level_cost(own, float(resolved.mean())))
        ),
        cvar_usd=cvar(outcome.npv_usd),
        npv_standard_error_usd=standard_error(outcome.npv_usd),
        probability_best_standard_error=probability_standard_error(outcome.probability_best, n),
        certainty_equivalent_usd=(
            None
            if risk_tolerance_usd is None
            else certainty_equivalent(outcome.npv_usd, risk_tolerance_usd)
        ),
    )


def _number(x: FloatArray) -> float | None:
    value = float(x)
    return value if np.isfinite(value) else None
