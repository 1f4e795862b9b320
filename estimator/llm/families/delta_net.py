"""Qwen3-Next: three of four layers replace softmax attention by a gated delta rule."""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Attention, Layer, Linear
from estimator.llm.config import ModelConfig
from estimator.llm.families.build import (
    decoder,
    group_layers,
    head_norms,
    partial_rotary,
    read_attention,
    rms_norms,
)
from estimator.llm.families.experts import qwen_shared_experts, qwen_sparse_kinds, sparse_or_dense
from estimator.llm.families.llama import PRE_NORMS
from estimator.llm.families.rope import Kind, attention_kinds, separate
from estimator.llm.scan import Scan

DELTA_CHUNK = 64  # tokens, as the kernels of flash-linear-attention compute it


def qwen3_next(config: ModelConfig) -> Architecture:
    """Qwen3-Next: the query projection of softmax layers also makes a gate of the output."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    interval = config.integer("full_attention_interval", default=4)
    rotary = partial_rotary(config, default=0.25)
    attention = read_attention(config, hidden=hidden, rotary=rotary)
    mlp = sparse_or_dense(config, hidden, qwen_shared_experts(config, hidden))
    rule, other, scan, width = _delta_rule(config, hidden)
    norms = rms_norms(hidden, *PRE_NORMS)

    def build(kind: Kind) -> Layer:
        seen, inner = kind
        attends = seen != "linear_attention"
        return Layer(
            kind=f"{'attention' if attends else 'delta'} {inner}",
            indices=(),
            linears=(*(_gated(hidden, attention, bias=bias) if attends else rule), *mlp(inner)),
            norms=(*norms, *(head_norms(attention) if attends else rms_norms(width, "norm"))),
            attention=attention if attends else None,
            scan=None if attends else scan,
            other_parameters=0 if attends else other,
            gated=True,
            activation=config.text("hidden_act"),
        )

    seen = attention_kinds(
        config, lambda index: "linear_attention" if (index + 1) % interval else "full_attention"
    )
    kinds = list(zip(seen, qwen_sparse_kinds(config), strict=True))
    layers = group_layers(kinds, build)
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def _gated(hidden: int, attention: Attention, *, bias: bool) -> tuple[Linear, ...]:
    query, *others = separate(hidden, bias=bias, output_bias=bias)(attention)
    return (replace(query, outputs=2 * query.outputs), *others)


def _delta_rule(config: ModelConfig, hidden: int) -> tuple[tuple[Linear, ...], int, Scan, int]:
    """Matrices, other parameters, scan, norm's width (Yang et al., Gated Delta Networks, 2024)."""
    key_heads, value_heads = (
        config.integer(f"linear_num_{kind}_heads") for kind in ("key", "value")
    )
    key_width = key_heads * config.integer("linear_key_head_dim")
    value_head = config.integer("linear_value_head_dim")
    value_width = value_heads * value_head
    mixed = 2 * (key_width + value_width)
    linears = (
        Linear(name="in_proj_qkvz", inputs=hidden, outputs=mixed, role="mixer", reads="input"),
        Linear(
            name="in_proj_ba", inputs=hidden, outputs=2 * value_heads, role="mixer", reads="input"
        ),
        Linear(name="out_proj", inputs=value_width, outputs=hidden, role="mixer", reads="context"),
    )
    convolution = (2 * key_width + value_width) * config.integer("linear_conv_kernel_dim")
    scan = Scan(
        inner=value_width,
        state=config.integer("linear_key_head_dim"),
        shared=2 * key_width,
        chunk=DELTA_CHUNK,
    )
    return linears, convolution + 2 * value_heads, scan, value_head
