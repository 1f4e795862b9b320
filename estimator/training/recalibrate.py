"""A user's few measurements shift a calibration, as far as its priors allow.

Gaussian posterior on the logarithms of the parameters around the calibration's values, in one
step through a numerical Jacobian (Tarantola, "Inverse Problem Theory", 2005, section 3.2;
Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.1, for the form
that inverts only a matrix of the size of the measurements):

    x = P J' (J P J' + R)^-1 y,    y = ln(measured / predicted),  P = diag(sd^2),  R = noise^2 I

There is no refit: a dozen rows take milliseconds.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from estimator.hardware.calibration import Calibration, Entry, Knowledge, Spread
from estimator.quantity import FloatArray
from estimator.training.calibrate import Batch, LogRate, Place, batch
from estimator.training.published import Measurement

SPREAD_FILE = Path(__file__).parent / "data" / "recalibration.json"
NOISE = 0.06
"""Sd of ln(tokens/s) between equal runs of one user's."""
LARGEST_SHIFT = 1.5
"""Prior standard deviations that a parameter may move: the Jacobian holds near its point only."""
LARGEST_MISFIT = 12.0
"""Mean square of the rows' residuals, in units of what prior and noise allow, up to which rows
agree among themselves: seven in eight groups of published rows of one source lie below 6."""
SCALE = "stack_factor"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Linear:
    """The rows as a linear function of the logarithms of some entries."""

    entries: Mapping[Place, Entry]
    jacobian: FloatArray
    """d ln(tokens/s) / d ln(entry): rows x entries."""
    residuals: FloatArray
    """ln(measured / predicted) of each row."""
    variances: FloatArray
    """Prior variance of the logarithm of each entry."""


def recalibrate(calibration: Calibration, measurements: Sequence[Measurement]) -> Calibration:
    """The calibration shifted towards a user's own measurements, its range narrowed.

    Every parameter that the rows depend on moves, the more the less certain it was: one row moves
    predictions like it by about its own error, shrunk; several tell the parameters apart. Rows
    that contradict each other move the overall scale of their stack only, shrunk by their scatter,
    and the range stays as wide as it was. What becomes `seen` are the GPU generations and stacks
    of these rows; every other keeps its wider range.
    """
    if not measurements:
        return calibration
    rows = batch(measurements, calibration.values)
    linear = _linear(calibration, rows)
    agreed = len(rows) == 1 or misfit(linear) <= LARGEST_MISFIT
    if agreed:
        shifts, variances = _posterior(linear, linear.variances, NOISE)
    else:
        scale_only = np.array([name == SCALE for name, _ in linear.entries])
        scatter = float(np.std(linear.residuals))
        shifts, variances = _posterior(linear, linear.variances * scale_only, scatter + NOISE)
    moved = dict(_moved(linear, shifts, variances))
    return _described(calibration.with_entries(moved), calibration, rows, agreed=agreed)


def misfit(linear: _Linear) -> float:
    """Mean square of residuals over what prior and noise allow, about 1 for rows as expected.

    y' (J P J' + R)^-1 y / rows: the chi-squared of the prior prediction. It is large where rows
    differ more among themselves than any change of the parameters could explain.
    """
    allowed = _allowed(linear.jacobian, linear.variances, NOISE)
    y = linear.residuals
    return float(y @ np.linalg.solve(allowed, y) / len(y))


def _allowed(jacobian: FloatArray, variances: FloatArray, noise: float) -> FloatArray:
    """Covariance of the rows' residuals: J P J' + R."""
    return (jacobian * variances) @ jacobian.T + noise**2 * np.eye(len(jacobian))


def _posterior(
    linear: _Linear, variances: FloatArray, noise: float
) -> tuple[FloatArray, FloatArray]:
    """Shift of the logarithm of each entry, limited, and its variance after the measurements."""
    jacobian = linear.jacobian
    allowed = _allowed(jacobian, variances, noise)
    gain = np.linalg.solve(allowed, jacobian * variances).T
    limit = LARGEST_SHIFT * np.sqrt(variances)
    shifts = np.clip(gain @ linear.residuals, -limit, limit)
    return shifts, variances - np.sum(gain * (jacobian * variances).T, axis=1)


