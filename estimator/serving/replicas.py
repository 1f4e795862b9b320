"""How many replicas a load needs in each hour of the day.

Replicas are whole: cost over volume is a saw-tooth, and stays one. Every argument may be an array
(months, draws, candidates); shapes broadcast.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import i0e

from estimator.quantity import FloatArray
from estimator.serving.queueing import servers_for_wait

HOURS_PER_MONTH = 730.0
SECONDS_PER_HOUR = 3600.0
HOURS_PER_DAY = 24
_KAPPAS = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 4000)])


def requests_per_second(requests_per_month: ArrayLike) -> FloatArray:
    """Mean requests per second of a month of 730 hours."""
    return np.asarray(np.asarray(requests_per_month) / (HOURS_PER_MONTH * SECONDS_PER_HOUR))


def diurnal_curve(peak_to_mean: ArrayLike) -> FloatArray:
    """Load of each hour of the day over the day's mean, shape (..., 24); its maximum is the peak.

    exp(kappa cos) around the busiest hour: the von Mises curve, whose peak over mean is
    exp(kappa) / I0(kappa). It is positive for any peak. Source for the form: Mardia and Jupp,
    "Directional Statistics", 2000, section 3.5.4. One busy time a day; weekends left out.
    """
    wanted = np.asarray(peak_to_mean, dtype=np.float64)
    kappa = np.interp(wanted, 1.0 / i0e(_KAPPAS), _KAPPAS)[..., None]
    angle = 2.0 * np.pi * np.arange(HOURS_PER_DAY) / HOURS_PER_DAY
    shape = np.exp(kappa * (np.cos(angle) - 1.0))
    return np.asarray(shape / shape.mean(axis=-1, keepdims=True))


def replicas_needed(
    load_per_second: ArrayLike, capacity_per_second: ArrayLike, *, redundancy: ArrayLike = 1
) -> FloatArray:
    """Whole replicas for a load, with `redundancy` more so that as many may fail.

    ceil(load / capacity) + redundancy; 0 without load, infinite without capacity.
    """
    load = np.asarray(load_per_second, dtype=np.float64)
    capacity = np.asarray(capacity_per_second, dtype=np.float64)
    whole = np.ceil(load / np.where(capacity > 0, capacity, 1.0) - 1e-12)
    whole = np.where((capacity > 0) | (load <= 0), whole, np.inf)
    return np.where(load > 0, np.maximum(whole, 1.0) + np.asarray(redundancy), 0.0)


def replicas_for_wait(
    load_per_second: ArrayLike,
    capacity_per_second: ArrayLike,
    batch: ArrayLike,
    *,
    wait_probability: ArrayLike,
    redundancy: ArrayLike = 1,
) -> FloatArray:
    """Whole replicas such that at most `wait_probability` of random arrivals find no free place.

    A replica offers `batch` places, each held for batch / capacity seconds; the places needed
    follow from square-root staffing. Ref: `queueing.servers_for_wait`.
    """
    rate, places = np.asarray(capacity_per_second), np.asarray(batch)
    held = held_seconds(rate, places)
    wanted = servers_for_wait(np.asarray(load_per_second) * held, wait_probability)
    return replicas_needed(wanted, np.where(rate > 0, places, 0.0), redundancy=redundancy)


def held_seconds(capacity_per_second: ArrayLike, batch: ArrayLike) -> FloatArray:
    """Seconds for which a request holds its place in a full replica (Little's law)."""
    rate = np.asarray(capacity_per_second, dtype=np.float64)
    return np.where(rate > 0, np.asarray(batch), 1.0) / np.where(rate > 0, rate, 1.0)


def replicas_by_hour(
    load_by_hour: ArrayLike,
    capacity_per_second: ArrayLike,
    batch: ArrayLike,
    *,
    wait_probability: ArrayLike,
    redundancy: ArrayLike = 1,
    autoscale: bool = False,
) -> FloatArray:
    """Whole replicas that run in each hour of the day, shape (..., 24).

    Without autoscaling those of the busiest hour run all day. With it each hour has what it or the
    next one needs, whichever is more: replicas start before they are needed.
    """
    load = np.asarray(load_by_hour, dtype=np.float64)
    capacity = np.asarray(capacity_per_second, dtype=np.float64)[..., None]
    places = np.asarray(batch, dtype=np.float64)[..., None]
    seen = load if autoscale else load.max(axis=-1, keepdims=True)
    needed = replicas_for_wait(
        seen, capacity, places, wait_probability=wait_probability, redundancy=redundancy
    )
    if autoscale:
        return np.maximum(needed, np.roll(needed, -1, axis=-1))
    return np.broadcast_to(needed, (*needed.shape[:-1], HOURS_PER_DAY))


def awake_share(load_per_second: ArrayLike, idle_seconds_to_zero: float) -> FloatArray:
    """Share of an hour in which a fleet runs that stops after so long without a request.

    Arrivals are random, so that a gap is longer than the idle time with probability
    exp(-load x idle time): 1 minus that.
    """
    load = np.asarray(load_per_second, dtype=np.float64)
    return np.asarray(1.0 - np.exp(-load * idle_seconds_to_zero))
