"""The model on rows of one's own choosing: NPV of each alternative at any values of the inputs.

A row is one possible world, as a draw is. What moves one input while the others stay (a tornado, a
break-even, an index of variance) builds its rows and asks here, all rows in one call.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from estimator.alternatives import build_alternative, plan_pilot
from estimator.alternatives.account import Account
from estimator.alternatives.items import present_value_usd
from estimator.alternatives.policy import PilotPolicy
from estimator.alternatives.quality import CHANCES
from estimator.alternatives.world import World
from estimator.decision.finance import discount_factors
from estimator.errors import InfeasiblePlan
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray
from estimator.sampling import Draws, sample
from estimator.scenario import AlternativeId, Scenario

BLOCK_ROWS = 2048  # a row takes some 10 kB per alternative and year while it is computed
POLICY_DRAWS = 2048
THREADS = 2  # numpy lets go of the interpreter's lock
Columns = Mapping[str, FloatArray]
Model = Callable[[Columns], dict[AlternativeId, FloatArray]]
"""NPV per row of each alternative, in USD, from the inputs' columns, each of shape (rows,) or ()"""


def world_of(
    scenario: Scenario,
    draws: Draws,
    calibration: Calibration | None = None,
    policy: PilotPolicy | None = None,
) -> World:
    """What all alternatives of the scenario share in these draws; `policy`: of `staged`."""
    months, rate = scenario.horizon_months, scenario.discount_rate_per_year
    discount = discount_factors(months, rate)
    return World(scenario, draws, discount, calibration, policy=policy)


def account_of(name: AlternativeId, world: World) -> Account:
    """The account of one alternative; an infeasible plan says which alternative to leave out."""
    try:
        return build_alternative(name, world)
    except InfeasiblePlan as error:
        raise InfeasiblePlan(f"{name}: {error}; or leave it out of `alternatives`") from None


def npv_usd(account: Account, n: int) -> FloatArray:
    """Present value of benefits minus costs per draw, shape (n,)."""
    benefits = present_value_usd(account.items, "benefit", n)
    return np.asarray(benefits - present_value_usd(account.items, "cost", n))


def draw_inputs(scenario: Scenario, *, n: int, seed: int) -> Draws:
    """Joint draws of every input of the scenario, correlated as it says."""
    return sample(
        scenario.inputs(),
        n=n,
        seed=seed,
        chances=CHANCES,
        rank_correlations={(pair.a, pair.b): pair.rank for pair in scenario.correlations},
        cause_of=cause_of,
    )


def cause_of(path: str) -> str:
    """The cause behind an input: the same activity runs well or badly in every alternative.

    `project.effort_days.rag.evaluate` and `project.effort_days.saas.evaluate` share
    `project.effort_days.*.evaluate`; all wages share one level; every other input is its own cause.
    """
    parts = path.split(".")
    if len(parts) > 2 and (parts[0] == "project" or parts[1] == "wages_usd_per_year"):
        parts[2] = "*"
    return ".".join(parts)


def knowable(draws: Draws) -> dict[str, FloatArray]:
    """Inputs that somebody could find out before deciding, one per cause, by name of the cause."""
    chosen: dict[str, FloatArray] = {}
    for path, values in draws.uncertain().items():
        if path not in CHANCES:
            chosen.setdefault(cause_of(path), values)
    return chosen


def model_of(
    scenario: Scenario,
    names: Iterable[AlternativeId] | None = None,
    *,
    calibration: Calibration | None = None,
    worlds: int | None = None,
) -> Model:
    """The scenario as a function from columns of inputs to NPV, for some or all alternatives.

    Each row stands by itself, but a pilot (`staged`) is planned on a sample: on draws of the
    scenario, because rows of one's own choosing say nothing of what it may show; or, if the rows
    come in samples of so many `worlds`, on each of those anew.
    """
    chosen = tuple(scenario.alternatives if names is None else names)
    policy: PilotPolicy | None = None
    if "staged" in chosen and worlds is None:
        planned_on = draw_inputs(scenario, n=POLICY_DRAWS, seed=0)
        policy = plan_pilot(world_of(scenario, planned_on, calibration))
    size = BLOCK_ROWS if worlds is None else worlds

    def npv_at(columns: Columns) -> dict[AlternativeId, FloatArray]:
        rows = max((x.size for x in columns.values()), default=1)

        def of_block(start: int) -> list[FloatArray]:
            block = {p: x[start : start + size] if x.ndim else x for p, x in columns.items()}
            draws = Draws(columns=block, n=min(size, rows - start), seed=0)
            world = world_of(scenario, draws, calibration, policy)
            return [npv_usd(account_of(name, world), draws.n) for name in chosen]

        with ThreadPoolExecutor(THREADS) as threads:
            parts = list(threads.map(of_block, range(0, rows, size)))
        return {name: np.concatenate([part[i] for part in parts]) for i, name in enumerate(chosen)}

    return npv_at


def medians(scenario: Scenario) -> dict[str, FloatArray]:
    """Every input at its median, and chance at its middle; 0-d arrays."""
    values = {path: np.asarray(float(q.ppf(0.5))) for path, q in scenario.inputs().items()}
    return values | dict.fromkeys(CHANCES, np.asarray(0.5))
