"""The work of each alternative: its activities, their order, who does them and how long they take.

One row of `data/activities.csv` is one activity; its effort is in person-days (people who keep a
system running: full-time equivalents; iterations to acceptance: a count), its wait in calendar
days. The same id in two alternatives is the same kind of work, so both can share a draw.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import MappingProxyType
from typing import Literal, cast, get_args

from estimator.errors import InputError, unknown
from estimator.quantity import Evidence, Quantity
from pricing.table import DATA, Row, read_rows

Stage = Literal[
    "task_and_data",
    "model_choice",
    "environment",
    "data_preparation",
    "configuration",
    "training",
    "evaluation",
    "deployment",
    "operation",
]
Kind = Literal["before_go_live", "operate_fte", "retrain_cycle", "reindex_cycle", "iterations"]
STAGES: tuple[Stage, ...] = get_args(Stage)
UNITS: dict[Kind, str] = {
    "before_go_live": "person-days",
    "operate_fte": "FTE",
    "retrain_cycle": "person-days",
    "reindex_cycle": "person-days",
    "iterations": "count",
}
CYCLES: tuple[Kind, ...] = ("retrain_cycle", "reindex_cycle")
COLUMNS = (
    "alternative",
    "id",
    "stage",
    "name",
    "after",
    "roles",
    "people",
    "unit",
    *(f"{what}_{end}" for what in ("effort", "wait") for end in ("min", "mode", "max")),
    "per_iteration",
    "kind",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityRow:
    """One activity of one alternative."""

    alternative: str
    id: str
    stage: Stage
    name: str
    after: tuple[str, ...]
    """Activities that must be finished before this one starts."""
    roles: Mapping[str, float]
    """Share of the effort by role; the shares sum to 1 (none for iterations)."""
    people: float
    """People who work on it at the same time."""
    effort: Quantity
    """Person-days, full-time equivalents or a count, as its unit says."""
    wait: Quantity
    """Calendar days in which nobody can speed it up: quota, procurement, review."""
    per_iteration: bool
    """Whether effort and wait occur once in every iteration to acceptance."""
    kind: Kind
    source: str
    as_of: str
    evidence: Evidence
    note: str | None


@cache
def activity_rows() -> tuple[ActivityRow, ...]:
    """Every row of the shipped table."""
    return read_activities(DATA / "activities.csv")


def alternatives() -> tuple[str, ...]:
    """The alternatives that have activities, in the order of the table."""
    return tuple(dict.fromkeys(row.alternative for row in activity_rows()))


@cache
def activities(alternative: str) -> tuple[ActivityRow, ...]:
    """The activities of `alternative` up to go-live, in the order of the table."""
    if alternative not in alternatives():
        raise unknown("alternative with activities", alternative, alternatives())
    return tuple(
        row
        for row in activity_rows()
        if row.alternative == alternative and row.kind == "before_go_live"
    )


def effort_days() -> Mapping[str, Mapping[str, Quantity]]:
    """Person-days by alternative and activity, up to go-live."""
    return {name: {row.id: row.effort for row in activities(name)} for name in alternatives()}


def wait_days() -> Mapping[str, Mapping[str, Quantity]]:
    """Calendar days of waiting by alternative and activity, up to go-live."""
    return {name: {row.id: row.wait for row in activities(name)} for name in alternatives()}


def iterations() -> Mapping[str, Quantity]:
    """Rounds of evaluation until the result is accepted, by alternative."""
    return {row.alternative: row.effort for row in _of_kind("iterations")}


def operate_fte() -> Mapping[str, Quantity]:
    """Full-time equivalents that keep it running, by alternative."""
    return {row.alternative: row.effort for row in _of_kind("operate_fte")}


def cycle_rows(alternative: str) -> tuple[ActivityRow, ...]:
    """The recurring work of `alternative` after go-live: retraining, migration, re-indexing."""
    return tuple(row for row in _of_kind(*CYCLES) if row.alternative == alternative)


def cycle_days() -> Mapping[str, Mapping[str, Quantity]]:
    """Person-days of one cycle by alternative and activity (retrain, migrate, reindex)."""
    return {name: {row.id: row.effort for row in cycle_rows(name)} for name in alternatives()}


def operate_row(alternative: str) -> ActivityRow:
    """The row that says who keeps `alternative` running."""
    rows = {row.alternative: row for row in _of_kind("operate_fte")}
    if alternative not in rows:
        raise unknown("alternative with activities", alternative, rows)
    return rows[alternative]


def _of_kind(*kinds: Kind) -> Iterable[ActivityRow]:
    return (row for row in activity_rows() if row.kind in kinds)


def read_activities(path: Path) -> tuple[ActivityRow, ...]:
    """The activities of a table, checked: order, roles, units and one row of each needed kind."""
    rows = tuple((row, _activity(row)) for row in read_rows(path, COLUMNS, key=None))
    for name in dict.fromkeys(activity.alternative for _, activity in rows):
        _check_alternative(path, [pair for pair in rows if pair[1].alternative == name])
    return tuple(activity for _, activity in rows)


def _activity(row: Row) -> ActivityRow:
    kind = cast(Kind, row.choice("kind", tuple(UNITS)))
    if row.text("unit") != UNITS[kind]:
        raise row.error("unit", f"does not fit kind {kind}, which is in {UNITS[kind]}")
    has_people = kind != "iterations"
    return ActivityRow(
        alternative=row.text("alternative"),
        id=row.text("id"),
        stage=cast(Stage, row.choice("stage", STAGES)),
        name=row.text("name"),
        after=_names(row.optional_text("after")),
        roles=_roles(row) if has_people else MappingProxyType({}),
        people=row.number("people", at_least=0.1 if has_people else 0.0),
        effort=_range(row, "effort", UNITS[kind]),
        wait=_range(row, "wait", "days"),
        per_iteration=row.boolean("per_iteration"),
        kind=kind,
        **row.provenance(),
    )


def _range(row: Row, what: str, unit: str) -> Quantity:
    columns = {end: f"{what}_{end}" for end in ("min", "mode", "max")}
    for column in columns.values():
        row.number(column)
    return row.quantity(columns, unit)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(";") if name.strip())


def _roles(row: Row) -> Mapping[str, float]:
    shares: dict[str, float] = {}
    for part in _names(row.text("roles")):
        role, _, share = part.partition(":")
        try:
            shares[role] = float(share)
        except ValueError:
            raise row.error("roles", "is not written role:share;role:share") from None
    if any(share <= 0 for share in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
        raise row.error("roles", f"has shares {list(shares.values())}; they must sum to 1")
    return MappingProxyType(shares)


def _check_alternative(path: Path, rows: Sequence[tuple[Row, ActivityRow]]) -> None:
    seen: set[str] = set()
    network = {activity.id for _, activity in rows if activity.kind == "before_go_live"}
    for row, activity in rows:
        if activity.id in seen:
            raise row.error("id", f"occurs twice in {activity.alternative}")
        seen.add(activity.id)
        for before in activity.after:
            if before not in network:
                raise row.error("after", str(unknown("activity", before, network)))
    _check_order(path, rows)
    name = rows[0][1].alternative
    for kind in ("operate_fte", "iterations"):
        if sum(activity.kind == kind for _, activity in rows) != 1:
            raise InputError(f"{path.name}: {name} needs exactly one row of kind {kind}")


def _check_order(path: Path, rows: Sequence[tuple[Row, ActivityRow]]) -> None:
    graph = {a.id: a.after for _, a in rows if a.kind == "before_go_live"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = " > ".join(error.args[1])
        name = rows[0][1].alternative
        raise InputError(
            f"{path.name}: activities of {name} wait for each other: {circle}"
        ) from None
