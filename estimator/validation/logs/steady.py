"""The steady part of a run: what its log says once warm-up and pauses are left out.

The rule, the same for every format. An interval lies between two entries of a log.

1. The first tenth of the intervals, at least one, is warm-up (allocator, compilation, caches).
2. An interval in which the log notes an evaluation is left out.
3. So is one that took more than twice the median time per step of the rest: a checkpoint being
   written, a stalled disk, a paused job.

What remains is averaged by steps. Its scatter gives the standard error of that mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from estimator.errors import InputError

WARM_UP_SHARE = 0.1
PAUSE = 2.0
"""Times the median beyond which an interval held something else than steps."""
FEWEST_INTERVALS = 3
LARGEST_ERROR = 0.2
"""Standard error of the mean, as a share, beyond which a log says too little to learn from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """What lies between two entries of a log."""

    steps: int
    seconds_per_step: float
    """Or, where the log gives a rate, its inverse: seconds per token and GPU."""
    evaluated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """Seconds per step, or per token, of the steady part of a run."""

    mean: float
    relative_error: float
    """Standard error of the mean over the mean, from the scatter of the intervals."""
    relative_scatter: float
    """Standard deviation of single intervals over their mean."""
    kept: int
    """Intervals that were averaged."""
    warm_up: int
    evaluations: int
    pauses: int

    @property
    def sentence(self) -> str:
        """What was averaged and what was left out."""
        if self.kept == 1:
            return f"mean of the whole run, {self.evaluations} evaluations taken off"
        return (
            f"{self.kept} intervals averaged; left out: {self.warm_up} of warm-up, "
            f"{self.evaluations} with an evaluation, {self.pauses} longer than twice the median"
        )


def steady_part(intervals: Sequence[Interval], place: str) -> Steady:
    """The steady part of a run; `InputError` where too little is left of it."""
    warm_up = max(int(np.ceil(WARM_UP_SHARE * len(intervals))), 1)
    later = intervals[warm_up:]
    quiet = [interval for interval in later if not interval.evaluated]
    median = float(np.median([i.seconds_per_step for i in quiet])) if quiet else 0.0
    kept = [i for i in quiet if i.seconds_per_step <= PAUSE * median]
    if len(kept) < FEWEST_INTERVALS:
        raise InputError(
            f"{place}: {len(intervals)} logged intervals leave {len(kept)} after warm-up and "
            f"evaluations, at least {FEWEST_INTERVALS} are needed; log more often or run longer"
        )
    seconds = np.array([i.seconds_per_step for i in kept])
    steps = np.array([i.steps for i in kept], dtype=float)
    mean = float(np.average(seconds, weights=steps))
    scatter = float(np.sqrt(np.average((seconds - mean) ** 2, weights=steps))) / mean
    error = scatter / float(np.sqrt(len(kept) - 1))
    if error > LARGEST_ERROR:
        raise InputError(
            f"{place}: its steps scatter so much that their mean is known to {error:.0%} only, "
            f"allowed are {LARGEST_ERROR:.0%}; take the log of a longer or quieter run"
        )
    return Steady(
        mean=mean,
        relative_error=error,
        relative_scatter=scatter,
        kept=len(kept),
        warm_up=warm_up,
        evaluations=len(later) - len(quiet),
        pauses=len(quiet) - len(kept),
    )
