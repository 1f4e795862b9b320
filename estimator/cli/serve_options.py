"""From what a user typed for serving to loads, offers and rivals, with one-line errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import pricing
from estimator.cli.options import given_model
from estimator.cli.plan_options import given_families, given_tiers
from estimator.cli.show import working
from estimator.errors import InputError
from estimator.serving.need import ServingNeed
from estimator.serving.plan import ServingPlan, plan_serving
from estimator.serving.rivals import Rival, rivals
from pricing import dates
from pricing.offers import GpuOffer, matching_offers
from pricing.own import PriceFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plan of serving, hosted ways beside it, and remarks on the model."""

    plan: ServingPlan
    rivals: tuple[Rival, ...]
    notes: tuple[str, ...]


def load_of_day(diurnal: str) -> tuple[float, ...]:
    """The loads of the hours of a day; empty where none are given."""
    if not diurnal:
        return ()
    try:
        return tuple(float(hour) for hour in diurnal.split(","))
    except ValueError:
        raise InputError(f"--diurnal {diurnal}: allowed: 24 numbers with commas") from None


def peak_to_mean(day: Sequence[float], peak_factor: float | None) -> float:
    """The busiest hour over the mean of the day: of the loads, as typed, or as assumed."""
    if not day:
        assumed = pricing.assumption("demand.peak_to_mean").median()
        return assumed if peak_factor is None else peak_factor
    if peak_factor is not None:
        raise InputError("--peak-factor and --diurnal exclude each other; give one")
    mean = sum(day) / len(day)
    return max(day) / mean if mean > 0 else 1.0


def allowed_offers(
    files: PriceFiles,
    gpus: list[str] | None,
    providers: list[str] | None,
    tiers: list[str] | None,
) -> tuple[GpuOffer, ...]:
    """The offers of these GPUs, providers and tiers, cheapest first; at least one."""
    known, families, kinds = pricing.load_offers(files), given_families(gpus), given_tiers(tiers)
    found = {
        offer.id: offer
        for provider in providers or [""]
        for offer in matching_offers(
            gpus=families or None, tiers=kinds, provider=provider, offers=known
        )
    }
    if not found:
        raise InputError(
            "no offer has this GPU, provider and tier; tuneroi prices --gpus lists GPUs, and "
            "--tier may be repeated"
        )
    return tuple(sorted(found.values(), key=lambda o: (o.price_usd_per_gpu_hour, o.id)))


def named_apis(names: list[str] | None) -> list[tuple[str, str]]:
    """Providers and models of PROVIDER:MODEL."""
    pairs = [(name, *name.partition(":")[::2]) for name in names or ()]
    for name, provider, model in pairs:
        if not (provider and model):
            raise InputError(f"--api {name}: allowed: PROVIDER:MODEL, such as openai:gpt-4.1-mini")
    return [(provider, model) for _, provider, model in pairs]


def planned(
    model: str,
    need: ServingNeed,
    offers: Sequence[GpuOffer],
    weights: str,
    program: str,
    files: PriceFiles,
    apis: list[str] | None,
    *,
    offline: bool,
) -> Found:
    """The plan on these offers, and every hosted way beside it."""
    also = named_apis(apis)
    resolved = given_model(model, offline=offline)
    with working("planning"):
        plan = plan_serving(resolved.architecture, need, offers, weights=weights, program=program)
        others = rivals(plan, resolved.architecture, files=files, on=dates.today(), also=also)
    return Found(plan=plan, rivals=others, notes=resolved.notes)
