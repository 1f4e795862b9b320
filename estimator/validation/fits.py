"""Predicted "fits" against published runs that fitted or ran out of memory."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from estimator.training.fits import fits
from estimator.validation.rows import Row, expressed, read_rows
from estimator.validation.wish import COLUMNS, wish_of

GIB = 2**30
NEAR_EDGE = 0.1
"""A row is near the edge where the predicted peak lies within this share of the capacity."""
OUTCOMES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
MARGIN = (
    "fits means: the predicted median of used memory, which holds about 6 % of allocator reserve "
    "and the CUDA context beside the tensors, is within the card's memory; nothing is added to it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One row: whether it fitted, and whether that was predicted."""

    row_id: str
    source: str
    method: str
    fitted: bool
    predicted: bool
    peak_gib: float
    """Predicted median of used memory."""
    capacity_gib: float

    @property
    def near_edge(self) -> bool:
        """Whether a small error of the peak turns the answer."""
        return abs(self.peak_gib / self.capacity_gib - 1.0) <= NEAR_EDGE


@dataclass(frozen=True, slots=True, kw_only=True)
class FitScore:
    """How often "fits" was predicted rightly."""

    rows: int
    accuracy: float | None
    balanced_accuracy: float | None
    """Mean of the shares of fitting and of failing rows that were told; None lacking either."""
    fitted: int
    wrongly_fits: int
    """Rows that ran out of memory although they were predicted to fit."""
    wrongly_fails: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FitsValidation:
    """The outcome of one file of fitting and failing runs."""

    rows: int
    suspect_left_out: int
    unexpressed: Mapping[str, tuple[str, ...]]
    verdicts: tuple[Verdict, ...]
    total: FitScore
    near_edge: FitScore
    away_from_edge: FitScore
    by_source: Mapping[str, FitScore]
    by_method: Mapping[str, FitScore]


def validate_fits(path: Path, *, include_suspect: bool = False) -> FitsValidation:
    """Predicted against the column `fits` of a file; `mem_capacity_gib` is the card's memory."""
    rows = read_rows(path, (*COLUMNS, "fits", "mem_capacity_gib"))
    found = expressed(rows, judge, include_suspect=include_suspect)
    verdicts = found.made
    edge = [v for v in verdicts if v.near_edge]
    return FitsValidation(
        rows=found.rows,
        suspect_left_out=found.suspect_left_out,
        unexpressed=found.unexpressed,
        verdicts=tuple(verdicts),
        total=fit_score(verdicts),
        near_edge=fit_score(edge),
        away_from_edge=fit_score([v for v in verdicts if not v.near_edge]),
        by_source={
            name: fit_score([v for v in verdicts if v.source == name])
            for name in sorted({v.source for v in verdicts})
        },
        by_method={
            name: fit_score([v for v in verdicts if v.method == name])
            for name in sorted({v.method for v in verdicts})
        },
    )


def judge(row: Row) -> Verdict:
    """Whether the run of a row fits, predicted and seen."""
    fitted = row.choice("fits", OUTCOMES)
    capacity = row.number("mem_capacity_gib")
    wish = wish_of(row)
    memory = wish.memory()
    return Verdict(
        row_id=row.id,
        source=row.source,
        method=wish.recipe.method,
        fitted=fitted,
        predicted=bool(fits(memory, capacity)),
        peak_gib=float(memory.peak_bytes[1]) / GIB,
        capacity_gib=capacity,
    )


def fit_score(verdicts: Sequence[Verdict]) -> FitScore:
    """Accuracy, and its mean over the two outcomes (Brodersen et al., ICPR 2010)."""
    told = [v.predicted == v.fitted for v in verdicts]
    yes = [t for t, v in zip(told, verdicts, strict=True) if v.fitted]
    no = [t for t, v in zip(told, verdicts, strict=True) if not v.fitted]
    return FitScore(
        rows=len(told),
        accuracy=sum(told) / len(told) if told else None,
        balanced_accuracy=(sum(yes) / len(yes) + sum(no) / len(no)) / 2 if yes and no else None,
        fitted=len(yes),
        wrongly_fits=no.count(False),
        wrongly_fails=yes.count(False),
    )


def verdict_table(verdicts: Sequence[Verdict]) -> list[dict[str, object]]:
    """One mapping per row, with whether it is near the edge."""
    return [asdict(v) | {"near_edge": v.near_edge} for v in verdicts]
