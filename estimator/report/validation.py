"""Validations for people and for JSON: errors by source and method, what was left out and why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType

from estimator.report.layout import heading, notes, table
from estimator.validation.fits import MARGIN, NEAR_EDGE, FitScore, FitsValidation
from estimator.validation.scoring import Prediction, Score, Validation

SHOWN_ROWS = 5
SHOWN_IDS = 4
BYTES_PER_GIB = {"GiB": 1.0, "bytes": 2.0**30}
COLUMNS = ("", "Rows", "Median error", "P90 error", "Bias", "In the 80 % range")
FIT_COLUMNS = ("", "Rows", "Fitted", "Right", "Balanced", "Wrongly fits", "Wrongly fails")


def validation_dict(found: Validation) -> dict[str, Any]:
    """The validation in the shape that `--json` promises; errors are shares, not percent."""
    return {
        **_total_dict(found),
        "median_ape_by_source_mean": found.median_ape_by_source_mean,
        "by_source": scores_dict(found.by_source),
        "by_method": scores_dict(found.by_method),
        "unexpressed": _unexpressed_dict(found.unexpressed),
        "worst": [asdict(p) | {"error": p.error} for p in found.worst(SHOWN_ROWS)],
        "unit": found.unit,
    }


def fits_dict(found: FitsValidation) -> dict[str, Any]:
    """The validation of "fits" in the shape that `--json` promises."""
    return {
        **_total_dict(found),
        "near_edge_share": NEAR_EDGE,
        "near_edge": asdict(found.near_edge),
        "away_from_edge": asdict(found.away_from_edge),
        "margin": MARGIN,
        "by_source": scores_dict(found.by_source),
        "by_method": scores_dict(found.by_method),
        "unexpressed": _unexpressed_dict(found.unexpressed),
        "wrong": [asdict(v) for v in found.verdicts if v.predicted != v.fitted],
    }


def _total_dict(found: Validation | FitsValidation) -> dict[str, Any]:
    """How many rows count and were predicted, and the score of all of them."""
    counts = {
        "rows": found.rows,
        "expressed": found.total.rows,
        "suspect_left_out": found.suspect_left_out,
    }
    return counts | asdict(found.total) | {"rows": found.rows}


def scores_dict(scores: Mapping[str, Score] | Mapping[str, FitScore]) -> dict[str, Any]:
    """Scores by the name of their group."""
    return {name: asdict(score) for name, score in scores.items()}


def _unexpressed_dict(reasons: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    return [{"reason": why, "rows": len(ids), "ids": list(ids)} for why, ids in reasons.items()]


def validation_parts(found: Validation, title: str) -> Iterator[RenderableType]:
    """The validation as parts to print."""
    yield heading(title, counted(found.rows, found.total.rows, found.suspect_left_out))
    yield table("Predicted against measured", COLUMNS, total_rows(found))
    yield from score_tables({"By method": found.by_method, "By source": found.by_source})
    worst = found.worst(SHOWN_ROWS)
    if worst:
        scale = BYTES_PER_GIB[found.unit]
        columns = ("Row", "Measured GiB", "Predicted GiB", "Error", "Rests on")
        yield table("Furthest off", columns, [_row_cells(p, scale) for p in worst], left=(0, 4))
    yield from left_out(found.unexpressed)


def total_rows(found: Validation) -> list[tuple[str, ...]]:
    """The score of all rows, and with every source weighing the same where there are several."""
    rows = [score_cells("all", found.total)]
    mean = found.median_ape_by_source_mean
    if len(found.by_source) > 1 and mean is not None:
        rows.append(("sources weighted equally", "", percent(mean), "", "", ""))
    return rows


def score_tables(groups: Mapping[str, Mapping[str, Score]]) -> Iterator[RenderableType]:
    """A table of scores for each way of grouping the rows."""
    for name, scores in groups.items():
        yield table(name, COLUMNS, [score_cells(*item) for item in scores.items()])


def left_out(unexpressed: Mapping[str, Sequence[str]]) -> Iterator[RenderableType]:
    """Why rows were left out, where some were."""
    if unexpressed:
        yield notes("Left out, as they cannot be expressed", reasons(unexpressed))


def fits_parts(found: FitsValidation, title: str) -> Iterator[RenderableType]:
    """The validation of "fits" as parts to print."""
    yield heading(title, counted(found.rows, found.total.rows, found.suspect_left_out))
    near = f"near the edge (within {NEAR_EDGE:.0%} of the card)"
    groups = {"all": found.total, near: found.near_edge, "the others": found.away_from_edge}
    yield table("Fits or not", FIT_COLUMNS, [_fit_cells(*item) for item in groups.items()])
    for name, scores in {"By method": found.by_method, "By source": found.by_source}.items():
        yield table(name, FIT_COLUMNS, [_fit_cells(*item) for item in scores.items()])
    wrong = [v for v in found.verdicts if v.predicted != v.fitted]
    told = [
        f"{v.row_id}: {v.peak_gib:.1f} of {v.capacity_gib:.0f} GiB predicted, "
        f"{'fitted' if v.fitted else 'did not fit'}"
        for v in wrong
    ]
    if told:
        yield notes("Told wrongly", told)
    yield from left_out(found.unexpressed)
    yield notes("Margin", [MARGIN])


def counted(rows: int, expressed: int, suspect: int) -> str:
    """How many rows there are, and how many of them were predicted."""
    said = f"{expressed:,} of {rows:,} rows predicted"
    return f"{said}; {suspect:,} suspect ones left out (--include-suspect)" if suspect else said


def reasons(unexpressed: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Each reason with its number of rows and the first ids."""
    for reason, ids in unexpressed.items():
        shown = ", ".join(ids[:SHOWN_IDS]) + (", ..." if len(ids) > SHOWN_IDS else "")
        yield f"{len(ids):,} x {reason} ({shown})"


