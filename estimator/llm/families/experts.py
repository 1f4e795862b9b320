"""Decoders that route tokens to experts, with the usual attention."""

from collections.abc import Callable
from dataclasses import replace

from estimator.llm.architecture import Architecture, Linear
from estimator.llm.config import MAX_EXPERTS, ModelConfig
from estimator.llm.families.build import (
    decoder,
    fused_gated_mlp,
    gated_mlp,
    head_norms,
    layer_norms,
    plain_attention,
    read_attention,
    read_experts,
    rms_norms,
    routed_mlp,
)
from estimator.llm.families.llama import PRE_NORMS
from estimator.llm.families.rope import (
    Kind,
    attention_kinds,
    fused,
    rope_layers,
    separate,
    stated_window,
)


def everywhere(config: ModelConfig, mlp: str = "moe") -> list[Kind]:
    """Full attention and the same kind of MLP in every layer."""
    return [("full_attention", mlp)] * config.layers()


def mixtral(config: ModelConfig) -> Architecture:
    """Mixtral: Mistral with experts in every layer."""
    hidden = config.integer("hidden_size")
    experts = read_experts(config, count="num_local_experts")
    routed = routed_mlp(hidden, config.integer("intermediate_size"), experts)
    layers = rope_layers(
        config,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden),
        mlp=lambda _: routed,
        norms=rms_norms(hidden, *PRE_NORMS),
        kinds=everywhere(config),
        windows={"full_attention": stated_window(config)},
    )
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def sparse_or_dense(
    config: ModelConfig, hidden: int, sparse: tuple[Linear, ...]
) -> Callable[[str], tuple[Linear, ...]]:
    """The MLP of a layer of kind "moe" or "dense"."""
    dense = gated_mlp(hidden, config.integer("intermediate_size"))
    return lambda kind: sparse if kind == "moe" else dense


def qwen_sparse_kinds(config: ModelConfig) -> list[str]:
    """Qwen's rule: every `decoder_sparse_step`-th layer but those in `mlp_only_layers`."""
    step = config.integer("decoder_sparse_step", default=1)
    dense = set(config.list_of("mlp_only_layers", int) or [])
    return [
        "moe" if index not in dense and (index + 1) % step == 0 else "dense"
        for index in range(config.layers())
    ]


def qwen_shared_experts(config: ModelConfig, hidden: int) -> tuple[Linear, ...]:
    """Routed experts and beside them a shared one behind a gate of its own."""
    return (
        *routed_mlp(hidden, config.integer("moe_intermediate_size"), read_experts(config)),
        *gated_mlp(hidden, config.integer("shared_expert_intermediate_size"), role="shared_expert"),
        Linear(
            name="shared_expert_gate", inputs=hidden, outputs=1, role="router", reads="residual"
        ),
    )


