"""Decoders with state-space layers: Mamba, Mamba 2, Jamba, Granite 4 (hybrid).

Their scans and convolutions have parameters, counted here as `other_parameters`; they are no
matrix products, so no FLOP counter sees them.
"""

from math import ceil

from estimator.llm.architecture import Architecture, Layer, Linear, Norm
from estimator.llm.config import ModelConfig
from estimator.llm.families.build import (
    decoder,
    gated_mlp,
    group_layers,
    identical,
    read_attention,
    read_experts,
    rms_norms,
    routed_mlp,
)
from estimator.llm.families.experts import granite_experts
from estimator.llm.families.llama import PRE_NORMS
from estimator.llm.families.rope import attention_kinds, separate


def _matrix(
    name: str, inputs: int, outputs: int, *, bias: bool, first: bool = False, last: bool = False
) -> Linear:
    return Linear(
        name=name,
        inputs=inputs,
        outputs=outputs,
        bias=bias,
        role="mixer",
        reads="input" if first else "context" if last else "latent",
    )


def _selective_scan(
    config: ModelConfig,
    hidden: int,
    *,
    expand: str,
    state: str,
    kernel: str,
    rank: str,
    bias: str,
    conv_bias: str,
) -> tuple[tuple[Linear, ...], int, int]:
    """Mamba 1 (section 3.4): matrices, other parameters and the rank of the time step."""
    inner = config.integer(expand) * hidden
    states = config.integer(state)
    time_rank = ceil(hidden / 16) if config.get(rank) == "auto" else config.integer(rank)
    biased = config.flag(bias)
    linears = (
        _matrix("in_proj", hidden, 2 * inner, bias=biased, first=True),
        _matrix("x_proj", inner, time_rank + 2 * states, bias=False),
        _matrix("dt_proj", time_rank, inner, bias=True),
        _matrix("out_proj", inner, hidden, bias=biased, last=True),
    )
    convolution = inner * (config.integer(kernel) + config.flag(conv_bias, default=True))
    return linears, convolution + inner * states + inner, time_rank


