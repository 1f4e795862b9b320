"""How fast processes exchange data: all-reduce, all-gather and reduce-scatter, measured.

Each operation is seen as `alpha + bytes / bandwidth` (Hockney 1994, "The communication challenge
for MPP"), fitted so that relative errors count alike from a KiB to many MiB. Between the measured
sizes the measurement itself is read, because real libraries switch protocols on the way.
"""

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from estimator.benchmark.launch import on_ranks
from estimator.errors import InputError
from estimator.quantity import FloatArray

KIB, MIB = 2**10, 2**20
SIZES = tuple(KIB * 4**k for k in range(9))
"""1 KiB to 64 MiB, fourfold apart."""
OPERATIONS = ("all_reduce", "all_gather", "reduce_scatter")
ROUNDS, WARM_UP = 15, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveRate:
    """One operation among a number of processes; bytes are those of the whole tensor."""

    operation: str
    nproc: int
    alpha_seconds: float
    """Time of an operation of no bytes."""
    bytes_per_second: float
    sizes_bytes: tuple[int, ...]
    median_seconds: tuple[float, ...]
    """Measured at each size, on the slowest rank."""
    fit_error: float
    """Median relative distance of the measured times from the fitted line."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "CollectiveRate":
        """The rate that JSON holds."""
        lists = {name: tuple(data[name]) for name in ("sizes_bytes", "median_seconds")}
        return cls(**{**data, **lists})

    def seconds(self, total_bytes: float | FloatArray, nproc: int | None = None) -> FloatArray:
        """Seconds of one operation; `nproc` None means as many processes as were measured.

        Measured times are read between the measured sizes, the fitted line outside of them. For
        another number of processes a ring is assumed: n - 1 hops of 1/n of the bytes each
        (Thakur, Rabenseifner, Gropp 2005, section 4). What a different network between more nodes
        would do is left out.
        """
        sizes = np.asarray(total_bytes, dtype=np.float64)
        line = self.alpha_seconds + sizes / self.bytes_per_second
        logs = np.log(np.asarray(self.sizes_bytes)), np.log(np.asarray(self.median_seconds))
        read = np.exp(np.interp(np.log(np.maximum(sizes, 1.0)), *logs))
        inside = (sizes >= self.sizes_bytes[0]) & (sizes <= self.sizes_bytes[-1])
        found = np.where(inside, read, line)
        if nproc is None or nproc == self.nproc:
            return found
        hops = (nproc - 1) / (self.nproc - 1)
        share = hops * self.nproc / nproc
        latency = np.minimum(self.alpha_seconds, found)
        return latency * hops + (found - latency) * share


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectiveRates:
    """The operations among the processes of one launch."""

    nproc: int
    nodes: int
    backend: str
    device: str
    all_reduce: CollectiveRate
    all_gather: CollectiveRate
    reduce_scatter: CollectiveRate
    busy_share: float
    """Process time over wall time of a large all-reduce: the part of it that is work of the CPU
    itself and takes from computing what it uses; about 0 where a GPU or network card does it."""
    copy_bytes_per_second: float
    """How fast a rank copies into new memory while the others do."""

    def as_dict(self) -> dict[str, Any]:
        """The rates as JSON holds them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "CollectiveRates":
        """The rates that `as_dict` wrote."""
        rates = {name: CollectiveRate.from_dict(data[name]) for name in OPERATIONS}
        return cls(**{**data, **rates})


def measure_collectives(
    nproc: int,
    backend: str | None = None,
    *,
    largest_bytes: int = SIZES[-1],
    rounds: int = ROUNDS,
    port: int = 0,
    timeout_seconds: float = 300.0,
) -> CollectiveRates:
    """The rates among `nproc` processes of this machine, or of the launcher that runs this one.

    NCCL on CUDA and ROCm, XCCL on Intel, gloo on the CPU, unless `backend` names one. Medians of
    `rounds` after a warm-up; every round visits every size of every operation.
    """
    sizes = [size for size in SIZES if size <= largest_bytes]
    if len(sizes) < 2 or rounds < 1:
        raise InputError(f"largest_bytes {largest_bytes}, rounds {rounds}: too small to fit a line")
    request = {
        "do": "collectives",
        "backend": backend,
        "sizes": sizes,
        "rounds": rounds,
        "warm_up": WARM_UP,
    }
    raw = on_ranks(request, nproc=nproc, port=port, timeout_seconds=timeout_seconds)
    return rates_of(raw)


def rates_of(raw: Mapping[str, Any]) -> CollectiveRates:
    """The rates in what the ranks measured."""
    nproc = int(raw["nproc"])
    rates = {name: _rate(name, nproc, found) for name, found in raw["operations"].items()}
    return CollectiveRates(
        nproc=nproc,
        nodes=int(raw["nodes"]),
        backend=str(raw["backend"]),
        device=str(raw["device"]),
        busy_share=statistics.median(raw["busy_shares"]),
        copy_bytes_per_second=raw["copy_bytes"] / statistics.median(raw["copy_seconds"]),
        **rates,
    )


def _rate(operation: str, nproc: int, found: Mapping[str, list[float]]) -> CollectiveRate:
    sizes = tuple(map(int, found))
    medians = tuple(statistics.median(times) for times in found.values())
    alpha, bandwidth = fit_line(np.asarray(sizes, np.float64), np.asarray(medians))
    fitted = alpha + np.asarray(sizes) / bandwidth
    return CollectiveRate(
        operation=operation,
        nproc=nproc,
        alpha_seconds=alpha,
        bytes_per_second=bandwidth,
        sizes_bytes=sizes,
        median_seconds=medians,
        fit_error=float(np.median(np.abs(fitted / np.asarray(medians) - 1))),
    )


def fit_line(sizes_bytes: FloatArray, seconds: FloatArray) -> tuple[float, float]:
    """Alpha in seconds and bandwidth in bytes/s that minimise the squared relative errors.

    Neither is negative (Lawson and Hanson 1974, non-negative least squares).
    """
    from scipy.optimize import nnls

    scale = float(sizes_bytes[-1])  # keeps both columns near one another
    columns = np.stack([1 / seconds, sizes_bytes / scale / seconds], axis=1)
    (alpha, per_scale), _ = nnls(columns, np.ones(len(seconds)))
    if per_scale <= 0:
        raise InputError("the measured times do not grow with size: the machine is too busy")
    return float(alpha), scale / float(per_scale)
