"""From a scenario to the account of every alternative in every draw."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from estimator import __version__
from estimator.alternatives.account import Account
from estimator.alternatives.items import present_value_usd
from estimator.alternatives.training_gpus import calibrated
from estimator.alternatives.world import World
from estimator.decision.choose import expected_regret, probability_best, ranking
from estimator.decision.currency import shown_in
from estimator.decision.evaluate import (
    THREADS,
    account_of,
    cause_of,
    draw_inputs,
    knowable,
    npv_usd,
    world_of,
)
from estimator.decision.information import evpi, evppi_all
from estimator.decision.payback import account_payback_months
from estimator.decision.verdict import Context, Verdict, verdict
from estimator.errors import InputError
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray
from estimator.sampling import Draws
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.inputs import describe_input

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_DRAWS = 8192
DEFAULT_SEED = 7
T = TypeVar("T")


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
    horizon_months: int
    probability_best: float
    """Share of draws in which no alternative has a higher net present value."""
    expected_regret_usd: float
    """Mean loss from choosing this alternative instead of each draw's best."""

    @property
    def payback_months(self) -> FloatArray:
        """Months until the cumulative cash reaches zero for good; nan when it never does.

        Worked out when asked for: as long as all else about the alternative takes.
        """
        return account_payback_months(self.account, self.npv_usd.size, self.horizon_months)

    def __repr__(self) -> str:
        return f"<Outcome of {self.account.id!r}: the best in {self.probability_best:.0%} of draws>"


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

    def __repr__(self) -> str:
        return f"<Comparison of {self.scenario.name!r}: {self.verdict.sentence}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from estimator.decision.notebook import comparison_html

        return comparison_html(self)

    def payoffs(self) -> dict[str, FloatArray]:
        """Net present value per draw of every alternative."""
        return {name: outcome.npv_usd for name, outcome in self.outcomes.items()}

    def to_frame(self) -> "pd.DataFrame":
        """One row per alternative: chances, money, time, measures; `frames.alternatives_frame`."""
        from estimator.decision.frames import alternatives_frame

        return alternatives_frame(self)

    def line_items(self) -> "pd.DataFrame":
        """One row per line item with its present value, formula and inputs."""
        from estimator.decision.frames import line_items_frame

        return line_items_frame(self)

    def cash_flows(self) -> "pd.DataFrame":
        """Expected undiscounted money by alternative, item and month; costs are negative."""
        from estimator.decision.frames import cash_flows_frame

        return cash_flows_frame(self)


def compare(
    scenario: Scenario,
    *,
    n: int = DEFAULT_DRAWS,
    seed: int = DEFAULT_SEED,
    calibration: Calibration | None = None,
) -> Comparison:
    """Every alternative of the scenario on `n` common draws; the same seed gives the same bytes.

    `calibration`: of the GPUs to train on, such as a user's own; the shipped one by default.
    """
    scenario = calibrated(scenario, calibration)
    draws = draw_inputs(scenario, n=n, seed=seed)
    world = world_of(scenario, draws, calibration)
    accounts = _side_by_side(lambda name: account_of(name, world), scenario.alternatives)
    payoffs: dict[str, FloatArray] = {name: npv_usd(a, n) for name, a in accounts.items()}
    _check_finite(payoffs)
    best = probability_best(payoffs)
    regret = expected_regret(payoffs)
    outcomes = _side_by_side(
        lambda name: _outcome(accounts[name], world, payoffs[name], best[name], regret[name]),
        scenario.alternatives,
    )
    inputs = knowable(draws)
    evppi = evppi_all(payoffs, inputs)
    context = _context(scenario, accounts)
    with shown_in(scenario.currency):
        found = verdict(_rivals(payoffs), inputs, context, evppi_usd=evppi, chances=best)
    return Comparison(
        scenario=scenario,
        draws=draws,
        outcomes=outcomes,
        verdict=found,
        evpi_usd=evpi(payoffs),
        evppi_usd=dict(sorted(evppi.items(), key=lambda pair: (-pair[1], pair[0]))),
        version=__version__,
    )


def _check_finite(payoffs: Mapping[str, FloatArray]) -> None:
    beyond = [name for name, worth in payoffs.items() if not np.isfinite(worth).all()]
    if beyond:
        raise InputError(
            f"the value of {', '.join(beyond)} is beyond any number with these inputs; "
            "make the largest of them smaller"
        )


def _rivals(payoffs: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """What the verdict weighs: a pilot that is not the best only delays what follows it."""
    best = ranking(payoffs)[0]
    return {name: worth for name, worth in payoffs.items() if name != "staged" or best == "staged"}


def _side_by_side(
    work: Callable[[AlternativeId], T], names: Sequence[AlternativeId]
) -> dict[AlternativeId, T]:
    """The work on each alternative, two at a time: numpy lets go of the interpreter's lock."""
    with ThreadPoolExecutor(THREADS) as threads:
        return dict(zip(names, threads.map(work, names), strict=True))


def _outcome(
    account: Account, world: World, npv_usd: FloatArray, best: float, regret: float
) -> Outcome:
    n = world.draws.n
    return Outcome(
        account=account,
        npv_usd=npv_usd,
        tco_usd=present_value_usd(account.items, "cost", n),
        roi=_roi(account, npv_usd, n),
        horizon_months=world.months,
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
