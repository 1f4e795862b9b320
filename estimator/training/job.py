"""A fine-tuning job from what a user names: does it fit, how long does it take, what does it cost?

Joins the parts that stand by themselves: dataset and packing, recipe, memory, run, price.
"""

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from pydantic import ValidationError

from estimator.dataset import DatasetProfile, SequenceFit
from estimator.errors import InfeasiblePlan, InputError
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.quantity import Quantity
from estimator.training.choose import accumulation, choose_recipe
from estimator.training.fits import Change, fits, largest_micro_batch, peak_gib, what_would_fit
from estimator.training.memory import MemoryBreakdown, estimate_memory
from estimator.training.recipe import (
    Checkpointing,
    Method,
    Precision,
    Sharding,
    Stack,
    TrainingRecipe,
)
from estimator.training.run import TrainingRun, estimate_run
from estimator.training.throughput import step_time


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeWish:
    """The part of a recipe that a user names; None: to be chosen."""

    method: Method = "lora"
    sequence_length: int = 2048
    lora_rank: int = 16
    stack: Stack = "huggingface"
    packing: bool = True
    micro_batch: int | None = None
    checkpointing: Checkpointing | None = None
    sharding: Sharding | None = None
    precision: Precision | None = None

    def fields(self) -> dict[str, object]:
        """What is named, as fields of a recipe."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in named.items() if value is not None}


def complete_recipe(
    architecture: Architecture, cluster: Cluster, wish: RecipeWish
) -> TrainingRecipe:
    """The fastest recipe that fits and is as wished; the leanest of them when none fits."""
    try:
        lean = TrainingRecipe.model_validate(_lean(cluster) | wish.fields())
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"])) or "recipe"
        message = fault["msg"].removeprefix("Value error, ")
        raise InputError(f"{place}: {message} (got {fault['input']!r})") from None
    parts = (wish.micro_batch, wish.checkpointing, wish.sharding, wish.precision)
    if any(part is not None for part in parts):
        return _fastest(architecture, cluster, wish, lean)
    try:
        return choose_recipe(
            architecture,
            method=wish.method,
            cluster=cluster,
            sequence_length=wish.sequence_length,
            lora_rank=wish.lora_rank,
            stack=wish.stack,
            packing=wish.packing,
        )
    except InfeasiblePlan:
        return lean


def _lean(cluster: Cluster) -> dict[str, object]:
    """The fields of a recipe that take the least memory."""
    sharding = "none" if cluster.gpus == 1 else "zero3"
    return {
        "micro_batch": 1,
        "gradient_accumulation": 1,
        "checkpointing": "full",
        "sharding": sharding,
    }


def _fastest(
    architecture: Architecture, cluster: Cluster, wish: RecipeWish, lean: TrainingRecipe
) -> TrainingRecipe:
    """The fastest recipe that fits over what the wish leaves open, each at its largest batch."""
    checkpointings = (wish.checkpointing,) if wish.checkpointing else ("none", "full")
    usual = ("none",) if cluster.gpus == 1 else ("none", "zero3")
    shardings = (wish.sharding,) if wish.sharding else usual
    best, best_speed = lean, 0.0
    for checkpointing, sharding in product(checkpointings, shardings):
        update = {"checkpointing": checkpointing, "sharding": sharding}
        recipe = _filled(architecture, cluster, wish, lean.model_copy(update=update))
        memory = estimate_memory(architecture, recipe, gpus=cluster.gpus)
        if not fits(memory, cluster.gpu.memory_gib):
            continue
        speed = float(step_time(architecture, recipe, cluster).tokens_per_second_per_gpu)
        if speed > best_speed:
            best, best_speed = recipe, speed
    return best


def _filled(
    architecture: Architecture, cluster: Cluster, wish: RecipeWish, recipe: TrainingRecipe
) -> TrainingRecipe:
    """The recipe with its micro-batch, as wished or the largest that fits, and accumulation."""
    memory_gib = cluster.gpu.memory_gib
    batch = wish.micro_batch or max(
        largest_micro_batch(architecture, recipe, memory_gib, gpus=cluster.gpus), 1
    )
    steps = accumulation(np.array([batch]), recipe, cluster)
    return recipe.model_copy(update={"micro_batch": batch, "gradient_accumulation": int(steps[0])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be run, on what, at which price."""

    architecture: Architecture
    dataset: DatasetProfile
    epochs: Quantity
    recipe: TrainingRecipe
    cluster: Cluster
    price_usd_per_gpu_hour: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """How the dataset fills the sequences of one epoch."""

    tokens: Quantity
    """Tokens of one epoch, what is cut off left out."""
    useful_token_share: float
    """Tokens over positions processed."""
    positions_per_sequence: int
    """Mean length of a sequence as processed, padding included."""
    longest_sequence: int
    """The longest one, which decides the memory."""
    fit: SequenceFit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEstimate:
    """A job with its memory, and its time and cost when it fits."""

    job: Job
    filling: Filling
    memory: MemoryBreakdown
    run: TrainingRun | None
    """None when it does not fit."""
    would_fit: tuple[Change, ...]
    """What would fit instead, when it does not."""

    @property
    def fits(self) -> bool:
        """Whether the median peak is within the GPU's memory."""
        return self.run is not None

    @property
    def refusal(self) -> str:
        """One line: what does not fit, what it needs, what there is, what would fit."""
        job, recipe = self.job, self.job.recipe
        cluster = job.cluster
        changes = [f"{change.sentence} ({change.peak_gib:.1f} GiB)" for change in self.would_fit]
        batch = f" and a micro-batch of {recipe.micro_batch}" if recipe.micro_batch > 1 else ""
        return (
            f"does not fit: {job.architecture.id} by {recipe.method} at "
            f"{recipe.sequence_length} tokens{batch} needs about {peak_gib(self.memory):.1f} GiB "
            f"on each of {cluster.gpus} x {cluster.gpu.id}, which has "
            f"{cluster.gpu.memory_gib:.1f} GiB; "
            + (f"what would fit: {'; '.join(changes)}" if changes else "no known change helps")
        )


