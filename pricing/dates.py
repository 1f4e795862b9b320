"""How old the facts are."""

import os
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from types import MappingProxyType

from estimator.errors import InputError
from pricing.table import DATA, read_as_of

STALE_AFTER = timedelta(days=90)
TODAY = "TUNEROI_TODAY"
"""Environment variable with another date than today's: an answer of that day, made again."""


def today() -> date:
    """Today's date (UTC), by which the age of prices is told; or what `TUNEROI_TODAY` names."""
    named = os.environ.get(TODAY)
    if not named:
        return datetime.now(tz=UTC).date()
    try:
        return date.fromisoformat(named)
    except ValueError:
        raise InputError(f"{TODAY}={named!r} is not a date (YYYY-MM-DD)") from None


@cache
def prices_as_of() -> Mapping[str, tuple[str, str]]:
    """Oldest and newest date of the sources of every table, by the table's name."""
    dates = {path.stem: sorted(read_as_of(path)) for path in sorted(DATA.glob("*.csv"))}
    return MappingProxyType({table: (found[0], found[-1]) for table, found in dates.items()})


def stale(as_of: str, today: date) -> bool:
    """Whether a source of this date is over 90 days old; a month counts from its last day."""
    return today - _last_day(as_of) > STALE_AFTER


def staleness(as_of: str | None, today: date) -> str | None:
    """What to say about a price whose source is over 90 days old; None where nothing need be said.

    A price without a date was given by the user and does not age.
    """
    if as_of is None or not stale(as_of, today):
        return None
    days = (today - _last_day(as_of)).days
    return (
        f"the price is {days} days old ({as_of}): look again before you rely on it "
        "(tuneroi prices refresh)"
    )


def first_day(as_of: str) -> date:
    """First day of a date of a source: of a month, its first."""
    return date.fromisoformat(as_of if len(as_of) > len("2026-01") else f"{as_of}-01")


def _last_day(as_of: str) -> date:
    try:
        if len(as_of) > len("2026-01"):
            return date.fromisoformat(as_of)
        first = date.fromisoformat(f"{as_of}-01")
    except ValueError:
        raise InputError(f"{as_of!r} is not a date (YYYY-MM or YYYY-MM-DD)") from None
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
