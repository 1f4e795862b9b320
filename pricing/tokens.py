"""Token prices of hosted models, from the data that the genai-prices package carries (no network).

The package is imported when a price is first asked for. `book` names a book that
`tuneroi prices refresh` has stored; without it the package's own data hold.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

from estimator.errors import CatalogError, InputError, unknown
from estimator.files import read_bytes
from pricing.dates import today
from pricing.table import MOST_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrice:
    """List price of one hosted model, in USD per million tokens."""

    provider: str
    model: str
    input_usd_per_mtok: float
    cached_input_usd_per_mtok: float | None
    output_usd_per_mtok: float
    as_of: str
    source: str
    note: str | None
    """What the three prices leave out: higher tiers, hours of the day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPriceBook:
    """The package that the token prices come from."""

    package: str
    version: str
    as_of: str
    """Newest dated price change in it that has come into force: the book is at least as new,
    unless the change was announced ahead."""


def token_price(
    provider: str, model: str, *, on: date | None = None, book: Path | None = None
) -> TokenPrice:
    """List price of `model` at `provider` on a day (today when not given).

    Where a price depends on the length of the prompt or the hour, the base price is taken and the
    note says so.
    """
    found, day = _model(provider, model, _providers(book)), on or _today()
    price, notes = _price_on(found, day)
    input_usd, output_usd = _base(price.input_mtok), _base(price.output_mtok)
    if input_usd is None or output_usd is None:
        raise CatalogError(f"{provider} {model} is not priced per input and output token")
    if _is_tiered(price.input_mtok) or _is_tiered(price.output_mtok):
        notes.append("long prompts cost more")
    return TokenPrice(
        provider=provider,
        model=found.id,
        input_usd_per_mtok=input_usd,
        cached_input_usd_per_mtok=_base(price.cache_read_mtok),
        output_usd_per_mtok=output_usd,
        as_of=token_prices_as_of(on=day, book=book).as_of,
        source=_source(book),
        note="; ".join(notes) or None,
    )


def embedding_price_usd_per_mtok(provider: str, model: str, *, on: date | None = None) -> float:
    """List price of an embedding model, in USD per million input tokens."""
    price, _ = _price_on(_model(provider, model, _providers(None)), on or _today())
    if (input_usd := _base(price.input_mtok)) is None:
        raise CatalogError(f"{provider} {model} is not priced per input token")
    return input_usd


def token_prices_as_of(*, on: date | None = None, book: Path | None = None) -> TokenPriceBook:
    """Version of the price book and the date of its newest change in force.

    Of a refreshed book the date is the day on which it was fetched.
    """
    if book is not None:
        return TokenPriceBook(package="genai-prices", version=_version(), as_of=stored_on(book))
    day = on or _today()
    newest = max(change for change in _dated_changes() if change <= day)
    return TokenPriceBook(package="genai-prices", version=_version(), as_of=newest.isoformat())


def token_models(book: Path | None = None) -> Mapping[str, tuple[str, ...]]:
    """Ids of the models of every provider in the book."""
    return {name: tuple(m.id for m in found.models) for name, found in _providers(book).items()}


def list_prices(book: Path | None, on: date) -> dict[tuple[str, ...], float]:
    """USD per million tokens by provider, model and direction, of a whole book."""
    return _list_prices(_providers(book), on)


def list_prices_of(raw: list[Any], on: date) -> dict[tuple[str, ...], float]:
    """The same of a book as it was fetched."""
    return _list_prices(_parsed(raw), on)


def _list_prices(providers: Mapping[str, Any], on: date) -> dict[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for name, provider in providers.items():
        for model in provider.models:
            price, _ = _price_on(model, on)
            for direction in ("input", "output"):
                usd = _base(getattr(price, f"{direction}_mtok"))
                if usd is not None:
                    found[name, model.id, direction] = usd
    return found


def _today() -> date:
    return today()


@cache
def _version() -> str:
    from importlib.metadata import version

    return version("genai-prices")


def _source(book: Path | None) -> str:
    refreshed = f", refreshed {stored_on(book)}" if book else ""
    return f"genai-prices {_version()} (github.com/pydantic/genai-prices){refreshed}"


def _providers(book: Path | None) -> Mapping[str, Any]:
    return _shipped() if book is None else _parsed_book(book, book.stat().st_mtime_ns)


@cache
def _shipped() -> Mapping[str, Any]:
    from genai_prices.data import providers

    return {provider.id: provider for provider in providers}


@cache
def _parsed_book(book: Path, written_ns: int) -> Mapping[str, Any]:
    """Providers of a stored book; read again when it was written again."""
    return _parsed(_stored(book, written_ns)["providers"])


def stored_on(book: Path) -> str:
    """Day on which a stored book was fetched."""
    return str(_stored(book, book.stat().st_mtime_ns)["as_of"])


@cache
def _stored(book: Path, written_ns: int) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(
            read_bytes(book, most_bytes=MOST_BYTES, kind="token prices")
        )
        _list_prices(_parsed(found["providers"]), date.fromisoformat(found["as_of"]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{book.name} cannot be read ({type(error).__name__}); "
            f"tuneroi prices refresh --tokens writes it anew, or delete {book}"
        ) from None
    return found


def _parsed(raw: list[Any]) -> Mapping[str, Any]:
    """Providers of a raw book, read as the package's own updater reads them."""
    from genai_prices.types import _providers_from_raw

    return {provider.id: provider for provider in _providers_from_raw(raw)}


@cache
def _dated_changes() -> frozenset[date]:
    return frozenset(
        conditional.constraint.start_date
        for provider in _shipped().values()
        for model in provider.models
        if isinstance(model.prices, list)
        for conditional in model.prices
        if hasattr(conditional.constraint, "start_date")
    )


def _model(provider: str, model: str, providers: Mapping[str, Any]) -> Any:
    """The model with this id, or else the first that the book matches to the name."""
    if provider not in providers:
        raise unknown("token price provider", provider, providers)
    models = providers[provider].models
    matching = [m for m in models if m.id == model] or [m for m in models if m.is_match(model)]
    if not matching:
        raise unknown(f"{provider} model", model, (m.id for m in models))
    return matching[0]


def _price_on(model: Any, day: date) -> tuple[Any, list[str]]:
    """The price in force on a day, and what it leaves out."""
    if not isinstance(model.prices, list):
        return model.prices, []
    undated = [c for c in model.prices if hasattr(c.constraint, "start_time")]
    dated = [c for c in model.prices if c not in undated]
    in_force = [c for c in dated if c.constraint is None or c.constraint.start_date <= day]
    # The book tries conditions last to first and falls back on the first.
    price = (in_force or dated or model.prices)[-1 if in_force else 0].prices
    return price, ["another price holds at some hours of the day"] if undated else []


def _is_tiered(price: Any) -> bool:
    return hasattr(price, "tiers")


def _base(price: Any) -> float | None:
    """USD per million tokens, before any tier for long prompts."""
    if price is None:
        return None
    return float(price.base if _is_tiered(price) else price)
