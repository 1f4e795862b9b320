"""A sensible recipe: the fastest that fits, for a method on given GPUs."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from estimator.errors import InfeasiblePlan
from estimator.hardware.calibration import Calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.training.fits import MICRO_BATCHES, fits, peak_gib, what_would_fit
from estimator.training.memory import estimate_memory
from estimator.training.recipe import Checkpointing, Method, Sharding, Stack, TrainingRecipe
from estimator.training.throughput import step_time

TOKENS_PER_STEP = 2**16
"""Tokens in one optimizer step that a recipe aims at: 32 sequences of 2,048, as fine-tuning
recipes use (Alpaca: 128 sequences of up to 512)."""
TOKENS_PER_GPU = 2**13
"""Tokens of one step on each GPU where that is more in all: large clusters take large batches
(Llama 2: 4 million tokens)."""
SLOWEST_LOSS = 0.02
"""A smaller micro-batch is taken if it costs less speed than this."""
CHECKPOINTING: tuple[Checkpointing, ...] = ("none", "full")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    recipe: TrainingRecipe
    tokens_per_second_per_gpu: float
    safe: bool
    """Whether even the P90 of its memory fits."""


def choose_recipe(
    architecture: Architecture,
    *,
    method: Method,
    cluster: Cluster,
    sequence_length: int = 2048,
    lora_rank: int = 16,
    stack: Stack = "huggingface",
    packing: bool = True,
    tokens_per_step: int | None = None,
    calibration: Calibration | None = None,
) -> TrainingRecipe:
    """The fastest recipe of a method that fits a cluster; InfeasiblePlan names what would fit.

    Tried: micro-batches by powers of two up to `tokens_per_step` over all GPUs (by default
    `TOKENS_PER_STEP`, or `TOKENS_PER_GPU` on each), with and without activation checkpointing,
    plain data parallel and ZeRO-3. Where nothing fits, gradients are not accumulated: steps are
    smaller, and ZeRO-3 need not keep whole gradients. Recipes whose P90 of memory fits go before
    those whose median does. Precision is bf16, or fp16 on a card that lacks it.
    """
    wanted = tokens_per_step or max(TOKENS_PER_STEP, TOKENS_PER_GPU * cluster.gpus)
    base = TrainingRecipe(
        method=method,
        precision="bf16" if "bf16" in cluster.gpu.dense_tflops else "fp16",
        sequence_length=sequence_length,
        lora_rank=lora_rank,
        stack=stack,
        packing=packing,
    )
    recipes = [
        base.model_copy(update={"checkpointing": checkpointing, "sharding": sharding})
        for checkpointing, sharding in product(CHECKPOINTING, _shardings(cluster))
    ]
    for tokens in (wanted, 0):
        options = [
            option
            for recipe in recipes
            for option in _options(architecture, recipe, cluster, tokens, calibration)
        ]
        safe = [option for option in options if option.safe]
        if options:
            return _smallest_of_fastest(safe or options)
    raise InfeasiblePlan(does_not_fit(architecture, base, cluster))


def does_not_fit(architecture: Architecture, recipe: TrainingRecipe, cluster: Cluster) -> str:
    """One line: what is needed at the least, what there is, and what would fit."""
    lean = recipe.model_copy(
        update={
            "micro_batch": 1,
            "gradient_accumulation": 1,
            "checkpointing": "full",
            "sharding": _shardings(cluster)[-1],
        }
    )
    needed = peak_gib(estimate_memory(architecture, lean, gpus=cluster.gpus))
    changes = what_would_fit(architecture, lean, cluster.gpu, gpus=cluster.gpus)
    ways = "; ".join(f"{change.sentence} ({change.peak_gib:.0f} GiB)" for change in changes)
    return (
        f"{METHOD_NAMES[recipe.method]} of {architecture.id} does not fit on {cluster.gpus} x "
        f"{cluster.gpu.id}: even with a micro-batch of 1 x {recipe.sequence_length} tokens and "
        f"checkpointing it needs about {needed:.0f} GiB per GPU, the card has "
        f"{cluster.gpu.memory_gib:.0f} GiB; what would fit: {ways or 'nothing in the catalogue'}"
    )


METHOD_NAMES: dict[Method, str] = {
    "full": "Full fine-tuning",
    "lora": "LoRA",
    "qlora": "QLoRA",
}


def accumulation(
    micro_batch: NDArray[np.int_], recipe: TrainingRecipe, cluster: Cluster, tokens_per_step: int
) -> NDArray[np.int_]:
    """Micro-batches per step with which all GPUs together reach `tokens_per_step`."""
    tokens = micro_batch * recipe.sequence_length * recipe.data_parallel(cluster.gpus)
    return np.maximum(np.ceil(tokens_per_step / tokens), 1).astype(int)


def _smallest_of_fastest(options: list[_Option]) -> TrainingRecipe:
    """The smallest micro-batch among those that are about as fast as the fastest."""
    fastest = max(option.tokens_per_second_per_gpu for option in options)
    good = [o for o in options if o.tokens_per_second_per_gpu >= (1 - SLOWEST_LOSS) * fastest]
    return min(good, key=lambda option: option.recipe.micro_batch).recipe


def _shardings(cluster: Cluster) -> tuple[Sharding, ...]:
    return ("none",) if cluster.gpus == 1 else ("none", "zero3")


def _options(
    architecture: Architecture,
    recipe: TrainingRecipe,
    cluster: Cluster,
    tokens_per_step: int,
    calibration: Calibration | None,
) -> Iterator[_Option]:
    """The recipe at every micro-batch that fits, with its speed.

    No accumulation where one micro-batch of every GPU makes `tokens_per_step` or more.
    """
    tokens = MICRO_BATCHES * recipe.sequence_length * recipe.data_parallel(cluster.gpus)
    batches = MICRO_BATCHES[(tokens <= tokens_per_step) | (MICRO_BATCHES == 1)]
    steps = accumulation(batches, recipe, cluster, tokens_per_step)
    for once in (False, True):
        chosen = (steps == 1) == once
        if not chosen.any():
            continue
        accumulated = recipe.model_copy(update={"gradient_accumulation": 1 if once else 2})
        memory = estimate_memory(
            architecture, accumulated, gpus=cluster.gpus, micro_batch=batches[chosen]
        )
        fitting = fits(memory, cluster.gpu.memory_gib)
        safe = fits(memory, cluster.gpu.memory_gib, safely=True)[fitting]
        sizes = batches[chosen][fitting], steps[chosen][fitting]
        speeds = _speeds(architecture, recipe, cluster, *sizes, calibration)
        for batch, step, speed, is_safe in zip(*sizes, speeds, safe, strict=True):
            update = {"micro_batch": int(batch), "gradient_accumulation": int(step)}
            yield _Option(
                recipe=recipe.model_copy(update=update),
                tokens_per_second_per_gpu=float(speed),
                safe=bool(is_safe),
            )


def _speeds(
    architecture: Architecture,
    recipe: TrainingRecipe,
    cluster: Cluster,
    batches: NDArray[np.int_],
    steps: NDArray[np.int_],
    calibration: Calibration | None,
) -> FloatArray:
    """Tokens per second and GPU at each micro-batch."""
    return step_time(
        architecture,
        recipe,
        cluster,
        calibration,
        micro_batch=batches,
        gradient_accumulation=steps,
    ).tokens_per_second_per_gpu
