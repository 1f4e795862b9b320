"""CSV tables of facts, read strictly: every fault names file, line, column and value.

Each table states for every row where it comes from (`source`), the date of that source (`as_of`:
an ISO date or year-month; of a span, the latest date) and how far it can be trusted (`evidence`).
"""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import TypedDict, cast, get_args

from pydantic import ValidationError

from estimator.errors import InputError
from estimator.files import read_text
from estimator.quantity import FORMS, Evidence, Quantity

MOST_BYTES = 50_000_000
DATA = Path(__file__).parent / "data"
PROVENANCE = ("source", "as_of", "evidence", "note")
EVIDENCE = tuple(kind for kind in get_args(Evidence) if kind != "user")
OWN = "user"
"""Evidence of a number that the user states; no shipped row has it."""
_AS_OF = re.compile(r"\d{4}-\d{2}(-\d{2})?")


class Provenance(TypedDict):
    """Where a row comes from, as keyword arguments of the row's dataclass."""

    source: str
    as_of: str
    evidence: Evidence
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a table, with readers that say exactly which cell they cannot read."""

    path: Path
    line: int
    cells: dict[str, str] = field(repr=False)

    def error(self, column: str, fault: str) -> InputError:
        """The error for one cell: file, line, column, value and what is wrong."""
        value = self.cells.get(column, "")
        return InputError(f"{self.path.name}:{self.line}: {column} = {value!r} {fault}")

    def text(self, column: str) -> str:
        """The cell's text, which must not be empty."""
        if not (text := self.cells[column].strip()):
            raise self.error(column, "is missing; fill it in")
        return text

    def optional_text(self, column: str) -> str | None:
        """The cell's text, or None when it is empty."""
        return self.cells[column].strip() or None

    def number(self, column: str, *, at_least: float = 0.0) -> float:
        """The cell's number, finite and not below `at_least`."""
        try:
            number = float(self.text(column))
        except ValueError:
            raise self.error(column, "is not a number") from None
        if not math.isfinite(number) or number < at_least:
            raise self.error(column, f"is not a finite number of at least {at_least:g}")
        return number

    def optional_number(self, column: str, *, at_least: float = 0.0) -> float | None:
        """The cell's number, or None when it is empty."""
        return self.number(column, at_least=at_least) if self.cells[column].strip() else None

    def integer(self, column: str, *, at_least: int = 0) -> int:
        """The cell's whole number, not below `at_least`."""
        number = self.number(column, at_least=at_least)
        if number != int(number):
            raise self.error(column, "is not a whole number")
        return int(number)

    def choice(self, column: str, choices: Sequence[str]) -> str:
        """The cell's text, which must be one of `choices`."""
        if (text := self.text(column)) not in choices:
            raise self.error(column, f"is not one of {', '.join(choices)}")
        return text

    def boolean(self, column: str) -> bool:
        """The cell's truth value, written true or false."""
        return self.choice(column, ("true", "false")) == "true"

    def optional_date(self, column: str) -> date | None:
        """The cell's ISO date, or None when it is empty."""
        if not (text := self.optional_text(column)):
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self.error(column, "is not an ISO date") from None

    def provenance(self) -> Provenance:
        """Source, date, evidence and note of the row."""
        return Provenance(
            source=self.text("source"),
            as_of=self.text("as_of"),
            evidence=cast(Evidence, self.choice("evidence", (*EVIDENCE, OWN))),
            note=self.optional_text("note"),
        )

    def quantity(self, columns: dict[str, str], unit: str) -> Quantity:
        """The row's number or range as a Quantity; `columns` maps its fields to columns.

        Empty cells are left out; a range whose ends are equal becomes that one value.
        """
        given = {
            name: self.number(column, at_least=-math.inf)
            for name, column in columns.items()
            if self.cells[column].strip()
        }
        if any(set(given) <= set(form) for form in FORMS.values()):
            self._check_ascending(given, columns)
            if len(set(given.values())) == 1 and "probability" not in given:
                given = {"value": next(iter(given.values()))}
        try:
            return Quantity.model_validate({**given, "unit": unit, **self.provenance()})
        except ValidationError as error:
            first = next((columns[name] for name in given), next(iter(columns.values())))
            fault = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise self.error(first, f"cannot be used: {fault}") from None

    def _check_ascending(self, given: dict[str, float], columns: dict[str, str]) -> None:
        for (name, number), (after, above) in pairwise(given.items()):
            if number > above:
                raise self.error(columns[after], f"is below {columns[name]} {number:g}")


def read_rows(
    path: Path,
    columns: Sequence[str],
    key: str | None = "id",
    *,
    optional: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Row, ...]:
    """The rows of a CSV file whose header is exactly `columns` plus the provenance.

    `key` names a column whose values must all differ. A column in `optional` may be left out or
    left empty and then holds the text given there; only where the evidence is optional may it be
    the user's own word.
    """
    if not path.is_file():
        raise InputError(f"{path.name}: no such table in {path.parent}")
    text = read_text(path, most_bytes=MOST_BYTES, kind="a table of prices or facts")
    try:
        reader = csv.reader(io.StringIO(text))
        header = next(reader, [])
        _check_header(path, header, (*columns, *PROVENANCE), optional)
        rows = tuple(_row(path, reader.line_num, header, c, optional) for c in reader if c)
    except csv.Error as error:
        raise InputError(f"{path.name}: is not a CSV file: {error}") from None
    known = (*EVIDENCE, OWN) if "evidence" in optional else EVIDENCE
    seen: dict[str, int] = {}
    for row in rows:
        _check_provenance(row, known)
        if key and (first := seen.setdefault(row.text(key), row.line)) != row.line:
            raise row.error(key, f"is already on line {first}")
    return rows


def _row(
    path: Path, line: int, header: list[str], cells: list[str], optional: Mapping[str, str]
) -> Row:
    if len(cells) != len(header):
        raise InputError(f"{path.name}:{line}: {len(cells)} cells for {len(header)} columns")
    stated = dict(zip(header, cells, strict=True))
    return Row(
        path=path,
        line=line,
        cells={**stated, **{n: x for n, x in optional.items() if not stated.get(n, "").strip()}},
    )


def _check_header(
    path: Path, header: list[str], expected: Sequence[str], optional: Mapping[str, str]
) -> None:
    for name in header:
        if name not in expected:
            raise InputError(
                f"{path.name}:1: unknown column {name!r}; allowed: {', '.join(expected)}"
            )
    for name in expected:
        if header.count(name) != 1 and not (name in optional and name not in header):
            fault = "missing" if name not in header else "repeated"
            raise InputError(f"{path.name}:1: column {name!r} is {fault}")


def _check_provenance(row: Row, known: Sequence[str]) -> None:
    row.text("source")
    row.choice("evidence", known)
    as_of = row.text("as_of")
    try:
        date.fromisoformat(as_of if len(as_of) > 7 else f"{as_of}-01")
    except ValueError:
        raise row.error("as_of", "is not a date (YYYY-MM or YYYY-MM-DD)") from None
    if not _AS_OF.fullmatch(as_of):
        raise row.error("as_of", "is not a date (YYYY-MM or YYYY-MM-DD)")


def read_as_of(path: Path) -> list[str]:
    """The dates of the sources of every row of a table, whatever its other columns."""
    with path.open(encoding="utf-8", newline="") as file:
        return [cells["as_of"] for cells in csv.DictReader(file)]
