"""Cost at equal service: for those who cannot say what an answered request is worth to them.

No benefit, no cost of people and no cost of errors enters. Every way is brought to the same level
of service: its own costs for each request that it answers rightly, without a person.
"""

from dataclasses import dataclass

import numpy as np

from estimator.decision.choose import Closeness, Payoffs, probability_best, too_close_to_call
from estimator.decision.evaluate import world_of
from estimator.decision.resolved import own_cost_usd, resolved_requests
from estimator.decision.simulate import Comparison
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class WayCost:
    """One way at equal service; arrays hold one number per draw, shape (n,)."""

    id: AlternativeId
    label: str
    own_cost_usd: FloatArray
    """Present value of building and running it."""
    resolved_requests: FloatArray
    """Requests answered rightly over the horizon, discounted as money is."""
    usd_per_request: FloatArray
    """Own cost over requests answered rightly; infinite where there are none."""
    level_usd_per_request: float
    """Expected cost over expected requests: what ways are ranked by."""
    probability_cheapest: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CostOnly:
    """Ways at equal service, the cheapest first."""

    ways: tuple[WayCost, ...]
    requests: float
    """The common level of service: requests answered rightly, the mean of the ways."""
    left_out: tuple[AlternativeId, ...]
    """Alternatives without a level of service of their own: doing nothing, a pilot."""
    close: Closeness | None
    """Whether the cheapest can be told from the next ones, by the scenario's materiality."""


def cost_only(comparison: Comparison, *, calibration: Calibration | None = None) -> CostOnly:
    """Every way's own cost for each request answered rightly, on the comparison's draws."""
    world = world_of(comparison.scenario, comparison.draws, calibration)
    n = world.draws.n
    costs, right = {}, {}
    for name, outcome in comparison.outcomes.items():
        resolved = resolved_requests(outcome.account, world)
        if resolved is not None and resolved.mean() > 0:
            costs[name] = own_cost_usd(outcome.account, n)
            right[name] = np.broadcast_to(resolved, n)
    per_request: dict[AlternativeId, FloatArray] = {
        name: np.divide(costs[name], right[name], out=np.full(n, np.inf), where=right[name] > 0)
        for name in costs
    }
    chances = _chances(per_request)
    ways = [
        WayCost(
            id=name,
            label=comparison.outcomes[name].account.label,
            own_cost_usd=costs[name],
            resolved_requests=right[name],
            usd_per_request=per_request[name],
            level_usd_per_request=float(costs[name].mean() / right[name].mean()),
            probability_cheapest=chances[name],
        )
        for name in costs
    ]
    requests = float(np.mean([way.resolved_requests.mean() for way in ways])) if ways else 0.0
    return CostOnly(
        ways=tuple(sorted(ways, key=lambda way: (way.level_usd_per_request, way.id))),
        requests=requests,
        left_out=tuple(name for name in comparison.outcomes if name not in costs),
        close=_closeness(ways, requests, comparison.scenario.materiality_usd),
    )


def _chances(per_request: dict[AlternativeId, FloatArray]) -> dict[str, float]:
    """Share of draws in which each way is the cheapest; one that answers nothing never is."""
    finite: Payoffs = {
        name: -np.where(np.isfinite(usd), usd, np.finfo(np.float64).max)
        for name, usd in per_request.items()
    }
    return probability_best(finite) if finite else {}


def _closeness(ways: list[WayCost], requests: float, materiality_usd: float) -> Closeness | None:
    """Cost of the common level of service, compared as payoffs are.

    A draw's cost is taken to first order around the ratio of the means, (C - cR) / mean R, so that
    a draw without any answer counts with its cost and not as infinite.
    """
    if not ways:
        return None
    costs: dict[str, FloatArray] = {
        way.id: -requests
        * (
            way.level_usd_per_request
            + (way.own_cost_usd - way.level_usd_per_request * way.resolved_requests)
            / way.resolved_requests.mean()
        )
        for way in ways
    }
    return too_close_to_call(costs, materiality_usd=materiality_usd)
