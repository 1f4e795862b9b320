"""From a scenario to the account of every alternative in every draw."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator import __version__
from estimator.alternatives import build_alternative
from estimator.alternatives.account import Account
from estimator.alternatives.items import net_cash_usd, present_value_usd
from estimator.alternatives.quality import INCIDENT_CHANCE
from estimator.alternatives.world import World
from estimator.decision.choose import expected_regret, probability_best
from estimator.decision.finance import discount_factors, payback_months
from estimator.decision.information import evpi, evppi_all
from estimator.decision.verdict import Context, Verdict, verdict
from estimator.errors import InfeasiblePlan
from estimator.quantity import FloatArray
from estimator.sampling import Draws, sample
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.inputs import describe_input

DEFAULT_DRAWS = 8192
DEFAULT_SEED = 7


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Outcome:
    """One alternative's results; arrays hold one number per draw, shape (n,)."""

    account: Account
    npv_usd: FloatArray
    """Present value of benefits minus costs: against doing nothing, whose own is 0."""
    tco_usd: FloatArray
    """Present value of all costs, the requests that people still handle included."""
    roi: FloatArray
    """Net present value over own costs (all but people handling requests); nan without costs."""
    payback_months: FloatArray
    """Months until the cumulative cash reaches zero for good; nan when it never does."""
    probability_best: float
    """Share of draws in which no alternative has a higher net present value."""
    expected_regret_usd: float
    """Mean loss from choosing this alternative instead of each draw's best."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Comparison:
    """All alternatives of a scenario under common draws, and what follows from them."""

    scenario: Scenario
    draws: Draws
    outcomes: Mapping[AlternativeId, Outcome]
    verdict: Verdict
    evpi_usd: float
    """Worth of knowing every input before deciding."""
    evppi_usd: Mapping[str, float]
    """Worth of knowing one input before deciding, by path, largest first."""
    version: str

    def payoffs(self) -> dict[str, FloatArray]:
        """Net present value per draw of every alternative."""
        return {name: outcome.npv_usd for name, outcome in self.outcomes.items()}


def compare(scenario: Scenario, *, n: int = DEFAULT_DRAWS, seed: int = DEFAULT_SEED) -> Comparison:
    """Every alternative of the scenario on `n` common draws; the same seed gives the same bytes."""
    draws = draw_inputs(scenario, n=n, seed=seed)
    discount = discount_factors(scenario.horizon_months, scenario.discount_rate_per_year)
    world = World(scenario, draws, discount)
    accounts = {name: _account(name, world) for name in scenario.alternatives}
    payoffs: dict[str, FloatArray] = {name: _npv(a, n) for name, a in accounts.items()}
    best = probability_best(payoffs)
    regret = expected_regret(payoffs)
    outcomes = {
        name: _outcome(account, world, payoffs[name], best[name], regret[name])
        for name, account in accounts.items()
    }
    inputs = knowable(draws)
    evppi = evppi_all(payoffs, inputs)
    return Comparison(
        scenario=scenario,
        draws=draws,
        outcomes=outcomes,
        verdict=verdict(payoffs, inputs, _context(scenario, accounts), evppi_usd=evppi),
        evpi_usd=evpi(payoffs),
        evppi_usd=dict(sorted(evppi.items(), key=lambda pair: (-pair[1], pair[0]))),
        version=__version__,
    )


def _account(name: AlternativeId, world: World) -> Account:
    try:
        return build_alternative(name, world)
    except InfeasiblePlan as error:
        raise InfeasiblePlan(f"{name}: {error}; or leave it out of `alternatives`") from None


def draw_inputs(scenario: Scenario, *, n: int, seed: int) -> Draws:
    """Joint draws of every input of the scenario, correlated as it says."""
    return sample(
        scenario.inputs(),
        n=n,
        seed=seed,
        chances=[INCIDENT_CHANCE],
        rank_correlations={(pair.a, pair.b): pair.rank for pair in scenario.correlations},
        cause_of=cause_of,
    )


def cause_of(path: str) -> str:
    """The cause behind an input: the same activity runs well or badly in every alternative.

    `project.effort_days.rag.evaluate` and `project.effort_days.saas.evaluate` share
    `project.effort_days.*.evaluate`; every other input is its own cause.
    """
    parts = path.split(".")
    if parts[0] == "project" and len(parts) > 2:
        parts[2] = "*"
    return ".".join(parts)


def knowable(draws: Draws) -> dict[str, FloatArray]:
    """Inputs that somebody could find out before deciding, one per cause, by name of the cause."""
    chosen: dict[str, FloatArray] = {}
    for path, values in draws.uncertain().items():
        if path != INCIDENT_CHANCE:
            chosen.setdefault(cause_of(path), values)
    return chosen


def _npv(account: Account, n: int) -> FloatArray:
    benefits = present_value_usd(account.items, "benefit", n)
    return np.asarray(benefits - present_value_usd(account.items, "cost", n))


def _outcome(
    account: Account, world: World, npv_usd: FloatArray, best: float, regret: float
) -> Outcome:
    n = world.draws.n
    cash = net_cash_usd(account.items, n, world.months)
    at_month_ends = np.concatenate([np.zeros((n, 1)), cash], axis=1)
    return Outcome(
        account=account,
        npv_usd=npv_usd,
        tco_usd=present_value_usd(account.items, "cost", n),
        roi=_roi(account, npv_usd, n),
        payback_months=payback_months(at_month_ends),
        probability_best=best,
        expected_regret_usd=regret,
    )


def _roi(account: Account, npv_usd: FloatArray, n: int) -> FloatArray:
    """Net value over what is spent on the way itself: people still handling requests is not."""
    own = [item for item in account.items if item.category != "people handling requests"]
    spent = present_value_usd(own, "cost", n)
    return np.asarray(np.divide(npv_usd, spent, out=np.full(n, np.nan), where=spent > 0))


def _context(scenario: Scenario, accounts: Mapping[AlternativeId, Account]) -> Context:
    """Words, units and component sums for the verdict."""
    units: dict[str, str] = {}
    labels: dict[str, str] = {name: account.phrase for name, account in accounts.items()}
    for path, quantity in scenario.inputs().items():
        cause = cause_of(path)
        labels.setdefault(cause, describe_input(Scenario, cause))
        units.setdefault(cause, quantity.unit or "")
    return Context(
        materiality_usd=scenario.materiality_usd,
        horizon_months=scenario.horizon_months,
        labels=labels,
        units=units,
        components={name: _components(account) for name, account in accounts.items()},
    )


def _components(account: Account) -> dict[str, float]:
    """Mean present value by category, benefits positive and costs negative."""
    sums: dict[str, float] = {}
    for item in account.items:
        mean = item.sign * float(np.mean(item.present_value_usd()))
        sums[item.category] = sums.get(item.category, 0.0) + mean
    return sums
