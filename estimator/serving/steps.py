"""Seconds of one decode step and of one prefill on a replica.

Decode reads all weights for one token per sequence (bandwidth-bound); prefill multiplies many
tokens with each weight (compute-bound). The roofline terms follow Pope et al., "Efficiently Scaling
Transformer Inference", arXiv 2211.05102; what a program reaches of each rate is measured
(`data/serving.json`). Every argument may be an array; shapes broadcast.
Left out: speculative decoding, pipeline parallelism.
"""

import numpy as np
from numpy.typing import ArrayLike

from estimator.quantity import FloatArray
from estimator.serving.constants import Stack
from estimator.serving.hardware import ReplicaHardware
from estimator.serving.model import (
    HALF_BYTES,
    ServedModel,
    cache_read_bytes,
    prefill_attention_flops,
    quantised_weights,
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

    Reading and unpacking the weights + multiplying them + reading the KV cache + all-reduces +
    gaps; never less than the host needs to launch the layers; plus the host's work for the step
    and for each sequence. Reading and multiplying are added: at the batches of decoding a kernel
    reaches neither rate in full (docs/method/serving-tried.md).
    """
    batch = np.asarray(batch, dtype=np.float64)
    reading = read_bytes(model, batch) / hardware.weights_bytes_per_second
    unpacks = np.maximum(model.weight_only, hardware.unpacks)
    unpacking = quantised_weights(model, batch) * unpacks * stack.unpack_flops_per_weight
    weights = (reading + unpacking / hardware.vector_flops_per_second) / hardware.gpus
    flops = batch * (model.layer_flops_per_token + model.head_flops_per_token)
    products = flops / (hardware.gpus * hardware.matmul_flops_per_second)
    moved = cache_read_bytes(model, context_tokens, stack.expands_cache)
    cache_bytes = batch * moved / cache_shards(model, hardware)
    gpu_seconds = (
        weights
        + products
        + cache_bytes / hardware.cache_bytes_per_second
        + all_reduce_seconds(model, hardware, stack, batch)
        + model.num_layers * stack.kernel_seconds_per_layer
    )
    host_seconds = model.num_layers * stack.host_seconds_per_layer
    waiting = stack.host_seconds_per_step + batch * stack.host_seconds_per_sequence
    return np.asarray(np.maximum(gpu_seconds, host_seconds) + waiting)


def prefill_seconds(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    prompt_tokens: ArrayLike,
    *,
    cached_share: ArrayLike = 0.0,
) -> FloatArray:
    """Seconds of GPU time that one prompt of `prompt_tokens` takes beside running decode steps.

    Matrix products of every prompt token, causal attention and all-reduces; reading the weights
    is shared with the decode steps that run in the same passes (chunked prefill). A first part
    that is cached from earlier prompts costs nothing; what follows still attends to it.
    """
    prompt = np.asarray(prompt_tokens, dtype=np.float64)
    cached = prompt * np.asarray(cached_share)
    flops = (prompt - cached) * model.layer_flops_per_token + model.head_flops_per_token
    products = flops / (hardware.gpus * hardware.matmul_flops_per_second)
    pairs = prefill_attention_flops(model, prompt) - prefill_attention_flops(model, cached)
    attention = pairs / (hardware.gpus * hardware.attention_flops_per_second)
    talking = all_reduce_seconds(model, hardware, stack, prompt - cached)
    return np.asarray(products + attention + talking)


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
    return np.minimum(hardware.gpus, np.asarray(model.cache_shards, dtype=np.float64))


def static_batch_seconds(
    model: ServedModel,
    hardware: ReplicaHardware,
    stack: Stack,
    *,
    batch: ArrayLike = 1,
    input_tokens: ArrayLike,
    output_tokens: ArrayLike,
) -> FloatArray:
    """Seconds of `batch` requests that start and end together: prefill, then token by token.

    A prompt takes at least one step, for the weights are read in any case; the steps are those
    at the mean context, since their time is linear in it.
    """
    batch = np.asarray(batch, dtype=np.float64)
    prompt = np.asarray(input_tokens, dtype=np.float64)
    output = np.asarray(output_tokens, dtype=np.float64)
    first = decode_step_seconds(model, hardware, stack, batch=batch, context_tokens=prompt)
    step = decode_step_seconds(
        model, hardware, stack, batch=batch, context_tokens=mean_context_tokens(prompt, output)
    )
    prefill = batch * prefill_seconds(model, hardware, stack, prompt)
    return np.maximum(prefill, first) + output * step


def mean_context_tokens(input_tokens: ArrayLike, output_tokens: ArrayLike) -> FloatArray:
    """Tokens that a sequence holds on average while it is decoded: input + output / 2."""
    return np.asarray(np.asarray(input_tokens) + np.asarray(output_tokens) / 2.0)
