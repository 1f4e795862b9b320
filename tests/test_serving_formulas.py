"""Loads, places and replicas against SciPy and by hand; what a need may be."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import i0
from scipy.stats import vonmises

from estimator.errors import InputError
from estimator.llm.catalogue import catalogue_architecture
from estimator.serving.curves import cost_by_volume, day_curve
from estimator.serving.need import ServingNeed
from estimator.serving.plan import ServingOption, adapter_bytes, plan_serving, whole_instances
from estimator.serving.replicas import (
    awake_share,
    diurnal_curve,
    held_seconds,
    replicas_by_hour,
    replicas_for_wait,
    replicas_needed,
)
from pricing import offers_of

NEED: dict[str, Any] = {
    "requests_per_month": 7300.0,
    "input_tokens": 800,
    "output_tokens": 200,
    "peak_to_mean": 3.0,
}


@pytest.mark.parametrize("peak", [1.2, 2.0, 3.5])
def test_a_day_is_von_mises_around_its_busiest_hour(peak: float) -> None:
    kappa = float(brentq(lambda k: math.exp(k) / i0(k) - peak, 1e-9, 500))
    hours = 2 * np.pi * np.arange(24) / 24
    expected = vonmises(kappa).pdf(hours) * 2 * np.pi
    assert diurnal_curve(peak) == pytest.approx(expected, rel=1e-4)
    assert diurnal_curve([peak, 1.0])[1] == pytest.approx(np.ones(24))


def test_replicas_by_hand() -> None:
    assert replicas_needed(3 * 0.1, 0.1, redundancy=0) == 3  # 0.30000000000000004 is 3 tenths
    assert replicas_needed(1e-15, 1.0, redundancy=0) == 1
    assert replicas_needed(2.0, 1.0) == 3  # one spare unless said otherwise
    assert replicas_needed([0.0, 5.0], 0.0, redundancy=0).tolist() == [0, np.inf]
    assert replicas_needed(0.4, 0.2, redundancy=0) == 2
    assert held_seconds([2.0, 0.5], 4).tolist() == [2, 8]
    assert np.isfinite(held_seconds(0.0, 4))


def test_a_spare_replica_unless_said_otherwise() -> None:
    without = replicas_for_wait(10.0, 2.0, 4.0, wait_probability=0.1, redundancy=0)
    assert replicas_for_wait(10.0, 2.0, 4.0, wait_probability=0.1) == without + 1
    load = np.array([1.0, 10.0, 5.0, *[0.0] * 21])
    flat = replicas_by_hour(load, 2.0, 4.0, wait_probability=0.1)
    assert flat.tolist() == [without + 1] * 24
    assert replicas_for_wait([0.2, 0.0], 0.5, 4.0, wait_probability=0.1).tolist() == [2, 0]


def test_replicas_start_an_hour_early_and_stop_on_time() -> None:
    load = np.array([0.0, 0.0, 1.0, 10.0, 1.0, *[0.0] * 19])
    running = replicas_by_hour(load, 2.0, 4.0, wait_probability=0.1, redundancy=0, autoscale=True)
    few, many = (
        replicas_for_wait(rate, 2.0, 4.0, wait_probability=0.1, redundancy=0)
        for rate in (1.0, 10.0)
    )
    assert running.tolist() == [0, few, many, many, few, *[0] * 19]


def test_no_request_keeps_no_fleet_awake() -> None:
    assert awake_share([0.0, math.log(2) / 60], 60).tolist() == pytest.approx([0, 0.5])


def test_a_need_by_hand() -> None:
    """7,300 requests a month are ten an hour, spread as the day is."""
    need = ServingNeed(**NEED, day=tuple([2.0] * 12 + [4.0] * 12))
    assert need.tokens_per_month == 7_300_000
    ten = 10 / 3600
    assert need.load_by_hour == pytest.approx([ten * 2 / 3] * 12 + [ten * 4 / 3] * 12)
    curve = ServingNeed(**NEED)
    assert curve.load_by_hour == pytest.approx(ten * diurnal_curve(3.0))


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("requests_per_month", (0.1,), (0, -1, math.nan)),
        ("output_tokens", (0.5,), (0, math.nan)),
        ("ttft_seconds", (0.01, math.inf), (0, math.nan)),
        ("tpot_seconds", (0.01, math.inf), (0, math.nan)),
        ("input_tokens", (1,), (0.99, 0, math.nan)),
        ("peak_to_mean", (1, 24), (0.99, 24.01, math.nan)),
        ("cached_share", (0, 0.99), (-0.01, 1, math.nan)),
        ("adapters", (0, 1), (-1,)),
        ("adapter_rank", (1,), (0,)),
        ("redundancy", (0, 3), (-1,)),
        ("wait_probability", (0.001, 1), (0, 1.01, math.nan)),
        ("idle_seconds_to_zero", (None, 0.5), (0, -1.0, math.nan)),
        ("day", ((), (0.0,) * 23 + (1e-3,), (1.0,) * 24), ((1.0,) * 23, (1.0,) * 25)),
        ("day", (), ((0.0,) * 24, (-1.0,) + (9.0,) * 23, (math.inf,) * 24, (math.nan,) * 24)),
    ],
)
def test_what_a_need_may_be(name: str, allowed: tuple[Any, ...], refused: tuple[Any, ...]) -> None:
    for value in allowed:
        assert getattr(ServingNeed(**{**NEED, name: value}), name) == value
    for value in refused:
        with pytest.raises(InputError, match="day" if name == "day" else name):
            ServingNeed(**{**NEED, name: value})


def test_a_need_asks_for_no_more_than_is_said() -> None:
    need = ServingNeed(**NEED)
    assert (need.ttft_seconds, need.tpot_seconds) == (math.inf, math.inf)
    assert (need.cached_share, need.adapters, need.redundancy) == (0, 0, 1)
    assert (need.autoscale, need.idle_seconds_to_zero) == (False, None)


EIGHT = catalogue_architecture("meta-llama/Llama-3.1-8B")
OFFERS = offers_of("h100-sxm5-80gb", tier="on_demand")


def option(gpus: int, instance_gpus: int) -> ServingOption:
    """Replicas of so many GPUs that serve 2 requests a second, 4 at a time, at $3 a GPU hour."""
    offer = replace(OFFERS[0], minimum_gpus=instance_gpus, price_usd_per_gpu_hour=3.0)
    need = ServingNeed(**NEED)
    (found,) = plan_serving(EIGHT, need, [offer]).options
    return replace(found, gpus=gpus, batch=4, requests_per_second=2.0)


def steady(per_second: float, **changes: Any) -> ServingNeed:
    """A load that is the same in every hour."""
    month = {"requests_per_month": per_second * 730 * 3600, "day": (1.0,) * 24}
    return ServingNeed(**{**NEED, **month, **changes})


def running(per_second: float) -> float:
    return float(replicas_for_wait(per_second, 2.0, 4.0, wait_probability=0.05, redundancy=0))


def test_a_day_of_a_steady_load_by_hand() -> None:
    day = day_curve(option(1, 1), steady(10.0))
    count = running(10.0) + 1
    assert day.load_per_second == pytest.approx([10.0] * 24)
    assert day.replicas.tolist() == [count] * 24
    assert day.capacity_per_second == pytest.approx([2 * count] * 24)
    assert day.utilisation == pytest.approx([10 / (2 * count)] * 24)
    slow = replace(option(1, 1), requests_per_second=0.25)
    alone = day_curve(slow, steady(0.01, redundancy=0))  # one replica, slower than one a second
    assert alone.capacity_per_second == pytest.approx([0.25] * 24)
    assert alone.utilisation == pytest.approx([0.04] * 24)


def test_a_night_without_load_needs_no_replica() -> None:
    half = (0.0,) * 12 + (1.0,) * 12
    day = day_curve(option(1, 1), steady(5.0, day=half, autoscale=True, redundancy=0))
    assert day.replicas[:11].tolist() == day.utilisation[:11].tolist() == [0] * 11
    assert day.replicas[12] == running(10.0)
    assert day.utilisation[12] == pytest.approx(10 / (2 * running(10.0)))


def test_a_fleet_that_falls_asleep_is_paid_for_while_awake() -> None:
    rare = steady(1 / 3600, redundancy=0, idle_seconds_to_zero=1200.0)
    awake = 1 - math.exp(-1 / 3)
    assert day_curve(option(1, 1), rare).replicas == pytest.approx([awake] * 24)
    curve = cost_by_volume(option(1, 1), rare, [730.0])
    assert curve.usd_per_request == pytest.approx([awake * 3.0])  # one an hour
    assert curve.utilisation == pytest.approx([1 / 3600 / (2 * awake)])


@pytest.mark.parametrize(("gpus", "instance", "rented"), [(1, 1, 1), (2, 1, 2), (2, 8, 8)])
def test_cost_of_a_volume_by_hand(gpus: int, instance: int, rented: int) -> None:
    """Whole instances of GPUs at $3 an hour for 730 hours."""
    loads = np.array([10.0, 0.001, 3.0])
    need = steady(1.0)
    curve = cost_by_volume(option(gpus, instance), need, loads * 730 * 3600)
    counts = [running(load) + 1 for load in sorted(loads)]
    paid = [math.ceil(count * gpus / rented) * rented for count in counts]
    assert curve.requests_per_month == pytest.approx(np.sort(loads) * 730 * 3600)
    assert curve.replicas.tolist() == counts
    usd = np.array(paid) * 730 * 3.0
    assert curve.usd_per_request == pytest.approx(usd / curve.requests_per_month)
    assert curve.utilisation == pytest.approx(np.sort(loads) / (np.array(paid) / gpus * 2.0))
    assert curve.crossing_requests_per_month is None


def test_the_crossing_is_the_volume_from_which_on_it_is_never_dearer() -> None:
    volumes = np.linspace(0.5, 20, 79) * 730 * 3600
    usd = cost_by_volume(option(1, 1), steady(1.0), volumes).usd_per_request
    assert (np.diff(usd) > 0).any()  # a saw-tooth
    for price in np.quantile(usd, [0, 0.05, 0.3, 0.5, 0.8, 1]):
        never_dearer = [v for i, v in enumerate(volumes) if (usd[i:] <= price).all()]
        found = cost_by_volume(
            option(1, 1), steady(1.0), volumes, api_usd_per_request=float(price)
        ).crossing_requests_per_month
        assert found == (min(never_dearer) if never_dearer else None)


def test_a_fleet_that_follows_the_load_is_paid_hour_by_hour() -> None:
    half = (0.0,) * 12 + (1.0,) * 12
    need = steady(5.0, day=half, autoscale=True, redundancy=0)
    curve = cost_by_volume(option(1, 1), need, [5.0 * 730 * 3600])
    hours = 13 * running(10.0)  # it starts an hour early
    assert curve.replicas.tolist() == [running(10.0)]
    assert curve.usd_per_request * 5.0 * 3600 == pytest.approx([hours / 24 * 3.0])
    assert curve.utilisation == pytest.approx([5.0 / (hours / 24 * 2.0)])
    asleep = cost_by_volume(
        option(1, 1), steady(1e-5, redundancy=0, idle_seconds_to_zero=60.0), [1.0]
    )
    assert asleep.replicas.tolist() == [1]  # seldom awake, but whole


def test_gpus_come_by_whole_instances() -> None:
    replicas, gpus, instance = np.array([[1.0], [3.0], [5.0]]), np.array([2.0, 3.0]), np.array(8.0)
    assert whole_instances(replicas, gpus, instance).tolist() == [[8, 8], [8, 16], [16, 16]]


def test_bytes_of_adapters_are_those_of_peft() -> None:
    """LoRA of rank 16 on every matrix of Llama 3.1 8B: 41,943,040 weights (peft) of 2 bytes."""
    kept = ServingNeed(**NEED, adapters=10)
    assert adapter_bytes(EIGHT, kept) == 10 * 41_943_040 * 2
    assert adapter_bytes(EIGHT, replace(kept, adapter_rank=32)) == 20 * 41_943_040 * 2
    assert adapter_bytes(EIGHT, ServingNeed(**NEED)) == 0


def test_prices_go_evenly_from_the_lowest_to_the_asked_to_the_highest() -> None:
    """One replica and a spare at any speed: the bill moves with the price alone."""
    offer = replace(
        OFFERS[0],
        minimum_gpus=1,
        low_usd_per_gpu_hour=1.0,
        price_usd_per_gpu_hour=2.0,
        high_usd_per_gpu_hour=6.0,
    )
    (found,) = plan_serving(EIGHT, ServingNeed(**NEED), [offer]).options
    hours = 2 * 730
    assert (found.replicas, found.rented_gpus, found.gpu_hours_per_month) == (2, 2, hours)
    usd = found.usd_per_month
    assert usd.p50 == hours * 2.0
    assert usd.p10 == pytest.approx(hours * (1 + 0.2 * 1), rel=0.02)
    assert usd.p90 == pytest.approx(hours * (2 + 0.8 * 4), rel=0.02)
    assert found.usd_per_request.p50 == pytest.approx(usd.p50 / 7300)
    assert found.usd_per_million_tokens.p50 == pytest.approx(usd.p50 / 7.3)
    busy = 10 / 3600 / (2 * found.requests_per_second)
    assert found.utilisation == pytest.approx(busy)
    assert found.output_tokens_per_second == pytest.approx(200 * found.requests_per_second)
    assert found.late_share == 0
