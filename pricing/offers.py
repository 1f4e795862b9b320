"""GPU rental offers, and the spread of their prices."""

from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from estimator.errors import unknown
from estimator.quantity import Evidence, Quantity
from pricing.gpus import gpu_spec, gpu_specs
from pricing.table import DATA, Row, read_rows

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


@cache
def gpu_offers() -> tuple[GpuOffer, ...]:
    """Every known GPU rental offer."""
    return read_gpu_offers(DATA / "gpu_offers.csv")


def offers_of(gpu: str, *, tier: str | None = None) -> tuple[GpuOffer, ...]:
    """The offers of one GPU, cheapest first; `tier` None means every tier."""
    if tier is not None and tier not in TIERS:
        raise unknown("price tier", tier, TIERS)
    gpu_id = gpu_spec(gpu).id
    offers = (o for o in gpu_offers() if o.gpu == gpu_id and tier in (None, o.tier))
    return tuple(sorted(offers, key=lambda offer: (offer.price_usd_per_gpu_hour, offer.id)))


def gpu_price(gpu: str, *, tier: str = "on_demand") -> Quantity:
    """Market price of one GPU, in USD per GPU and hour, as the spread of the known offers.

    With five offers or more the P10, P50 and P90 of their prices; with fewer the lowest, median
    and highest as a PERT. Each offer counts once, whatever its provider's size.
    """
    offers = offers_of(gpu, tier=tier)
    if not offers:
        raise unknown(f"{tier} price of", gpu, {o.gpu for o in gpu_offers() if o.tier == tier})
    return Quantity.model_validate(
        {
            **_spread(offers),
            "unit": UNIT,
            "source": f"{len({o.provider for o in offers})} providers in gpu_offers.csv",
            "as_of": max(offer.as_of for offer in offers),
            "evidence": Counter(offer.evidence for offer in offers).most_common(1)[0][0],
            "note": f"spread of {len(offers)} {tier} offers of {gpu_spec(gpu).id}",
        }
    )


def _spread(offers: tuple[GpuOffer, ...]) -> dict[str, float]:
    prices = [offer.price_usd_per_gpu_hour for offer in offers]
    p10, p50, p90 = (float(p) for p in np.percentile(prices, [10, 50, 90]))
    if len(offers) >= OFFERS_FOR_PERCENTILES and p10 < p50 < p90:
        return {"p10": p10, "p50": p50, "p90": p90}
    low = min(offer.low_usd_per_gpu_hour for offer in offers)
    high = max(offer.high_usd_per_gpu_hour for offer in offers)
    return {"min": low, "mode": p50, "max": high} if low < high else {"value": p50}


def read_gpu_offers(path: Path) -> tuple[GpuOffer, ...]:
    """The offers of one table."""
    return tuple(_offer(row) for row in read_rows(path, COLUMNS))


def _offer(row: Row) -> GpuOffer:
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
        gpu=row.choice("gpu", tuple(gpu_specs())),
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
