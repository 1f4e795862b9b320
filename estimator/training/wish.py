"""The recipe of a user who names a part of it: the rest is what runs fastest and fits."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from pydantic import ValidationError

from estimator.dataset import DatasetProfile
from estimator.errors import InfeasiblePlan, InputError
from estimator.hardware.calibration import Calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.training.choose import (
    CHECKPOINTING,
    TOKENS_PER_GPU,
    TOKENS_PER_STEP,
    accumulation,
    choose_recipe,
)
from estimator.training.fits import MICRO_BATCHES, fits
from estimator.training.memory import estimate_memory
from estimator.training.recipe import (
    Checkpointing,
    Method,
    Precision,
    Sharding,
    Stack,
    TrainingRecipe,
)
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
    architecture: Architecture,
    cluster: Cluster,
    wish: RecipeWish,
    dataset: DatasetProfile,
    calibration: Calibration | None = None,
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
                calibration=calibration,
            )
        except InfeasiblePlan:
            return lean
    fitting = [
        recipe
        for recipe in _candidates(cluster, wish, lean)
        if fits(estimate_memory(architecture, recipe, gpus=cluster.gpus), cluster.gpu.memory_gib)
    ]

    def speed(recipe: TrainingRecipe) -> float:
        step = step_time(architecture, recipe, cluster, calibration)
        return float(step.tokens_per_second_per_gpu)

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
