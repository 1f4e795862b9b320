"""Exchange rates: how many units of a currency one US dollar buys, on the day of the source."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimator.errors import InputError, unknown
from pricing.table import DATA, read_rows

COLUMNS = ("currency", "name", "symbol", "units_per_eur")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRate:
    """What one US dollar is worth in a currency."""

    currency: str
    """ISO code."""
    name: str
    symbol: str
    """What stands before an amount; a code ends with a space."""
    units_per_usd: float
    source: str
    as_of: str


@cache
def exchange_rates() -> Mapping[str, ExchangeRate]:
    """Every known exchange rate by ISO code."""
    return read_exchange_rates(DATA / "exchange_rates.csv")


def exchange_rate(currency: str) -> ExchangeRate:
    """The exchange rate of a currency, by ISO code in any case."""
    return exchange_rates()[currency_code(currency)]


def currency_code(currency: str) -> str:
    """The ISO code of a currency, from its code or its name; unknown ones name the nearest."""
    by_name = {rate.name.casefold(): code for code, rate in exchange_rates().items()}
    code = by_name.get(currency.strip().casefold(), currency.strip().upper())
    if code not in exchange_rates():
        raise unknown("currency", currency, exchange_rates())
    return code


def read_exchange_rates(path: Path) -> Mapping[str, ExchangeRate]:
    """The rates of one table, which quotes units per euro, turned into units per US dollar."""
    rows = read_rows(path, COLUMNS, key="currency")
    per_eur = {row.text("currency"): row.number("units_per_eur", at_least=1e-9) for row in rows}
    if "USD" not in per_eur:
        raise InputError(f"{path.name}: no row for USD, which every other rate is turned into")
    return MappingProxyType(
        {
            row.text("currency"): ExchangeRate(
                currency=row.text("currency"),
                name=row.text("name"),
                symbol=row.text("symbol") + (" " if row.text("symbol").isalpha() else ""),
                units_per_usd=per_eur[row.text("currency")] / per_eur["USD"],
                source=row.text("source"),
                as_of=row.text("as_of"),
            )
            for row in rows
        }
    )
