"""GPU rental offers, and the spread of their prices.

Every function uses the shipped offers unless it is given others: `load_offers(own_price_files())`
puts the user's refreshed and contract prices above them, as the command does.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path

import numpy as np

from estimator.errors import CatalogError, InputError, unknown
from estimator.quantity import Evidence, Quantity
from pricing.gpus import gpu_spec, gpu_specs
from pricing.own import SHIPPED, Origin, PriceFiles
from pricing.table import DATA, OWN, PROVENANCE, Row, read_rows

TIERS = (
    "on_demand",
    "spot",
    "reserved_1y",
    "reserved_3y",
    "capacity_block",
    "community",
    "serverless",
)
COLUMNS = (
    "id",
    "provider",
    "instance",
    "gpu",
    "gpus_per_node",
    "minimum_gpus",
    "price_usd_per_gpu_hour",
    "low_usd_per_gpu_hour",
    "high_usd_per_gpu_hour",
    "tier",
    "region",
    "interconnect",
    "network_gbit_per_second",
)
CONTRACT_MAY_LEAVE_OUT = {
    "low_usd_per_gpu_hour": "",
    "high_usd_per_gpu_hour": "",
    "region": "",
    "interconnect": "",
    "network_gbit_per_second": "",
    "evidence": OWN,
    "note": "",
}
"""Columns that a contract need not have, with what they then hold."""
UNIT = "USD/GPU-hour"
OFFERS_FOR_PERCENTILES = 5  # with fewer offers the ends of the market are its only honest spread


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuOffer:
    """GPUs that somebody rents out, at one price per GPU and hour (host included)."""

    id: str
    provider: str
    instance: str
    gpu: str
    gpus_per_node: int
    """Most GPUs that share one node and its fastest link."""
    minimum_gpus: int
    """Fewest GPUs that can be rented."""
    price_usd_per_gpu_hour: float
    low_usd_per_gpu_hour: float
    """Lowest price seen for this offer: below the price where a market or two sources differ."""
    high_usd_per_gpu_hour: float
    tier: str
    region: str | None
    interconnect: str | None
    """Links inside and between the nodes, as the provider names them."""
    network_gbit_per_second: float | None
    """Bandwidth of one node to the others, all its adapters together; None when not known."""
    source: str
    as_of: str
    evidence: Evidence
    note: str | None
    origin: Origin = "shipped"
    """Whose word it is: the shipped table's, a refreshed catalogue's, or the user's contract."""


@cache
def gpu_offers() -> tuple[GpuOffer, ...]:
    """Every GPU rental offer of the shipped table."""
    return read_gpu_offers(DATA / "gpu_offers.csv")


def load_offers(files: PriceFiles = SHIPPED) -> tuple[GpuOffer, ...]:
    """The shipped offers with the user's own above them: contract > refreshed > shipped.

    A file's rows of one provider, GPU and tier take the place of all rows of the same three below
    it. What a catalogue does not list (a reserved tier, a link) stays as it was.
    """
    offers = gpu_offers()
    if files.refreshed is not None:
        offers = _put_above(offers, read_refreshed(files.refreshed))
    if files.contract is not None:
        offers = _put_above(offers, read_contract(files.contract))
    return offers


def own_offers_words(offers: Iterable[GpuOffer]) -> str | None:
    """Which of the offers are the user's own, in words; None where all are shipped."""
    found = tuple(offers)
    dates = [offer.as_of for offer in found if offer.origin == "refreshed"]
    mine = sum(offer.origin == "contract" for offer in found)
    parts = [f"{len(dates)} refreshed, newest of {max(dates)}"] if dates else []
    parts += [f"{mine} of your contract"] if mine else []
    return f"of {len(found)} GPU offers {' and '.join(parts)}; the rest shipped" if parts else None


def _put_above(below: tuple[GpuOffer, ...], above: tuple[GpuOffer, ...]) -> tuple[GpuOffer, ...]:
    links = {_instance(o): o for o in below if o.interconnect or o.network_gbit_per_second}
    replaced = set(map(_product, above))
    kept = (offer for offer in below if _product(offer) not in replaced)
    return (*kept, *(_with_links(offer, links.get(_instance(offer))) for offer in above))


def _product(offer: GpuOffer) -> tuple[str, str, str]:
    return offer.provider.casefold(), offer.gpu, offer.tier


