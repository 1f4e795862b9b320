"""Peak memory of the whole model from the peaks of a few depths.

The closed form is exact to about one per cent in what PyTorch allocates, kinks included (the peak
moves from the loss to the optimizer as layers are added); what a process holds besides is in a
first approximation proportional to it (blocks between others that a heap cannot give back).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from estimator.benchmark.target import Target
from estimator.training.memory import estimate_memory
from estimator.training.operations import Dispatch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beside:
    """What is known of memory beside the closed form before anything is measured."""

    slope: float
    """Growth over that of the closed form."""
    slope_sd: float
    noise: float
    """Relative sd of one measured peak."""


HOST = _Beside(slope=0.15, slope_sd=0.09, noise=0.012)
"""A heap: freed small blocks stay resident, and differently so in each run."""
DEVICE = _Beside(slope=0.0, slope_sd=0.05, noise=0.003)
"""PyTorch's own count of what it allocated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakPrediction:
    """Peak bytes of the whole model."""

    bytes: float
    log_sd: float
    """Standard deviation of its logarithm: noise of the peaks and of what is beside the form."""
    formula_bytes: float
    """What the closed form alone says that PyTorch allocates."""


def dispatch_of(backend: str) -> Dispatch:
    """Whose kernels the closed form counts."""
    return "cpu" if backend == "cpu" else "cuda"


def formula_bytes(target: Target, depth: int, backend: str) -> float:
    """Bytes that PyTorch allocates at the peak of the first `depth` layers, by the closed form."""
    memory = estimate_memory(target.at(depth), target.recipe, dispatch=dispatch_of(backend))
    return float(memory.allocated_bytes)


def extrapolate_peak(target: Target, measured: Mapping[int, float], backend: str) -> PeakPrediction:
    """The peak of all layers from the peaks of some depths.

    What is beside the closed form is taken as a + b f, with f the closed form less that of one
    layer: a is free, b has a prior, and the posterior is that of a linear Gaussian model (Bishop,
    "Pattern Recognition and Machine Learning", 2006, equations 3.50 and 3.51).
    """
    beside = HOST if backend == "cpu" else DEVICE
    depths = sorted(measured)
    form = np.array([formula_bytes(target, depth, backend) for depth in depths])
    peaks = np.array([measured[depth] for depth in depths], dtype=float)
    whole, first = formula_bytes(target, target.depth, backend), formula_bytes(target, 1, backend)
    grown = form - first
    noise = beside.noise * peaks
    design = np.stack([np.ones_like(grown), grown], axis=1) / noise[:, None]
    precision = design.T @ design
    precision[1, 1] += beside.slope_sd**-2
    aim = design.T @ ((peaks - form) / noise)
    aim[1] += beside.slope * beside.slope_sd**-2
    covariance = np.linalg.inv(precision)
    at = np.array([1.0, whole - first])
    peak = max(whole + float(at @ covariance @ aim), float(peaks.max()))
    variance = float(at @ covariance @ at) + (beside.noise * peak) ** 2
    return PeakPrediction(bytes=peak, log_sd=variance**0.5 / peak, formula_bytes=whole)
