"""Tables of facts: cells to print and data for JSON, each row with its date, evidence and age."""

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from rich.console import RenderableType

import pricing
from estimator.decision.wording import SHARE_UNITS
from estimator.quantity import Quantity
from estimator.report.layout import notes, table
from pricing.table import DATA

AGED = "*"
FOOTNOTE = f"{AGED} source over 90 days old: look again before you rely on it"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactTable:
    """Some facts, as cells to print and as data for JSON."""

    key: str
    """Name of the list in JSON."""
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    data: tuple[Mapping[str, Any], ...]
    words: tuple[int, ...]
    """Columns of words; the others hold figures."""
    notes: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    """What JSON says beside the list."""

    def parts(self) -> Iterator[RenderableType]:
        """The table and its notes, to print."""
        yield table(self.title, self.columns, self.rows, left=self.words)
        if self.notes:
            yield notes("To know", self.notes)

    def as_dict(self) -> dict[str, Any]:
        """The table in the shape of `--json`."""
        return {**self.about, self.key: list(self.data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One row: its cells, its data, and the thing that carries source, date and evidence."""

    cells: tuple[str, ...]
    data: Mapping[str, Any]
    origin: Any


def fact_table(
    key: str,
    title: str,
    columns: Sequence[str],
    facts: Iterable[Fact],
    today: date,
    *,
    words: tuple[int, ...] = (0,),
    stacked: bool = False,
    remarks: tuple[str, ...] = (),
    about: Mapping[str, Any] | None = None,
) -> FactTable:
    """A table of facts with date and evidence of each source; old ones are marked.

    `stacked` puts the evidence under the date, for tables of two lines a row.
    """
    rows, data = [], []
    for fact in facts:
        old = pricing.stale(fact.origin.as_of, today)
        dated = (f"{fact.origin.as_of}{AGED if old else ''}", fact.origin.evidence)
        rows.append((*fact.cells, *(("\n".join(dated),) if stacked else dated)))
        data.append({**fact.data, **provenance(fact.origin), "stale": old})
    end = len(columns)
    aged = (FOOTNOTE,) if any(row["stale"] for row in data) else ()
    return FactTable(
        key=key,
        title=title,
        columns=(*columns, *(("Source",) if stacked else ("Date", "Evidence"))),
        rows=tuple(rows),
        data=tuple(data),
        words=(*words, end, end + 1),
        notes=(*remarks, *aged),
        about=about or {},
    )


def provenance(origin: Any) -> dict[str, Any]:
    """Where a fact comes from."""
    return {name: getattr(origin, name) for name in ("source", "as_of", "evidence", "note")}


def overview(today: date) -> FactTable:
    """Every table of facts: rows, dates, how many rows are old, how they are known."""
    rows, data = [], []
    for path in sorted(DATA.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found = [(row["as_of"], row["evidence"]) for row in csv.DictReader(file)]
        oldest, newest = pricing.prices_as_of()[path.stem]
        old = sum(pricing.stale(as_of, today) for as_of, _ in found)
        kinds = Counter(evidence for _, evidence in found)
        known = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        rows.append((path.stem, str(len(found)), oldest, newest, str(old), known))
        data.append(
            {
                "table": path.stem,
                "rows": len(found),
                "oldest": oldest,
                "newest": newest,
                "stale_rows": old,
                "by_evidence": dict(kinds),
            }
        )
    book = pricing.token_prices_as_of(on=today)
    return FactTable(
        key="tables",
        title="The facts behind every figure",
        columns=("Table", "Rows", "Oldest", "Newest", "Over 90 days old", "How they are known"),
        rows=tuple(rows),
        data=tuple(data),
        words=(0, 2, 3, 5),
        notes=(
            f"token prices: {book.package} {book.version}, newest change in it {book.as_of}",
            "rows: tuneroi prices --gpus, --managed, --saas, --wages, --tokens or --assumptions",
        ),
        about={
            "token_prices": {
                "package": book.package,
                "version": book.version,
                "as_of": book.as_of,
            }
        },
    )


def quantity_dict(quantity: Quantity | None) -> dict[str, Any] | None:
    """P10, P50 and P90 of a fact, with the numbers that its row states; None where unknown."""
    if quantity is None:
        return None
    p10, p50, p90 = quantity.p10_p50_p90()
    return {"p10": p10, "p50": p50, "p90": p90, "stated": quantity.model_dump_fields()}


def figures(quantity: Quantity) -> str:
    """The numbers of a fact as its row states them: "20 % (15 to 30)", "$6 to $40"."""
    what = (quantity.unit or "").partition("/")[0]
    share = what in SHARE_UNITS
    sign, after = ("$" if what == "USD" else ""), (" %" if share else "")
    stated = [sign + _as_stated((100.0 if share else 1.0) * x) for x in quantity.numbers]
    if len(stated) == 1 or quantity.is_fixed:
        return stated[0] + after
    if len(stated) == 2:
        return " to ".join(stated) + after
    return f"{stated[1]}{after} ({stated[0]} to {stated[2]})"


def unit_words(unit: str | None) -> str:
    """The unit of a fact in words, what its figures show left out: "per hour", "days per year"."""
    what, _, per = (unit or "").partition("/")
    named = "" if what in ("USD", *SHARE_UNITS) else what
    return f"{named} per {per}".strip() if per else named


def spread(quantity: Quantity) -> str:
    """Numbers to two decimals without their unit: "2.50 (1.90 to 4.10)", "0.50 to 2.00"."""
    stated = [f"{x:,.2f}" for x in quantity.numbers]
    if len(stated) == 1 or quantity.is_fixed:
        return stated[0]
    if len(stated) == 2:
        return " to ".join(stated)
    return f"{stated[1]} ({stated[0]} to {stated[2]})"


def _as_stated(x: float) -> str:
    """A number with the digits that its row gives, at most four after a leading zero."""
    return f"{x:,.0f}" if abs(x) >= 1000 else f"{x:.4g}"
