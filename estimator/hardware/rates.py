"""What the hardware can do at best: matrix products, memory, links, and collectives over them.

Everything is in FLOP/s, bytes/s and seconds. Every argument may be an array; shapes broadcast.
How much of it a training program reaches is the subject of `efficiency.py`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from estimator.errors import InputError
from estimator.hardware.calibration import Values
from estimator.hardware.cluster import GB, Cluster
from estimator.quantity import FloatArray
from pricing.gpus import GpuSpec

Numbers = float | FloatArray
NumberFormat = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "fp4"]
TERA = 1e12
SMALL_CARD_FLOPS = 250e12  # 16-bit peak below which a card holds its clock under load


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """The best rates of one GPU of a cluster; each field is a number or an array."""

    matmul_flops_per_second: Numbers
    """Measured maximum of matrix products in the number format of the run."""
    wide_matmul_flops_per_second: Numbers
    """The same in the wider format that head and adapters keep (16 bits under FP8 and FP4)."""
    attention_flops_per_second: Numbers
    """Dense peak in the wider format."""
    memory_bytes_per_second: Numbers
    link_bytes_per_second: Numbers
    """From one GPU to the others of its node, one direction."""
    network_bytes_per_second: Numbers
    """From one node to the others, one direction."""
    host_bytes_per_second: Numbers
    """Between one GPU and its CPU's memory, one direction."""
    gpus_per_node: Numbers


def cluster_rates(cluster: Cluster, number_format: NumberFormat, values: Values) -> Rates:
    """The best rates of `cluster` for products in `number_format`."""
    wide: NumberFormat = "bf16" if number_format in ("fp8", "fp4") else number_format
    return Rates(
        matmul_flops_per_second=achievable_matmul_flops(cluster.gpu, number_format, values),
        wide_matmul_flops_per_second=achievable_matmul_flops(cluster.gpu, wide, values),
        attention_flops_per_second=peak_flops(cluster.gpu, wide),
        memory_bytes_per_second=cluster.gpu.memory_bandwidth_gb_per_second * GB,
        link_bytes_per_second=cluster.link_bytes_per_second,
        network_bytes_per_second=cluster.network_bytes_per_second,
        host_bytes_per_second=cluster.host_bytes_per_second,
        gpus_per_node=cluster.gpus_per_node,
    )


def peak_flops(gpu: GpuSpec, number_format: NumberFormat) -> float:
    """Dense peak in FLOP/s; a user's error where the chip lacks the format."""
    if number_format not in gpu.dense_tflops:
        raise InputError(
            f"{gpu.id} has no {number_format} matrix units; "
            f"it has: {', '.join(f for f in gpu.dense_tflops if f != 'int8')}"
        )
    return gpu.dense_tflops[number_format] * TERA


def achievable_matmul_flops(gpu: GpuSpec, number_format: NumberFormat, values: Values) -> float:
    """Highest FLOP/s that matrix products reach in practice (MAMF).

    Measured where somebody searched over shapes (Bekman, "Maximum Achievable Matmul FLOPS",
    ml-engineering); else the peak times the share that measured chips reach, larger for small
    cards, which power does not throttle. FP16 takes the BF16 share, FP8 that share times
    `fp8_share_ratio`, FP4 and FP32 the plain share.
    """
    peak = peak_flops(gpu, number_format)
    if number_format == "fp8" and gpu.mamf_fp8_tflops is not None:
        return gpu.mamf_fp8_tflops * TERA
    half = gpu.dense_tflops.get("bf16", gpu.dense_tflops.get("fp16", 0.0)) * TERA
    size = "small" if half < SMALL_CARD_FLOPS else "large"
    share = values["achievable_share_of_peak"][size]
    if gpu.mamf_bf16_tflops is not None:
        share = gpu.mamf_bf16_tflops * TERA / peak_flops(gpu, "bf16")
    if number_format == "fp8":
        share *= values["fp8_share_ratio"]["all"]
    return peak * share


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The GPUs that take part in one collective, and what each of them can send."""

    ranks: FloatArray
    link_bytes_per_second: FloatArray
    """Usable bandwidth of one rank inside its node."""
    network_bytes_per_second: FloatArray
    """Usable network bandwidth of the group's ranks in one node together."""
    ranks_per_node: FloatArray
    latency_seconds: FloatArray
    """Time of one collective of no bytes."""

    @property
    def crosses_nodes(self) -> FloatArray:
        """1 where the group spans several nodes, else 0."""
        return (self.ranks > self.ranks_per_node).astype(np.float64)


def place(
    rates: Rates,
    ranks: Numbers,
    inner: Numbers,
    *,
    link_efficiency: Numbers,
    network_efficiency: Numbers,
    link_latency_seconds: Numbers,
    network_latency_seconds: Numbers,
) -> Group:
    """The group of every `inner`-th GPU, `ranks` of them, filling nodes in order.

    Tensor-parallel ranks are neighbours (inner 1), data-parallel ranks stand apart by the ranks
    inside them. The groups that share a node share its network adapters evenly.
    """
    ranks, inner = np.asarray(ranks, dtype=np.float64), np.asarray(inner, dtype=np.float64)
    per_node = np.asarray(rates.gpus_per_node, dtype=np.float64)
    together = np.clip(np.floor(per_node / inner), 1.0, ranks)
    network = rates.network_bytes_per_second * np.asarray(network_efficiency)
    crosses = ranks > together
    return Group(
        ranks=ranks,
        link_bytes_per_second=rates.link_bytes_per_second * np.asarray(link_efficiency),
        network_bytes_per_second=network * together / per_node,
        ranks_per_node=together,
        latency_seconds=np.where(crosses, network_latency_seconds, link_latency_seconds),
    )


def all_gather_seconds(group: Group, total_bytes: Numbers) -> FloatArray:
    """Seconds to give every rank all `total_bytes`; a reduce-scatter takes as long.

    Ring: alpha + (n-1)/n bytes over the slower of the link and the node's network, which all
    rings of the group share (Thakur, Rabenseifner and Gropp 2005; NCCL).
    """
    slowest = np.where(
        group.crosses_nodes > 0,
        np.minimum(group.link_bytes_per_second, group.network_bytes_per_second),
        group.link_bytes_per_second,
    )
    share = (group.ranks - 1) / group.ranks
    time = group.latency_seconds + share * total_bytes / slowest
    return np.where(group.ranks > 1, time, 0.0)


def all_reduce_seconds(group: Group, total_bytes: Numbers) -> FloatArray:
    """Seconds to sum `total_bytes` over all ranks: a reduce-scatter and an all-gather."""
    return 2.0 * all_gather_seconds(group, total_bytes)


def all_to_all_seconds(group: Group, bytes_per_rank: Numbers) -> FloatArray:
    """Seconds in which each rank sends an equal part of its `bytes_per_rank` to every rank.

    What stays in the node uses the link, the rest the rank's share of the network; the slower
    of the two decides.
    """
    sent = bytes_per_rank / group.ranks
    inside = sent * (group.ranks_per_node - 1) / group.link_bytes_per_second
    outside_bytes = sent * (group.ranks - group.ranks_per_node) * group.ranks_per_node
    time = group.latency_seconds + np.maximum(
        inside, outside_bytes / group.network_bytes_per_second
    )
    return np.where(group.ranks > 1, time, 0.0)
