"""Decoders with state-space layers: Mamba, Mamba 2, Jamba, Granite 4 (hybrid), Nemotron 3.

Their scans and convolutions have parameters, counted here as `other_parameters`; they are no
matrix products, so no FLOP counter sees them.
"""

from dataclasses import replace
from math import ceil

from estimator.llm.architecture import Architecture, Layer, Linear, Norm, Role
from estimator.llm.config import ModelConfig
from estimator.llm.families.build import (
    decoder,
    gated_mlp,
    group_layers,
    identical,
    plain_mlp,
    read_attention,
    read_experts,
    rms_norms,
    routed_mlp,
)
from estimator.llm.families.experts import granite_experts
from estimator.llm.families.llama import PRE_NORMS
from estimator.llm.families.rope import attention_kinds, separate
from estimator.llm.scan import Scan

USUAL_CHUNK = 256
"""Tokens of a chunk of the scan where a config leaves it out, as in Mamba2Config."""


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
) -> tuple[tuple[Linear, ...], int, Scan, int]:
    """Mamba 1 (section 3.4): matrices, other parameters, scan and the rank of the time step."""
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
    scan = Scan(inner=inner, state=states, shared=2 * states, chunk=None)
    return linears, convolution + inner * states + inner, scan, time_rank


def mamba(config: ModelConfig) -> Architecture:
    """Mamba: state-space layers only."""
    hidden = config.integer("hidden_size")
    linears, other, scan, _ = _selective_scan(
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
        scan=scan,
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
    inner: int,
    heads: str,
    groups: str,
    state: str,
    kernel: str,
    chunk: str,
    bias: str,
    conv_bias: str,
) -> tuple[tuple[Linear, ...], tuple[Norm, ...], Scan, int]:
    """Mamba 2 (section 7): matrices, the gated norm, the scan and the other parameters."""
    head_count = config.integer(heads)
    states = config.integer(state)
    shared = 2 * config.integer(groups) * states
    convolved = inner + shared
    biased = config.flag(bias)
    linears = (
        _matrix("in_proj", hidden, inner + convolved + head_count, bias=biased, first=True),
        _matrix("out_proj", inner, hidden, bias=biased, last=True),
    )
    convolution = convolved * (config.integer(kernel) + config.flag(conv_bias, default=True))
    scan = Scan(
        inner=inner, state=states, shared=shared, chunk=config.integer(chunk, default=USUAL_CHUNK)
    )
    return linears, rms_norms(inner, "norm"), scan, convolution + 3 * head_count


