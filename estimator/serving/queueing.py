"""Waiting lines: how often and how long a request waits for a free server.

`offered_load` is in erlangs: arrivals per second x seconds of service each.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from estimator.quantity import FloatArray

SMALL_LOAD = 100.0  # erlangs; above it square-root staffing is at most one server short
_BETAS = np.linspace(0.0, 8.0, 4001)


def erlang_b(servers: ArrayLike, offered_load: ArrayLike) -> FloatArray:
    """Share of arrivals that find all `servers` (whole numbers) busy when nobody may wait.

    1/B(c) = 1 + (c/A) / B(c-1), from B(0) = 1 (Jagerman 1974); Erlang 1917.
    """
    c = np.asarray(servers, dtype=np.float64)
    load = np.asarray(offered_load, dtype=np.float64)
    inverse = np.ones(np.broadcast_shapes(c.shape, load.shape))
    with np.errstate(divide="ignore", over="ignore"):  # no load: 1/B grows to infinity, B is 0
        for k in range(1, int(np.max(c)) + 1):
            inverse = np.where(k <= c, 1.0 + k / load * inverse, inverse)
    return 1.0 / inverse


def erlang_c(servers: ArrayLike, offered_load: ArrayLike) -> FloatArray:
    """Share of arrivals that must wait when all may wait; 1 when the load exceeds the servers.

    C = B / (1 - rho (1 - B)), rho = A / c. Source: Cooper, "Introduction to Queueing Theory",
    1981, section 3.4.
    """
    blocked = erlang_b(servers, offered_load)
    rho = np.asarray(offered_load, dtype=np.float64) / np.asarray(servers, dtype=np.float64)
    return np.where(rho < 1.0, blocked / (1.0 - np.minimum(rho, 1.0) * (1.0 - blocked)), 1.0)


def mean_wait_seconds(
    servers: ArrayLike, offered_load: ArrayLike, service_seconds: ArrayLike
) -> FloatArray:
    """Mean seconds before service in M/M/c: C S / (c - A); infinite when the load is too high."""
    spare = np.asarray(servers, dtype=np.float64) - np.asarray(offered_load, dtype=np.float64)
    wait = erlang_c(servers, offered_load) * np.asarray(service_seconds)
    return np.where(spare > 0, wait / np.where(spare > 0, spare, 1.0), np.inf)


def kingman_wait_seconds(
    utilisation: ArrayLike,
    service_seconds: ArrayLike,
    *,
    arrival_variation: ArrayLike,
    service_variation: ArrayLike,
) -> FloatArray:
    """Mean seconds before service at one server with any arrivals and service (G/G/1).

    rho/(1-rho) x (ca^2 + cs^2)/2 x S, with the coefficients of variation of the times between
    arrivals and of service. Source: Kingman, "The single server queue in heavy traffic", 1961.
    """
    rho = np.asarray(utilisation, dtype=np.float64)
    variability = (np.asarray(arrival_variation) ** 2 + np.asarray(service_variation) ** 2) / 2.0
    busy = np.where(rho < 1.0, rho / np.where(rho < 1.0, 1.0 - rho, 1.0), np.inf)
    return np.asarray(busy * variability * np.asarray(service_seconds))


def servers_for_wait(offered_load: ArrayLike, wait_probability: ArrayLike) -> FloatArray:
    """Whole servers with which at most `wait_probability` of the arrivals wait.

    Square-root staffing, A + beta sqrt(A), where 1 / (1 + beta Phi(beta)/phi(beta)) is the
    probability to wait (Halfin and Whitt, Operations Research 29(3), 1981); small loads, for which
    it is up to two servers short, are checked against Erlang C.
    """
    load = np.asarray(offered_load, dtype=np.float64)
    allowed = np.asarray(wait_probability, dtype=np.float64)
    density = np.exp(-(_BETAS**2) / 2.0) / np.sqrt(2.0 * np.pi)
    waits = 1.0 / (1.0 + _BETAS * ndtr(_BETAS) / density)
    beta = np.interp(allowed, waits[::-1], _BETAS[::-1])
    servers = np.ceil(load + beta * np.sqrt(load))
    small = load < SMALL_LOAD
    for _ in range(2):
        waiting = erlang_c(np.where(small, servers, 1.0).clip(1.0), np.where(small, load, 0.0))
        servers = np.where(small & (waiting > allowed), servers + 1.0, servers)
    return servers
