"""What all alternatives share: the scenario, its draws, time, and the rhythms of money."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from estimator.alternatives.account import Account
from estimator.alternatives.items import Profile
from estimator.alternatives.policy import PilotPolicy
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray
from estimator.sampling import Draws
from estimator.scenario import Scenario

if TYPE_CHECKING:
    from estimator.alternatives.serving_gpus import Fleet

DAYS_PER_MONTH = 365.25 / 12
HOURS_PER_MONTH = 365.25 * 24 / 12


@dataclass(frozen=True, eq=False)
class World:
    """A scenario with its draws; n draws, T months."""

    scenario: Scenario
    draws: Draws
    discount: FloatArray
    """Discount factor of each month, shape (T,)."""
    calibration: Calibration | None = None
    """Of the GPUs to train on; None: the shipped one."""
    delay_months: FloatArray | float = 0.0
    """Months from now until anything is started, shape (n,) or (): a pilot comes first."""
    policy: PilotPolicy | None = None
    """What follows a pilot, if that was planned on other draws than these."""
    accounts: dict[str, Account] = field(default_factory=dict, init=False, repr=False)
    """Accounts built in this world so far, by alternative."""
    fleets: dict[bool, "Fleet"] = field(default_factory=dict, init=False, repr=False)
    """Replicas that serve a tuned model, with and without retrieval."""
    _compounded: dict[str, FloatArray] = field(default_factory=dict, init=False, repr=False)

    @property
    def months(self) -> int:
        """T, the horizon."""
        return self.scenario.horizon_months

    def profile(self, *factors: FloatArray) -> Profile:
        """A rhythm of money: the product of factors of shape (n, T), (1, T) or (T,)."""
        return Profile.of(*factors, discount=self.discount)

    @cached_property
    def growth(self) -> FloatArray:
        """Requests of each month over a mean month of now, shape (n, T) or (1, T).

        (1 + growth) ** (month/12) x (1 + swing x cos(2 pi (month - peak month) / 12)).
        """
        month = np.arange(self.months)
        swing = np.atleast_1d(self.draws["demand.seasonal_swing_share"])[:, None]
        phase = np.cos(2 * np.pi * (month + 1 - self.scenario.demand.peak_month) / 12)
        return self.compound("demand.growth_per_year") * (1 + swing * phase)

    @cached_property
    def wages(self) -> FloatArray:
        """Wages of each month over those of now, shape (n, T) or (1, T)."""
        return self.compound("team.wage_growth_per_year")

    @cached_property
    def all_requests(self) -> Profile:
        """Every request from the first month to the last, whoever handles it."""
        return self.profile(self.growth)

    @cached_property
    def all_staffed(self) -> Profile:
        """Every request from the first month to the last, at wages that grow."""
        return self.profile(self.growth, self.wages)

    def compound(self, path: str) -> FloatArray:
        """(1 + yearly change) ** (month/12) for an input, shape (n, T) or (1, T)."""
        found = self._compounded.get(path)
        if found is None:
            change = np.atleast_1d(self.draws[path])[:, None]
            years = np.arange(self.months) / 12
            found = self._compounded[path] = np.exp(np.log1p(change) * years)
        return found

    def of_draws(self, rows: NDArray[np.intp], delay_months: FloatArray) -> "World":
        """The same world in some of its draws only, with everything started later."""
        columns = {path: x[rows] if x.ndim else x for path, x in self.draws.columns.items()}
        draws = replace(self.draws, columns=columns, n=rows.size)
        return replace(self, draws=draws, delay_months=delay_months)


@dataclass(frozen=True, eq=False)
class Timeline:
    """The rhythms of one alternative, given the months that its project takes, shape (n,)."""

    world: World
    project_months: FloatArray

    @cached_property
    def go_live_months(self) -> FloatArray:
        """Months from now until it serves, shape (n,)."""
        return np.asarray(self.world.delay_months + self.project_months)

    @cached_property
    def live(self) -> FloatArray:
        """Share of each month in operation, shape (n, T)."""
        return self._share_after(self.go_live_months)

    def _share_after(self, start: FloatArray) -> FloatArray:
        month = np.arange(self.world.months)
        return np.clip(month + 1 - np.atleast_1d(start)[:, None], 0.0, 1.0)

    @cached_property
    def volume(self) -> FloatArray:
        """Requests of each month in operation over a mean month of now, shape (n, T)."""
        return self.live * self.world.growth

    @cached_property
    def at_start(self) -> Profile:
        """One payment in the month in which the project starts."""
        return self.once(np.asarray(self.world.delay_months))

    def once(self, at_months: FloatArray) -> Profile:
        """One payment in the month that holds `at_months`, shape (n,) or (); none after the end."""
        month = np.arange(self.world.months)
        at = np.floor(np.atleast_1d(at_months))[:, None]
        return self.world.profile((month == at).astype(np.float64))

    @cached_property
    def building(self) -> Profile:
        """Spending spread evenly until go-live; what falls behind the horizon is not spent."""
        length = np.maximum(np.atleast_1d(self.project_months), 1e-9)[:, None]
        ends = np.arange(self.world.months + 1) - np.reshape(self.world.delay_months, (-1, 1))
        return self.world.profile(np.diff(np.clip(ends / length, 0.0, 1.0), axis=1))

    @cached_property
    def operating(self) -> Profile:
        """Every month in operation."""
        return self.world.profile(self.live)

    @cached_property
    def requests(self) -> Profile:
        """With the volume of requests while in operation."""
        return self.world.profile(self.live, self.world.growth)

    @cached_property
    def staffed(self) -> Profile:
        """Every month in operation, at wages that grow."""
        return self.world.profile(self.live, self.world.wages)

    @cached_property
    def requests_staffed(self) -> Profile:
        """With the volume of requests while in operation, at wages that grow."""
        return self.world.profile(self.live, self.world.growth, self.world.wages)

    def requests_at_price(self, change_path: str) -> Profile:
        """With the volume of requests, at a price that changes by the input at `change_path`."""
        prices = self.world.compound(change_path)
        return self.world.profile(self.live, self.world.growth, prices)

    def cycles(self, every_months: FloatArray, change_path: str | None = None) -> Profile:
        """Once every so many months after go-live: retraining, migration; at a price that changes.

        Shape (n, T); `change_path`: the input by which the price changes, if it does.
        """
        every = np.maximum(np.atleast_1d(every_months), 0.25)[:, None]
        month_ends = np.arange(self.world.months + 1)
        since = np.maximum(month_ends - np.atleast_1d(self.go_live_months)[:, None], 0.0)
        times = np.diff(np.floor(since / every), axis=1)
        prices = (self.world.compound(change_path),) if change_path else ()
        return self.world.profile(times, *prices)