def mamba(config: ModelConfig) -> Architecture:
    """Mamba: state-space layers only."""
    hidden = config.integer("hidden_size")
    linears, other, _ = _selective_scan(
        config,
        hidden,
        expand="expand",
        state="state_size",
        kernel="conv_kernel",
        rank="time_step_rank",
        bias="use_bias",
        conv_bias="use_conv_bias",
    )
    layer = Layer(
        kind="mamba",
        indices=(),
        linears=linears,
        norms=rms_norms(hidden, "norm"),
        attention=None,
        other_parameters=other,
        activation=config.text("hidden_act"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=rms_norms(hidden, "norm_f"),
        embedding="embeddings",
    )


def _grouped_scan(
    config: ModelConfig,
    hidden: int,
    *,
    expand: str,
    heads: str,
    groups: str,
    state: str,
    kernel: str,
    bias: str,
    conv_bias: str,
) -> tuple[tuple[Linear, ...], tuple[Norm, ...], int]:
    """Mamba 2 (section 7): matrices, the gated norm and the other parameters."""
    inner = config.integer(expand) * hidden
    head_count = config.integer(heads)
    convolved = inner + 2 * config.integer(groups) * config.integer(state)
    biased = config.flag(bias)
    linears = (
        _matrix("in_proj", hidden, inner + convolved + head_count, bias=biased, first=True),
        _matrix("out_proj", inner, hidden, bias=biased, last=True),
    )
    convolution = convolved * (config.integer(kernel) + config.flag(conv_bias, default=True))
    return linears, rms_norms(inner, "norm"), convolution + 3 * head_count


def mamba2(config: ModelConfig) -> Architecture:
    """Mamba 2: state-space layers only."""
    hidden = config.integer("hidden_size")
    linears, gated_norm, other = _grouped_scan(
        config,
        hidden,
        expand="expand",
        heads="num_heads",
        groups="n_groups",
        state="state_size",
        kernel="conv_kernel",
        bias="use_bias",
        conv_bias="use_conv_bias",
    )
    layer = Layer(
        kind="mamba2",
        indices=(),
        linears=linears,
        norms=(*rms_norms(hidden, "norm"), *gated_norm),
        attention=None,
        other_parameters=other,
        activation=config.text("hidden_act"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=rms_norms(hidden, "norm_f"),
        embedding="embeddings",
    )


def jamba(config: ModelConfig) -> Architecture:
    """Jamba: one attention layer in eight, Mamba in the others, experts in every other layer."""
    hidden = config.integer("hidden_size")
    attention = read_attention(config, hidden=hidden, rotary=0.0)
    scan, other, time_rank = _selective_scan(
        config,
        hidden,
        expand="mamba_expand",
        state="mamba_d_state",
        kernel="mamba_d_conv",
        rank="mamba_dt_rank",
        bias="mamba_proj_bias",
        conv_bias="mamba_conv_bias",
    )
    states = config.integer("mamba_d_state")
    scan_norms = (
        *rms_norms(time_rank, "dt_layernorm"),
        *rms_norms(states, "b_layernorm", "c_layernorm"),
    )
    width = config.integer("intermediate_size")
    dense = gated_mlp(hidden, width)
    experts = read_experts(config)
    sparse = routed_mlp(hidden, width, experts, router="router") if experts[0] > 1 else dense

    def build(kind: tuple[bool, bool]) -> Layer:
        attends, routes = kind
        return Layer(
            kind=f"{'attention' if attends else 'mamba'} {'moe' if routes else 'dense'}",
            indices=(),
            linears=(
                *(separate(hidden)(attention) if attends else scan),
                *(sparse if routes else dense),
            ),
            norms=(
                *rms_norms(hidden, "input_layernorm", "pre_ff_layernorm"),
                *(() if attends else scan_norms),
            ),
            attention=attention if attends else None,
            other_parameters=0 if attends else other,
            gated=True,
            activation=config.text("hidden_act"),
        )

    return decoder(
        config,
        hidden=hidden,
        layers=group_layers(_jamba_kinds(config), build),
        norms=rms_norms(hidden, "final_layernorm"),
    )


def _jamba_kinds(config: ModelConfig) -> list[tuple[bool, bool]]:
    """Whether each layer attends and whether it routes: by period and offset."""
    attends, routes = (
        (
            config.integer(f"{name}_layer_period"),
            config.integer(f"{name}_layer_offset", least=0),
        )
        for name in ("attn", "expert")
    )
    return [
        (index % attends[0] == attends[1], index % routes[0] == routes[1])
        for index in range(config.layers())
    ]


def granitemoehybrid(config: ModelConfig) -> Architecture:
    """Granite 4: Mamba 2 or attention as `layer_types` lists, experts and a shared MLP in each."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    rotary = 1.0 if config.text("position_embedding_type") == "rope" else 0.0
    attention = read_attention(config, hidden=hidden, rotary=rotary)
    scan, gated_norm, other = _grouped_scan(
        config,
        hidden,
        expand="mamba_expand",
        heads="mamba_n_heads",
        groups="mamba_n_groups",
        state="mamba_d_state",
        kernel="mamba_d_conv",
        bias="mamba_proj_bias",
        conv_bias="mamba_conv_bias",
    )
    mlp = granite_experts(config, hidden)

    def build(kind: str) -> Layer:
        attends = kind != "linear_attention"
        projections = separate(hidden, bias=bias, output_bias=bias)(attention)
        return Layer(
            kind="attention" if attends else "mamba2",
            indices=(),
            linears=(*(projections if attends else scan), *mlp),
            norms=(*rms_norms(hidden, *PRE_NORMS), *(() if attends else gated_norm)),
            attention=attention if attends else None,
            other_parameters=0 if attends else other,
            gated=True,
            activation=config.text("hidden_act"),
        )

    return decoder(
        config,
        hidden=hidden,
        layers=group_layers(attention_kinds(config, lambda _: "linear_attention"), build),
        norms=rms_norms(hidden, "norm"),
    )
