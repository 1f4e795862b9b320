"""The shipped efficiency parameters, refitted to a file of published measurements."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from estimator.errors import InputError
from estimator.files import write_atomically
from estimator.hardware.calibration import Calibration, Values, shipped_calibration
from estimator.training.calibrate import batch, fit, measured_spread
from estimator.validation.scoring import Validation
from estimator.validation.throughput import UNIT, Case, predict_cases, read_cases

DATA = Path(__file__).parent / "data"
THROUGHPUT_FILE = DATA / "throughput.csv"
"""Published measurements of training throughput that come with the package."""
MEMORY_FILE = DATA / "memory.csv"
"""Published measurements of peak memory that come with the package."""
FEWEST_ROWS = 10
"""Fewer rows are a user's own measurements, which recalibrate; they make no fit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One fitted entry of the calibration, before and after."""

    parameter: str
    key: str
    unit: str
    before: float
    after: float
    log_sd: float
    """Standard deviation of ln(after)."""
    sds: float
    """ln(after / prior) in standard deviations of the prior: beyond 2 the prior was wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """A fit, and how well it and the shipped calibration meet the same rows (in sample)."""

    calibration: Calibration
    moved: tuple[Moved, ...]
    """What differs from the shipped calibration, the largest relative change first."""
    before: Validation
    after: Validation


def refit(path: Path = THROUGHPUT_FILE, *, include_suspect: bool = False) -> Refit:
    """The fit to the rows of a file, with interval widths from what a fit had not seen.

    Priors are those of the shipped calibration. The file has the columns of `throughput.csv`.
    """
    found = read_cases(path, include_suspect=include_suspect)
    cases = found.made
    if len(cases) < FEWEST_ROWS:
        raise InputError(
            f"{path.name}: {len(cases)} rows can be expressed, a fit needs {FEWEST_ROWS}; "
            "tuneroi calibrate import takes a few rows of your own"
        )
    shipped = shipped_calibration()
    fitted = _fitted(cases, shipped)

    def scored(calibration: Calibration) -> Validation:
        return Validation.of(found, predict_cases(cases, calibration), UNIT)

    return Refit(
        calibration=fitted,
        moved=moved_entries(shipped, fitted),
        before=scored(shipped),
        after=scored(fitted),
    )


def write_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration in the form of the shipped one, whole or not at all."""
    write_atomically(path, calibration.model_dump_json(indent=1) + "\n")


def _fitted(cases: Sequence[Case], prior: Calibration) -> Calibration:
    rows = batch([case.measurement for case in cases], prior.values)
    sources = ", ".join(np.unique(rows.source).tolist())
    return fit(rows, prior).model_copy(
        update={
            "name": prior.name,
            "as_of": f"{datetime.now(tz=UTC):%Y-%m-%d}",
            "source": f"published measurements of training throughput: {sources}",
            "spread": measured_spread(rows, prior),
        }
    )


def moved_entries(before: Calibration, after: Calibration) -> tuple[Moved, ...]:
    """Entries whose value differs, the largest relative change first; new keys by their "other"."""
    changed = [_change(before, after, *place) for place in _changes(before, after.values)]
    return tuple(sorted(changed, key=lambda m: -abs(np.log(m.after / m.before))))


def _changes(before: Calibration, after: Values) -> Iterator[tuple[str, str]]:
    for name, entries in after.items():
        held = before.values[name]
        yield from ((name, key) for key in entries if held.get(key) != entries[key])


def _change(before: Calibration, after: Calibration, name: str, key: str) -> Moved:
    held, entry = before.parameters[name].entries, after.parameters[name].entries[key]
    width = entry.prior_log_sd
    return Moved(
        parameter=name,
        key=key,
        unit=before.parameters[name].unit,
        before=held[key if key in held else "other"].value,
        after=entry.value,
        log_sd=entry.log_sd,
        sds=float(np.log(entry.value / entry.prior)) / width if width else 0.0,
    )
