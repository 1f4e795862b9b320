"""The currency in which money is shown; everything is computed in US dollars."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pricing.currency import ExchangeRate, exchange_rate

DOLLARS = "USD"
_shown: ContextVar[str] = ContextVar("currency", default=DOLLARS)


@contextmanager
def shown_in(currency: str) -> Iterator[None]:
    """Within it, every amount in words is in this currency, at its rate of `pricing.currency`."""
    token = _shown.set(exchange_rate(currency).currency)
    try:
        yield
    finally:
        _shown.reset(token)


def shown_rate() -> ExchangeRate | None:
    """The rate at which amounts are shown; None for US dollars."""
    currency = _shown.get()
    return None if currency == DOLLARS else exchange_rate(currency)


def rate_note() -> str | None:
    """The rate and its date in one line; None for US dollars."""
    rate = shown_rate()
    if rate is None:
        return None
    return (
        f"1 US dollar = {rate.units_per_usd:.4g} {rate.currency} ({rate.name}, {rate.as_of}); "
        "computed in US dollars"
    )