def _instance(offer: GpuOffer) -> tuple[str, str]:
    return offer.provider.casefold(), offer.instance.casefold()


def _with_links(offer: GpuOffer, known: GpuOffer | None) -> GpuOffer:
    """The offer with the links that are known of the same instance where it states none."""
    if known is None:
        return offer
    return replace(
        offer,
        interconnect=offer.interconnect or known.interconnect,
        network_gbit_per_second=offer.network_gbit_per_second or known.network_gbit_per_second,
    )


def offers_of(
    gpu: str, *, tier: str | None = None, offers: Iterable[GpuOffer] | None = None
) -> tuple[GpuOffer, ...]:
    """The offers of one GPU, cheapest first; `tier` None means every tier."""
    gpu_id = gpu_spec(gpu).id
    return matching_offers(gpus=(gpu_id,), tiers=None if tier is None else (tier,), offers=offers)


def matching_offers(
    *,
    gpus: Iterable[str] | None = None,
    tiers: Iterable[str] | None = None,
    provider: str = "",
    region: str = "",
    at_most_usd_per_gpu_hour: float | None = None,
    offers: Iterable[GpuOffer] | None = None,
) -> tuple[GpuOffer, ...]:
    """The offers that meet every wish, cheapest first; a wish left out excludes nothing.

    A provider is named by the beginning of its name and a region by any part of its own; offers
    whose region is not known meet no wish for one.
    """
    known = tuple(gpu_offers() if offers is None else offers)
    wanted_gpus = None if gpus is None else frozenset(gpus)
    wanted_tiers = None if tiers is None else frozenset(map(_known_tier, tiers))
    if provider and not any(_named(offer.provider, provider) for offer in known):
        raise unknown("provider", provider, {offer.provider for offer in known})
    if region and not any(_lies_in(offer, region) for offer in known):
        raise unknown("region", region, {r for o in known for r in regions_of(o)})
    found = (
        offer
        for offer in known
        if (wanted_gpus is None or offer.gpu in wanted_gpus)
        and (wanted_tiers is None or offer.tier in wanted_tiers)
        and (not provider or _named(offer.provider, provider))
        and (not region or _lies_in(offer, region))
        and (
            at_most_usd_per_gpu_hour is None
            or offer.price_usd_per_gpu_hour <= at_most_usd_per_gpu_hour
        )
    )
    return tuple(sorted(found, key=lambda offer: (offer.price_usd_per_gpu_hour, offer.id)))


def _known_tier(tier: str) -> str:
    if tier not in TIERS:
        raise unknown("price tier", tier, TIERS)
    return tier


def _named(provider: str, begins: str) -> bool:
    return provider.casefold().startswith(begins.casefold())


def regions_of(offer: GpuOffer) -> tuple[str, ...]:
    """The regions that an offer holds in; none where that is not known."""
    return tuple(part.strip() for part in (offer.region or "").split(";") if part.strip())


def _lies_in(offer: GpuOffer, region: str) -> bool:
    return any(region.casefold() in name.casefold() for name in regions_of(offer))


def gpu_price(
    gpu: str, *, tier: str = "on_demand", offers: Sequence[GpuOffer] | None = None
) -> Quantity:
    """Market price of one GPU, in USD per GPU and hour, as the spread of the known offers.

    With five instances or more the P10, P50 and P90 of their prices; with fewer the lowest, median
    and highest as a PERT. Each instance counts once, at its median over regions, whatever its
    provider's size. Where the user's contract names the GPU at this tier, it alone is the price.
    """
    known = gpu_offers() if offers is None else offers
    found = offers_of(gpu, tier=tier, offers=known)
    found = tuple(offer for offer in found if offer.origin == "contract") or found
    if not found:
        raise unknown(f"{tier} price of", gpu, {o.gpu for o in known if o.tier == tier})
    return Quantity.model_validate(
        {
            **_spread(found),
            "unit": UNIT,
            "source": _source(found),
            "as_of": max(offer.as_of for offer in found),
            "evidence": Counter(offer.evidence for offer in found).most_common(1)[0][0],
            "note": _note(found, f"{tier} offers of {gpu_spec(gpu).id}"),
        }
    )


