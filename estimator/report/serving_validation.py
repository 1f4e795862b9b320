"""Validation of serving speed, for people and for JSON."""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType

from estimator.report.layout import heading, notes, table
from estimator.report.validation import (
    COLUMNS,
    SHOWN_ROWS,
    counted,
    left_out,
    score_tables,
    scores_dict,
    signed,
    total_rows,
    validation_dict,
)
from estimator.serving.constants import serving_constants
from estimator.validation.serving import ServingPrediction, ServingValidation


def serving_validation_dict(found: ServingValidation) -> dict[str, Any]:
    """The validation in the shape that `--json` promises; errors are shares, not percent."""
    return validation_dict(found.scores) | {
        "by_gpu": scores_dict(found.by_gpu),
        "by_program": scores_dict(found.by_program),
        "by_load": scores_dict(found.by_load),
        "constants": f"{serving_constants().rows} rows, {serving_constants().as_of}",
    }


def serving_validation_parts(found: ServingValidation, title: str) -> Iterator[RenderableType]:
    """The validation as parts to print."""
    scores = found.scores
    yield heading(title, counted(scores.rows, scores.total.rows, scores.suspect_left_out))
    title = "Output tokens per second of a replica, predicted against measured"
    yield table(title, COLUMNS, total_rows(scores))
    yield from score_tables(
        {
            "By load": found.by_load,
            "By program": found.by_program,
            "By GPU": found.by_gpu,
            "By weights": scores.by_method,
            "By source": scores.by_source,
        }
    )
    worst = [p for p in scores.worst(SHOWN_ROWS) if isinstance(p, ServingPrediction)]
    if worst:
        columns = ("Row", "Measured", "Predicted", "Error", "What ran")
        yield table("Furthest off", columns, [_row_cells(p) for p in worst], left=(0, 4))
    yield from left_out(scores.unexpressed)
    yield notes("Notes", _notes(scores.predictions))


def _notes(predictions: tuple[Any, ...]) -> Iterator[str]:
    constants = serving_constants()
    yield (
        f"constants fitted to {constants.rows} published rows, {constants.as_of}: rows of the "
        "same sources are not new to them"
    )
    short = sum(bool(p.note) for p in predictions)
    if short:
        yield f"{short:,} rows of one request at a time state no lengths: short ones were taken"


def _row_cells(row: ServingPrediction) -> tuple[str, ...]:
    ran = f"{row.model}, {row.method}, {row.program}, {row.gpus} x {row.gpu}, {row.load}"
    ran = ran.replace("_", " ")
    return (row.row_id, f"{row.measured:,.1f}", f"{row.p50:,.1f}", signed(row.error), ran)
