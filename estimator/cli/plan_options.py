"""From what a user typed for a plan to what is searched, with one-line errors."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from estimator.cli.arguments import Method, Precision, Stack, Tier
from estimator.cli.options import given_epochs, positive
from estimator.cli.plan_arguments import Objective
from estimator.cli.show import working
from estimator.dataset import DatasetProfile
from estimator.errors import InputError
from estimator.hardware.calibration import Calibration
from estimator.hardware.calibration_file import (
    SHIPPED,
    calibration_to_use,
    load_calibration_file,
    own_calibrations,
)
from estimator.llm.resolve import ResolvedModel
from estimator.quantity import Quantity
from estimator.training.planning.costs import Effort
from estimator.training.planning.forms import FormWish
from estimator.training.planning.market import Limits
from estimator.training.planning.offers import OfferWish
from estimator.training.planning.plan import Plans, PlanWish, plan
from estimator.training.planning.search import BatchRange
from pricing.gpus import gpu_family, gpu_spec
from pricing.offers import GpuOffer, load_offers
from pricing.own import own_price_files

HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}
Names = list[str] | None
"""An option that may be given again."""


def effort(
    epochs: float, search_runs: float, failed_run_factor: float, evaluation_tokens: float
) -> Effort:
    """The final run and what comes beside it."""
    tokens = positive("--evaluation-tokens", evaluation_tokens, zero=True)
    return Effort(
        epochs=given_epochs(epochs),
        search_runs=Quantity(value=positive("--search-runs", search_runs, zero=True)),
        failed_run_factor=Quantity(value=positive("--failed-run-factor", failed_run_factor)),
        evaluation_tokens=Quantity(value=tokens),
    )


def limits(objective: Objective, deadline: str, budget: float | None, sure: float) -> Limits:
    """What counts, and the limits that must hold."""
    return Limits(
        objective=objective,
        deadline_hours=hours("--deadline", deadline) if deadline else None,
        budget_usd=None if budget is None else positive("--budget", budget),
        sure=sure,
    )


def offer_wish(
    providers: Names, regions: Names, gpus: Names, tiers: Names, *, spot: bool, max_gpus: int
) -> OfferWish:
    """What of the market is allowed."""
    return OfferWish(
        providers=tuple(providers or ()),
        regions=tuple(regions or ()),
        gpus=given_families(gpus),
        tiers=given_tiers(tiers),
        spot=spot,
        max_gpus=max_gpus,
    )


def given_families(gpus: Names) -> tuple[str, ...]:
    """Ids of the GPUs that `--gpu` means, each once: a short name means its whole family."""
    return tuple(dict.fromkeys(gpu for name in gpus or () for gpu in gpu_family(name)))


def given_tiers(tiers: Names) -> tuple[str, ...]:
    """Kinds of price; on demand where none is named."""
    return choices("--tier", tiers or ["on_demand"], Tier)


def form_wish(
    methods: Names,
    stacks: Names,
    sequence_length: int,
    lora_rank: int,
    precision: Precision | None,
    *,
    packing: bool,
    offload: bool,
    fp8: bool,
) -> FormWish:
    """What of the recipe is settled."""
    return FormWish(
        methods=choices("--method", methods or ["lora"], Method),
        stacks=choices("--stack", stacks or ["huggingface"], Stack),
        sequence_length=sequence_length,
        lora_rank=lora_rank,
        packing=packing,
        precision=precision,
        offload=offload,
        fp8=fp8,
    )


def searched(
    model: ResolvedModel,
    data: DatasetProfile,
    wish: PlanWish,
    prices: Path | None,
    calibration: str,
    listed: int,
) -> Plans:
    """The plans on every offer, with a contract's prices and the user's own calibrations."""
    offers = load_offers(own_price_files(prices))
    own = calibrations_of(offers, calibration)
    with working("searching"):
        return plan(model.architecture, data, wish, offers=offers, calibrations=own, listed=listed)


def choices(option: str, named: Iterable[str], allowed: Any) -> tuple[Any, ...]:
    """The named choices of an option that may be given again, each once; `allowed`: a Literal."""
    known = get_args(allowed)
    for name in named:
        if name not in known:
            raise InputError(f"{option} {name!r}: choose from {', '.join(known)}")
    return tuple(dict.fromkeys(named))


def hours(option: str, text: str) -> float:
    """Hours of a time such as 90m, 24h, 2d or 1w."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*", text.casefold())
    value = float(found[1]) * HOURS[found[2]] if found else math.nan
    if not value > 0.0:
        raise InputError(f"{option} {text!r}: give a number above 0 with its unit: 90m, 24h or 2d")
    return value


def batch_range(text: str, sequence_length: int) -> BatchRange:
    """Sequences of a step from MIN:MAX, in sequences, or in tokens where a number ends in t."""
    ends = [_sequences(part, sequence_length) for part in text.split(":")]
    if not 1 <= len(ends) <= 2 or None in ends:
        raise InputError(
            f"--global-batch {text!r}: give MIN:MAX in sequences, such as 32:128, or in tokens, "
            "such as 64000t:256000t"
        )
    least, most = (end or 0 for end in (ends[0], ends[-1]))
    return BatchRange(least=least, most=most)


def _sequences(text: str, sequence_length: int) -> int | None:
    found = re.fullmatch(r"\s*(\d+)\s*(t?)\s*", text.casefold())
    if found is None:
        return None
    return max(int(found[1]) // sequence_length, 1) if found[2] else int(found[1])


def calibrations_of(offers: Iterable[GpuOffer], named: str) -> dict[str, Calibration]:
    """The user's own calibrations by GPU: the file that is named, else the newest of each GPU.

    A file holds for the GPU that it was measured on; every other GPU keeps the shipped one.
    """
    gpus = sorted({offer.gpu for offer in offers})
    if named == SHIPPED or (not named and not own_calibrations()):
        return {}
    if named:
        device = load_calibration_file(Path(named)).device
        gpus = [gpu for gpu in gpus if device.matches(gpu_spec(gpu))]
        if not gpus:
            raise InputError(f"--calibration {named}: no offer has the GPU that it was measured on")
    found = {gpu: calibration_to_use(gpu_spec(gpu), named).own for gpu in gpus}
    return {gpu: calibration for gpu, calibration in found.items() if calibration is not None}
