"""A fine-tuning job from what a user names: does it fit, how long does it take, what does it cost?

Joins the parts that stand by themselves: dataset and packing, recipe, memory, run, price.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from pydantic import ValidationError

from estimator.dataset import DatasetProfile, SequenceFit
from estimator.errors import InfeasiblePlan, InputError
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.quantity import Quantity
from estimator.training.choose import (
    CHECKPOINTING,
    METHOD_NAMES,
    TOKENS_PER_GPU,
    TOKENS_PER_STEP,
    accumulation,
    choose_recipe,
)
from estimator.training.fits import MICRO_BATCHES, Change, fits, peak_gib, what_would_fit
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

    @property
    def leaves_all_open(self) -> bool:
        """Whether nothing is named that decides memory and speed at a given method."""
        named = (self.micro_batch, self.checkpointing, self.sharding, self.precision)
        return all(part is None for part in named)

    def fields(self) -> dict[str, object]:
        """What is named, as fields of a recipe."""
        named = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {name: value for name, value in named.items() if value is not None}


def complete_recipe(
    architecture: Architecture, cluster: Cluster, wish: RecipeWish, dataset: DatasetProfile
) -> TrainingRecipe:
    """The fastest recipe that fits and is as wished; the leanest as wished when none fits.

    Without packing no sequence is longer than the longest example.
    """
    if dataset.lengths is not None and not wish.packing:
        longest = min(wish.sequence_length, dataset.lengths.longest)
        wish = replace(wish, sequence_length=longest)
    lean = _leanest(cluster, wish)
    if wish.leaves_all_open:
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
    fitting = [
        recipe
        for recipe in _candidates(cluster, wish, lean)
        if fits(estimate_memory(architecture, recipe, gpus=cluster.gpus), cluster.gpu.memory_gib)
    ]

    def speed(recipe: TrainingRecipe) -> float:
        return float(step_time(architecture, recipe, cluster).tokens_per_second_per_gpu)

    return max(fitting, key=speed, default=lean)


def _leanest(cluster: Cluster, wish: RecipeWish) -> TrainingRecipe:
    """The recipe as wished that takes the least memory."""
    lean = {
        "micro_batch": 1,
        "gradient_accumulation": 1,
        "checkpointing": "full",
        "sharding": "none" if cluster.gpus == 1 else "zero3",
        "precision": "bf16" if "bf16" in cluster.gpu.dense_tflops else "fp16",
    }
    try:
        return TrainingRecipe.model_validate(lean | wish.fields())
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        raise InputError(
            f"{place}: {message} (got {fault['input']!r})" if place else message
        ) from None


def _candidates(
    cluster: Cluster, wish: RecipeWish, lean: TrainingRecipe
) -> Iterator[TrainingRecipe]:
    """Recipes as wished, over micro-batch, checkpointing and sharding where these are open."""
    tokens = max(TOKENS_PER_STEP, TOKENS_PER_GPU * cluster.gpus)
    at_once = tokens // (lean.sequence_length * lean.data_parallel(cluster.gpus))
    batches = [int(b) for b in MICRO_BATCHES if b <= max(at_once, 1)]
    for batch, checkpointing, sharding in product(
        (wish.micro_batch,) if wish.micro_batch else batches,
        (wish.checkpointing,) if wish.checkpointing else CHECKPOINTING,
        (wish.sharding,) if wish.sharding else dict.fromkeys(("none", lean.sharding)),
    ):
        steps = accumulation(np.array([batch]), lean, cluster, tokens)
        yield lean.model_copy(
            update={
                "micro_batch": batch,
                "gradient_accumulation": int(steps[0]),
                "checkpointing": checkpointing,
                "sharding": sharding,
            }
        )


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
    """Mean length of a sequence as processed, padding included; the longest decides the memory."""
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
        recipe, cluster = self.job.recipe, self.job.cluster
        ways = "; ".join(f"{way.sentence} ({way.peak_gib:.1f} GiB)" for way in self.would_fit)
        return (
            f"{METHOD_NAMES[recipe.method]} of {self.job.architecture.id} does not fit on "
            f"{cluster.gpus} x {cluster.gpu.id}: with a micro-batch of {recipe.micro_batch} x "
            f"{recipe.sequence_length} tokens and checkpointing {recipe.checkpointing} it "
            f"needs about {peak_gib(self.memory):.1f} GiB per GPU, the card has "
            f"{cluster.gpu.memory_gib:.1f} GiB; "
            f"what would fit: {ways or 'nothing in the catalogue'}"
        )


def plan_job(
    architecture: Architecture,
    dataset: DatasetProfile,
    cluster: Cluster,
    wish: RecipeWish,
    *,
    epochs: Quantity,
    price_usd_per_gpu_hour: Quantity,
) -> JobEstimate:
    """The estimate of the fastest recipe that fits and is as wished, or what would fit instead."""
    job = Job(
        architecture=architecture,
        dataset=dataset,
        epochs=epochs,
        recipe=complete_recipe(architecture, cluster, wish, dataset),
        cluster=cluster,
        price_usd_per_gpu_hour=price_usd_per_gpu_hour,
    )
    return estimate_job(job)


def estimate_job(job: Job) -> JobEstimate:
    """Memory, time and cost of a job; when it does not fit, what would."""
    filling = fill(job.dataset, job.recipe)
    architecture, cluster = job.architecture, job.cluster
    memory = estimate_memory(architecture, job.recipe, gpus=cluster.gpus)
    if not fits(memory, cluster.gpu.memory_gib):
        changes = what_would_fit(architecture, job.recipe, cluster.gpu, gpus=cluster.gpus)
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
            fit=None,
        )
    lengths = dataset.lengths
    kept = dataset.total_tokens.scaled(fit.kept_tokens / lengths.total)
    if recipe.packing:
        return Filling(
            tokens=kept,
            useful_token_share=fit.packing_efficiency,
            positions_per_sequence=length,
            fit=fit,
        )
    padded = fit.kept_tokens / (lengths.examples * fit.padding_efficiency)
    return Filling(
        tokens=kept,
        useful_token_share=fit.padding_efficiency,
        positions_per_sequence=round(padded),
        fit=fit,
    )
