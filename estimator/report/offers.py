"""GPU offers as tables: of one GPU, or all that meet a buyer's wishes, with whose word each is."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pricing
from estimator.report.facts import Fact, FactTable, fact_table, figures
from pricing.gpus import gpu_family
from pricing.offers import load_offers, matching_offers, regions_of
from pricing.own import PriceFiles

SHOWN_REGIONS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferWishes:
    """What a buyer asks for; a wish left out excludes nothing."""

    gpu: str = ""
    """A GPU or a family such as h100."""
    at_most_usd_per_gpu_hour: float | None = None
    provider: str = ""
    region: str = ""
    tier: str = ""

    def __bool__(self) -> bool:
        """Whether anything is asked for at all."""
        return self != NO_WISHES


NO_WISHES = OfferWishes()


def gpu_offer_table(
    spec: pricing.GpuSpec, about: dict[str, Any], today: date, files: PriceFiles
) -> FactTable:
    """Every offer of one GPU, cheapest first, and its price to buy."""
    price = spec.purchase_price_usd
    buy = (
        f"to buy: {figures(price)} a card, server not included ({price.evidence}, {price.as_of})"
        if price
        else ""
    )
    return _table(
        f"Offers of {spec.id} ({spec.memory_gib:.2f} GiB): USD per GPU and hour, cheapest first",
        pricing.offers_of(spec.id, offers=load_offers(files)),
        today,
        (buy,) if buy else (),
        about,
    )


def wished_table(wishes: OfferWishes, today: date, files: PriceFiles) -> FactTable:
    """Every offer that meets the wishes, cheapest first; none is an answer too."""
    offers = load_offers(files)
    family = gpu_family(wishes.gpu) if wishes.gpu else None
    without_limit = matching_offers(
        gpus=family,
        tiers=(wishes.tier,) if wishes.tier else None,
        provider=wishes.provider,
        region=wishes.region,
        offers=offers,
    )
    limit = wishes.at_most_usd_per_gpu_hour
    found = [o for o in without_limit if limit is None or o.price_usd_per_gpu_hour <= limit]
    remarks = [f"{wishes.gpu} means {', '.join(family)}"] if family and len(family) > 1 else []
    if not found and without_limit:
        cheapest = without_limit[0]
        usd = cheapest.price_usd_per_gpu_hour
        named = f"{cheapest.provider} {cheapest.instance}, {cheapest.gpu}, {cheapest.tier}"
        remarks.append(f"no offer at or below {limit:.2f}; the cheapest is {usd:.2f} ({named})")
    elif not found:
        remarks.append("no offer meets all of these wishes; leave one out")
    if wishes.region:
        hidden = sum(not regions_of(offer) for offer in offers)
        remarks.append(f"{hidden} offers whose region is not known are left out")
    return _table(
        "Offers: USD per GPU and hour, cheapest first", tuple(found), today, tuple(remarks), {}
    )


def _table(
    title: str,
    offers: tuple[pricing.GpuOffer, ...],
    today: date,
    remarks: tuple[str, ...],
    about: dict[str, Any],
) -> FactTable:
    return fact_table(
        "offers",
        title,
        ("Offer", "GPU", "Tier", "GPUs", "USD", "From"),
        map(_offer, offers),
        today,
        words=(0, 1, 2, 5),
        stacked=True,
        remarks=remarks,
        about=about,
    )


def _offer(offer: pricing.GpuOffer) -> Fact:
    few, many = offer.minimum_gpus, offer.gpus_per_node
    regions = regions_of(offer)
    more = f" and {len(regions) - SHOWN_REGIONS} more" if len(regions) > SHOWN_REGIONS else ""
    places = ", ".join(regions[:SHOWN_REGIONS]) + more
    low, high = offer.low_usd_per_gpu_hour, offer.high_usd_per_gpu_hour
    cells = (
        f"{offer.provider} {offer.instance}\n{places}",
        f"{offer.gpu}\n{_links(offer)}",
        offer.tier.replace("_", " "),
        str(few) if few == many else f"{few} to {many}",
        f"{offer.price_usd_per_gpu_hour:.2f}"
        + (f"\n{low:.2f} to {high:.2f}" if low < high else ""),
        offer.origin,
    )
    data = asdict(offer)
    return Fact(cells=cells, data={"from": data.pop("origin"), **data}, origin=offer)


def _links(offer: pricing.GpuOffer) -> str:
    network = offer.network_gbit_per_second
    parts = (offer.interconnect, f"{network:,.0f} Gbit/s" if network else None)
    return ", ".join(part for part in parts if part)
