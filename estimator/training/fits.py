"""Whether a training step fits a GPU, and the smallest changes that make it fit."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.llm.architecture import Architecture
from estimator.training.memory import MemoryBreakdown, estimate_memory
from estimator.training.recipe import TrainingRecipe
from pricing.gpus import GpuSpec, gpu_specs

GIB = 2**30
MICRO_BATCHES = 2 ** np.arange(11)
LARGER_CLUSTERS = (2, 4, 8, 16, 32, 64, 128)
LARGER_CARD = 1.1
"""How much more memory a card must have to count as larger (labels differ by less)."""
P50, P90 = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change to a recipe or a cluster that makes it fit."""

    recipe: TrainingRecipe
    gpus: int
    gpu: str
    peak_gib: float
    """Median peak on the fullest GPU."""
    sentence: str
    """The change in words, such as "QLoRA with a micro-batch of 1"."""


def fits(
    memory: MemoryBreakdown, gpu_memory_gib: float, *, safely: bool = False
) -> NDArray[np.bool_]:
    """Whether the peak is within the GPU's memory, per candidate.

    The margin is part of the peak: the median holds 6 % of allocator reserve and the CUDA context,
    and with `safely` the P90 must fit, which holds the error of the form too.
    """
    peak = memory.peak_bytes[P90 if safely else P50]
    return np.asarray(peak <= gpu_memory_gib * GIB)


def peak_gib(memory: MemoryBreakdown) -> float:
    """Median peak of one candidate in GiB."""
    return float(memory.peak_bytes[P50]) / GIB


def largest_micro_batch(
    architecture: Architecture, recipe: TrainingRecipe, gpu_memory_gib: float, *, gpus: int = 1
) -> int:
    """The largest micro-batch (a power of two up to 1024) that fits; 0 if not even one does."""
    memory = estimate_memory(architecture, recipe, gpus=gpus, micro_batch=MICRO_BATCHES)
    fitting = MICRO_BATCHES[fits(memory, gpu_memory_gib)]
    return int(fitting.max()) if fitting.size else 0


def what_would_fit(
    architecture: Architecture, recipe: TrainingRecipe, gpu: GpuSpec, *, gpus: int = 1
) -> tuple[Change, ...]:
    """The changes of which each makes the recipe fit, those that change least first.

    A change that is not enough alone is tried with single sequences and full checkpointing. A
    smaller micro-batch is made up for by accumulation, so that a step sees as many sequences.
    """
    found = []
    for wish, count, card, words in _wishes(architecture, recipe, gpu, gpus):
        for candidate, besides in _alone_and_lean(wish):
            memory = estimate_memory(architecture, candidate, gpus=count)
            if fits(memory, card.memory_gib):
                change = Change(
                    recipe=candidate,
                    gpus=count,
                    gpu=card.id,
                    peak_gib=peak_gib(memory),
                    sentence=words + besides,
                )
                found.append(change)
                break
    return tuple(found)


Wish = tuple[TrainingRecipe, int, GpuSpec, str]


def _alone_and_lean(wish: TrainingRecipe) -> Iterator[tuple[TrainingRecipe, str]]:
    """A wish as it is, then with a micro-batch of 1 and full checkpointing, and how to say so."""
    yield wish, ""
    besides = []
    if wish.micro_batch > 1:
        besides.append("a micro-batch of 1")
    if wish.checkpointing != "full":
        besides.append("full activation checkpointing")
    if besides:
        lean = _changed(_smaller_batch(wish, 1), checkpointing="full")
        yield lean, " with " + " and ".join(besides)


def _wishes(
    architecture: Architecture, recipe: TrainingRecipe, gpu: GpuSpec, gpus: int
) -> Iterator[Wish]:
    """Changes to one thing each, those that change least first."""
    batch = largest_micro_batch(architecture, recipe, gpu.memory_gib, gpus=gpus)
    if 0 < batch < recipe.micro_batch:
        yield _smaller_batch(recipe, batch), gpus, gpu, f"a micro-batch of {batch}"
    for wish, words in _lighter(recipe):
        yield wish, gpus, gpu, words
    yield from _more_gpus(architecture, recipe, gpu, gpus)
    yield from _larger_cards(architecture, recipe, gpu, gpus)


def _lighter(recipe: TrainingRecipe) -> Iterator[tuple[TrainingRecipe, str]]:
    """Recipes that need less memory on the same GPUs."""
    if recipe.attention == "eager":
        yield _changed(recipe, attention="sdpa"), "a fused attention kernel"
    if recipe.loss_kernel != "fused":
        yield _changed(recipe, loss="fused"), "a fused loss"
    if recipe.checkpointing != "full":
        yield _changed(recipe, checkpointing="full"), "full activation checkpointing"
    if recipe.method == "full" and recipe.optimizer == "adamw":
        yield _changed(recipe, optimizer="adamw_8bit"), "an 8-bit optimizer"
    if recipe.method == "full":
        yield _changed(recipe, method="lora"), "LoRA"
    if recipe.method != "qlora":
        precision = recipe.precision if recipe.precision in ("bf16", "fp16") else "bf16"
        yield _changed(recipe, method="qlora", precision=precision), "QLoRA"


def _more_gpus(
    architecture: Architecture, recipe: TrainingRecipe, gpu: GpuSpec, gpus: int
) -> Iterator[Wish]:
    """The fewest GPUs of the same kind that hold it when they share it (ZeRO-3)."""
    steps = recipe.gradient_accumulation * recipe.data_parallel(gpus)
    for count in LARGER_CLUSTERS:
        if count < gpus or (count == gpus and recipe.sharding == "zero3"):
            continue
        each = max(steps // recipe.data_parallel(count), 1)
        sharded = _changed(recipe, sharding="zero3", gradient_accumulation=each)
        for candidate, _ in _alone_and_lean(sharded):
            if fits(estimate_memory(architecture, candidate, gpus=count), gpu.memory_gib):
                yield sharded, count, gpu, f"{count} x {gpu.id} with ZeRO-3 (FSDP)"
                return


def _larger_cards(
    architecture: Architecture, recipe: TrainingRecipe, gpu: GpuSpec, gpus: int
) -> Iterator[Wish]:
    """The smallest card of the catalogue that holds it."""
    least = LARGER_CARD * gpu.memory_gib
    larger = (card for card in gpu_specs().values() if card.memory_gib >= least)
    for card in sorted(larger, key=lambda card: (card.memory_gib, card.id)):
        for candidate, _ in _alone_and_lean(recipe):
            if fits(estimate_memory(architecture, candidate, gpus=gpus), card.memory_gib):
                yield recipe, gpus, card, f"{gpus} x {card.id}"
                return


def _changed(recipe: TrainingRecipe, **changes: object) -> TrainingRecipe:
    """The recipe with other values, validated again."""
    return TrainingRecipe.model_validate({**recipe.model_dump(), **changes})


def _smaller_batch(recipe: TrainingRecipe, size: int) -> TrainingRecipe:
    """Smaller micro-batches, and as many more of them per step."""
    steps = -(-recipe.micro_batch * recipe.gradient_accumulation // size)
    return _changed(recipe, micro_batch=size, gradient_accumulation=steps)
