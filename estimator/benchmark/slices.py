"""From steps at a few depths to the step of the whole model: pure arithmetic on timings.

A step's time is linear in its layers, t(k) = a + b x(k), where x is the depth (or, for layers of
several kinds, their work). Noise of a slice is amplified by about (L - k_min) / (k_max - k_min),
so the depths lie as far apart as memory and time allow, and rounds are interleaved: each holds
every depth once and a fixed probe, so that a noisy neighbour hits all alike.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from estimator.quantity import FloatArray

WARM_TOLERANCE = 1.15
"""A step is warm from where it is no longer this much slower than the median of those after it."""
LEAST_STEADY = 3
MEDIAN_PRICE = math.pi / 2
"""Variance of a median over that of a mean, for normal noise."""
LEAST_NOISE = 0.005
"""Relative sd of one step below which a few steps cannot show it."""
LEAST_DEEPEST = 4
Z80 = 1.2815515655446004
SHARE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """Timings of interleaved rounds."""

    depths: tuple[int, ...]
    seconds: FloatArray
    """Step seconds: rounds x depths."""
    probe: FloatArray
    """Seconds of the fixed probe, one a round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steady:
    """What is left of the rounds when warm-up and drift are out."""

    depths: tuple[int, ...]
    seconds: FloatArray
    """Median step seconds of each depth."""
    noise: float
    """Relative sd of one step."""
    rounds: int
    """Steady rounds."""
    warm_up: int
    """Rounds left out at the start."""
    drift_share: float
    """Share of the probe's drift that the steps follow, between 0 and 1."""
    outliers: int
    """Steps further than four sd from the median of their depth: shown, and kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extrapolation:
    """Seconds of a step of the whole model, and how sure."""

    seconds: float
    log_sd: float
    """Standard deviation of its logarithm that the noise of the steps leaves."""

    @property
    def half_width(self) -> float:
        """Half the 80 % interval over the value: 0.05 is ±5 %."""
        return Z80 * self.log_sd


def steady(rounds: Rounds) -> Steady:
    """The rounds without warm-up, the drift that the probe shows divided out."""
    first = steady_from(rounds.seconds)
    seconds, probe = rounds.seconds[first:], rounds.probe[first:]
    logs = np.log(seconds)
    drift = np.log(probe / np.median(probe))
    share = drift_share(logs, drift)
    logs = logs - share * drift[:, None]
    centre = np.median(logs, axis=0)
    noise = max(_sd(logs - centre), LEAST_NOISE)
    return Steady(
        depths=rounds.depths,
        seconds=np.exp(centre),
        noise=noise,
        rounds=len(seconds),
        warm_up=first,
        drift_share=share,
        outliers=int(np.sum(np.abs(logs - centre) > 4.0 * noise)),
    )


def steady_from(seconds: FloatArray) -> int:
    """Index of the first round whose every step is about as fast as the median of those after it.

    At least three rounds are kept, however they look: a machine may never become steady.
    """
    last = max(len(seconds) - LEAST_STEADY, 0)
    for i in range(last):
        if np.all(seconds[i] <= WARM_TOLERANCE * np.median(seconds[i + 1 :], axis=0)):
            return i
    return last


def drift_share(logs: FloatArray, drift: FloatArray) -> float:
    """Slope of the steps' drift against the probe's, between 0 and 1.

    A neighbour that fills the caches slows a probe and a step by different amounts; the slope is
    shrunk towards 0 by the noise of both where the probe hardly moved.
    """
    if len(drift) < LEAST_STEADY:
        return 0.0
    moves = drift - drift.mean()
    common = np.mean(logs - np.median(logs, axis=0), axis=1)
    spread = float(np.sum(moves**2)) + len(drift) * LEAST_NOISE**2
    return float(np.clip(np.sum(moves * common) / spread, 0.0, 1.0))


def _sd(residuals: FloatArray) -> float:
    """Robust sd: the larger of what quartiles and what a trimmed mean square say."""
    flat = np.sort(np.abs(residuals.ravel()))
    inner = flat[: max(math.ceil(0.9 * len(flat)), 1)]
    freedom = max(1.0 - residuals.shape[1] / residuals.size, 0.25)  # a median a depth is fitted
    spread = max(float(np.median(flat)) * 1.4826, float(np.sqrt(np.mean(inner**2))))
    return float(spread / math.sqrt(freedom))


def extrapolate(held: Steady, work: Mapping[int, float], whole: float) -> Extrapolation:
    """Step seconds where the work is `whole`, by weighted least squares on the depths' medians.

    `work`: x of each depth. Noise is taken as proportional to a step's time. One depth alone is
    taken in proportion to the work, and as unsure as half the logarithm of that proportion.
    """
    x = np.array([work[depth] for depth in held.depths])
    if len(x) == 1:
        ratio = whole / float(x[0])
        own = held.noise * math.sqrt(MEDIAN_PRICE / held.rounds)
        log_sd = math.hypot(own, 0.5 * math.log(ratio))
        return Extrapolation(seconds=float(held.seconds[0]) * ratio, log_sd=log_sd)
    design = np.stack([np.ones_like(x), x], axis=1)
    error = held.noise * held.seconds * math.sqrt(MEDIAN_PRICE / held.rounds)
    weighted = design / error[:, None]
    covariance = np.linalg.inv(weighted.T @ weighted)
    line = covariance @ weighted.T @ (held.seconds / error)
    at = np.array([1.0, whole])
    seconds = float(at @ line)
    sd = float(np.sqrt(at @ covariance @ at))
    freedom = len(held.depths) * (held.rounds - 1)
    seconds = max(seconds, float(held.seconds.max()) * 1e-3)
    return Extrapolation(seconds=seconds, log_sd=sd / seconds * student(freedom))


def student(freedom: int) -> float:
    """80 % quantile of Student's t over that of the normal distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1), 0.5 + SHARE / 2.0)) / Z80


def choose_depths(
    layers: int, seconds_at: Mapping[int, float], allowed_seconds: float
) -> tuple[int, ...]:
    """Three depths from 1 on, as far apart as rounds of `allowed_seconds` let them lie.

    `seconds_at`: expected step seconds of each depth that memory allows. Depths 1 and 2 alone
    amplify the noise by the ratio of the depths, so that four layers are taken where memory
    allows, whatever the time.
    """
    best = spread_depths(min(LEAST_DEEPEST, layers, max(seconds_at)))
    for deepest in sorted(seconds_at):
        chosen = spread_depths(min(deepest, layers))
        if sum(seconds_at[depth] for depth in chosen) > allowed_seconds:
            break
        best = max(best, chosen, key=max)
    return best


def spread_depths(deepest: int) -> tuple[int, ...]:
    """1, a third of the way, and `deepest`; the middle is there to show a bend."""
    middle = 1 + round((deepest - 1) / 3)
    return tuple(sorted({1, middle, deepest}))


def parts_at(
    seconds: FloatArray, depths: Sequence[int], work: Mapping[int, float], whole: float
) -> FloatArray:
    """Each part of a step where the work is `whole`: a line through its medians, never below 0.

    `seconds`: depths x parts.
    """
    x = np.array([work[depth] for depth in depths])
    if len(x) == 1:
        return np.asarray(seconds[0] * whole / x[0])
    line = np.polynomial.polynomial.polyfit(x, seconds, 1)
    return np.asarray(np.maximum(line[0] + line[1] * whole, 0.0))
