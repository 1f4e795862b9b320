"""What all alternatives share: the scenario, its draws, time, and the rhythms of money."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from estimator.alternatives.items import Profile
from estimator.quantity import FloatArray
from estimator.sampling import Draws
from estimator.scenario import Scenario

DAYS_PER_MONTH = 365.25 / 12
HOURS_PER_MONTH = 365.25 * 24 / 12


@dataclass(frozen=True, eq=False)
class World:
    """A scenario with its draws; n draws, T months."""

    scenario: Scenario
    draws: Draws
    discount: FloatArray
    """Discount factor of each month, shape (T,)."""

    @property
    def months(self) -> int:
        """T, the horizon."""
        return self.scenario.horizon_months

    def profile(self, monthly: FloatArray) -> Profile:
        """A rhythm of money from its monthly shares, shape (n, T) or (T,)."""
        return Profile.of(monthly, self.discount)

    @cached_property
    def growth(self) -> FloatArray:
        """Requests of each month over those of the first, shape (n, T) or (1, T)."""
        return self.compound("demand.growth_per_year")

    def compound(self, path: str) -> FloatArray:
        """(1 + yearly change) ** (month/12) for an input, shape (n, T) or (1, T)."""
        change = np.atleast_1d(self.draws[path])[:, None]
        return np.asarray((1 + change) ** (np.arange(self.months) / 12))

    @cached_property
    def whole_horizon(self) -> Profile:
        """Requests from the first month to the last, whoever handles them."""
        return self.profile(self.growth)


@dataclass(frozen=True, eq=False)
class Timeline:
    """The rhythms of one alternative, given its go-live in months per draw, shape (n,)."""

    world: World
    go_live_months: FloatArray

    def live_between(self, start: FloatArray) -> FloatArray:
        """Share of each month after `start` (n,), shape (n, T)."""
        month = np.arange(self.world.months)
        return np.clip(month + 1 - np.atleast_1d(start)[:, None], 0.0, 1.0)

    @cached_property
    def live(self) -> FloatArray:
        """Share of each month in operation, shape (n, T)."""
        return self.live_between(self.go_live_months)

    @cached_property
    def volume(self) -> FloatArray:
        """Requests of each month in operation over those of the first month, shape (n, T)."""
        return self.live * self.world.growth

    @cached_property
    def at_start(self) -> Profile:
        """One payment in the first month."""
        first = np.zeros(self.world.months)
        first[0] = 1.0
        return self.world.profile(first)

    @cached_property
    def building(self) -> Profile:
        """Spending spread evenly until go-live; what falls behind the horizon is not spent."""
        until = np.maximum(np.atleast_1d(self.go_live_months), 1e-9)[:, None]
        month = np.arange(self.world.months)
        return self.world.profile(np.clip(until - month, 0.0, 1.0) / until)

    @cached_property
    def operating(self) -> Profile:
        """Every month in operation."""
        return self.world.profile(self.live)

    @cached_property
    def requests(self) -> Profile:
        """With the volume of requests while in operation."""
        return self.world.profile(self.volume)

    def requests_at_price(self, change_path: str) -> Profile:
        """With the volume of requests, at a price that changes by the input at `change_path`."""
        return self.world.profile(self.volume * self.world.compound(change_path))

    def operating_at_price(self, change_path: str) -> Profile:
        """Every month in operation, at a price that changes by the input at `change_path`."""
        return self.world.profile(self.live * self.world.compound(change_path))

    def cycles(self, every_months: FloatArray) -> Profile:
        """Once every so many months after go-live, shape (n, T): retraining, migration."""
        every = np.maximum(np.atleast_1d(every_months), 0.25)[:, None]
        month_ends = np.arange(self.world.months + 1)
        since = np.maximum(month_ends - np.atleast_1d(self.go_live_months)[:, None], 0.0)
        return self.world.profile(np.diff(np.floor(since / every), axis=1))
