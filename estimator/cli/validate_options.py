"""What each command of `tuneroi validate` computes and shows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType

from estimator.report.serving_validation import serving_validation_dict, serving_validation_parts
from estimator.report.validation import fits_dict, fits_parts, validation_dict, validation_parts
from estimator.report.validation_speed import (
    runs_dict,
    runs_parts,
    throughput_dict,
    throughput_parts,
)
from estimator.validation.fits import validate_fits, verdict_table
from estimator.validation.fitting import MEMORY_FILE, THROUGHPUT_FILE
from estimator.validation.memory import validate_memory
from estimator.validation.runs import validate_runs
from estimator.validation.scoring import prediction_table
from estimator.validation.serving import validate_serving
from estimator.validation.throughput import validate_calibrated, validate_throughput
from estimator.validation.traces import validate_traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Validating:
    """How files of one kind are validated, and how the outcome is shown."""

    title: str
    validate: Callable[..., Any]
    """From a path and what else was asked for to the outcome."""
    as_dict: Callable[[Any], object]
    parts: Callable[[Any, str], Iterable[RenderableType]]
    rows: Callable[[Any], Sequence[Mapping[str, Any]]]
    """A mapping for each predicted row, for `--rows-out`."""
    shipped: Path | None = None
    """The published rows of the package."""


def throughput(path: Path, *, rows_per_group: int | None, seed: int, include_suspect: bool) -> Any:
    """The validation of all rows, or of those beside the user's own `rows_per_group`."""
    if rows_per_group is None:
        return validate_throughput(path, include_suspect=include_suspect)
    return validate_calibrated(
        path, rows_per_group=rows_per_group, seed=seed, include_suspect=include_suspect
    )


KINDS: Mapping[str, Validating] = {
    "memory": Validating(
        title="Peak memory",
        validate=validate_memory,
        as_dict=validation_dict,
        parts=validation_parts,
        rows=lambda found: prediction_table(found.predictions),
        shipped=MEMORY_FILE,
    ),
    "traces": Validating(
        title="Traced peaks",
        validate=validate_traces,
        as_dict=validation_dict,
        parts=validation_parts,
        rows=lambda found: prediction_table(found.predictions),
    ),
    "fits": Validating(
        title="Fits or not",
        validate=validate_fits,
        as_dict=fits_dict,
        parts=fits_parts,
        rows=lambda found: verdict_table(found.verdicts),
    ),
    "throughput": Validating(
        title="Throughput",
        validate=throughput,
        as_dict=throughput_dict,
        parts=throughput_parts,
        rows=lambda found: prediction_table(found.scores.predictions),
        shipped=THROUGHPUT_FILE,
    ),
    "runs": Validating(
        title="Whole runs",
        validate=validate_runs,
        as_dict=runs_dict,
        parts=runs_parts,
        rows=lambda found: prediction_table(found.hours.predictions),
    ),
    "serving": Validating(
        title="Serving",
        validate=validate_serving,
        as_dict=serving_validation_dict,
        parts=serving_validation_parts,
        rows=lambda found: prediction_table(found.scores.predictions),
    ),
}
