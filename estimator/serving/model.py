"""What serving needs to know of a model: bytes to hold, bytes to read, FLOPs to do."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimator.errors import InputError
from estimator.llm.architecture import Architecture, Layer
from estimator.llm.parameters import count_parameters
from estimator.quantity import FloatArray
from estimator.serving.constants import Arithmetic, weight_format

HALF_BYTES = 2.0  # bf16 or fp16: what serving programs keep unless told otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheGroup:
    """Layers whose KV cache grows alike."""

    bytes_per_token: float
    """Cache bytes that one token adds, all layers of the group."""
    attention_flops_per_token_pair: float
    """Forward FLOPs for one query token and one token that it sees, all layers of the group."""
    window: float
    """Tokens that a query sees back; infinite for full attention."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model in the format it is served in."""

    id: str
    weights_bytes: float
    """All weights in GPU memory, embedding table included."""
    shared_read_bytes: float
    """Weights that every step reads: all but the routed experts and the embedding table."""
    expert_read_bytes: float
    """Weights of all routed experts of all layers."""
    experts: int
    """Routed experts per layer; 0 in a dense model."""
    experts_per_token: int
    layer_flops_per_token: float
    """Forward matmul FLOPs of the layers for one token (attention products apart)."""
    head_flops_per_token: float
    """Forward FLOPs of the output head for one position."""
    cache_groups: tuple[CacheGroup, ...]
    cache_shards: int
    """Largest tensor-parallel degree that still splits the KV cache; 1 for latent attention."""
    num_layers: int
    hidden_size: int
    vocab_size: int
    mlp_width: int
    """Inner MLP values per token of the widest layer."""
    arithmetic: Arithmetic
    """Number format of the matrix products on GPUs that have it."""


def served_model(
    architecture: Architecture, *, weights: str = "bf16", cache_bytes_per_value: float = HALF_BYTES
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
    stored = weight_format(weights)
    count = count_parameters(architecture)
    quantised = sum(_quantised_weights(layer) * layer.count for layer in architecture.layers)
    experts = sum(_expert_weights(layer) * layer.count for layer in architecture.layers)
    weights_bytes = count.total * HALF_BYTES - quantised * (HALF_BYTES - stored.bytes_per_weight)
    tables = 0 if architecture.tied_embeddings else count.embedding
    expert_bytes = experts * stored.bytes_per_weight
    moe_layers = [layer for layer in architecture.layers if layer.is_moe]
    return ServedModel(
        id=architecture.id,
        weights_bytes=weights_bytes,
        shared_read_bytes=weights_bytes - expert_bytes - tables * HALF_BYTES,
        expert_read_bytes=expert_bytes,
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
                window=float(attention.window or np.inf),
            )
        )
    return tuple(groups)


def kv_cache_bytes(model: ServedModel, context_tokens: ArrayLike) -> FloatArray:
    """Bytes of KV cache of one sequence that holds `context_tokens` tokens, all GPUs together.

    Keys and values (or the latent) of every layer; a sliding window keeps its last tokens only.
    Source: Pope et al., "Efficiently Scaling Transformer Inference", arXiv 2211.05102, section 3.
    """
    context = np.asarray(context_tokens, dtype=np.float64)
    total = np.zeros_like(context)
    for group in model.cache_groups:
        total = total + group.bytes_per_token * np.minimum(context, group.window)
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
    """Weight bytes that one decode step of `batch` sequences reads, all GPUs together.

    Of E experts a token uses k; if routing is even, a batch of B tokens touches
    E (1 - (1 - k/E)^B) of them.
    """
    batch = np.asarray(batch, dtype=np.float64)
    if not model.experts:
        return np.full_like(batch, model.shared_read_bytes)
    touched = 1.0 - (1.0 - model.experts_per_token / model.experts) ** batch
    return model.shared_read_bytes + model.expert_read_bytes * touched
