"""Rows of a CSV file of measurements: which count, and which cannot be expressed."""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from estimator.errors import EstimatorError, InputError
from estimator.files import read_text

SUSPECT = "susp"
"""How the `flag` of a row begins that no accounting explains."""
LARGEST_FILE_BYTES = 20_000_000
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file."""

    place: str
    """File name and line, for messages."""
    cells: Mapping[str, str]
    """By column; a column that the file lacks reads as an empty cell."""

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    @property
    def id(self) -> str:
        """The row's own name, else its place."""
        return self["row_id"] or self.place

    @property
    def source(self) -> str:
        """The short name of its source, else the source, else the name of the file."""
        return self["source_key"] or self["source"] or self.place.partition(":")[0]

    def number(self, column: str, default: float | None = None) -> float:
        """A positive finite number; `InputError` names what is missing or wrong."""
        text = self[column]
        if not text and default is not None:
            return default
        if not text:
            raise InputError(f"{self.place}: {column} is not stated")
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{self.place}: {column} is {text!r}; allowed: a number above 0")
        return value

    def choice(self, column: str, choices: Mapping[str, Made]) -> Made:
        """The meaning of a cell that must be one of a few words."""
        if self[column].casefold() not in choices:
            known = ", ".join(word or "(empty)" for word in choices)
            raise InputError(f"{self.place}: {column} is {self[column]!r}; allowed: {known}")
        return choices[self[column].casefold()]


class Expressed(NamedTuple, Generic[Made]):
    """What was made of the rows of a file that count, and the rows that are left out."""

    made: list[Made]
    rows: int
    """Rows that count: suspect ones are among them only if they were asked for."""
    suspect_left_out: int
    unexpressed: dict[str, tuple[str, ...]]
    """Ids of rows that nothing can be made of, by the reason."""


def read_rows(path: Path, required: Iterable[str]) -> list[Row]:
    """The rows of a UTF-8 CSV file with a header line that names at least `required`."""
    text = read_text(path, most_bytes=LARGEST_FILE_BYTES, kind="a CSV file")
    reader = csv.DictReader(text.splitlines(), strict=True)
    try:
        header = list(reader.fieldnames or ())
        missing = [column for column in required if column not in header]
        if missing:
            raise InputError(
                f"{path.name}: column {', '.join(missing)} is missing; its header is "
                f"{', '.join(header)[:200] or 'empty'}"
            )
        rows = [_row(path, reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise InputError(f"{path.name}:{reader.line_num}: {error}; allowed: a CSV file") from None
    if not rows:
        raise InputError(f"{path.name}: holds no rows under its header")
    return rows


def _row(path: Path, line: int, cells: Mapping[str, str]) -> Row:
    if None in cells or None in cells.values():
        raise InputError(f"{path.name}:{line}: the row has not as many cells as the header")
    stripped = {column: value.strip() for column, value in cells.items()}
    return Row(f"{path.name}:{line}", defaultdict(str, stripped))


def without_suspects(rows: Sequence[Row], *, include_suspect: bool) -> tuple[list[Row], int]:
    """The rows that count, and how many suspect ones were left out."""
    if include_suspect:
        return list(rows), 0
    kept = [row for row in rows if not row["flag"].startswith(SUSPECT)]
    return kept, len(rows) - len(kept)


def express(
    rows: Iterable[Row], make: Callable[[Row], Made]
) -> tuple[list[Made], dict[str, tuple[str, ...]]]:
    """What `make` makes of each row, and the ids of those it cannot express, by the reason."""
    made: list[Made] = []
    refused: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        try:
            made.append(make(row))
        except EstimatorError as reason:
            text = str(reason).removeprefix(f"{row.place}: ").removeprefix(f"{row.id}: ")
            refused[text].append(row.id)
    by_count = sorted(refused.items(), key=lambda item: -len(item[1]))
    return made, {reason: tuple(ids) for reason, ids in by_count}


def expressed(
    rows: Sequence[Row], make: Callable[[Row], Made], *, include_suspect: bool
) -> Expressed[Made]:
    """What `make` makes of the rows that count."""
    kept, left_out = without_suspects(rows, include_suspect=include_suspect)
    made, unexpressed = express(kept, make)
    return Expressed(made, len(kept), left_out, unexpressed)
