"""Validations of throughput and of whole runs, for people and for JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType

from estimator.report.layout import heading, notes, table
from estimator.report.validation import (
    COLUMNS,
    SHOWN_ROWS,
    counted,
    left_out,
    percent,
    score_cells,
    score_tables,
    scores_dict,
    signed,
    total_rows,
    validation_dict,
)
from estimator.validation.runs import RunsValidation
from estimator.validation.throughput import SpeedPrediction, ThroughputValidation


def throughput_dict(found: ThroughputValidation) -> dict[str, Any]:
    """The validation in the shape that `--json` promises; errors are shares, not percent."""
    return validation_dict(found.scores) | {
        "expressed": _expressed(found),
        "scored": found.scores.total.rows,
        "mean_interval_width": found.mean_interval_width,
        "spearman_mfu": found.spearman,
        "by_gpu": scores_dict(found.by_gpu),
        "by_stack": scores_dict(found.by_stack),
        "dimensions_from_catalogue": list(found.filled),
        "calibration": found.calibration,
        "own_rows": asdict(found.own) if found.own else None,
    }


def _expressed(found: ThroughputValidation) -> int:
    """Rows that could be expressed, those that stood in for own measurements among them."""
    own = found.own
    return found.scores.total.rows + (own.rows_used + own.rows_in_small_groups if own else 0)


def throughput_parts(found: ThroughputValidation, title: str) -> Iterator[RenderableType]:
    """The validation as parts to print."""
    scores, own = found.scores, found.own
    yield heading(title, counted(scores.rows, _expressed(found), scores.suspect_left_out))
    rows = total_rows(scores)
    if own:
        rows.append(score_cells("the same rows, not calibrated", own.before))
        mean = own.before_by_source_mean
        rows.append(("the same, sources equally", "", percent(mean), "", "", ""))
    yield table("Tokens per second and GPU, predicted against measured", COLUMNS, rows)
    yield from score_tables(
        {
            "By method": scores.by_method,
            "By stack": found.by_stack,
            "By GPU": found.by_gpu,
            "By source": scores.by_source,
        }
    )
    worst = [p for p in scores.worst(SHOWN_ROWS) if isinstance(p, SpeedPrediction)]
    if worst:
        columns = ("Row", "Measured", "Predicted", "Error", "What ran")
        yield table("Furthest off", columns, [_row_cells(p) for p in worst], left=(0, 4))
    yield from left_out(scores.unexpressed)
    yield notes("Notes", _notes(found))


def _notes(found: ThroughputValidation) -> Iterator[str]:
    yield f"calibration: {found.calibration}"
    if found.mean_interval_width is not None:
        yield f"mean width of the 80 % range: {percent(found.mean_interval_width)} of its median"
    if found.spearman is not None:
        yield f"rank correlation (Spearman) of predicted and measured MFU: {found.spearman:.3f}"
    own = found.own
    if own:
        yield (
            f"{own.groups_calibrated} of {own.groups} groups of a source and a GPU have more than "
            f"{own.rows_per_group} rows: {own.rows_used:,} rows stood in for own measurements "
            f"(seed {own.seed}), {own.rows_in_small_groups:,} rows of small groups are not scored"
        )
    if found.filled:
        yield f"{len(found.filled):,} rows take the dimensions of the shipped model of their name"


def _row_cells(row: SpeedPrediction) -> tuple[str, ...]:
    ran = f"{row.model}, {row.method}, {row.stack}, {row.gpus} x {row.gpu}"
    return (row.row_id, f"{row.measured:,.0f}", f"{row.p50:,.0f}", signed(row.error), ran)


def runs_dict(found: RunsValidation) -> dict[str, Any]:
    """The validation of whole runs in the shape that `--json` promises."""
    return validation_dict(found.hours) | {"dollars": asdict(found.dollars)}


def runs_parts(found: RunsValidation, title: str) -> Iterator[RenderableType]:
    """The validation of whole runs as parts to print."""
    hours = found.hours
    yield heading(title, counted(hours.rows, hours.total.rows, hours.suspect_left_out))
    rows = [score_cells("GPU hours", hours.total), score_cells("dollars", found.dollars)]
    yield table("Predicted against published", COLUMNS, rows)
    yield from score_tables({"By family": hours.by_source, "By method": hours.by_method})
    columns = ("Run", "Published", "Predicted", "Error", "Rests on")
    cells = [
        (p.row_id, f"{p.measured:,.1f}", f"{p.p50:,.1f}", signed(p.error), p.note)
        for p in hours.worst(SHOWN_ROWS)
    ]
    if cells:
        yield table("Furthest off, GPU hours", columns, cells, left=(0, 4))
    yield from left_out(hours.unexpressed)
