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
from estimator.training.fits import MICRO_BATCHES, fits, peak_gib, what_would_fit
from estimator.training.memory import estimate_memory
from estimator.training.recipe import Checkpointing, Method, Sharding, Stack, TrainingRecipe
from estimator.training.throughput import step_time

TOKENS_PER_STEP = 2**16
"""Tokens in one optimizer step that a recipe aims at: 32 sequences of 2,048, as fine-tuning
recipes use (Alpaca: 128 sequences of up to 512)."""
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
    tokens_per_step: int = TOKENS_PER_STEP,
    calibration: Calibration | None = None,
) -> TrainingRecipe:
    """The fastest recipe of a method that fits a cluster; InfeasiblePlan names what would fit.

    Tried: micro-batches by powers of two up to `tokens_per_step` over all GPUs, with and without
    activation checkpointing, plain data parallel and ZeRO-3. Recipes whose P90 of memory fits go
    before those whose median does. Precision is bf16, or fp16 on a card that lacks it.
    """
    base = TrainingRecipe(
        method=method,
        precision="bf16" if "bf16" in cluster.gpu.dense_tflops else "fp16",
        sequence_length=sequence_length,
        lora_rank=lora_rank,
        stack=stack,
        packing=packing,
    )
    options = [
        option
        for checkpointing, sharding in product(CHECKPOINTING, _shardings(cluster))
        for option in _options(
            architecture,
            base.model_copy(update={"checkpointing": checkpointing, "sharding": sharding}),
            cluster,
            tokens_per_step=tokens_per_step,
            calibration=calibration,
        )
    ]
    if not options:
        raise InfeasiblePlan(does_not_fit(architecture, base, cluster))
    safe = [option for option in options if option.safe]
    return _smallest_of_fastest(safe or options)


def does_not_fit(architecture: Architecture, recipe: TrainingRecipe, cluster: Cluster) -> str:
    """One line: what is needed at the least, what there is, and what would fit."""
    lean = recipe.model_copy(
        update={"micro_batch": 1, "checkpointing": "full", "sharding": _shardings(cluster)[-1]}
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
    *,
    tokens_per_step: int,
    calibration: Calibration | None,
) -> Iterator[_Option]:
    """The recipe at every micro-batch that fits, with its speed."""
    tokens = MICRO_BATCHES * recipe.sequence_length * recipe.data_parallel(cluster.gpus)
    batches = MICRO_BATCHES[(tokens <= tokens_per_step) | (MICRO_BATCHES == 1)]
    memory = estimate_memory(architecture, recipe, gpus=cluster.gpus, micro_batch=batches)
    fitting = fits(memory, cluster.gpu.memory_gib)
    if not fitting.any():
        return
    safe = fits(memory, cluster.gpu.memory_gib, safely=True)[fitting]
    batches = batches[fitting]
    steps = accumulation(batches, recipe, cluster, tokens_per_step)
    speeds = step_time(
        architecture,
        recipe,
        cluster,
        calibration,
        micro_batch=batches,
        gradient_accumulation=steps,
    ).tokens_per_second_per_gpu
    for batch, step, speed, is_safe in zip(batches, steps, speeds, safe, strict=True):
        update = {"micro_batch": int(batch), "gradient_accumulation": int(step)}
        yield _Option(
            recipe=recipe.model_copy(update=update),
            tokens_per_second_per_gpu=float(speed),
            safe=bool(is_safe),
        )
