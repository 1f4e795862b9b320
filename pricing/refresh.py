"""Brings live prices into the user's folder: whole, checked, and only where they are plausible.

The order is always the same: fetch in a child process with a deadline, check every row, compare
with what is there, and only then replace the file in one step. Whatever fails before that leaves
the file as it was, also a process that is killed. A source that cannot be reached is no error:
the refresh says so and what is there stays.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from estimator.errors import InputError, MissingExtra
from estimator.files import write_atomically
from pricing import tokens
from pricing.catalogue import Catalogue, median_prices, read_catalogue
from pricing.changes import Changes, Key, absurd, compare
from pricing.offers import GpuOffer, gpu_offers, offers_as_csv, read_refreshed
from pricing.own import REFRESHED, TOKENS, price_folder

Status = Literal["refreshed", "unreachable"]
Confirm = Callable[[tuple[str, ...]], bool]
"""Asked with the absurd changes; True takes them."""
DEADLINE_SECONDS = 120.0
LIVE_TIERS = ("on_demand", "spot")
GPU_AND_TIER, PROVIDER = (1, 2), (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What a refresh of one file did."""

    what: Literal["gpu_offers", "token_prices"]
    status: Status
    file: Path
    as_of: str | None
    """Date of the prices in the file now; None where there is no file."""
    prices: int
    changes: Changes | None
    remarks: tuple[str, ...]
    """What was left out or kept, and why it could not be reached."""


def refresh_gpu_offers(
    today: date, *, confirm: Confirm, deadline_seconds: float = DEADLINE_SECONDS
) -> Refresh:
    """Live GPU offers through gpuhunt; providers that fail keep what was refreshed before."""
    if find_spec("gpuhunt") is None:
        raise MissingExtra("live GPU offers need the prices extra: pip install 'tuneroi[prices]'")
    file = price_folder() / REFRESHED
    earlier = _earlier(file)
    raw = _fetch("gpus", deadline_seconds)
    if "error" in raw:
        return _kept("gpu_offers", file, earlier, raw["error"])
    found = read_catalogue(raw, today)
    if not found.offers:
        return _kept("gpu_offers", file, earlier, _reasons(found.refused))
    listed = {offer.provider for offer in found.offers}
    changes = _check_gpu_offers(earlier, found, listed, confirm)
    kept = tuple(offer for offer in earlier if offer.provider not in listed)
    offers = (*kept, *found.offers)
    write_atomically(file, offers_as_csv(offers))
    return Refresh(
        what="gpu_offers",
        status="refreshed",
        file=file,
        as_of=max(offer.as_of for offer in offers),
        prices=len(offers),
        changes=changes,
        remarks=_remarks(found, kept),
    )


def _reasons(refused: Mapping[str, str]) -> str:
    """Why each provider failed, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for provider, why in refused.items():
        by_reason.setdefault(why, []).append(provider)
    told = (f"{', '.join(sorted(names))}: {why}" for why, names in by_reason.items())
    return "; ".join(told) or "no offer in the catalogue"


def _earlier(file: Path) -> tuple[GpuOffer, ...]:
    """What is there; a file that cannot be read is worth no more than none."""
    try:
        return read_refreshed(file) if file.is_file() else ()
    except InputError:
        return ()


def _check_gpu_offers(
    earlier: tuple[GpuOffer, ...], found: Catalogue, listed: set[str], confirm: Confirm
) -> Changes:
    """The changes by provider, GPU and tier, against the shipped offers where none is earlier."""
    listed_before = {offer.provider for offer in earlier}
    shipped = (
        offer
        for offer in gpu_offers()
        if offer.tier in LIVE_TIERS and offer.provider in listed - listed_before
    )
    after = _prices(found.offers)
    before = _prices([offer for offer in earlier if offer.provider in listed])
    known = before | {key: usd for key, usd in _prices(shipped).items() if key in after}
    _ask("GPU offers", absurd(known, after, (GPU_AND_TIER, PROVIDER)), confirm)
    return compare(known, after)


def _prices(offers: Any) -> dict[Key, float]:
    return median_prices(offers, lambda offer: (offer.provider, offer.gpu, offer.tier))


def _remarks(found: Catalogue, kept: tuple[GpuOffer, ...]) -> tuple[str, ...]:
    dates = dict.fromkeys(found.refused, "") | {o.provider: o.as_of for o in kept}
    failed = (
        f"{name} not refreshed ({found.refused.get(name, 'not in the catalogue')})"
        + (f"; its prices of {as_of} stay" if as_of else "; shipped prices stay")
        for name, as_of in sorted(dates.items())
    )
    unknown = ", ".join(sorted(found.unknown_gpus))
    left_out = sum(found.unknown_gpus.values())
    return (
        *failed,
        *((f"{left_out} rows of GPUs not known here are left out: {unknown}",) if unknown else ()),
        *(
            (f"{found.outliers} prices far off the median of their GPU and tier are left out",)
            if found.outliers
            else ()
        ),
    )


def refresh_token_prices(
    today: date, *, confirm: Confirm, deadline_seconds: float = DEADLINE_SECONDS
) -> Refresh:
    """Live token prices through the address of genai-prices' own updater."""
    file = price_folder() / TOKENS
    stored = file if _readable(file) else None
    before = tokens.list_prices(stored, today)
    raw = _fetch("tokens", deadline_seconds)
    if "error" in raw:
        return Refresh(
            what="token_prices",
            status="unreachable",
            file=file,
            as_of=tokens.stored_on(stored) if stored else None,
            prices=len(before) if stored else 0,
            changes=None,
            remarks=(raw["error"],),
        )
    book = json.dumps({"as_of": today.isoformat(), **raw})
    after = tokens.list_prices_of(raw["providers"], today)
    _ask("token prices", absurd(before, after, (PROVIDER,)), confirm)
    write_atomically(file, book)
    return Refresh(
        what="token_prices",
        status="refreshed",
        file=file,
        as_of=today.isoformat(),
        prices=len(after),
        changes=compare(before, after),
        remarks=(),
    )


def _readable(book: Path) -> bool:
    try:
        return book.is_file() and bool(tokens.stored_on(book))
    except InputError:
        return False


def _ask(what: str, strange: tuple[str, ...], confirm: Confirm) -> None:
    if not strange or confirm(strange):
        return
    shown = "; ".join(strange[:3]) + (f"; and {len(strange) - 3} more" if strange[3:] else "")
    raise InputError(
        f"{what} not taken, they are not plausible: {shown}. "
        "Nothing was changed; --yes takes them all the same"
    )


def _kept(
    what: Literal["gpu_offers"], file: Path, earlier: tuple[GpuOffer, ...], reason: str
) -> Refresh:
    return Refresh(
        what=what,
        status="unreachable",
        file=file,
        as_of=max((offer.as_of for offer in earlier), default=None),
        prices=len(earlier),
        changes=None,
        remarks=(reason,),
    )


def _fetch(what: Literal["gpus", "tokens"], deadline_seconds: float) -> Mapping[str, Any]:
    """What `pricing.live` prints, or `{"error": why}`; the child is gone when this returns."""
    child = Path(__file__).with_name("live.py")
    try:
        ran = subprocess.run(  # noqa: S603 - our own file, no shell
            [sys.executable, "-P", str(child), what],
            capture_output=True,
            timeout=deadline_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no complete answer within {deadline_seconds:g} seconds"}
    if ran.returncode != 0:
        last = (ran.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        return {"error": f"reading the catalogue failed: {last[:200]}"}
    found: Mapping[str, Any] = json.loads(ran.stdout)
    return found
