"""What a GPU holds beside PyTorch's tensors, with ranges: data in `data/memory_overheads.csv`."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimator.errors import InputError

DATA = Path(__file__).parent / "data" / "memory_overheads.csv"
NAMES = (
    "allocator_reserve",
    "cuda_context",
    "communication_library",
    "form_error_derived",
    "form_error_stack",
    "form_error_assumed",
)


@dataclass(frozen=True, slots=True)
class Range:
    """A tenth, half and nine tenths of the cases lie below these."""

    p10: float
    p50: float
    p90: float


@cache
def overheads(path: Path = DATA) -> dict[str, Range]:
    """The named ranges; `InputError` names file, line, column and value of a bad entry."""
    found: dict[str, Range] = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            found[row["name"]] = _range(path, number, row)
    missing = [name for name in NAMES if name not in found]
    if missing:
        raise InputError(f"{path.name}: rows {', '.join(missing)} are missing; restore them")
    return found


def _range(path: Path, number: int, row: dict[str, str]) -> Range:
    values: list[float] = []
    for column in ("p10", "p50", "p90"):
        try:
            values.append(float(row[column]))
        except ValueError:
            raise InputError(
                f"{path.name}, line {number}, {column}: {row[column]!r} is no number"
            ) from None
    if not 0.0 <= values[0] <= values[1] <= values[2]:
        raise InputError(f"{path.name}, line {number}: p10 {values[0]}, p50 {values[1]}, p90 "
                         f"{values[2]}; allowed: 0 <= p10 <= p50 <= p90")  # fmt: skip
    return Range(*values)
