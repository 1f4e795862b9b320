"""Which offers a user allows, how many GPUs each can be, and the clusters that these make."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from estimator.errors import InputError, unknown
from estimator.hardware.cluster import Cluster
from estimator.quantity import Quantity
from pricing.gpus import GpuSpec, gpu_spec, gpu_specs
from pricing.offers import TIERS, UNIT, GpuOffer

USUAL_TIERS = ("on_demand",)
COMMITMENTS = ("reserved_1y", "reserved_3y")
NETWORKS = ("infiniband", "roce", "efa")
"""Names of fast networks between machines."""
BITS_PER_BYTE = 8.0
LARGEST_NUMBER = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferWish:
    """What of the market a user allows; empty: everything."""

    providers: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    """Parts of a region's name: `us` allows us-east-1. An offer without region fits none."""
    gpus: tuple[str, ...] = ()
    """Ids of GPUs."""
    tiers: tuple[str, ...] = USUAL_TIERS
    spot: bool = False
    """Whether spot offers are allowed beside the tiers."""
    max_gpus: int = 64

    def __post_init__(self) -> None:
        for tier in self.tiers:
            if tier not in TIERS:
                raise unknown("price tier", tier, TIERS)
        if not 1 <= self.max_gpus <= LARGEST_NUMBER:
            raise InputError(f"max_gpus = {self.max_gpus}: at least 1, at most {LARGEST_NUMBER:,}")


def check_names(wish: OfferWish, offers: tuple[GpuOffer, ...]) -> None:
    """Refuse providers, regions and GPUs that no offer has."""
    known = {offer.provider for offer in offers}
    for provider in wish.providers:
        if provider.casefold() not in {name.casefold() for name in known}:
            raise unknown("provider", provider, known)
    regions = {region for offer in offers for region in _regions(offer)}
    for part in wish.regions:
        if not any(part.casefold() in region.casefold() for region in regions):
            raise unknown("region", part, regions)
    for name in wish.gpus:
        if name not in gpu_specs():
            raise unknown("GPU", name, gpu_specs())


def not_allowed(offer: GpuOffer, wish: OfferWish) -> str | None:
    """Why an offer may not be taken; None where it may."""
    if wish.providers and offer.provider.casefold() not in map(str.casefold, wish.providers):
        return f"not allowed: provider {offer.provider} (allowed: {', '.join(wish.providers)})"
    if wish.gpus and offer.gpu not in wish.gpus:
        return f"not allowed: {offer.gpu} (allowed: {', '.join(wish.gpus)})"
    if wish.regions and not any(
        part.casefold() in region.casefold() for part in wish.regions for region in _regions(offer)
    ):
        return f"not allowed: region {offer.region or 'not stated'}"
    if reason := _tier_not_allowed(offer, wish):
        return reason
    if offer.minimum_gpus > wish.max_gpus:
        fewest = offer.minimum_gpus
        return f"not allowed: rented by {fewest} GPUs at the least, at most {wish.max_gpus} allowed"
    if not {"bf16", "fp16"} & set(gpu_spec(offer.gpu).dense_tflops):
        return f"not usable: {offer.gpu} has no 16-bit matrix units"
    return None


def _tier_not_allowed(offer: GpuOffer, wish: OfferWish) -> str | None:
    if offer.tier in wish.tiers or (offer.tier == "spot" and wish.spot):
        return None
    if offer.tier == "spot":
        return "not allowed: spot may be taken away (allow it with --spot)"
    if offer.tier in COMMITMENTS:
        years = offer.tier.removeprefix("reserved_")
        return f"not allowed: a commitment of {years} (allow it with --tier {offer.tier})"
    return f"not allowed: tier {offer.tier} (allow it with --tier {offer.tier})"


def _regions(offer: GpuOffer) -> tuple[str, ...]:
    return tuple(part.strip() for part in (offer.region or "").split(";") if part.strip())


def counts_of(offer: GpuOffer, max_gpus: int) -> tuple[int, ...]:
    """Numbers of GPUs to try: powers of two in a node, then 2, 3, 4, 6, 8... whole nodes.

    An offer of whole nodes (its fewest GPUs are a node) is never taken in part, and several nodes
    only where it names the network between them.
    """
    node, fewest = offer.gpus_per_node, offer.minimum_gpus
    most = max_gpus if takes_nodes(offer) else min(max_gpus, node)
    inside = {2**i for i in range(node.bit_length()) if 2**i <= node} if fewest < node else set()
    counts = inside | {node * n for n in _rounds(max(most // node, 1))}
    return tuple(sorted(n for n in counts if fewest <= n <= most))


def _rounds(most: int) -> Iterator[int]:
    """1, 2, 3, 4, 6, 8, 12, ... up to `most`."""
    for i in range(int(math.log2(most)) + 1):
        yield from (n for n in (2**i, 3 * 2 ** (i - 1)) if n == int(n) and n <= most)


def takes_nodes(offer: GpuOffer) -> bool:
    """Whether several machines of an offer can train one model: it names a network between them."""
    links = (offer.interconnect or "").casefold()
    return offer.network_gbit_per_second is not None or any(name in links for name in NETWORKS)


def cluster_of(offer: GpuOffer, gpus: int) -> Cluster:
    """The cluster that so many GPUs of an offer make; the usual network where none is stated."""
    spec: GpuSpec = gpu_spec(offer.gpu)
    stated = offer.network_gbit_per_second
    network = None if stated is None else stated / BITS_PER_BYTE
    return Cluster.of(spec, gpus, gpus_per_node=offer.gpus_per_node, network_gb_per_second=network)


def machine_of(offer: GpuOffer) -> Cluster:
    """One machine of an offer, as the search compares them; equal ones are searched once."""
    return cluster_of(offer, 1)


def price_of(offer: GpuOffer) -> Quantity:
    """USD per GPU and hour of an offer: the price, or the range where prices were seen to move."""
    low, mode = offer.low_usd_per_gpu_hour, offer.price_usd_per_gpu_hour
    high = offer.high_usd_per_gpu_hour
    form = {"value": mode} if low == high else {"min": low, "mode": mode, "max": high}
    return Quantity.model_validate(
        {
            **form,
            "unit": UNIT,
            "source": offer.source,
            "as_of": offer.as_of,
            "evidence": offer.evidence,
            "note": offer.note or f"{offer.provider} {offer.instance}, {offer.tier}",
        }
    )
