"""Bought assistants: price per resolution, conversation, message, action or seat."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import unknown
from estimator.quantity import Evidence, Quantity
from pricing.table import DATA, Row, read_rows

BILLING_UNITS = ("resolution", "conversation", "message", "session", "action", "seat")
COLUMNS = (
    "id",
    "vendor",
    "product",
    "billing_unit",
    "min_usd",
    "mode_usd",
    "max_usd",
    "platform_fee_usd_per_month",
    "included_units_per_month",
    "commitment_usd_per_year",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SaasPlan:
    """One vendor's plan: what it counts, what one costs, and what is due in any case."""

    id: str
    vendor: str
    product: str
    billing_unit: str
    """What is counted. A resolution is not the same thing at every vendor: see the note."""
    price: Quantity | None
    """USD per unit (a seat: per month). None when unpublished: the user must give a range."""
    platform_fee_usd_per_month: float
    included_units_per_month: float
    """Units that the platform fee pays for."""
    commitment_usd_per_year: float | None
    """Least that a contract costs in a year; None when none is known."""
    source: str
    as_of: str
    evidence: Evidence
    note: str | None


@cache
def saas_plans() -> Mapping[str, SaasPlan]:
    """Every known plan by id."""
    return read_saas_plans(DATA / "saas_plans.csv")


def saas_plan(plan_id: str) -> SaasPlan:
    """The plan with this id."""
    if plan_id not in saas_plans():
        raise unknown("SaaS plan", plan_id, saas_plans())
    return saas_plans()[plan_id]


def read_saas_plans(path: Path) -> Mapping[str, SaasPlan]:
    """The plans of one table by id."""
    return MappingProxyType({row.text("id"): _plan(row) for row in read_rows(path, COLUMNS)})


def _plan(row: Row) -> SaasPlan:
    unit = row.choice("billing_unit", BILLING_UNITS)
    return SaasPlan(
        id=row.text("id"),
        vendor=row.text("vendor"),
        product=row.text("product"),
        billing_unit=unit,
        price=_price(row, "USD/seat-month" if unit == "seat" else f"USD/{unit}"),
        platform_fee_usd_per_month=row.optional_number("platform_fee_usd_per_month") or 0.0,
        included_units_per_month=row.optional_number("included_units_per_month") or 0.0,
        commitment_usd_per_year=row.optional_number("commitment_usd_per_year"),
        **row.provenance(),
    )


def _price(row: Row, unit: str) -> Quantity | None:
    columns = {name: f"{name}_usd" for name in ("min", "mode", "max")}
    if not any(row.optional_text(column) for column in columns.values()):
        return None
    for column in columns.values():
        row.number(column)
    return row.quantity(columns, unit)