def qwen2_moe(config: ModelConfig) -> Architecture:
    """Qwen 1.5 and 2 MoE: routed experts and a shared one."""
    hidden = config.integer("hidden_size")
    sparse = qwen_shared_experts(config, hidden)
    slides = config.flag("use_sliding_window")
    first = config.integer("max_window_layers", default=0, least=0)
    seen = attention_kinds(
        config,
        lambda index: (
            "sliding_attention"
            if slides and (index + 1) % 2 and index < first
            else "full_attention"
        ),
    )
    layers = rope_layers(
        config,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=config.flag("qkv_bias", default=True)),
        mlp=sparse_or_dense(config, hidden, sparse),
        norms=rms_norms(hidden, *PRE_NORMS),
        kinds=list(zip(seen, qwen_sparse_kinds(config), strict=True)),
        windows={"sliding_attention": stated_window(config)},
    )
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def qwen3_moe(config: ModelConfig) -> Architecture:
    """Qwen 3 MoE: Qwen 3 attention, routed experts, no shared one."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    attention = read_attention(config, hidden=hidden)
    sparse = routed_mlp(hidden, config.integer("moe_intermediate_size"), read_experts(config))
    window = stated_window(config) if config.flag("use_sliding_window") else None
    layers = rope_layers(
        config,
        attention=attention,
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=sparse_or_dense(config, hidden, sparse),
        norms=(*rms_norms(hidden, *PRE_NORMS), *head_norms(attention)),
        kinds=[("full_attention", kind) for kind in qwen_sparse_kinds(config)],
        windows={"full_attention": window},
    )
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def olmoe(config: ModelConfig) -> Architecture:
    """OLMoE: experts in every layer, query and key norms over all heads at once."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    attention = read_attention(config, hidden=hidden)
    routed = routed_mlp(hidden, config.integer("intermediate_size"), read_experts(config))
    layers = rope_layers(
        config,
        attention=attention,
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=lambda _: routed,
        norms=(
            *rms_norms(hidden, *PRE_NORMS),
            *rms_norms(hidden, "q_norm"),
            *rms_norms(hidden // attention.heads * attention.kv_heads, "k_norm"),
        ),
        kinds=everywhere(config),
    )
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def phimoe(config: ModelConfig) -> Architecture:
    """Phi-3.5-MoE: LayerNorm, a router that is an nn.Linear, biases by the config."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    experts = read_experts(config, count="num_local_experts")
    routed = routed_mlp(
        hidden,
        config.integer("intermediate_size"),
        experts,
        router="router",
        router_form="linear",
    )
    layers = rope_layers(
        config,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=lambda _: routed,
        norms=layer_norms(hidden, *PRE_NORMS),
        kinds=everywhere(config),
        windows={"full_attention": stated_window(config)},
    )
    return decoder(
        config,
        hidden=hidden,
        layers=layers,
        norms=layer_norms(hidden, "norm"),
        head_bias=config.flag("lm_head_bias"),
    )


def granitemoe(config: ModelConfig) -> Architecture:
    """Granite 3 MoE, with a shared expert where `shared_intermediate_size` says so."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    mlp = granite_experts(config, hidden)
    layers = rope_layers(
        config,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=lambda _: mlp,
        norms=rms_norms(hidden, *PRE_NORMS),
        kinds=everywhere(config),
    )
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def granite_experts(config: ModelConfig, hidden: int) -> tuple[Linear, ...]:
    """Routed experts (none where num_local_experts is 0) and the shared MLP of Granite."""
    count = config.integer("num_local_experts", least=0, most=MAX_EXPERTS)
    shared = config.optional("shared_intermediate_size", least=0) or 0
    routed = (
        routed_mlp(
            hidden,
            config.integer("intermediate_size"),
            (count, config.integer("num_experts_per_tok", most=count)),
            router="router",
        )
        if count
        else ()
    )
    return (
        *routed,
        *(
            fused_gated_mlp(
                hidden,
                shared,
                role="shared_expert" if count else "mlp",
                names=("input_linear", "output_linear"),
            )
            if shared
            else ()
        ),
    )


def gpt_oss(config: ModelConfig) -> Architecture:
    """gpt-oss: biased experts and router, a learned sink per head, every other layer slides."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias", default=True)
    attention = replace(read_attention(config, hidden=hidden), sinks=True)
    routed = routed_mlp(
        hidden,
        config.integer("intermediate_size"),
        read_experts(config, count="num_local_experts"),
        router="router",
        bias=True,
    )
    biased = tuple(replace(linear, bias=True) for linear in routed)
    seen = attention_kinds(
        config, lambda index: "sliding_attention" if (index + 1) % 2 else "full_attention"
    )
    layers = rope_layers(
        config,
        attention=attention,
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=lambda _: biased,
        norms=rms_norms(hidden, *PRE_NORMS),
        kinds=[(kind, "moe") for kind in seen],
        windows={"sliding_attention": stated_window(config)},
        other_parameters=attention.heads,
    )
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def llama4(config: ModelConfig) -> Architecture:
    """Llama 4 (text): one shared and one routed expert per token, dense layers in between for
    Maverick, three of four layers see chunks; query and key norms have no weight."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    width = config.integer("intermediate_size")
    experts = read_experts(config, count="num_local_experts")
    sparse = (
        *routed_mlp(hidden, width, experts, router="router", router_form="linear"),
        *gated_mlp(hidden, width, role="shared_expert"),
    )
    dense = gated_mlp(hidden, config.integer("intermediate_size_mlp"))
    layers = rope_layers(
        config,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=lambda kind: sparse if kind == "moe" else dense,
        norms=rms_norms(hidden, *PRE_NORMS),
        kinds=_llama4_kinds(config),
        windows={"chunked_attention": stated_window(config, "attention_chunk_size")},
    )
    return decoder(config, hidden=hidden, layers=layers, norms=rms_norms(hidden, "norm"))


def _llama4_kinds(config: ModelConfig) -> list[Kind]:
    count = config.layers()
    step = config.integer("interleave_moe_layer_step", default=1)
    stated = config.list_of("moe_layers", int)
    sparse = set(range(step - 1, count, step) if stated is None else stated)
    interval = config.integer("no_rope_layer_interval", default=4)
    rotary = config.list_of("no_rope_layers", int) or [
        int((index + 1) % interval != 0) for index in range(count)
    ]
    if len(rotary) != count:
        config.refuse("no_rope_layers", f"one entry for each of the {count} layers")
    seen = attention_kinds(
        config, lambda index: "chunked_attention" if rotary[index] else "full_attention"
    )
    return [(kind, "moe" if index in sparse else "dense") for index, kind in enumerate(seen)]


def dbrx(config: ModelConfig) -> Architecture:
    """DBRX: fused attention projection, LayerNorm without bias, three tensors per expert set."""
    hidden = config.integer("d_model")
    inner, ffn = config.nested("attn_config"), config.nested("ffn_config")
    attention = plain_attention(
        config,
        hidden=hidden,
        heads="n_heads",
        kv_heads=inner.integer("kv_n_heads"),
        rotary=1.0,
        dropout="",
    )
    attention = replace(attention, dropout=inner.fraction("attn_pdrop"))
    experts = read_experts(ffn, count="moe_num_experts", active="moe_top_k")
    mlp = _dbrx_experts(hidden, ffn.integer("ffn_hidden_size"), experts)
    layers = rope_layers(
        config,
        attention=attention,
        projections=fused(hidden, "Wqkv", "out_proj"),
        mlp=lambda _: mlp,
        norms=layer_norms(hidden, "norm_1", "norm_2", bias=False),
        kinds=[("full_attention", "moe")] * config.layers("n_layers"),
        activation="",
        dropout="resid_pdrop",
    )
    return decoder(
        config,
        hidden=hidden,
        layers=layers,
        norms=layer_norms(hidden, "norm_f", bias=False),
        embedding="wte",
        context="max_seq_len",
        embedding_dropout="emb_pdrop",
    )


def _dbrx_experts(hidden: int, width: int, experts: tuple[int, int]) -> tuple[Linear, ...]:
    count, active = experts
    router = Linear(name="layer", inputs=hidden, outputs=count, role="router", reads="residual")
    gate, up, down = gated_mlp(hidden, width, role="expert", names=("w1", "v1", "w2"))
    return (
        router,
        *(
            replace(linear, copies=count, active=active, form="tensor")
            for linear in (gate, up, down)
        ),
    )
