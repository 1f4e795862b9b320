"""What a training program reaches of the best rates, as plain numbers for the formulas."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimator.hardware.calibration import Values, lookup
from estimator.quantity import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """Efficiency parameters of one GPU generation and software stack; numbers or arrays."""

    matmul: FloatArray
    """Share of the achievable matmul rate that large products reach."""
    matmul_format: FloatArray
    """The same again for products in FP8 or FP4; 1 in 16 bits and wider."""
    grouped_matmul: FloatArray
    """The same again for the experts of a mixture, imbalance included."""
    narrow_width: FloatArray
    """Width in elements at which a product takes twice its time."""
    few_tokens: FloatArray
    """Rows in a product at which it takes twice its time."""
    attention: FloatArray
    """Share of the dense peak that fused attention kernels reach."""
    elementwise_passes: FloatArray
    """Memory traffic of element-wise work over what perfectly fused kernels would need."""
    scan_passes: FloatArray
    """The same for the recurrence of state-space layers."""
    logits_bytes: FloatArray
    """Bytes moved per logit, loss and its gradient included."""
    adapter_bytes: FloatArray
    """Bytes moved per input and output value of an adapted matrix."""
    dequantisation_bytes: FloatArray
    """Bytes moved to unpack one quantised weight."""
    optimizer_bytes: FloatArray
    """Bytes that the optimizer step moves per trainable parameter."""
    host_update_bytes_per_second: FloatArray
    """Rate at which the CPUs of a node update offloaded optimizer states."""
    link: FloatArray
    """Share of the link bandwidth that collectives reach inside a node."""
    network: FloatArray
    """Share of the network bandwidth that collectives reach between nodes."""
    link_latency_seconds: FloatArray
    network_latency_seconds: FloatArray
    exposed_tensor: FloatArray
    """Share of tensor-parallel communication that computation does not hide."""
    exposed_expert: FloatArray
    exposed_context: FloatArray
    exposed_data: FloatArray
    host_seconds_per_layer: FloatArray
    """CPU time to launch one layer, forward and backward and once again under checkpointing."""
    host_seconds_per_adapter: FloatArray
    host_seconds_per_expert: FloatArray
    host_seconds_per_sharded_layer: FloatArray
    """CPU time that sharded weights (FSDP) add per layer."""
    host_seconds_per_sharded_adapter: FloatArray
    stack: FloatArray
    """Factor on the time of a micro-batch that no term explains."""


def efficiency(
    values: Values,
    *,
    generation: object,
    stack: object,
    number_format: object = "bf16",
    kernel: object = "sdpa",
    loss: object = "plain",
    optimizer: object = "adamw",
    compiled: ArrayLike = False,
) -> Efficiency:
    """The parameters that apply to a GPU generation and a stack, or to arrays of them."""

    def at(name: str, keys: object = "all") -> FloatArray:
        return lookup(values, name, keys)

    def by_stack(name: str) -> FloatArray:
        return lookup(values, name, stack)

    fusion = np.where(compiled, at("compile_factor"), 1.0)
    return Efficiency(
        matmul=at("matmul_efficiency", generation),
        matmul_format=at("format_efficiency", number_format),
        grouped_matmul=by_stack("grouped_matmul_efficiency"),
        narrow_width=at("narrow_width"),
        few_tokens=at("few_tokens"),
        attention=at("attention_efficiency", generation) * at("attention_kernel", kernel),
        elementwise_passes=by_stack("elementwise_passes") * fusion,
        scan_passes=at("scan_passes"),
        logits_bytes=at("logits_bytes", loss),
        adapter_bytes=by_stack("adapter_bytes"),
        dequantisation_bytes=at("dequantisation_bytes"),
        optimizer_bytes=at("optimizer_bytes", optimizer),
        host_update_bytes_per_second=at("host_update_bytes_per_second"),
        link=at("link_efficiency"),
        network=at("network_efficiency"),
        link_latency_seconds=at("link_latency_seconds"),
        network_latency_seconds=at("network_latency_seconds"),
        exposed_tensor=at("exposed_tensor"),
        exposed_expert=at("exposed_expert"),
        exposed_context=at("exposed_context"),
        exposed_data=at("exposed_data"),
        host_seconds_per_layer=by_stack("host_seconds_per_layer"),
        host_seconds_per_adapter=by_stack("host_seconds_per_adapter"),
        host_seconds_per_expert=by_stack("host_seconds_per_expert"),
        host_seconds_per_sharded_layer=by_stack("host_seconds_per_sharded_layer"),
        host_seconds_per_sharded_adapter=by_stack("host_seconds_per_sharded_adapter"),
        stack=by_stack("stack_factor"),
    )
