"""The forms of a recipe worth trying on a number of GPUs: what the software can do and the model
admits. What each software stack can do is data, in `data/stack_support.json`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from estimator.errors import CatalogError
from estimator.llm.architecture import Architecture
from estimator.training.grid import Form
from estimator.training.recipe import (
    Checkpointing,
    Method,
    Offload,
    Precision,
    Sharding,
    Stack,
    TrainingRecipe,
)
from estimator.training.states import MASTER_STACKS

SUPPORT_FILE = Path(__file__).parent / "data" / "stack_support.json"
LONG_SEQUENCE = 8192
"""Tokens from which splitting a sequence over GPUs is worth a try."""
LARGEST_DEGREE = 16
Split = Literal["tensor_parallel", "pipeline_parallel", "context_parallel", "expert_parallel"]


class StackSupport(BaseModel):
    """What a software stack can do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checkpointing: tuple[Checkpointing, ...]
    sharding: tuple[Sharding, ...]
    offload: tuple[Offload, ...]
    splits: tuple[Split, ...]
    fp8: bool
    source: str
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormWish:
    """What of a recipe a user names; the rest is searched."""

    methods: tuple[Method, ...] = ("lora",)
    stacks: tuple[Stack, ...] = ("huggingface",)
    sequence_length: int = 2048
    lora_rank: int = 16
    packing: bool = True
    precision: Precision | None = None
    """None: bf16, or fp16 where the GPU lacks it; `amp` where full fine-tuning is done by software
    that keeps an fp32 master copy."""
    offload: bool = False
    """Whether states may be kept in CPU memory."""
    fp8: bool = False
    """Whether products in FP8 are tried where the GPU and the software have them."""


@cache
def stack_support() -> Mapping[str, StackSupport]:
    """What each stack can do."""
    adapter = TypeAdapter(dict[str, StackSupport])
    try:
        found = adapter.validate_json(SUPPORT_FILE.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"{SUPPORT_FILE.name}: {place}: {first['msg']}") from None
    return MappingProxyType(found)


def forms_of(
    architecture: Architecture, wish: FormWish, *, gpus: int, precision: Precision, fp8: bool
) -> tuple[Form, ...]:
    """Every form of the wished recipes on `gpus` GPUs.

    Sharding and offload are searched as far as they change something: one data-parallel rank has
    nothing to share. `fp8`: whether the GPU has products in FP8, which some software can use.
    """
    narrow = fp8 and precision in ("bf16", "amp")
    return tuple(
        Form(recipe=recipe.model_copy(update={"matmul_format": matmul_format}), gpus=gpus)
        for method, stack in product(wish.methods, wish.stacks)
        for recipe in _recipes(architecture, wish, method, stack, gpus, precision)
        for matmul_format in ((None, "fp8") if narrow and stack_support()[stack].fp8 else (None,))
    )


def _recipes(
    architecture: Architecture,
    wish: FormWish,
    method: Method,
    stack: Stack,
    gpus: int,
    precision: Precision,
) -> Iterator[TrainingRecipe]:
    can = stack_support()[stack]
    if method == "qlora" and precision not in ("bf16", "fp16"):
        return
    keeps_master = method == "full" and stack in MASTER_STACKS
    if wish.precision is None and precision == "bf16" and keeps_master:
        precision = "amp"
    base = TrainingRecipe(
        method=method,
        stack=stack,
        precision=precision,
        sequence_length=wish.sequence_length,
        lora_rank=wish.lora_rank,
        packing=wish.packing,
    )
    offloads = can.offload if wish.offload else ("none",)
    for split in _splits(architecture, wish, can, gpus):
        alone = base.model_copy(update=dict(split)).data_parallel(gpus) == 1
        shardings = ("none",) if alone else can.sharding
        for checkpointing, sharding, offload in product(can.checkpointing, shardings, offloads):
            if offload == "parameters" and sharding != "zero3":
                continue
            yield base.model_copy(
                update={
                    **split,
                    "checkpointing": checkpointing,
                    "sharding": sharding,
                    "offload": offload,
                }
            )


def _splits(
    architecture: Architecture, wish: FormWish, can: StackSupport, gpus: int
) -> Iterator[dict[str, int]]:
    """Degrees of the parallelisms that the stack has, powers of two that divide what they split.

    Experts are split over GPUs that hold the same part of every matrix: tensor parallelism splits
    each expert as well, and no GPU can hold less than its share of both.
    """
    heads = [x.attention.heads for x in architecture.layers if x.attention is not None]
    experts = max((x.experts for x in architecture.layers), default=0)
    limits: dict[Split, int] = {
        "tensor_parallel": min(heads, default=1),
        "pipeline_parallel": architecture.num_layers,
        "context_parallel": 8 if wish.sequence_length >= LONG_SEQUENCE else 1,
        "expert_parallel": max(experts, 1),
    }
    degrees = [
        [n for n in _powers(gpus) if limits[name] % n == 0] if name in can.splits else [1]
        for name in limits
    ]
    for chosen in product(*degrees):
        split = dict(zip(limits, chosen, strict=True))
        inside = split["tensor_parallel"] * split["pipeline_parallel"] * split["context_parallel"]
        side_by_side = gpus // (split["tensor_parallel"] * split["pipeline_parallel"])
        if gpus % inside == 0 and side_by_side % split["expert_parallel"] == 0:
            yield {str(name): degree for name, degree in split.items()}


def _powers(gpus: int) -> list[int]:
    return [2**i for i in range(5) if 2**i <= min(gpus, LARGEST_DEGREE)]
