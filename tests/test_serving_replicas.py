"""Replicas through the day and their cost: whole steps, identities, limits."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.serving.capacity import ReplicaCapacity, ServingMemory
from estimator.serving.queueing import erlang_c
from estimator.serving.replicas import (
    ServingCost,
    diurnal_curve,
    replicas_for_wait,
    replicas_needed,
    requests_per_second,
    serving_cost,
)


def cost_of(requests: Any, **changes: Any) -> ServingCost:
    given: dict[str, Any] = {
        "peak_to_mean": 3.0,
        "gpus_per_replica": 2,
        "gpu_usd_per_hour": 1.5,
        "tokens_per_request": 1000.0,
    }
    capacity = changes.pop("capacity", 2.0)
    return serving_cost(requests, capacity, **(given | changes))


@pytest.mark.parametrize("peak", [1.0, 1.5, 2.5, 4.0, 8.0])
def test_day_has_its_mean_and_its_peak(peak: float) -> None:
    curve = diurnal_curve(peak)
    assert curve.shape == (24,)
    assert curve.mean() == pytest.approx(1)
    assert curve.max() == pytest.approx(peak, rel=1e-3)
    assert (curve > 0).all()


def test_replicas_are_whole_and_spares_come_on_top() -> None:
    needed = replicas_needed([0.0, 0.1, 1.0, 1.01, 6.0], 1.0, redundancy=1)
    assert needed.tolist() == [0, 2, 2, 3, 7]
    assert replicas_needed(1.0, [0.0, 0.5], redundancy=0).tolist() == [np.inf, 2]
    saw = replicas_needed(np.linspace(0.01, 10, 1000), 1.7, redundancy=0)
    assert set(np.diff(saw)) == {0.0, 1.0}


@given(st.one_of(st.just(0.0), st.floats(1.0, 1e8)), st.floats(1.0, 10.0), st.integers(0, 3))
def test_bill_adds_up(requests: float, peak: float, spare: int) -> None:
    bill = cost_of(requests, peak_to_mean=peak, redundancy=spare)
    assert float(bill.usd_per_month) == pytest.approx(float(bill.replicas_mean) * 2 * 730 * 1.5)
    assert float(bill.usd_per_month) == pytest.approx(float(bill.gpu_hours_per_month) * 1.5)
    if requests > 0:
        assert float(bill.usd_per_request) * requests == pytest.approx(float(bill.usd_per_month))
        per_token = float(bill.usd_per_million_tokens) / 1e6
        assert per_token * 1000 == pytest.approx(float(bill.usd_per_request))
        assert 0 < float(bill.utilisation) <= 1 / peak + 1e-9


@given(st.floats(1e3, 1e8), st.floats(0, 1), st.floats(1.0, 8.0))
def test_following_the_load_never_costs_more(requests: float, share: float, peak: float) -> None:
    full = cost_of(requests, peak_to_mean=peak)
    scaled = cost_of(requests, peak_to_mean=peak, autoscaled_share=share)
    asleep = cost_of(
        requests, peak_to_mean=peak, autoscaled_share=share, idle_seconds_to_zero=300.0
    )
    assert scaled.usd_per_month <= full.usd_per_month * (1 + 1e-6)
    assert asleep.usd_per_month <= scaled.usd_per_month * (1 + 1e-6)
    assert scaled.replicas_at_peak == full.replicas_at_peak


def test_fully_autoscaled_big_fleet_pays_for_the_mean_load() -> None:
    bill = cost_of(1e11, autoscaled_share=1.0, redundancy=0)
    mean = float(requests_per_second(1e11)) / 2.0
    assert float(bill.replicas_mean) == pytest.approx(mean, rel=1e-3)
    assert float(bill.utilisation) == pytest.approx(1, rel=1e-3)
    assert float(cost_of(1e11, redundancy=0).utilisation) == pytest.approx(1 / 3, rel=1e-3)


def test_scale_to_zero_of_a_rare_request() -> None:
    # one request an hour keeps a replica up about 300 of 3,600 seconds, less where two overlap
    bill = cost_of(
        730, peak_to_mean=1.0, autoscaled_share=1.0, redundancy=0, idle_seconds_to_zero=300.0
    )
    assert float(bill.replicas_mean) == pytest.approx(1 - np.exp(-300 / 3600))


def test_no_requests_cost_nothing_and_no_capacity_never_serves() -> None:
    idle = cost_of(0.0)
    assert float(idle.usd_per_month) == 0
    assert np.isnan(float(idle.usd_per_request))
    lost = cost_of(1e6, capacity=0.0, autoscaled_share=0.5)
    assert float(lost.usd_per_month) == np.inf
    assert float(lost.utilisation) == 0


def test_months_and_draws_broadcast() -> None:
    requests = np.linspace(1e5, 1e7, 12)
    capacity = np.random.default_rng(2).lognormal(0, 0.3, (64, 1))
    bill = cost_of(requests, capacity=capacity, autoscaled_share=0.5)
    assert bill.usd_per_month.shape == (64, 12)
    one = cost_of(requests[7], capacity=capacity[5, 0], autoscaled_share=0.5)
    assert bill.usd_per_month[5, 7] == pytest.approx(float(one.usd_per_month))
    assert (np.diff(bill.replicas_at_peak, axis=1) >= 0).all()


def capacity_of(rate: float, batch: float) -> ReplicaCapacity:
    zero = np.asarray(0.0)
    memory = ServingMemory(
        weights_bytes=zero,
        adapters_bytes=zero,
        workspace_bytes=zero,
        kv_cache_bytes=zero,
        reserve_bytes=zero,
        capacity_bytes=zero,
    )
    return ReplicaCapacity(
        requests_per_second=np.asarray(rate),
        output_tokens_per_second=zero,
        total_tokens_per_second=zero,
        batch=np.asarray(batch),
        ttft_seconds=zero,
        tpot_seconds=zero,
        memory=memory,
        refusal=np.asarray(""),
    )


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5])
def test_places_for_random_arrivals(chance: float) -> None:
    # 4 places held for 2 seconds each: 2 requests per second and replica
    capacity = capacity_of(rate=2.0, batch=4.0)
    replicas = replicas_for_wait(10.0, capacity, wait_probability=chance, redundancy=0)
    assert float(erlang_c(4 * replicas, 20.0)) <= chance * 1.1
    assert float(erlang_c(4 * replicas - 5, 20.0)) > chance
    assert replicas >= replicas_needed(10.0, 2.0, redundancy=0)
    broken = capacity_of(rate=0.0, batch=0.0)
    assert replicas_for_wait(1.0, broken, wait_probability=chance) == np.inf
