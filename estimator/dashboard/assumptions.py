"""What the page "Assumptions" shows and takes: every input in cells, and how old the facts are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st

import pricing
from estimator.dashboard.declared import bounds, label
from estimator.dashboard.edits import edits, keep
from estimator.dashboard.session import Shown, current
from estimator.dashboard.typed import CELLS, MEANINGS, Cells, cells, typed
from estimator.errors import EstimatorError
from estimator.quantity import Evidence, Quantity
from estimator.scenario.edit import with_inputs
from pricing import dates

YOUR_FIGURE = "your figure"
KNOWN_BY = (*(kind for kind in get_args(Evidence) if kind != "user"), YOUR_FIGURE)
CHANGED = "changed by you"
OLD = "over 90 days old"
YEAR = "2026"  # how long a date is that is but a year


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One input of the scenario as it counts now."""

    path: str
    label: str
    quantity: Quantity
    known_by: str
    is_old: bool
    """Whether its source is over 90 days old."""

    @property
    def columns(self) -> dict[str, Any]:
        """What the table shows of it."""
        as_of = self.quantity.as_of or ""
        return {
            "Input": self.label,
            **cells(self.quantity),
            "Unit": self.quantity.unit or "",
            "Known by": self.known_by,
            "As of": f"{as_of} · old" if self.is_old else as_of,
            "Source": self.quantity.source or "the scenario",
            "Range": MEANINGS[self.quantity.form],
            "Path": self.path,
        }

    def matches(self, words: str, kinds: Sequence[str]) -> bool:
        """Whether it has these words in it, and is of one of these kinds where any is given."""
        of = {self.known_by, *([OLD] if self.is_old else [])}
        text = " ".join((self.label, self.path, self.quantity.source or "", self.known_by))
        return words.casefold() in text.casefold() and (not kinds or bool(of & set(kinds)))


def rows(shown: Shown) -> list[Row]:
    """Every input of the scenario, in the order of paths."""
    changed = {entry.path for entry in shown.wish.changed}
    today = dates.today()
    return [
        Row(
            path=path,
            label=label(path),
            quantity=quantity,
            known_by=_known_by(quantity, path in changed),
            is_old=_is_old(quantity.as_of, today),
        )
        for path, quantity in quantities(shown).items()
    ]


def quantities(shown: Shown) -> dict[str, Quantity]:
    """Every quantity as it counts now; an edit also where it has no answer yet."""
    asked = {path: shown.wish.values[path] for path in edits() if path in shown.wish.values}
    return {**shown.scenario.inputs(), **asked}


def _known_by(quantity: Quantity, changed: bool) -> str:
    if changed:
        return CHANGED
    return YOUR_FIGURE if quantity.evidence in (None, "user") else str(quantity.evidence)


def _is_old(as_of: str | None, today: Any) -> bool:
    if as_of is None:
        return False
    return pricing.stale(f"{as_of}-12" if len(as_of) == len(YEAR) else as_of, today)


def take(key: str, paths: Sequence[str]) -> None:
    """Take over what was typed into the table's cells; for its `on_change`."""
    shown = current()
    now, before = quantities(shown), shown.wish.base.inputs()
    found = dict(edits())
    for path, given in typed_cells(key, paths).items():
        if _stands(now[path], given):
            continue
        try:
            quantity = attempt(shown, path, now[path], given)
        except EstimatorError:
            continue  # the page says what is wrong; the cell stays as it was typed
        found.pop(path, None)
        if not _same(quantity, before.get(path)):
            found[path] = quantity
        st.session_state[path] = quantity.median()  # where the slider starts now, if it has one
    keep(found)


def attempt(shown: Shown, path: str, now: Quantity, given: Cells) -> Quantity:
    """The quantity that was typed; else `InputError` of the quantity or of the scenario with it."""
    quantity = typed(now, given, bounds(path))
    with_inputs(shown.scenario, {path: quantity})
    return quantity


def typed_cells(key: str, paths: Sequence[str]) -> dict[str, Cells]:
    """What was typed into the table, by path; None is a cell that was emptied."""
    state: Mapping[str, Any] = st.session_state.get(key, {})
    return {paths[int(row)]: given for row, given in state.get("edited_rows", {}).items()}


def pending(shown: Shown, key: str, paths: Sequence[str]) -> tuple[dict[str, str], bool]:
    """What is wrong with typed cells, by path; whether others were overtaken, say by a slider."""
    now = quantities(shown)
    problems: dict[str, str] = {}
    overtaken = False
    for path, given in typed_cells(key, paths).items():
        if _stands(now[path], given):
            continue
        try:
            attempt(shown, path, now[path], given)
        except EstimatorError as error:
            problems[path] = str(error)
        else:
            overtaken = True
    return problems, overtaken


def _stands(now: Quantity, given: Cells) -> bool:
    """Whether these cells are what the input says already."""
    said = cells(now)
    return all(said[name] == given[name] for name in CELLS if name in given)


def _same(quantity: Quantity, before: Quantity | None) -> bool:
    return before is not None and (quantity.form, quantity.numbers) == (before.form, before.numbers)


def price_ages() -> Iterator[tuple[str, ...]]:
    """Each table of facts with its oldest and newest date, and a word where it is old."""
    today = dates.today()
    for name, (oldest, newest) in pricing.prices_as_of().items():
        old = pricing.stale(newest, today)
        yield name.replace("_", " "), oldest, newest, "old: may have moved" if old else ""