def _source(offers: tuple[GpuOffer, ...]) -> str:
    if offers[0].origin == "contract":
        return "your contract prices"
    refreshed = {offer.provider for offer in offers if offer.origin == "refreshed"}
    text = f"{len({offer.provider for offer in offers})} providers in gpu_offers.csv"
    return f"{text}, {len(refreshed)} of them refreshed" if refreshed else text


def _note(offers: tuple[GpuOffer, ...], what: str) -> str:
    if offers[0].origin == "contract":
        return f"your contract: {len(offers)} {what}"
    dates = [offer.as_of for offer in offers if offer.origin == "refreshed"]
    text = f"spread of {len(offers)} {what}"
    return f"{text}, {len(dates)} refreshed {max(dates)}" if dates else text


def _spread(offers: tuple[GpuOffer, ...]) -> dict[str, float]:
    by_instance: dict[tuple[str, str], list[float]] = {}
    for offer in offers:
        by_instance.setdefault(_instance(offer), []).append(offer.price_usd_per_gpu_hour)
    prices = [float(np.median(found)) for found in by_instance.values()]
    p10, p50, p90 = (float(p) for p in np.percentile(prices, [10, 50, 90]))
    if len(prices) >= OFFERS_FOR_PERCENTILES and p10 < p50 < p90:
        return {"p10": p10, "p50": p50, "p90": p90}
    low = min(offer.low_usd_per_gpu_hour for offer in offers)
    high = max(offer.high_usd_per_gpu_hour for offer in offers)
    return {"min": low, "mode": p50, "max": high} if low < high else {"value": p50}


def read_gpu_offers(path: Path) -> tuple[GpuOffer, ...]:
    """The offers of one table."""
    known = tuple(gpu_specs())
    return tuple(_offer(row, row.choice("gpu", known)) for row in read_rows(path, COLUMNS))


def read_refreshed(path: Path) -> tuple[GpuOffer, ...]:
    """The offers that a refresh has written."""
    return tuple(replace(offer, origin="refreshed") for offer in read_gpu_offers(path))


def read_contract(path: Path) -> tuple[GpuOffer, ...]:
    """A company's own prices: the same table, in which empty columns may be left out.

    A GPU may go by any of its names; the evidence is the user's word unless stated.
    """
    offers = tuple(
        replace(_offer(row, _contract_gpu(row)), origin="contract")
        for row in read_rows(path, COLUMNS, optional=CONTRACT_MAY_LEAVE_OUT)
    )
    if not offers:
        raise InputError(f"{path.name}: holds no price; one row is one offer")
    return offers


def _contract_gpu(row: Row) -> str:
    try:
        return gpu_spec(row.text("gpu")).id
    except CatalogError as error:
        raise row.error("gpu", f"cannot be used: {error}") from None


def offers_as_csv(offers: Iterable[GpuOffer]) -> str:
    """Offers as the text of a table that `read_gpu_offers` reads."""
    file = io.StringIO()
    names = [field.name for field in fields(GpuOffer) if field.name in (*COLUMNS, *PROVENANCE)]
    writer = csv.DictWriter(file, names, lineterminator="\n")
    writer.writeheader()
    for offer in offers:
        cells = {name: getattr(offer, name) for name in names}
        writer.writerow({name: "" if cell is None else cell for name, cell in cells.items()})
    return file.getvalue()


def _offer(row: Row, gpu: str) -> GpuOffer:
    price = row.number("price_usd_per_gpu_hour")
    low, high = (row.optional_number(f"{end}_usd_per_gpu_hour") for end in ("low", "high"))
    if low is not None and low > price:
        raise row.error("low_usd_per_gpu_hour", f"is above the price {price:g}")
    if high is not None and high < price:
        raise row.error("high_usd_per_gpu_hour", f"is below the price {price:g}")
    return GpuOffer(
        id=row.text("id"),
        provider=row.text("provider"),
        instance=row.text("instance"),
        gpu=gpu,
        gpus_per_node=row.integer("gpus_per_node", at_least=1),
        minimum_gpus=row.integer("minimum_gpus", at_least=1),
        price_usd_per_gpu_hour=price,
        low_usd_per_gpu_hour=price if low is None else low,
        high_usd_per_gpu_hour=price if high is None else high,
        tier=row.choice("tier", TIERS),
        region=row.optional_text("region"),
        interconnect=row.optional_text("interconnect"),
        network_gbit_per_second=row.optional_number("network_gbit_per_second"),
        **row.provenance(),
    )
