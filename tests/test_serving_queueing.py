"""Queueing formulas against worked examples, scipy and a simulated queue."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from estimator.serving.queueing import (
    SMALL_LOAD,
    erlang_b,
    erlang_c,
    kingman_wait_seconds,
    mean_wait_seconds,
    servers_for_wait,
)


def test_worked_example_of_ten_erlangs_on_twelve_servers() -> None:
    assert float(erlang_b(12, 10)) == pytest.approx(0.119739, abs=5e-7)
    assert float(erlang_c(12, 10)) == pytest.approx(0.449388, abs=5e-7)
    assert float(mean_wait_seconds(12, 10, 1.0)) == pytest.approx(0.224694, abs=5e-7)


def test_three_servers_at_two_erlangs() -> None:
    assert float(erlang_c(3, 2)) == pytest.approx(4 / 9)


@given(st.integers(1, 200), st.floats(0.01, 300))
def test_erlang_b_is_the_truncated_poisson(servers: int, load: float) -> None:
    log_ratio = poisson.logpmf(servers, load) - poisson.logcdf(servers, load)
    assert float(erlang_b(servers, load)) == pytest.approx(np.exp(log_ratio), rel=1e-8)


@given(st.floats(0.01, 0.99), st.floats(0.1, 10))
def test_one_server_waits_as_in_m_m_1(rho: float, service: float) -> None:
    wait = rho / (1 - rho) * service
    assert float(mean_wait_seconds(1, rho, service)) == pytest.approx(wait)
    random = kingman_wait_seconds(rho, service, arrival_variation=1, service_variation=1)
    regular = kingman_wait_seconds(rho, service, arrival_variation=1, service_variation=0)
    assert float(random) == pytest.approx(wait)
    assert float(regular) == pytest.approx(wait / 2)  # M/D/1, Pollaczek-Khinchine


def test_kingman_by_hand() -> None:
    """rho / (1 - rho) = 1, (2^2 + 0.5^2) / 2 = 2.125, 4 seconds of service."""
    wait = kingman_wait_seconds(0.5, 4.0, arrival_variation=2, service_variation=0.5)
    assert float(wait) == pytest.approx(8.5)


def test_edges_of_the_load() -> None:
    np.testing.assert_allclose(erlang_b([0, 1, 5], 0.0), [1, 0, 0])
    np.testing.assert_allclose(erlang_c([2, 2, 2], [0.0, 2.0, 3.0]), [0, 1, 1])
    np.testing.assert_array_equal(mean_wait_seconds([2, 2], [2.0, 3.0], 1.0), [np.inf, np.inf])
    assert float(kingman_wait_seconds(1.0, 1.0, arrival_variation=1, service_variation=1)) == np.inf


def test_waiting_in_a_simulated_queue() -> None:
    rng = np.random.default_rng(1)
    arrivals = np.cumsum(rng.exponential(1 / 2, 200_000))
    service = rng.exponential(1.0, arrivals.size)
    free = np.zeros(3)
    waits = np.empty_like(arrivals)
    for i, (at, length) in enumerate(zip(arrivals, service, strict=True)):
        first = int(free.argmin())
        begin = max(at, free[first])
        waits[i] = begin - at
        free[first] = begin + length
    assert (waits > 0).mean() == pytest.approx(4 / 9, abs=0.01)
    assert waits.mean() == pytest.approx(float(mean_wait_seconds(3, 2, 1.0)), rel=0.04)


@pytest.mark.parametrize("load", [0.5, 5.0, 40.0, 99.0, 400.0])
@pytest.mark.parametrize("chance", [0.01, 0.05, 0.2, 0.5])
def test_square_root_staffing_meets_its_target(load: float, chance: float) -> None:
    servers = servers_for_wait(load, chance)
    assert float(erlang_c(servers + (load >= SMALL_LOAD), load)) <= chance
    assert float(erlang_c(np.maximum(servers - 2, 1), load)) >= chance


def test_staffing_grows_with_load_and_patience_lost() -> None:
    loads = np.linspace(1, 500, 50)
    assert (np.diff(servers_for_wait(loads, 0.1)) >= 0).all()
    assert servers_for_wait(50.0, 0.01) > servers_for_wait(50.0, 0.1) > 50
