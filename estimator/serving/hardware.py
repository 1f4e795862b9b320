"""The rates that a serving program reaches on the GPUs of one replica."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from estimator.quantity import FloatArray
from estimator.serving.constants import Arithmetic, Stack
from pricing.gpus import GpuSpec

GIB = 2**30
HALF_FORMATS = ("bf16", "fp16")


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
    attention_flops_per_second: FloatArray
    """Rate of prefill attention."""
    link_bytes_per_second: FloatArray
    """Rate to the replica's other GPUs, one direction."""


def arithmetic_on(spec: GpuSpec, wanted: Arithmetic) -> str:
    """The number format of the matrix products of a format `wanted` on this GPU.

    A GPU without the type unpacks the weights and multiplies in half precision.
    """
    if wanted in spec.dense_tflops:
        return wanted
    return next((half for half in HALF_FORMATS if half in spec.dense_tflops), "fp32")


def replica_hardware(
    spec: GpuSpec,
    stack: Stack,
    *,
    gpus: int = 1,
    arithmetic: Arithmetic = "bf16",
    moe: bool = False,
) -> ReplicaHardware:
    """What `stack` reaches on `gpus` GPUs of one kind with matrix products in `arithmetic`."""
    used = arithmetic_on(spec, arithmetic)
    half = arithmetic_on(spec, "bf16")
    matmul_share = stack.matmul_share.get(used, stack.matmul_share["bf16"])
    if moe:
        matmul_share *= stack.expert_matmul_factor
    bandwidth = spec.memory_bandwidth_gb_per_second * 1e9
    rates = {
        "gpus": gpus,
        "memory_bytes": spec.memory_gib * GIB,
        "weights_bytes_per_second": bandwidth * stack.bandwidth_share,
        "cache_bytes_per_second": bandwidth * stack.cache_bandwidth_share,
        "matmul_flops_per_second": spec.peak_tflops(used) * 1e12 * matmul_share,
        "attention_flops_per_second": spec.peak_tflops(half) * 1e12 * stack.attention_share,
        "link_bytes_per_second": spec.interconnect_gb_per_second * 1e9 * stack.link_share,
    }
    return ReplicaHardware(**{k: np.asarray(v, dtype=np.float64) for k, v in rates.items()})


def together(candidates: Sequence[ReplicaHardware]) -> ReplicaHardware:
    """Several candidates as one, each field an array of shape (candidates,)."""
    return ReplicaHardware(
        **{
            field.name: np.array([getattr(one, field.name) for one in candidates])
            for field in fields(ReplicaHardware)
        }
    )
