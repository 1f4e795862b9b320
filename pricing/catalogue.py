"""From gpuhunt's published catalogue to offers: known GPUs, sane prices, one row per price.

The catalogue is the same that dstack rents by (github.com/dstackai/gpuhunt). It lists prices on
demand and spot, of a whole instance, by region, and no link between GPUs.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from itertools import groupby
from typing import Any

from pricing.gpus import gpu_specs
from pricing.offers import GpuOffer
from pricing.table import DATA, read_rows

PROVIDERS = {
    "aws": "AWS",
    "azure": "Azure",
    "cloudrift": "CloudRift",
    "gcp": "GCP",
    "lambdalabs": "Lambda",
    "nebius": "Nebius",
    "oci": "OCI",
    "runpod": "RunPod",
    "verda": "Verda",
}
"""Providers of the catalogue by the name that it gives them."""
MEMORY_TOLERANCE = 0.07  # catalogues disagree on a card's label by up to 7 % (B200: 180 or 192)
OUTLIER = 10.0  # a price this many times off the median of its GPU and tier is a fault, not a deal
MALFORMED_SHARE = 0.05  # a catalogue with more unreadable rows than this is not what we know


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What a published catalogue holds once checked."""

    offers: tuple[GpuOffer, ...]
    refused: Mapping[str, str]
    """Providers that cannot be used, and why."""
    unknown_gpus: Mapping[str, int]
    """Items left out because this project does not know their GPU."""
    outliers: int
    """Offers left out because their price is far off the median of their GPU and tier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    provider: str
    instance: str
    region: str
    gpus: int
    gpu: str
    tier: str
    usd_per_gpu_hour: float


def read_catalogue(raw: Mapping[str, Any], today: date) -> Catalogue:
    """The offers of a catalogue as `pricing.live` fetched it."""
    refused = {PROVIDERS.get(name, name): reason for name, reason in raw["failed"].items()}
    offers: list[GpuOffer] = []
    unknown: Counter[str] = Counter()
    for name, found in raw.get("providers", {}).items():
        items = [_item(name, row, unknown) for row in found["items"]]
        known = [item for item in items if item is not None]
        lines = len(items) + found["malformed"]
        unreadable = found["malformed"] + sum(_is_broken(row) for row in found["items"])
        if not known or unreadable > MALFORMED_SHARE * lines:
            fault = f"{unreadable} of {lines} rows cannot be read, {len(known)} have a known GPU"
            refused[PROVIDERS.get(name, name)] = fault
            continue
        source = f"gpuhunt {raw['version']}, published catalogue {name} {found['version']}"
        offers.extend(_offers(known, source, _dated(found["version"], today)))
    sane = _without_outliers(offers)
    return Catalogue(
        offers=tuple(sorted(sane, key=lambda offer: offer.id)),
        refused=refused,
        unknown_gpus=dict(unknown),
        outliers=len(offers) - len(sane),
    )


def _is_broken(row: Sequence[Any]) -> bool:
    price, gpus = row[2], row[3]
    return not (math.isfinite(price) and price > 0 and gpus >= 1)


def _item(provider: str, row: Sequence[Any], unknown: Counter[str]) -> _Item | None:
    instance, region, price, gpus, name, memory, spot = row
    if _is_broken(row):
        return None
    gpu = _gpu(name, memory, f"{provider} {instance}".casefold())
    if gpu is None:
        unknown[f"{name} {memory or 0:g} GB"] += 1
        return None
    return _Item(
        provider=PROVIDERS.get(provider, provider),
        instance=instance,
        region=region,
        gpus=gpus,
        gpu=gpu,
        tier="spot" if spot else "on_demand",
        usd_per_gpu_hour=round(price / gpus, 4),
    )


def _gpu(name: str | None, memory_gb: float | None, offer: str) -> str | None:
    """Our id of a GPU in the catalogue: the first row of `live_gpus.csv` that fits."""
    for known, size, pattern, gpu in _names():
        near = memory_gb is None or abs(memory_gb - size) <= MEMORY_TOLERANCE * size
        if known == name and near and fnmatchcase(offer, pattern):
            return gpu
    return None


@cache
def _names() -> tuple[tuple[str, float, str, str], ...]:
    rows = read_rows(DATA / "live_gpus.csv", ("name", "memory_gb", "offer", "gpu"), key=None)
    ids = tuple(gpu_specs())
    return tuple(
        (row.text("name"), row.number("memory_gb"), row.text("offer"), row.choice("gpu", ids))
        for row in rows
    )


def _dated(version: str, today: date) -> str:
    """Date of a catalogue: the one that its version begins with, else today's.

    A remote clock may be ahead of ours; then it is today's as well.
    """
    stated = re.match(r"(\d{4})-?(\d{2})-?(\d{2})", version)
    try:
        found = date(*map(int, stated.groups())) if stated else today
    except ValueError:
        found = today
    return min(found, today).isoformat()


def _offers(items: Iterable[_Item], source: str, as_of: str) -> list[GpuOffer]:
    """One offer per instance, tier and price: counts and regions at that price are joined."""

    def price(item: _Item) -> tuple[Any, ...]:
        return item.provider, item.instance, item.gpu, item.tier, item.usd_per_gpu_hour

    groups = [tuple(group) for _, group in groupby(sorted(items, key=price), key=price)]
    names = [_slug(group[0]) for group in groups]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    seen: Counter[str] = Counter()
    offers = []
    for name, group in zip(names, groups, strict=True):
        seen[name] += 1
        one = group[0]
        offers.append(
            GpuOffer(
                id=f"{name}-{seen[name]}" if name in repeated else name,
                provider=one.provider,
                instance=one.instance,
                gpu=one.gpu,
                gpus_per_node=max(item.gpus for item in group),
                minimum_gpus=min(item.gpus for item in group),
                price_usd_per_gpu_hour=one.usd_per_gpu_hour,
                low_usd_per_gpu_hour=one.usd_per_gpu_hour,
                high_usd_per_gpu_hour=one.usd_per_gpu_hour,
                tier=one.tier,
                region="; ".join(sorted({item.region for item in group if item.region})) or None,
                interconnect=None,
                network_gbit_per_second=None,
                source=source,
                as_of=as_of,
                evidence="seen",
                note=None,
                origin="refreshed",
            )
        )
    return offers


def _slug(item: _Item) -> str:
    text = f"{item.provider} {item.instance} {item.gpu} {item.tier}".casefold()
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-")


def _without_outliers(offers: Sequence[GpuOffer]) -> list[GpuOffer]:
    medians = median_prices(offers, lambda offer: (offer.gpu, offer.tier))
    return [
        offer
        for offer in offers
        if 1 / OUTLIER <= offer.price_usd_per_gpu_hour / medians[offer.gpu, offer.tier] <= OUTLIER
    ]


def median_prices(offers: Iterable[GpuOffer], key: Any) -> dict[Any, float]:
    """Median USD per GPU and hour of the offers with the same key."""
    prices: dict[Any, list[float]] = {}
    for offer in offers:
        prices.setdefault(key(offer), []).append(offer.price_usd_per_gpu_hour)
    return {name: statistics.median(found) for name, found in prices.items()}
