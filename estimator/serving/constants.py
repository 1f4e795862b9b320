"""Measured constants of serving stacks and number formats (`data/serving.json`)."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from estimator.errors import CatalogError, unknown
from estimator.quantity import Evidence, Quantity

DATA_FILE = Path(__file__).parent / "data" / "serving.json"
Arithmetic = Literal["bf16", "fp8", "fp4"]


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    source: str
    """Where the numbers come from."""
    as_of: str
    """Date of the source."""
    evidence: Evidence
    """How far the source can be trusted."""
    note: str = ""
    """What a reader should know before using it."""


class WeightFormat(_Row):
    """How the weights of a served model are stored."""

    bits_per_weight: float = Field(gt=0, le=32)
    """Bits per weight of a quantised matrix, scales and zero points included."""
    arithmetic: Arithmetic
    """Format of the matrix products; weight-only formats compute in bf16."""

    @property
    def bytes_per_weight(self) -> float:
        """Bytes per weight of a quantised matrix."""
        return self.bits_per_weight / 8


class Stack(_Row):
    """What a serving program reaches of the hardware, and what it costs besides."""

    bandwidth_share: float = Field(gt=0, le=1)
    """Share of the memory bandwidth reached while reading weights."""
    cache_bandwidth_share: float = Field(gt=0, le=1)
    """Share of the memory bandwidth reached while reading the KV cache."""
    matmul_share: dict[str, float]
    """Share of the dense peak reached in matrix products, by number format; `bf16` at least."""
    expert_matmul_factor: float = Field(gt=0, le=1)
    """The same with routed experts over without: their products are many and small."""
    attention_share: float = Field(gt=0, le=1)
    """Share of the dense bf16 peak reached in prefill attention."""
    kernel_seconds_per_layer: float = Field(ge=0)
    """Time per layer and step that the roofline does not explain (launches, norms, gaps)."""
    host_seconds_per_layer: float = Field(ge=0)
    """CPU time per layer and step; hidden while the GPU takes longer. 0: CUDA graphs."""
    host_seconds_per_sequence: float = Field(ge=0)
    """Time per sequence and step for scheduling and sampling."""
    all_reduce_seconds: float = Field(ge=0)
    """Latency of one all-reduce between the GPUs of a replica."""
    link_share: float = Field(gt=0, le=1)
    """Share of the interconnect bandwidth reached in an all-reduce."""
    memory_share: float = Field(gt=0, le=1)
    """Share of GPU memory that the program may use."""
    prefill_chunk_tokens: int = Field(gt=0)
    """Prompt tokens in one forward pass (chunked prefill): sets the workspace."""
    max_batch: int = Field(gt=0)
    """Most sequences that the program decodes together."""


class ServingConstants(_Row):
    """The whole file."""

    weight_formats: dict[str, WeightFormat]
    stacks: dict[str, Stack]
    spread: dict[str, Quantity]
    """Actual over predicted throughput, by the kind of load."""


@cache
def serving_constants() -> ServingConstants:
    """Every serving constant, validated."""
    try:
        return ServingConstants.model_validate_json(DATA_FILE.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"{DATA_FILE.name}: {place}: {first['msg']}") from None


def weight_format(name: str) -> WeightFormat:
    """The storage format of weights called `name`."""
    formats = serving_constants().weight_formats
    if name not in formats:
        raise unknown("weight format", name, formats)
    return formats[name]


def serving_stack(name: str) -> Stack:
    """The serving program called `name`."""
    stacks = serving_constants().stacks
    if name not in stacks:
        raise unknown("serving stack", name, stacks)
    return stacks[name]


def throughput_spread(load: Literal["batched", "single_stream"] = "batched") -> Quantity:
    """Actual over predicted throughput of a replica: a range to multiply the capacity with."""
    return serving_constants().spread[load]
