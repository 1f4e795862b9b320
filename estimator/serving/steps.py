"""Seconds of one decode step and of one prefill on a replica.

Decode reads all weights for one token per sequence (bandwidth-bound); prefill multiplies many
tokens with each weight (compute-bound). The roofline terms follow Pope et al., "Efficiently Scaling
Transformer Inference", arXiv 2211.05102; what a program reaches of each rate is measured
(`data/serving.json`). Every argument may be an array; shapes broadcast.
Left out: speculative decoding, prefix caching, pipeline parallelism.
"""

import numpy as np
from numpy.typing import ArrayLike

from estimator.quantity import FloatArray
from estimator.serving.constants import Stack
from estimator.serving.hardware import ReplicaHardware
from estimator.serving.model import (
    HALF_BYTES,
    ServedModel,
    kv_cache_bytes,
    prefill_attention_flops,
    read_bytes,
)


def decode_step_seconds(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    *,
    batch: ArrayLike,
    context_tokens: ArrayLike,
) -> FloatArray:
    """Seconds in which `batch` sequences of `context_tokens` tokens each gain one token.

    max(reading the weights, multiplying them) + reading the KV cache + all-reduces + gaps; never
    less than the host needs to launch the layers; plus the host's work for each sequence.
    """
    batch = np.asarray(batch, dtype=np.float64)
    weights = read_bytes(model, batch) / (hardware.gpus * hardware.weights_bytes_per_second)
    flops = batch * (model.layer_flops_per_token + model.head_flops_per_token)
    products = flops / (hardware.gpus * hardware.matmul_flops_per_second)
    cache_bytes = batch * kv_cache_bytes(model, context_tokens) / cache_shards(model, hardware)
    gpu_seconds = (
        np.maximum(weights, products)
        + cache_bytes / hardware.cache_bytes_per_second
        + all_reduce_seconds(model, hardware, stack, batch)
        + model.num_layers * stack.kernel_seconds_per_layer
    )
    host_seconds = model.num_layers * stack.host_seconds_per_layer
    return np.maximum(gpu_seconds, host_seconds) + batch * stack.host_seconds_per_sequence


def prefill_seconds(
    model: ServedModel, hardware: ReplicaHardware, stack: Stack, prompt_tokens: ArrayLike
) -> FloatArray:
    """Seconds of GPU time that one prompt of `prompt_tokens` takes beside running decode steps.

    Matrix products of every prompt token, causal attention and all-reduces; reading the weights
    is shared with the decode steps that run in the same passes (chunked prefill).
    """
    prompt = np.asarray(prompt_tokens, dtype=np.float64)
    flops = prompt * model.layer_flops_per_token + model.head_flops_per_token
    products = flops / (hardware.gpus * hardware.matmul_flops_per_second)
    attention = prefill_attention_flops(model, prompt) / (
        hardware.gpus * hardware.attention_flops_per_second
    )
    return products + attention + all_reduce_seconds(model, hardware, stack, prompt)


def all_reduce_seconds(
    model: ServedModel, hardware: ReplicaHardware, stack: Stack, tokens: ArrayLike
) -> FloatArray:
    """Seconds of the two all-reduces per layer that tensor parallelism needs for `tokens` tokens.

    A ring moves 2 (g-1)/g of the bytes over each GPU's link (Patarasuk and Yuan, 2009); layers
    split as in Megatron-LM (Shoeybi et al., arXiv 1909.08053).
    """
    tensor_bytes = np.asarray(tokens) * model.hidden_size * HALF_BYTES
    ring = 2.0 * (hardware.gpus - 1) / hardware.gpus * tensor_bytes / hardware.link_bytes_per_second
    one = stack.all_reduce_seconds + ring
    return np.where(hardware.gpus > 1, 2.0 * model.num_layers * one, 0.0)


def cache_shards(model: ServedModel, hardware: ReplicaHardware) -> FloatArray:
    """GPUs that split one sequence's KV cache: no more than the model has key-value heads."""
    return np.minimum(hardware.gpus, float(model.cache_shards))


def unloaded_request_seconds(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    *,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
) -> FloatArray:
    """Seconds of one request on a replica that does nothing else: prefill, then token by token.

    A prompt takes at least one step, for the weights are read in any case; the steps are those
    at the mean context, since their time is linear in it.
    """
    prompt = np.asarray(input_tokens, dtype=np.float64)
    output = np.asarray(output_tokens, dtype=np.float64)
    first = decode_step_seconds(model, hardware, stack, batch=1, context_tokens=prompt)
    step = decode_step_seconds(
        model, hardware, stack, batch=1, context_tokens=mean_context_tokens(prompt, output)
    )
    return np.maximum(prefill_seconds(model, hardware, stack, prompt), first) + output * step


def mean_context_tokens(input_tokens: ArrayLike, output_tokens: ArrayLike) -> FloatArray:
    """Tokens that a sequence holds on average while it is decoded: input + output / 2."""
    return np.asarray(np.asarray(input_tokens) + np.asarray(output_tokens) / 2.0)
