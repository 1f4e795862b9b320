"""Curves of a serving plan to plot: cost per request as volume grows, and a day's use."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimator.quantity import FloatArray
from estimator.serving.need import ServingNeed
from estimator.serving.plan import ServingOption, whole_instances
from estimator.serving.replicas import (
    HOURS_PER_MONTH,
    awake_share,
    replicas_by_hour,
    requests_per_second,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeCurve:
    """Cost per request of one option at many volumes, beside a price per request."""

    requests_per_month: FloatArray
    usd_per_request: FloatArray
    replicas: FloatArray
    """In the busiest hour, spares included."""
    utilisation: FloatArray
    api_usd_per_request: float | None
    crossing_requests_per_month: float | None
    """Volume from which on the option is never dearer than the price; None: not on this curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCurve:
    """One day of an option, hour by hour from the busiest; arrays of shape (24,)."""

    load_per_second: FloatArray
    replicas: FloatArray
    capacity_per_second: FloatArray
    """What the running replicas could serve, spares included."""
    utilisation: FloatArray
    """Load over that capacity; 0 where nothing runs."""


def cost_by_volume(
    option: ServingOption,
    need: ServingNeed,
    requests_per_month: ArrayLike,
    *,
    api_usd_per_request: float | None = None,
) -> VolumeCurve:
    """Cost per request of `option` at other volumes, in the median case.

    Replicas are whole, so that the curve is a saw-tooth; the crossing is the last one.
    """
    volumes = np.sort(np.asarray(requests_per_month, dtype=np.float64))
    load = requests_per_second(volumes)[:, None] * need.shape_of_day
    running, gpus = _fleet(option, need, load)
    usd = gpus.mean(axis=-1) * HOURS_PER_MONTH * option.offer.price_usd_per_gpu_hour
    per_request = usd / volumes
    capacity = gpus.mean(axis=-1) / option.gpus * option.requests_per_second
    return VolumeCurve(
        requests_per_month=volumes,
        usd_per_request=per_request,
        replicas=np.ceil(running.max(axis=-1)),
        utilisation=load.mean(axis=-1) / capacity,
        api_usd_per_request=api_usd_per_request,
        crossing_requests_per_month=_crossing(volumes, per_request, api_usd_per_request),
    )


def _crossing(volumes: FloatArray, usd: FloatArray, price: float | None) -> float | None:
    """The first volume after the last at which the option is dearer; None where it never ends."""
    if price is None or usd[-1] > price:
        return None
    dearer = np.flatnonzero(usd > price)
    return float(volumes[0 if not dearer.size else dearer[-1] + 1])


def day_curve(option: ServingOption, need: ServingNeed) -> DayCurve:
    """Load, replicas and utilisation of `option` in each hour of the day."""
    load = need.load_by_hour
    running, _ = _fleet(option, need, load)
    capacity = running * option.requests_per_second
    busy = np.where(capacity > 0, load / np.where(capacity > 0, capacity, 1.0), 0.0)
    return DayCurve(
        load_per_second=load, replicas=running, capacity_per_second=capacity, utilisation=busy
    )


def _fleet(
    option: ServingOption, need: ServingNeed, load_by_hour: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Replicas and rented GPUs of each hour, shape (..., 24)."""
    running = replicas_by_hour(
        load_by_hour,
        option.requests_per_second,
        float(option.batch),
        wait_probability=need.wait_probability,
        redundancy=need.redundancy,
        autoscale=need.autoscale,
    )
    gpus = whole_instances(running, np.asarray(option.gpus), np.asarray(option.offer.minimum_gpus))
    if need.idle_seconds_to_zero is None:
        return running, gpus
    awake = awake_share(load_by_hour, need.idle_seconds_to_zero)
    return running * awake, gpus * awake
