"""From what a user typed to quantities, prices and datasets, with one-line errors."""

import math
from pathlib import Path

from estimator.cli.show import reading, working
from estimator.dataset import DatasetProfile, typed_profile
from estimator.errors import InputError
from estimator.hardware.calibration_file import THIS_MACHINE, this_machine
from estimator.llm.resolve import ResolvedModel, resolve_model
from estimator.quantity import Quantity
from estimator.training.recipe import TrainingRecipe
from pricing import gpu_price, gpu_spec, gpu_specs, offers_of
from pricing.gpus import GpuSpec
from pricing.offers import TIERS, load_offers
from pricing.own import own_price_files


def positive(option: str, value: float, *, zero: bool = False) -> float:
    """The value of an option that must be a finite number above 0, or 0 where `zero` allows it."""
    if not math.isfinite(value) or value < 0 or (value == 0 and not zero):
        raise InputError(f"{option} {value:g}: must be {'0 or more' if zero else 'above 0'}")
    return value


def given_gpu(name: str) -> GpuSpec:
    """The GPU of that name, or the device that the newest benchmark measured."""
    return this_machine() if name == THIS_MACHINE else gpu_spec(name)


def given_model(name: str, *, offline: bool) -> ResolvedModel:
    """The model of that name, perhaps from the hub."""
    with working(f"looking for {name}"):
        return resolve_model(name, offline=offline)


def given_epochs(epochs: float) -> Quantity:
    """Passes over the data."""
    return Quantity(value=positive("--epochs", epochs), unit="epochs")


def sequence_length(given: int | None, model: ResolvedModel) -> int:
    """Tokens of a sequence: as typed, else the usual length, or the model's context if shorter."""
    usual = TrainingRecipe().sequence_length
    return given or min(usual, model.architecture.context_length or usual)


def given_price(price: float | None, gpu: str, tier: str) -> Quantity:
    """USD per GPU and hour: as typed, else the range of the market, the user's own prices first."""
    if price is not None:
        value = positive("--price", price, zero=True)
        return Quantity(value=value, unit="USD/GPU-hour", source="given by --price")
    if gpu not in gpu_specs():
        raise InputError(f"no price of {gpu} is known; give --price USD_PER_HOUR, 0 if it is yours")
    offers = load_offers(own_price_files())
    if not offers_of(gpu, tier=tier, offers=offers):
        known = [other for other in TIERS if offers_of(gpu, tier=other, offers=offers)]
        others = f", or --tier {' or '.join(known)}" if known else ""
        raise InputError(f"no {tier} offer of {gpu} is known; give --price USD_PER_HOUR{others}")
    return gpu_price(gpu, tier=tier, offers=offers)


def given_dataset(
    path: Path | None,
    tokens: float | None,
    examples: int | None,
    mean_tokens: float | None,
    tokenizer: str,
    model: ResolvedModel,
) -> DatasetProfile:
    """The dataset that is to be trained on: a file, a number of tokens, or examples and a mean.

    A file is counted with the tokenizer that is named, else the model's own.
    """
    named = {
        "--dataset": path is not None,
        "--tokens": tokens is not None,
        "--examples": examples is not None or mean_tokens is not None,
    }
    if sum(named.values()) != 1:
        found = " and ".join(option for option, given in named.items() if given) or "none"
        raise InputError(
            "give one of --dataset PATH, --tokens N, or --examples N with --mean-tokens M; "
            f"given: {found}"
        )
    if tokens is not None:
        return typed_profile(total_tokens=positive("--tokens", tokens))
    if path is None:
        if examples is None or mean_tokens is None:
            raise InputError("--examples and --mean-tokens go together; give both")
        return typed_profile(examples=examples, mean_tokens=positive("--mean-tokens", mean_tokens))
    from estimator.dataset import profile_dataset

    with reading(f"reading {path.name}") as progress:
        return profile_dataset(path, tokenizer=tokenizer or tokenizer_of(model), progress=progress)


def tokenizer_of(model: ResolvedModel) -> str | None:
    """Where a model's tokenizer may be found; None: nowhere (a bare size)."""
    if model.source == "size":
        return None
    if model.source == "file":
        folder = Path(model.origin).parent
        return str(folder) if (folder / "tokenizer.json").is_file() else None
    return model.architecture.id