def mamba2(config: ModelConfig) -> Architecture:
    """Mamba 2: state-space layers only."""
    hidden = config.integer("hidden_size")
    linears, gated_norm, scan, other = _grouped_scan(
        config,
        hidden,
        inner=config.integer("expand") * hidden,
        heads="num_heads",
        groups="n_groups",
        state="state_size",
        kernel="conv_kernel",
        chunk="chunk_size",
        bias="use_bias",
        conv_bias="use_conv_bias",
    )
    layer = Layer(
        kind="mamba2",
        indices=(),
        linears=linears,
        norms=(*rms_norms(hidden, "norm"), *gated_norm),
        attention=None,
        scan=scan,
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
    matrices, other, scan, time_rank = _selective_scan(
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
                *(separate(hidden)(attention) if attends else matrices),
                *(sparse if routes else dense),
            ),
            norms=(
                *rms_norms(hidden, "input_layernorm", "pre_ff_layernorm"),
                *(() if attends else scan_norms),
            ),
            attention=attention if attends else None,
            scan=None if attends else scan,
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
    matrices, gated_norm, scan, other = _grouped_scan(
        config,
        hidden,
        inner=config.integer("mamba_expand") * hidden,
        heads="mamba_n_heads",
        groups="mamba_n_groups",
        state="mamba_d_state",
        kernel="mamba_d_conv",
        chunk="mamba_chunk_size",
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
            linears=(*(projections if attends else matrices), *mlp),
            norms=(*rms_norms(hidden, *PRE_NORMS), *(() if attends else gated_norm)),
            attention=attention if attends else None,
            scan=None if attends else scan,
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


def nemotron_h(config: ModelConfig) -> Architecture:
    """Nemotron-H and Nemotron 3: each layer is one branch, Mamba 2, attention, MLP or experts."""
    hidden = config.integer("hidden_size")
    attention = read_attention(config, hidden=hidden, rotary=0.0)
    mixer, gated_norm, scan, other = _grouped_scan(
        config,
        hidden,
        inner=config.integer("mamba_num_heads") * config.integer("mamba_head_dim"),
        heads="mamba_num_heads",
        groups="n_groups",
        state="ssm_state_size",
        kernel="conv_kernel",
        chunk="chunk_size",
        bias="mamba_proj_bias",
        conv_bias="use_conv_bias",
    )
    mixer = (mixer[0], replace(mixer[1], bias=config.flag("use_bias")))

    def matrices(kind: str) -> tuple[Linear, ...]:
        if kind == "moe":
            return _squared_relu_experts(config, hidden)
        if kind == "mlp":
            return _squared_relu(config, hidden, config.integer("intermediate_size"))
        return separate(hidden)(attention) if kind == "attention" else mixer

    def build(kind: str) -> Layer:
        scans = kind == "mamba"
        return Layer(
            kind="mamba2" if scans else kind,
            indices=(),
            linears=matrices(kind),
            norms=(*rms_norms(hidden, "norm"), *(gated_norm if scans else ())),
            attention=attention if kind == "attention" else None,
            scan=scan if scans else None,
            other_parameters=other if scans else 0,
            activation=config.text("mamba_hidden_act" if scans else "mlp_hidden_act"),
        )

    return decoder(
        config,
        hidden=hidden,
        layers=group_layers(_nemotron_kinds(config), build),
        norms=rms_norms(hidden, "norm_f"),
        embedding="embeddings",
    )


_NEMOTRON_LETTERS = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}
_NEMOTRON_WORDS = {"linear_attention": "mamba", "full_attention": "attention"}


def _nemotron_kinds(config: ModelConfig) -> list[str]:
    """The kind of each layer: a list, or in older configs a letter each."""
    listed = config.list_of("layers_block_type", str)
    if listed is None:
        pattern = config.text("hybrid_override_pattern")
        listed = [_NEMOTRON_LETTERS.get(letter, letter) for letter in pattern]
    kinds = [_NEMOTRON_WORDS.get(kind, kind) for kind in listed]
    if not kinds or not set(kinds) <= set(_NEMOTRON_LETTERS.values()):
        config.refuse("hybrid_override_pattern", "letters M, *, E and -, one for each layer")
    return kinds


def _squared_relu(
    config: ModelConfig, hidden: int, width: int, role: Role = "mlp"
) -> tuple[Linear, ...]:
    plain = plain_mlp(hidden, width, ("up_proj", "down_proj"), bias=config.flag("mlp_bias"))
    return tuple(replace(linear, role=role) for linear in plain)


def _squared_relu_experts(config: ModelConfig, hidden: int) -> tuple[Linear, ...]:
    """Experts without gates, in a narrower space if `moe_latent_size` says so, and a shared one."""
    count, active = read_experts(config, count="n_routed_experts")
    latent = config.optional("moe_latent_size")
    bias, space = config.flag("mlp_bias"), latent or hidden
    width = config.integer("moe_intermediate_size")
    router = Linear(
        name="gate", inputs=hidden, outputs=count, role="router", reads="residual", form="tensor"
    )
    inner = plain_mlp(space, width, ("up_proj", "down_proj"), bias=False, form="tensor")
    down, up = (
        Linear(name=name, inputs=a, outputs=b, bias=bias, role="shared_expert", reads="residual")
        for name, a, b in (("fc1_latent_proj", hidden, space), ("fc2_latent_proj", space, hidden))
    )
    return (
        router,
        *((down, up) if latent else ()),
        *(replace(x, role="expert", copies=count, active=active) for x in inner),
        *_squared_relu(
            config, hidden, config.integer("moe_shared_expert_intermediate_size"), "shared_expert"
        ),
    )