def score_cells(name: str, score: Score) -> tuple[str, ...]:
    """A score as the cells of a row: rows, median and P90 error, bias, coverage."""
    shares = (score.median_ape, score.p90_ape, score.bias, score.coverage_80)
    shown = [percent(shares[0]), percent(shares[1]), signed(shares[2]), percent(shares[3], 0)]
    return (name, f"{score.rows:,}", *shown)


def _fit_cells(name: str, score: FitScore) -> tuple[str, ...]:
    right, balanced = percent(score.accuracy), percent(score.balanced_accuracy)
    wrong = (str(score.wrongly_fits), str(score.wrongly_fails))
    return (name, f"{score.rows:,}", f"{score.fitted:,}", right, balanced, *wrong)


def _row_cells(row: Prediction, scale: float) -> tuple[str, ...]:
    measured, predicted = f"{row.measured / scale:,.2f}", f"{row.p50 / scale:,.2f}"
    return (row.row_id, measured, predicted, signed(row.error), row.note)


def percent(share: float | None, digits: int | None = None) -> str:
    """A share in percent, or "-" where there is none."""
    return "-" if share is None else f"{100 * share:.{_digits(share, digits)}f} %"


def signed(share: float | None) -> str:
    """A share in percent with its sign, or "-" where there is none."""
    return "-" if share is None else f"{100 * share:+.{_digits(share, None)}f} %"


def _digits(share: float, wished: int | None) -> int:
    """One digit, three where one would show nothing."""
    return wished if wished is not None else 1 if abs(share) >= 0.001 else 3


def trace_parts(
    found: Validation, file: str, failed: Mapping[str, str]
) -> Iterator[RenderableType]:
    """Every traced step beside the closed form, as parts to print."""
    yield heading("Traced peaks", f"written to {file}, which tuneroi validate traces reads")
    columns = ("Step", "Traced GiB", "Closed form GiB", "Error", "Model and moment")
    scale = BYTES_PER_GIB[found.unit]
    rows = [_row_cells(p, scale) for p in found.predictions]
    yield table("Closed form against trace", columns, rows, left=(0, 4))
    if failed:
        yield notes("Not traced", [f"{what}: {why}" for what, why in failed.items()])
    if found.unexpressed:
        yield notes("Traced, but no closed form", reasons(found.unexpressed))
