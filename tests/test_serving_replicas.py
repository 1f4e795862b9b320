"""Replicas through the day: whole steps, waiting, autoscaling, identities."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.serving.queueing import erlang_c
from estimator.serving.replicas import (
    awake_share,
    diurnal_curve,
    replicas_by_hour,
    replicas_for_wait,
    replicas_needed,
    requests_per_second,
)


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


def test_a_month_has_730_hours() -> None:
    assert float(requests_per_second(730 * 3600 * 5)) == pytest.approx(5)


@pytest.mark.parametrize("chance", [0.01, 0.1, 0.5])
def test_places_for_random_arrivals(chance: float) -> None:
    # 4 places held for 2 seconds each: 2 requests per second and replica
    replicas = replicas_for_wait(10.0, 2.0, 4.0, wait_probability=chance, redundancy=0)
    assert float(erlang_c(4 * replicas, 20.0)) <= chance * 1.1
    assert float(erlang_c(4 * replicas - 5, 20.0)) > chance
    assert replicas >= replicas_needed(10.0, 2.0, redundancy=0)
    assert replicas_for_wait(1.0, 0.0, 0.0, wait_probability=chance) == np.inf


@given(st.floats(0.01, 500.0), st.floats(1.0, 8.0), st.integers(0, 2))
def test_following_the_load_never_takes_more(load: float, peak: float, spare: int) -> None:
    hours = load * diurnal_curve(peak)
    kept: dict[str, Any] = {"wait_probability": 0.05, "redundancy": spare}
    flat = replicas_by_hour(hours, 2.0, 16.0, **kept)
    followed = replicas_by_hour(hours, 2.0, 16.0, **kept, autoscale=True)
    assert (followed <= flat).all()
    assert followed.max() == flat.max() == flat.min()
    needed = replicas_for_wait(hours, 2.0, 16.0, **kept)
    assert (followed >= needed).all()
    assert (followed >= np.roll(needed, -1)).all()  # up before the next hour asks for them


def test_big_fleets_that_follow_pay_for_little_more_than_the_mean() -> None:
    hours = 1e5 * diurnal_curve(3.0)
    running = replicas_by_hour(
        hours, 2.0, 64.0, wait_probability=0.05, redundancy=0, autoscale=True
    )
    ahead = np.maximum(hours, np.roll(hours, -1)).mean()
    assert running.mean() * 2.0 == pytest.approx(ahead, rel=0.01)


def test_scale_to_zero_of_a_rare_request() -> None:
    # one request an hour keeps a replica up about 300 of 3,600 seconds, less where two overlap
    assert float(awake_share(1 / 3600, 300.0)) == pytest.approx(300 / 3600, rel=0.05)
    simulated = np.random.default_rng(3).exponential(3600.0, 100_000)
    up = np.minimum(simulated, 300.0).sum() / simulated.sum()
    assert float(awake_share(1 / 3600, 300.0)) == pytest.approx(up, rel=0.01)


def test_candidates_and_hours_broadcast() -> None:
    hours = np.array([[5.0], [50.0]])[..., None] * diurnal_curve(2.0)
    rates = np.array([1.0, 2.0, 4.0])
    many = replicas_by_hour(hours, rates, 8.0 * rates, wait_probability=0.1, autoscale=True)
    assert many.shape == (2, 3, 24)
    one = replicas_by_hour(hours[1, 0], 4.0, 32.0, wait_probability=0.1, autoscale=True)
    np.testing.assert_array_equal(many[1, 2], one)
    assert (np.diff(many, axis=0) >= 0).all() and (np.diff(many, axis=1) <= 0).all()
