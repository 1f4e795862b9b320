"""What serving needs to know of a model: bytes to hold, bytes to read, FLOPs to do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimator.errors import InputError
from estimator.llm.architecture import Architecture, Layer
from estimator.llm.parameters import count_parameters
from estimator.quantity import FloatArray
from estimator.serving.constants import Arithmetic, WeightFormat, weight_format

FloatNumber = float | FloatArray
HALF_BYTES = 2.0  # bf16 or fp16: what serving programs keep unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheGroup:
    """Layers whose KV cache grows alike."""

    bytes_per_token: FloatNumber
    """Cache bytes that one token adds, all layers of the group."""
    attention_flops_per_token_pair: FloatNumber
    """Forward FLOPs for one query token and one token that it sees, all layers of the group."""
    query_heads_per_kv_head: FloatNumber
    """By how much a cache copied out to every query head is larger."""
    window: FloatNumber
    """Tokens that a query sees back; infinite for full attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model in the format it is served in; each number may be an array over models."""

    id: str
    weights_bytes: FloatNumber
    """All weights in GPU memory, embedding table included."""
    shared_read_bytes: FloatNumber
    """Weights that every step reads: all but the routed experts and the embedding table."""
    expert_read_bytes: FloatNumber
    """Weights of all routed experts of all layers."""
    quantised_shared_weights: FloatNumber
    """Weights below 16 bits among those that every step reads."""
    quantised_expert_weights: FloatNumber
    """The same among the routed experts."""
    weight_only: FloatNumber
    """1 where they are unpacked before each product, on any GPU."""
    experts: FloatNumber
    """Routed experts per layer; 0 in a dense model."""
    experts_per_token: FloatNumber
    layer_flops_per_token: FloatNumber
    """Forward matmul FLOPs of the layers for one token (attention products apart)."""
    head_flops_per_token: FloatNumber
    """Forward FLOPs of the output head for one position."""
    cache_groups: tuple[CacheGroup, ...]
    cache_shards: FloatNumber
    """Largest tensor-parallel degree that still splits the KV cache; 1 for latent attention."""
    num_layers: FloatNumber
    hidden_size: FloatNumber
    vocab_size: FloatNumber
    mlp_width: FloatNumber
    """Inner MLP values per token of the widest layer."""
    arithmetic: Arithmetic
    """Number format of the matrix products on GPUs that have it."""


def served_model(
    architecture: Architecture,
    *,
    weights: str | WeightFormat = "bf16",
    cache_bytes_per_value: float = HALF_BYTES,
) -> ServedModel:
    """The bytes and FLOPs of `architecture` with its layers stored in format `weights`.

    Quantised formats hold the layers' matrices in few bits; token table, head, norms and routers
    stay in 16 bits, as the GPTQ, AWQ, FP8 and NVFP4 checkpoints of vLLM and TensorRT-LLM do.
    Left out: fixed-size states of state-space layers, encoder-decoder models (refused).
    """
    if architecture.kind != "decoder" or architecture.head is None:
        raise InputError(
            f"model {architecture.id}: kind {architecture.kind} cannot be served as a chat model; "
            "choose a decoder with an output head"
        )
    stored = weight_format(weights) if isinstance(weights, str) else weights
    count = count_parameters(architecture)
    quantised = sum(_quantised_weights(layer) * layer.count for layer in architecture.layers)
    experts = sum(_expert_weights(layer) * layer.count for layer in architecture.layers)
    weights_bytes = count.total * HALF_BYTES - quantised * (HALF_BYTES - stored.bytes_per_weight)
    tables = 0 if architecture.tied_embeddings else count.embedding
    expert_bytes = experts * stored.bytes_per_weight
    narrow = stored.bytes_per_weight < HALF_BYTES
    moe_layers = [layer for layer in architecture.layers if layer.is_moe]
    return ServedModel(
        id=architecture.id,
        weights_bytes=weights_bytes,
        shared_read_bytes=weights_bytes - expert_bytes - tables * HALF_BYTES,
        expert_read_bytes=expert_bytes,
        quantised_shared_weights=float(quantised - experts) * narrow,
        quantised_expert_weights=float(experts) * narrow,
        weight_only=float(stored.unpacked),
        experts=max((layer.experts for layer in moe_layers), default=0),
        experts_per_token=max((layer.experts_per_token for layer in moe_layers), default=0),
        layer_flops_per_token=2.0
        * sum(layer.weights_per_token * layer.count for layer in architecture.layers),
        head_flops_per_token=2.0 * architecture.head.weights,
        cache_groups=_cache_groups(architecture, cache_bytes_per_value),
        cache_shards=_cache_shards(architecture),
        num_layers=architecture.num_layers,
        hidden_size=architecture.hidden_size,
        vocab_size=architecture.vocab_size,
        mlp_width=max(layer.mlp_width for layer in architecture.layers),
        arithmetic=stored.arithmetic,
    )


def _cache_shards(architecture: Architecture) -> int:
    attentions = [layer.attention for layer in architecture.layers if layer.attention is not None]
    return min((1 if a.latent_width is not None else a.kv_heads for a in attentions), default=1)


def _quantised_weights(layer: Layer) -> int:
    return sum(linear.weights for linear in layer.linears if linear.role != "router")


def _expert_weights(layer: Layer) -> int:
    return sum(linear.weights for linear in layer.linears if linear.role == "expert")


def _cache_groups(architecture: Architecture, bytes_per_value: float) -> tuple[CacheGroup, ...]:
    groups = []
    for layer in architecture.layers:
        attention = layer.attention
        if attention is None:
            continue
        pair_flops = 2.0 * attention.heads * (attention.head_dim + attention.value_head_dim)
        groups.append(
            CacheGroup(
                bytes_per_token=attention.cache_width * bytes_per_value * layer.count,
                attention_flops_per_token_pair=pair_flops * layer.count,
                query_heads_per_kv_head=attention.heads / attention.kv_heads,
                window=float(attention.window or np.inf),
            )
        )
    return tuple(groups)


def kv_cache_bytes(model: ServedModel, context_tokens: ArrayLike) -> FloatArray:
    """Bytes of KV cache of one sequence that holds `context_tokens` tokens, all GPUs together.

    Keys and values (or the latent) of every layer; a sliding window keeps its last tokens only.
    Source: Pope et al., "Efficiently Scaling Transformer Inference", arXiv 2211.05102, section 3.
    """
    return _cache_bytes(model, context_tokens, np.asarray(0.0))


def cache_read_bytes(
    model: ServedModel, context_tokens: ArrayLike, expanded: ArrayLike
) -> FloatArray:
    """Bytes that one step moves for one sequence's attention: the cache, or where `expanded` is 1
    its copy for every query head.
    """
    return _cache_bytes(model, context_tokens, np.asarray(expanded))


def _cache_bytes(model: ServedModel, context_tokens: ArrayLike, expanded: FloatArray) -> FloatArray:
    context = np.asarray(context_tokens, dtype=np.float64)
    total = np.zeros_like(context)
    for group in model.cache_groups:
        copies = 1.0 + expanded * (group.query_heads_per_kv_head - 1.0)
        total = total + group.bytes_per_token * copies * np.minimum(context, group.window)
    return total


def prefill_attention_flops(model: ServedModel, prompt_tokens: ArrayLike) -> FloatArray:
    """Attention FLOPs of one causal pass over `prompt_tokens` tokens.

    Each of the n tokens sees on average half of the prompt, or at most its window w:
    n^2/2 pairs below the window, w n - w^2/2 above it.
    """
    n = np.asarray(prompt_tokens, dtype=np.float64)
    total = np.zeros_like(n)
    for group in model.cache_groups:
        seen = np.minimum(n, group.window)
        total = total + group.attention_flops_per_token_pair * (seen * n - seen**2 / 2)
    return total


def read_bytes(model: ServedModel, batch: ArrayLike) -> FloatArray:
    """Weight bytes that one decode step of `batch` sequences reads, all GPUs together."""
    touched = experts_touched_share(model, batch)
    return np.asarray(model.shared_read_bytes + model.expert_read_bytes * touched)


def quantised_weights(model: ServedModel, batch: ArrayLike) -> FloatArray:
    """Weights below 16 bits that one decode step of `batch` sequences reads."""
    touched = experts_touched_share(model, batch)
    return np.asarray(model.quantised_shared_weights + model.quantised_expert_weights * touched)


def experts_touched_share(model: ServedModel, batch: ArrayLike) -> FloatArray:
    """Share of the routed experts that a batch of B tokens touches; 0 in a dense model.

    Of E experts a token uses k; if routing is even, a batch touches 1 - (1 - k/E)^B of them.
    """
    used = np.asarray(model.experts_per_token) / np.maximum(model.experts, 1.0)
    return np.asarray(1.0 - (1.0 - used) ** np.asarray(batch, dtype=np.float64))
