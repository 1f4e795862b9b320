"""Saving, listing, loading and removing runs.

A run is asked for by its number, its name (the newest of that name), or NAME@DATE (the newest of
that name on that day, UTC).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from estimator import __version__
from estimator.errors import CatalogError, EstimatorError, InputError, unknown
from estimator.library.checks import (
    as_json,
    check_kind,
    check_name,
    check_note,
    check_seed,
    check_text,
)
from estimator.library.connection import Library, connected
from estimator.library.schema import Kind, RunRow

ID_DIGITS = 10
"""Longer numbers are no run's, and would not fit into the column."""
NAMES_SUGGESTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHead:
    """What a list says of a run."""

    id: int
    name: str
    kind: Kind
    created: datetime
    """In UTC."""
    version: str
    """Of tuneroi, when the run was saved."""
    seed: int | None
    input_hash: str
    note: str
    headline: str
    """The result in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run with its inputs and its result."""

    head: RunHead
    inputs: str
    """The file that was given, byte for byte in UTF-8."""
    resolved_inputs: str | None
    """The inputs as JSON, every default as it stood on that day."""
    result: dict[str, Any]
    """What the command's `--json` said."""


HEAD = [getattr(RunRow, field.name) for field in fields(RunHead)]
NEWEST_FIRST = (RunRow.created.desc(), RunRow.id.desc())


def save_run(
    library: Library,
    *,
    name: str,
    kind: Kind,
    inputs: str,
    result: Mapping[str, Any],
    resolved_inputs: str | None = None,
    input_hash: str | None = None,
    seed: int | None = None,
    headline: str = "",
    note: str = "",
) -> RunHead:
    """The run as it now stands in the library, under a new number; never over another one.

    `input_hash` is the SHA-256 of the inputs where none is given.
    """
    check_name(name)
    check_kind(kind)
    check_seed(seed)
    check_note(note)
    check_text("inputs", inputs)
    check_text("headline", headline)
    values = {
        "name": name,
        "kind": kind,
        "created": datetime.now(UTC),
        "version": __version__,
        "seed": seed,
        "input_hash": input_hash or hashlib.sha256(inputs.encode()).hexdigest(),
        "note": note,
        "headline": headline,
    }
    content = {"inputs": inputs, "resolved_inputs": resolved_inputs, "result": as_json(result)}
    with connected(library, writing=True) as connection:
        made = connection.execute(insert(RunRow).values(**values, **content).returning(RunRow.id))
        number = made.scalar_one()
    return RunHead(id=number, **values)  # type: ignore[arg-type]


def list_runs(
    library: Library,
    *,
    name: str | None = None,
    kind: Kind | None = None,
    since: date | None = None,
    until: date | None = None,
    limit: int | None = None,
) -> list[RunHead]:
    """Runs, newest first; `name` is any part of it, days are in UTC and both included."""
    if limit is not None and limit < 1:
        raise InputError(f"limit {limit}: must be 1 or more")
    asked: list[ColumnElement[bool]] = []
    if name:
        check_text("name", name)
        asked.append(RunRow.name.icontains(name, autoescape=True))
    if kind is not None:
        check_kind(kind)
        asked.append(RunRow.kind == kind)
    if since is not None:
        asked.append(RunRow.created >= _midnight(since))
    if until is not None and until < date.max:
        asked.append(RunRow.created < _midnight(until + timedelta(days=1)))
    with connected(library) as connection:
        query = select(*HEAD).where(*asked).order_by(*NEWEST_FIRST).limit(limit)
        return [RunHead(**row) for row in connection.execute(query).mappings()]


def load_run(library: Library, which: int | str) -> SavedRun:
    """The run of that number, name or NAME@DATE, with its inputs and its result."""
    with connected(library) as connection:
        number = _found(connection, which)
        body = (RunRow.inputs, RunRow.resolved_inputs, RunRow.result)
        query = select(*HEAD, *body).where(RunRow.id == number)
        row = dict(connection.execute(query).mappings().one())
    content = {column.key: row.pop(column.key) for column in body}
    return SavedRun(head=RunHead(**row), **content)


def remove_run(library: Library, which: int | str) -> RunHead:
    """The run that was there and is removed."""
    with connected(library, writing=True) as connection:
        number = _found(connection, which)
        head = connection.execute(select(*HEAD).where(RunRow.id == number)).mappings().one()
        if connection.execute(delete(RunRow).where(RunRow.id == number)).rowcount != 1:
            raise CatalogError(f"run {number}: somebody else has just removed it")
        return RunHead(**head)


def _found(connection: Connection, which: int | str) -> int:
    """The number of the run that is meant: by number, else by name, else by name and day."""
    asked = str(which)
    check_text("run", asked)
    if asked.isascii() and asked.isdecimal():
        possible = int(asked) if len(asked) < ID_DIGITS else 0
        number = connection.scalar(select(RunRow.id).where(RunRow.id == possible))
    else:
        number = _newest(connection, RunRow.name == asked)
        name, at, day = asked.rpartition("@")
        if number is None and at and (found := _day(day)) is not None:
            on_day = (
                RunRow.created >= _midnight(found),
                RunRow.created < _midnight(found) + timedelta(days=1),
            )
            number = _newest(connection, RunRow.name == name, *on_day)
    if number is None:
        raise _no_run(connection, asked)
    return number


def _newest(connection: Connection, *asked: ColumnElement[bool]) -> int | None:
    query = select(RunRow.id).where(*asked).order_by(*NEWEST_FIRST).limit(1)
    return connection.scalar(query)


def _no_run(connection: Connection, asked: str) -> EstimatorError:
    names = connection.scalars(select(RunRow.name).distinct().limit(NAMES_SUGGESTED)).all()
    if not names:
        return CatalogError(f"unknown run {asked[:80]!r}; the library is empty")
    return unknown("run", asked[:80], names, hint="tuneroi library list shows all")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
