"""How well predictions meet measurements: errors, bias and coverage, by source and by method."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from estimator.files import write_atomically
from estimator.validation.rows import Expressed


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One measured row and what was predicted for it, in the same unit."""

    row_id: str
    source: str
    method: str
    measured: float
    p10: float
    p50: float
    p90: float
    note: str = ""
    """What the prediction rests on, for a reader of the rows."""

    @property
    def error(self) -> float:
        """Signed relative error of the median: 0.1 is 10 % too much."""
        return self.p50 / self.measured - 1.0


P = TypeVar("P", bound=Prediction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well some predictions meet their measurements."""

    rows: int
    median_ape: float | None
    """Median of |predicted / measured - 1|; None without rows."""
    p90_ape: float | None
    """Nine tenths of the rows are off by less."""
    bias: float | None
    """Median of predicted / measured - 1: above 0 the prediction tends to be too high."""
    coverage_80: float | None
    """Share of measurements within p10 to p90 of their prediction; 0.8 would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """The outcome of one file: totals, groups, and the rows that no prediction was made for."""

    rows: int
    """Rows of the file that count: suspect ones are among them only if they were asked for."""
    suspect_left_out: int
    unexpressed: Mapping[str, tuple[str, ...]]
    """Ids of rows that cannot be expressed, by the reason."""
    predictions: tuple[Prediction, ...]
    unit: str
    notes: tuple[str, ...] = ()
    total: Score = field(init=False)
    by_source: Mapping[str, Score] = field(init=False)
    by_method: Mapping[str, Score] = field(init=False)

    def __post_init__(self) -> None:
        values = {
            "total": score(self.predictions),
            "by_source": scores_by(self.predictions, lambda p: p.source),
            "by_method": scores_by(self.predictions, lambda p: p.method),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(
        cls, found: Expressed[Any], predictions: Sequence[Prediction], unit: str
    ) -> "Validation":
        """The outcome of the rows of a file, some of which were predicted."""
        return cls(
            rows=found.rows,
            suspect_left_out=found.suspect_left_out,
            unexpressed=found.unexpressed,
            predictions=tuple(predictions),
            unit=unit,
        )

    @property
    def median_ape_by_source_mean(self) -> float | None:
        """Mean over the sources of their median errors, so that each source weighs the same."""
        medians = [s.median_ape for s in self.by_source.values() if s.median_ape is not None]
        return float(np.mean(medians)) if medians else None

    def worst(self, count: int) -> tuple[Prediction, ...]:
        """The predictions that are furthest off, worst first."""
        return tuple(sorted(self.predictions, key=lambda p: -abs(p.error))[:count])


def score(predictions: Sequence[Prediction]) -> Score:
    """Errors, bias and coverage of predictions; shares and ratios, not percent.

    Quantiles interpolate linearly (Hyndman and Fan, 1996, type 7).
    """
    if not predictions:
        return Score(rows=0, median_ape=None, p90_ape=None, bias=None, coverage_80=None)
    errors = np.array([p.error for p in predictions])
    within = [p.p10 <= p.measured <= p.p90 for p in predictions]
    return Score(
        rows=len(predictions),
        median_ape=float(np.median(np.abs(errors))),
        p90_ape=float(np.quantile(np.abs(errors), 0.9)),
        bias=float(np.median(errors)),
        coverage_80=float(np.mean(within)),
    )


def scores_by(predictions: Sequence[P], group: Callable[[P], str]) -> dict[str, Score]:
    """The score of each group, groups in alphabetical order."""
    names = sorted({group(p) for p in predictions})
    return {name: score([p for p in predictions if group(p) == name]) for name in names}


def prediction_table(predictions: Sequence[Prediction]) -> list[dict[str, object]]:
    """One mapping per prediction, with its relative error."""
    return [asdict(p) | {"error": p.error} for p in predictions]


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write mappings with equal keys as a CSV file, whole or not at all."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
