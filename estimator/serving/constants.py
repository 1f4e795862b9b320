"""Measured constants of serving programs and number formats (`data/serving.json`).

Each is a named parameter with a physical meaning, its prior and its uncertainty, of the same form
as the calibration of training; `benchmarks/serving_estimate.py --fit` measures them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from estimator.errors import CatalogError, unknown
from estimator.hardware.calibration import Parameter, Values, lookup
from estimator.quantity import Evidence, FloatArray, Quantity

DATA_FILE = Path(__file__).parent / "data" / "serving.json"
Arithmetic = Literal["bf16", "fp8", "fp4"]
LoadKind = Literal["batched", "single_stream"]


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
    unpacked: bool
    """Whether the weights are unpacked to 16 bits before each product."""

    @property
    def bytes_per_weight(self) -> float:
        """Bytes per weight of a quantised matrix."""
        return self.bits_per_weight / 8


class Program(_Row):
    """What a serving program is set to, or cannot do; it is not fitted."""

    memory_share: float = Field(gt=0, le=1)
    """Share of GPU memory that the program may use."""
    prefill_chunk_tokens: int = Field(gt=0)
    """Prompt tokens in one forward pass (chunked prefill): sets the workspace."""
    max_batch: int = Field(gt=0)
    """Most sequences that the program decodes together."""
    expands_cache: bool
    """Whether each step copies the KV cache out to every query head (no paged kernel)."""


class Spread(_Row):
    """Actual over predicted throughput."""

    factor: Quantity
    """A range to multiply a predicted throughput with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What a serving program reaches of the hardware, and what it costs besides.

    Each field is a number, or an array over programs.
    """

    bandwidth_share: FloatArray
    """Share of the memory bandwidth reached while reading weights."""
    cache_bandwidth_share: FloatArray
    """Share of the memory bandwidth reached while reading the KV cache."""
    expands_cache: FloatArray
    """1 where each step copies the cache out to every query head."""
    unpack_flops_per_weight: FloatArray
    """Operations outside the matrix units to unpack one quantised weight."""
    matmul_factor: Mapping[str, FloatArray]
    """Matmul rate over that of training on the same GPU, by number format."""
    expert_matmul_factor: FloatArray
    """The same with routed experts over without: their products are many and small."""
    attention_factor: FloatArray
    """Rate of prefill attention over that of training on the same GPU."""
    kernel_seconds_per_layer: FloatArray
    """Time per layer and step that the roofline does not explain (norms, gaps between kernels)."""
    host_seconds_per_layer: FloatArray
    """CPU time per layer and step; hidden while the GPU takes longer."""
    host_seconds_per_step: FloatArray
    """CPU time per step that the GPU waits for: scheduling, sampling, handing out tokens."""
    host_seconds_per_sequence: FloatArray
    """The same for each sequence of the batch."""
    all_reduce_seconds: FloatArray
    """Latency of one all-reduce between the GPUs of a replica."""
    memory_share: FloatArray
    prefill_chunk_tokens: FloatArray
    max_batch: FloatArray


class ServingConstants(_Row):
    """The whole file."""

    rows: int
    """Measurements behind the fitted parameters."""
    seen: tuple[str, ...]
    """Program, GPU generation and kind of load of each of them, as `seen_key` writes it."""
    parameters: dict[str, Parameter]
    weight_formats: dict[str, WeightFormat]
    programs: dict[str, Program]
    spread: dict[str, Spread]
    """Actual over predicted throughput, by the kind of load; narrower where that load was measured
    with the same program on the same GPU generation (`..._seen`)."""

    @property
    def values(self) -> Values:
        """The bare numbers, as the formulas read them."""
        return {
            name: {key: entry.value for key, entry in parameter.entries.items()}
            for name, parameter in self.parameters.items()
        }


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


@cache
def serving_stack(name: str) -> Stack:
    """The serving program called `name`, as the shipped constants have it."""
    constants = serving_constants()
    if name not in constants.programs:
        raise unknown("serving stack", name, constants.programs)
    return stack_of(name, constants.values)


def stack_of(programs: object, values: Values) -> Stack:
    """The constants of one program, or of an array of them, with parameters `values`."""
    constants = serving_constants()
    names = np.asarray(programs, dtype=object)

    def fixed(field: str) -> FloatArray:
        return lookup({field: _fixed(constants, field)}, field, names)

    def fitted(name: str) -> FloatArray:
        keys = "all" if constants.parameters[name].by == "all" else names
        return lookup(values, name, keys)

    return Stack(
        bandwidth_share=fitted("bandwidth_share"),
        cache_bandwidth_share=fitted("cache_bandwidth_share"),
        expands_cache=fixed("expands_cache"),
        unpack_flops_per_weight=fitted("unpack_flops_per_weight"),
        matmul_factor={
            name: np.asarray(factor) for name, factor in values["matmul_factor"].items()
        },
        expert_matmul_factor=fitted("expert_matmul_factor"),
        attention_factor=fitted("attention_factor"),
        kernel_seconds_per_layer=fitted("kernel_seconds_per_layer"),
        host_seconds_per_layer=fitted("host_seconds_per_layer"),
        host_seconds_per_step=fitted("host_seconds_per_step"),
        host_seconds_per_sequence=fitted("host_seconds_per_sequence"),
        all_reduce_seconds=fitted("all_reduce_seconds"),
        memory_share=fixed("memory_share"),
        prefill_chunk_tokens=fixed("prefill_chunk_tokens"),
        max_batch=fixed("max_batch"),
    )


def _fixed(constants: ServingConstants, field: str) -> dict[str, float]:
    return {name: float(getattr(program, field)) for name, program in constants.programs.items()}


def seen_key(program: str, generation: str, load: LoadKind) -> str:
    """How the constants name a program on a GPU generation under a kind of load."""
    return f"{program} {generation} {load}"


def throughput_spread(
    load: LoadKind = "batched", *, program: str = "", generation: str = ""
) -> Quantity:
    """Actual over predicted throughput of a replica: a range to multiply the capacity with.

    Narrower where measurements of this program on this GPU generation are behind the constants.
    """
    constants = serving_constants()
    known = seen_key(program, generation, load) in constants.seen
    return constants.spread[f"{load}_seen" if known else load].factor