def estimate_job(job: Job) -> JobEstimate:
    """Memory, time and cost of a job; when it does not fit, what would."""
    filling = fill(job.dataset, job.recipe)
    architecture, cluster = job.architecture, job.cluster
    largest = job.recipe.model_copy(update={"sequence_length": filling.longest_sequence})
    memory = estimate_memory(architecture, largest, gpus=cluster.gpus)
    if not fits(memory, cluster.gpu.memory_gib):
        changes = what_would_fit(architecture, largest, cluster.gpu, gpus=cluster.gpus)
        return JobEstimate(job=job, filling=filling, memory=memory, run=None, would_fit=changes)
    usual = job.recipe.model_copy(update={"sequence_length": filling.positions_per_sequence})
    run = estimate_run(
        architecture,
        usual,
        cluster,
        tokens=filling.tokens,
        epochs=job.epochs,
        price_usd_per_gpu_hour=job.price_usd_per_gpu_hour,
        useful_token_share=filling.useful_token_share,
    )
    return JobEstimate(
        job=job,
        filling=filling,
        memory=memory,
        run=replace(run, recipe=job.recipe),
        would_fit=(),
    )


def fill(dataset: DatasetProfile, recipe: TrainingRecipe) -> Filling:
    """How a dataset fills the sequences of a recipe, packed or padded to the longest of a batch.

    Padded: tokens / (examples x share) positions per example, where the share is the expected
    one of random micro-batches. A total without lengths is taken to fill its sequences.
    """
    length = recipe.sequence_length
    fit = dataset.fit_at(length, recipe.micro_batch)
    if fit is None or dataset.lengths is None:
        if not recipe.packing:
            raise InputError(
                "without packing the lengths of the examples must be known: "
                "give a dataset, or its examples and mean tokens"
            )
        return Filling(
            tokens=dataset.total_tokens,
            useful_token_share=1.0,
            positions_per_sequence=length,
            longest_sequence=length,
            fit=None,
        )
    lengths = dataset.lengths
    kept = dataset.total_tokens.scaled(fit.kept_tokens / lengths.total)
    if recipe.packing:
        return Filling(
            tokens=kept,
            useful_token_share=fit.packing_efficiency,
            positions_per_sequence=length,
            longest_sequence=length,
            fit=fit,
        )
    padded = fit.kept_tokens / (lengths.examples * fit.padding_efficiency)
    return Filling(
        tokens=kept,
        useful_token_share=fit.padding_efficiency,
        positions_per_sequence=round(padded),
        longest_sequence=min(length, lengths.longest),
        fit=fit,
    )
