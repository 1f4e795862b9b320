"""The rates that a serving program reaches on the GPUs of one replica."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimator.hardware.calibration import Values, generation_key, lookup, shipped_calibration
from estimator.hardware.rates import TERA, NumberFormat, achievable_matmul_flops, peak_flops
from estimator.quantity import FloatArray
from estimator.serving.constants import Arithmetic, Stack
from pricing.gpus import GpuSpec

GIB = 2**30
GB = 1e9
HALF_FORMATS: tuple[NumberFormat, ...] = ("bf16", "fp16")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaHardware:
    """One replica's GPUs as a serving program gets to use them; each field may be an array.

    Rates are per GPU and already multiplied by the share that the program reaches.
    """

    gpus: FloatArray
    """GPUs that split each layer (tensor parallel)."""
    memory_bytes: FloatArray
    """Memory of one GPU."""
    weights_bytes_per_second: FloatArray
    """Rate at which weights are read."""
    cache_bytes_per_second: FloatArray
    """Rate at which the KV cache is read."""
    matmul_flops_per_second: FloatArray
    """Rate of the matrix products."""
    vector_flops_per_second: FloatArray
    """Peak outside the matrix units."""
    unpacks: FloatArray
    """1 where the GPU lacks the format of the weights and must unpack them."""
    attention_flops_per_second: FloatArray
    """Rate of prefill attention."""
    link_bytes_per_second: FloatArray
    """Rate to the replica's other GPUs, one direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The GPUs of one replica before any serving program; each field may be an array."""

    gpus: FloatArray
    memory_bytes: FloatArray
    """Memory of one GPU."""
    memory_bytes_per_second: FloatArray
    """Bandwidth of its data sheet."""
    matmul_flops_per_second: FloatArray
    """What large matrix products of training reach."""
    vector_flops_per_second: FloatArray
    """Peak outside the matrix units (fp32): unpacks quantised weights."""
    number_format: NDArray[np.str_]
    """Format of those products: bf16 (fp16 and fp32 too), fp8 or fp4."""
    unpacks: FloatArray
    """1 where the GPU lacks the format of the weights and must unpack them."""
    attention_flops_per_second: FloatArray
    """What attention reaches in training."""
    link_bytes_per_second: FloatArray
    """What collectives reach in training between the GPUs of a node, one direction."""


def arithmetic_on(spec: GpuSpec, wanted: Arithmetic) -> NumberFormat:
    """The number format of the matrix products of a format `wanted` on this GPU.

    A GPU without the type unpacks the weights and multiplies in half precision.
    """
    if wanted in spec.dense_tflops:
        return wanted
    return next((half for half in HALF_FORMATS if half in spec.dense_tflops), "fp32")


def machine(spec: GpuSpec, *, gpus: int = 1, arithmetic: Arithmetic = "bf16") -> Machine:
    """`gpus` GPUs of one kind, with the rates that training reaches on them.

    Those were measured over many shapes; ref `estimator/hardware`. A serving program's own factors
    come on top in `reached`.
    """
    trained = shipped_calibration().values
    used, half = arithmetic_on(spec, arithmetic), arithmetic_on(spec, "bf16")
    attention = lookup(trained, "attention_efficiency", generation_key(spec.generation))
    link = spec.interconnect_gb_per_second * GB * lookup(trained, "link_efficiency")
    rates = {
        "gpus": gpus,
        "unpacks": arithmetic != "bf16" and used != arithmetic,
        "memory_bytes": spec.memory_gib * GIB,
        "memory_bytes_per_second": spec.memory_bandwidth_gb_per_second * GB,
        "matmul_flops_per_second": trained_matmul_flops(spec, used, trained),
        "vector_flops_per_second": vector_flops(spec),
        "attention_flops_per_second": peak_flops(spec, half) * attention,
        "link_bytes_per_second": link,
    }
    arrays = {name: np.asarray(rate, dtype=np.float64) for name, rate in rates.items()}
    family = used if used in ("fp8", "fp4") else "bf16"
    return Machine(**arrays, number_format=np.asarray(family))


def together(candidates: Sequence[Machine]) -> Machine:
    """Several candidates as one, each field an array of shape (candidates,)."""
    return Machine(
        **{
            field.name: np.array([getattr(one, field.name) for one in candidates])
            for field in fields(Machine)
        }
    )


def reached(found: Machine, stack: Stack, *, moe: ArrayLike = False) -> ReplicaHardware:
    """What a serving program gets of a machine, or of an array of them."""
    factor = _by_format(stack.matmul_factor, found.number_format)
    experts = np.where(moe, stack.expert_matmul_factor, 1.0)
    return ReplicaHardware(
        gpus=found.gpus,
        memory_bytes=found.memory_bytes,
        weights_bytes_per_second=found.memory_bytes_per_second * stack.bandwidth_share,
        cache_bytes_per_second=found.memory_bytes_per_second * stack.cache_bandwidth_share,
        matmul_flops_per_second=found.matmul_flops_per_second * factor * experts,
        vector_flops_per_second=found.vector_flops_per_second,
        unpacks=found.unpacks,
        attention_flops_per_second=found.attention_flops_per_second * stack.attention_factor,
        link_bytes_per_second=found.link_bytes_per_second,
    )


def _by_format(factors: Mapping[str, FloatArray], formats: NDArray[np.str_]) -> FloatArray:
    names = formats.ravel().tolist()
    return np.array([float(factors[name]) for name in names]).reshape(formats.shape)


def replica_hardware(
    spec: GpuSpec,
    stack: Stack,
    *,
    gpus: int = 1,
    arithmetic: Arithmetic = "bf16",
    moe: bool = False,
) -> ReplicaHardware:
    """What `stack` reaches on `gpus` GPUs of one kind with matrix products in `arithmetic`."""
    return reached(machine(spec, gpus=gpus, arithmetic=arithmetic), stack, moe=moe)


def trained_matmul_flops(spec: GpuSpec, number_format: NumberFormat, trained: Values) -> float:
    """FLOP/s that the large matrix products of training reach on this GPU.

    Never more than the dense peak.
    """
    share = lookup(trained, "matmul_efficiency", generation_key(spec.generation))
    share = share * lookup(trained, "format_efficiency", number_format)
    best = achievable_matmul_flops(spec, number_format, trained) * float(share)
    return min(best, peak_flops(spec, number_format))


def vector_flops(spec: GpuSpec) -> float:
    """Peak FLOP/s outside the matrix units: the fp32 figure of the data sheet.

    Where none is stated, a sixteenth of the 16-bit matrix peak, as on an A100.
    """
    stated = spec.dense_tflops.get("fp32")
    return stated * TERA if stated else peak_flops(spec, arithmetic_on(spec, "bf16")) / 16.0
