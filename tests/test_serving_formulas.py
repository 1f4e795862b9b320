"""Loads, places and replicas against SciPy and by hand; what a need may be."""

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import i0
from scipy.stats import vonmises

from estimator.errors import InputError
from estimator.serving.need import ServingNeed
from estimator.serving.replicas import (
    awake_share,
    diurnal_curve,
    held_seconds,
    replicas_by_hour,
    replicas_for_wait,
    replicas_needed,
)

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
