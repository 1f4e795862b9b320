"""How many replicas a load needs through the day, and what they cost.

Replicas are whole: cost over volume is a saw-tooth, and stays one. Every argument may be an array
(months, draws, candidates); shapes broadcast.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import i0e

from estimator.quantity import FloatArray
from estimator.serving.capacity import ReplicaCapacity
from estimator.serving.queueing import servers_for_wait

HOURS_PER_MONTH = 730.0
SECONDS_PER_HOUR = 3600.0
HOURS_PER_DAY = 24
_KAPPAS = np.concatenate([[0.0], np.geomspace(1e-6, 1e3, 4000)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCost:
    """A month of serving on replicas."""

    replicas_at_peak: FloatArray
    """Replicas in the busiest hour, spares included."""
    replicas_mean: FloatArray
    """Replicas paid for, averaged over the month."""
    utilisation: FloatArray
    """Mean load over the capacity that is paid for."""
    gpu_hours_per_month: FloatArray
    usd_per_month: FloatArray
    usd_per_request: FloatArray
    """Not a number where there are no requests."""
    usd_per_million_tokens: FloatArray
    """Input and output tokens together; not a number where there are none."""


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
    capacity: ReplicaCapacity,
    *,
    wait_probability: ArrayLike,
    redundancy: ArrayLike = 1,
) -> FloatArray:
    """Whole replicas such that at most `wait_probability` of random arrivals find no free place.

    A replica offers `batch` places, each held for batch / capacity seconds; the places needed
    follow from square-root staffing. Ref: `queueing.servers_for_wait`.
    """
    rate = capacity.requests_per_second
    held_seconds = np.where(rate > 0, capacity.batch, 1.0) / np.where(rate > 0, rate, 1.0)
    places = servers_for_wait(np.asarray(load_per_second) * held_seconds, wait_probability)
    return replicas_needed(places, np.where(rate > 0, capacity.batch, 0.0), redundancy=redundancy)


def serving_cost(
    requests_per_month: ArrayLike,
    capacity_per_second: ArrayLike,
    *,
    peak_to_mean: ArrayLike,
    gpus_per_replica: ArrayLike,
    gpu_usd_per_hour: ArrayLike,
    tokens_per_request: ArrayLike,
    redundancy: ArrayLike = 1,
    autoscaled_share: ArrayLike = 0.0,
    idle_seconds_to_zero: float | None = None,
) -> ServingCost:
    """Replicas, utilisation and cost of a month.

    Replicas stand for the peak all day; the share `autoscaled_share` of what the quieter hours
    do not need is given back hour by hour (start-up times eat the rest). `idle_seconds_to_zero`:
    the last replica and the spares go after so many seconds without a request (None: never).
    """
    mean_load = requests_per_second(requests_per_month)
    capacity = np.asarray(capacity_per_second, dtype=np.float64)
    at_peak = replicas_needed(mean_load * np.asarray(peak_to_mean), capacity, redundancy=redundancy)
    mean_replicas = at_peak
    serves = capacity > 0
    if np.any(np.asarray(autoscaled_share) > 0):
        following = _replicas_following_load(
            mean_load,
            np.where(serves, capacity, 1.0),
            peak_to_mean,
            redundancy,
            idle_seconds_to_zero,
        )
        given_back = np.asarray(autoscaled_share) * (np.where(serves, at_peak, 0.0) - following)
        mean_replicas = np.where(serves, at_peak - given_back, at_peak)
    gpu_hours = mean_replicas * np.asarray(gpus_per_replica) * HOURS_PER_MONTH
    usd = gpu_hours * np.asarray(gpu_usd_per_hour)
    paid = np.where(serves, mean_replicas, 0.0) * capacity
    requests = np.asarray(requests_per_month, dtype=np.float64)
    per_request = np.where(requests > 0, usd, np.nan) / np.where(requests > 0, requests, 1.0)
    return ServingCost(
        replicas_at_peak=at_peak,
        replicas_mean=mean_replicas,
        utilisation=np.where(paid > 0, mean_load / np.where(paid > 0, paid, 1.0), 0.0),
        gpu_hours_per_month=gpu_hours,
        usd_per_month=usd,
        usd_per_request=per_request,
        usd_per_million_tokens=per_request / np.asarray(tokens_per_request) * 1e6,
    )


def _replicas_following_load(
    mean_load: FloatArray,
    capacity_per_second: FloatArray,
    peak_to_mean: ArrayLike,
    redundancy: ArrayLike,
    idle_seconds_to_zero: float | None,
) -> FloatArray:
    """Mean replicas over a day in which their number follows the load hour by hour.

    When one replica is enough and it may go, it is up while the last request is less than the
    idle time ago: with random arrivals 1 - exp(-load x idle time) of the hour.
    """
    curve = diurnal_curve(peak_to_mean)
    total = np.asarray(0.0)
    for hour in range(HOURS_PER_DAY):
        load = mean_load * curve[..., hour]
        replicas = replicas_needed(load, capacity_per_second, redundancy=redundancy)
        if idle_seconds_to_zero is not None:
            awake = 1.0 - np.exp(-load * idle_seconds_to_zero)
            one_is_enough = load <= capacity_per_second
            replicas = np.where(one_is_enough, replicas * awake, replicas)
        total = np.asarray(total + replicas / HOURS_PER_DAY)
    return total
