"""Wages and employer's costs by country.

The range of every role is the United States' (`wages.csv`), scaled by what a published occupation
near it earns in the country over what it earns in the United States, at the exchange rate of
`exchange_rates.csv`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import InputError, unknown
from estimator.quantity import Evidence, Quantity
from pricing.currency import exchange_rate
from pricing.defaults import assumption, wages
from pricing.table import DATA, read_rows

HOME_COUNTRY = "US"
COUNTRY_COLUMNS = ("code", "name", "currency", "load_min", "load_mode", "load_max")
WAGE_COLUMNS = ("country", "occupation", "wage_per_year")
OCCUPATION_OF_ROLE = {
    "data_scientist": "data_scientist",
    "research_scientist": "data_scientist",
    "annotator": "customer_service_representative",
    "customer_service_representative": "customer_service_representative",
    "operations_specialist": "customer_service_representative",
}
OTHER_ROLES = "software_developer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country whose wages are known."""

    code: str
    name: str
    currency: str
    load_factor: Quantity
    """Cost of employment over the wage: employer's contributions and benefits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWage:
    """What an occupation earns in a year, in the currency of the country."""

    country: str
    occupation: str
    wage_per_year: float
    source: str
    as_of: str
    evidence: Evidence
    note: str | None


@cache
def countries() -> Mapping[str, Country]:
    """Every country with known wages, by ISO code."""
    return read_countries(DATA / "countries.csv")


@cache
def published_wages() -> Mapping[tuple[str, str], PublishedWage]:
    """Published wages by country and occupation."""
    return read_published_wages(DATA / "wages_by_country.csv")


def country_code(country: str) -> str:
    """The ISO code of a country, from its code or its name; unknown ones name the nearest."""
    by_name = {found.name.casefold(): code for code, found in countries().items()}
    wanted = country.strip()
    if wanted.upper() in countries():
        return wanted.upper()
    if wanted.casefold() in by_name:
        return by_name[wanted.casefold()]
    names = [found.name for found in countries().values()]
    raise unknown("country", country, [*countries(), *names])


def load_factor(country: str) -> Quantity:
    """Cost of employment over the wage in a country."""
    code = country_code(country)
    return (
        assumption("people.load_factor") if code == HOME_COUNTRY else countries()[code].load_factor
    )


@cache
def wages_in(country: str) -> Mapping[str, Quantity]:
    """Gross yearly wage by role in a country, in USD/year, without employer's costs."""
    code = country_code(country)
    if code == HOME_COUNTRY:
        return wages()
    return MappingProxyType({role: _wage(code, role, home) for role, home in wages().items()})


def _wage(code: str, role: str, home: Quantity) -> Quantity:
    occupation = OCCUPATION_OF_ROLE.get(role, OTHER_ROLES)
    local, american = (published_wages()[place, occupation] for place in (code, HOME_COUNTRY))
    country = countries()[code]
    rate = exchange_rate(country.currency)
    ratio = local.wage_per_year / rate.units_per_usd / american.wage_per_year
    return home.scaled(ratio).model_copy(
        update={
            "source": local.source,
            "as_of": local.as_of,
            "evidence": local.evidence,
            "note": f"range of the United States x {ratio:.2f}: {occupation.replace('_', ' ')} "
            f"{local.wage_per_year:,.0f} {country.currency} in {country.name} over "
            f"{american.wage_per_year:,.0f} USD, at {rate.units_per_usd:.4g} {country.currency} "
            f"per USD ({rate.as_of})",
        }
    )


def read_countries(path: Path) -> Mapping[str, Country]:
    """The countries of one table by code."""
    loads = {end: f"load_{end}" for end in ("min", "mode", "max")}
    return MappingProxyType(
        {
            row.text("code"): Country(
                code=row.text("code"),
                name=row.text("name"),
                currency=exchange_rate(row.text("currency")).currency,
                load_factor=row.quantity(loads, "factor"),
            )
            for row in read_rows(path, COUNTRY_COLUMNS, key="code")
        }
    )


def read_published_wages(path: Path) -> Mapping[tuple[str, str], PublishedWage]:
    """The wages of one table by country and occupation; each country needs every occupation."""
    found: dict[tuple[str, str], PublishedWage] = {}
    for row in read_rows(path, WAGE_COLUMNS, key=None):
        key = row.text("country"), row.text("occupation")
        if key[0] not in countries():
            raise row.error("country", str(unknown("country", key[0], countries())))
        if key in found:
            raise row.error("occupation", f"is given twice for {key[0]}")
        found[key] = PublishedWage(
            country=key[0],
            occupation=key[1],
            wage_per_year=row.number("wage_per_year", at_least=1.0),
            **row.provenance(),
        )
    needed = {OTHER_ROLES, *OCCUPATION_OF_ROLE.values()}
    for code in countries():
        if missing := sorted(needed - {occupation for place, occupation in found if place == code}):
            raise InputError(f"{path.name}: {code} has no wage of {missing[0]}; add a row")
    return MappingProxyType(found)