def _moved(
    linear: _Linear, shifts: FloatArray, variances: FloatArray
) -> Iterator[tuple[Place, Entry]]:
    """The entries that move, with the part of their uncertainty that is left."""
    found = zip(linear.entries.items(), shifts, variances, linear.variances, strict=True)
    for (place, entry), shift, variance, before in found:
        if variance < before:
            left = float(np.sqrt(max(variance, 0.0) / before)) if shift else 1.0
            yield (
                place,
                entry.model_copy(
                    update={
                        "value": entry.value * float(np.exp(shift)),
                        "log_sd": entry.log_sd * left,
                        "origin": "fitted",
                    }
                ),
            )


def _linear(calibration: Calibration, rows: Batch) -> _Linear:
    """The rows' sensitivity to every entry that they read, by forward differences."""
    entries = dict(_entries(calibration, rows))
    rate = LogRate.of(rows, tuple(entries), calibration)
    here = np.log([entry.value for entry in entries.values()])
    return _Linear(
        entries=entries,
        jacobian=rate.slopes(here),
        residuals=np.log(rows.measured) - rate.at(here),
        variances=np.array([_prior_sd(entry) ** 2 for entry in entries.values()]),
    )


def _prior_sd(entry: Entry) -> float:
    """How far a program may lie from the entry: its prior, where it was fitted with one."""
    return entry.prior_log_sd or entry.log_sd


def _entries(calibration: Calibration, rows: Batch) -> Iterator[tuple[Place, Entry]]:
    """The uncertain entries that the rows read; a new GPU generation gets its own copies."""
    used = {
        "generation": rows.generation,
        "stack": rows.stack,
        "kernel": rows.kernel,
        "format": rows.number_format,
        "optimizer": rows.optimizer,
        "loss": rows.loss,
        "all": np.array(["all"]),
    }
    for name, parameter in calibration.parameters.items():
        for key in np.unique(used.get(parameter.by, np.array([], dtype=str))):
            entry = parameter.entries.get(str(key), parameter.entries.get("other"))
            if entry is not None and _prior_sd(entry) > 0.0:
                yield (name, str(key)), entry


def _described(
    shifted: Calibration, before: Calibration, rows: Batch, *, agreed: bool
) -> Calibration:
    """The shifted calibration with its provenance and ranges."""
    count = f"{len(rows)} own measurement{'s' if len(rows) > 1 else ''}"
    source = f"{count} on top of {before.name}, {before.as_of} ({before.source})"
    if not agreed:
        return shifted.model_copy(
            update={
                "name": f"{before.name}, scaled by {count} that contradict each other",
                "source": source,
            }
        )
    return shifted.model_copy(
        update={
            "name": f"{before.name}, recalibrated on {count}",
            "source": source,
            "rows": len(rows),
            "generations_seen": tuple(np.unique(rows.generation).tolist()),
            "stacks_seen": tuple(np.unique(rows.stack).tolist()),
            "spread": _narrowed(before.spread, len(rows)),
        }
    )


def _narrowed(spread: Mapping[Knowledge, Spread], rows: int) -> dict[Knowledge, Spread]:
    """The ranges after some rows: narrower for what they cover, never wider than before."""
    measured = measured_spread_after()
    after = measured[max(count for count in measured if count <= rows)]
    seen = min(after, spread["seen"], key=lambda s: s.factor)
    return {**spread, "seen": seen}


@cache
def measured_spread_after() -> Mapping[int, Spread]:
    """Spread of measured over predicted throughput after so many own rows, from the shipped file.

    `benchmarks/recalibration.py` measures it: each source predicted by a fit to the others and
    recalibrated on a few of its own rows.
    """
    held = json.loads(SPREAD_FILE.read_text(encoding="utf-8"))
    return {
        int(count): Spread(factor=factor, source=held["source"])
        for count, factor in held["factor_by_rows"].items()
    }
