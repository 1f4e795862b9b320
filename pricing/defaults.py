"""Defaults of a scenario: wages, parts of a retrieval stack, and every other assumption."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import unknown
from estimator.quantity import FORMS, Quantity
from pricing.table import DATA, Row, read_rows

DISTRIBUTION = tuple(name for names in FORMS.values() for name in names)
ASSUMPTION_COLUMNS = ("id", "meaning", *DISTRIBUTION, "unit")
WAGE_COLUMNS = ("role", "occupation", "published_median", "min", "mode", "max")
RAG_COLUMNS = ("id", "provider", "item", "low", "high", "unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One default of a scenario: what the number means, and the number with its source."""

    id: str
    meaning: str
    quantity: Quantity

    @property
    def group(self) -> str:
        """Part of the scenario that it belongs to: the id up to its first dot."""
        return self.id.partition(".")[0]


@cache
def assumptions() -> Mapping[str, Assumption]:
    """Every default by id, in the order of the table."""
    return read_assumptions(DATA / "assumptions.csv")


def assumption(assumption_id: str) -> Quantity:
    """The default with this id."""
    if assumption_id not in assumptions():
        raise unknown("assumption", assumption_id, assumptions())
    return assumptions()[assumption_id].quantity


@cache
def wages() -> Mapping[str, Quantity]:
    """Gross yearly wage by role, in USD/year (United States, without employer's costs)."""
    return read_wages(DATA / "wages.csv")


def wage(role: str) -> Quantity:
    """Gross yearly wage of one role, in USD/year."""
    if role not in wages():
        raise unknown("role", role, wages())
    return wages()[role]


@cache
def rag_components() -> Mapping[str, Quantity]:
    """Vendors' list prices of the parts of a retrieval stack by id."""
    return read_rag_components(DATA / "rag_components.csv")


def rag_component(component_id: str) -> Quantity:
    """The list price of one part of a retrieval stack."""
    if component_id not in rag_components():
        raise unknown("retrieval component", component_id, rag_components())
    return rag_components()[component_id]


def read_assumptions(path: Path) -> Mapping[str, Assumption]:
    """The assumptions of one table by id."""
    rows = read_rows(path, ASSUMPTION_COLUMNS)
    return MappingProxyType({row.text("id"): _assumption(row) for row in rows})


def read_wages(path: Path) -> Mapping[str, Quantity]:
    """The wages of one table by role."""
    return MappingProxyType(
        {row.text("role"): _wage(row) for row in read_rows(path, WAGE_COLUMNS, key="role")}
    )


def read_rag_components(path: Path) -> Mapping[str, Quantity]:
    """The retrieval components of one table by id."""
    return MappingProxyType(
        {row.text("id"): _component(row) for row in read_rows(path, RAG_COLUMNS)}
    )


def _assumption(row: Row) -> Assumption:
    return Assumption(
        id=row.text("id"),
        meaning=row.text("meaning"),
        quantity=row.quantity({name: name for name in DISTRIBUTION}, row.text("unit")),
    )


def _wage(row: Row) -> Quantity:
    numbers = {name: row.number(name) for name in ("min", "mode", "max")}
    median = row.optional_number("published_median")
    if median is not None and not numbers["min"] <= median <= numbers["max"]:
        raise row.error("published_median", "is outside the range beside it")
    return row.quantity({name: name for name in numbers}, "USD/year")


def _component(row: Row) -> Quantity:
    row.text("provider")
    row.text("item")
    row.number("low")
    return row.quantity({"low": "low", "high": "high"}, row.text("unit"))
