"""What is to be served: requests, their lengths and limits, and how the fleet is run."""

import math
from dataclasses import dataclass

import numpy as np

from estimator.errors import InputError
from estimator.quantity import FloatArray
from estimator.serving.replicas import HOURS_PER_DAY, diurnal_curve, requests_per_second


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingNeed:
    """The load of a month and what its users accept."""

    requests_per_month: float
    input_tokens: float
    """Tokens of a prompt, on average."""
    output_tokens: float
    """Tokens of an answer, on average."""
    ttft_seconds: float = math.inf
    """Longest mean time to the first token at full batch."""
    tpot_seconds: float = math.inf
    """Longest mean time per output token at full batch."""
    peak_to_mean: float
    """Busiest hour of the day over the mean."""
    day: tuple[float, ...] = ()
    """Load of each of the 24 hours in any unit, in place of `peak_to_mean`."""
    cached_share: float = 0.0
    """Share of each prompt that a prefix cache holds from earlier ones."""
    adapters: int = 0
    """LoRA adapters kept beside one base model."""
    adapter_rank: int = 16
    redundancy: int = 1
    """Replicas beyond what the load needs, so that as many may fail."""
    autoscale: bool = False
    """Whether replicas follow the load from hour to hour."""
    idle_seconds_to_zero: float | None = None
    """Seconds without a request after which the last replica stops; None: it never does."""
    wait_probability: float = 0.05
    """Share of requests of the busiest hour that may find every place taken."""

    def __post_init__(self) -> None:
        for name in (
            "requests_per_month",
            "output_tokens",
            "ttft_seconds",
            "tpot_seconds",
        ):
            _check(name, getattr(self, name), getattr(self, name) > 0, "a number above 0")
        _check("input_tokens", self.input_tokens, self.input_tokens >= 1, "1 or more")
        _check("peak_to_mean", self.peak_to_mean, 1 <= self.peak_to_mean <= 24, "1 to 24")
        _check("cached_share", self.cached_share, 0 <= self.cached_share < 1, "0 to below 1")
        _check("adapters", self.adapters, self.adapters >= 0, "0 or more")
        _check("adapter_rank", self.adapter_rank, self.adapter_rank >= 1, "1 or more")
        _check("redundancy", self.redundancy, self.redundancy >= 0, "0 or more")
        fine = 0 < self.wait_probability <= 1
        _check("wait_probability", self.wait_probability, fine, "above 0, at most 1")
        idle = self.idle_seconds_to_zero
        _check("idle_seconds_to_zero", idle, idle is None or idle > 0, "a number above 0")
        _check_day(self.day)

    @property
    def load_by_hour(self) -> FloatArray:
        """Requests per second in each hour of the day, shape (24,)."""
        return float(requests_per_second(self.requests_per_month)) * self.shape_of_day

    @property
    def shape_of_day(self) -> FloatArray:
        """Load of each hour over the day's mean, shape (24,)."""
        if not self.day:
            return diurnal_curve(self.peak_to_mean)
        hours = np.asarray(self.day, dtype=np.float64)
        return np.asarray(hours / hours.mean())

    @property
    def tokens_per_month(self) -> float:
        """Input and output tokens together."""
        return self.requests_per_month * (self.input_tokens + self.output_tokens)


def _check(name: str, value: object, fine: bool, allowed: str) -> None:
    finite = not isinstance(value, float) or not math.isnan(value)
    if not (fine and finite):
        raise InputError(f"{name} is {value}; allowed: {allowed}")


def _check_day(day: tuple[float, ...]) -> None:
    if not day:
        return
    fine = len(day) == HOURS_PER_DAY and all(0 <= hour < math.inf for hour in day) and sum(day) > 0
    if not fine:
        raise InputError(
            f"the loads of a day are {len(day)} numbers; allowed: {HOURS_PER_DAY} numbers of 0 or "
            "more, not all 0"
        )
