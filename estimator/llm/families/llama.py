"""Dense decoders of the Llama line: rotary positions, gated MLP, RMS norms."""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Norm
from estimator.llm.config import ModelConfig
from estimator.llm.families.build import (
    fused_gated_mlp,
    gated_mlp,
    head_norms,
    partial_rotary,
    read_attention,
    rms_norms,
)
from estimator.llm.families.rope import (
    attention_kinds,
    fused,
    rope_decoder,
    separate,
    stated_window,
)

PRE_NORMS = ("input_layernorm", "post_attention_layernorm")
SANDWICH_NORMS = (*PRE_NORMS, "pre_feedforward_layernorm", "post_feedforward_layernorm")


def llama(config: ModelConfig) -> Architecture:
    """Llama 1 to 3, CodeLlama, Yi, Granite, SmolLM, InternLM 3 and many more."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size"), bias=config.flag("mlp_bias")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
    )


def mistral(config: ModelConfig) -> Architecture:
    """Mistral: no biases; where the config states a window, every layer has it."""
    hidden = config.integer("hidden_size")
    window = stated_window(config)
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
        windows={"full_attention": window},
    )


def ministral(config: ModelConfig) -> Architecture:
    """Ministral: Mistral whose layers are listed as sliding or full."""
    hidden = config.integer("hidden_size")
    window = stated_window(config)
    default = "full_attention" if window is None else "sliding_attention"
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
        kinds=attention_kinds(config, lambda _: default),
        windows={"sliding_attention": window},
    )


def smollm3(config: ModelConfig) -> Architecture:
    """SmolLM 3: Llama of which every fourth layer has no rotary positions."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    window = stated_window(config) if config.flag("use_sliding_window") else None
    interval = config.integer("no_rope_layer_interval", default=4)
    rotary = config.list_of("no_rope_layers", int)

    def default(index: int) -> str:
        rotates = bool(rotary[index]) if rotary else (index + 1) % interval != 0
        return "full_attention" if rotates or window is None else "sliding_attention"

    if rotary is not None and len(rotary) != config.layers():
        config.refuse("no_rope_layers", "one entry for each layer")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size"), bias=config.flag("mlp_bias")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
        kinds=attention_kinds(config, default),
        windows={"sliding_attention": window},
    )


def qwen2(config: ModelConfig) -> Architecture:
    """Qwen 1.5, 2 and 2.5: the class always gives q, k and v a bias and o none."""
    hidden = config.integer("hidden_size")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=True),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
        kinds=qwen_kinds(config),
        windows={"sliding_attention": stated_window(config)},
    )


def qwen_kinds(config: ModelConfig) -> list[str]:
    """Qwen's rule: with `use_sliding_window` the layers from `max_window_layers` on slide."""
    slides = config.flag("use_sliding_window") and stated_window(config) is not None
    first = config.integer("max_window_layers", default=0, least=0)
    return attention_kinds(
        config,
        lambda index: "sliding_attention" if slides and index >= first else "full_attention",
    )


def qwen3(config: ModelConfig) -> Architecture:
    """Qwen 3: norms on queries and keys, no biases unless the config says so."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    attention = read_attention(config, hidden=hidden)
    return rope_decoder(
        config,
        hidden=hidden,
        attention=attention,
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=(*rms_norms(hidden, *PRE_NORMS), *head_norms(attention)),
        final=rms_norms(hidden, "norm"),
        kinds=qwen_kinds(config),
        windows={"sliding_attention": stated_window(config)},
    )


def gemma(config: ModelConfig) -> Architecture:
    """Gemma 1: heads wider than hidden / heads, tied table."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
    )


def gemma2(config: ModelConfig) -> Architecture:
    """Gemma 2: four norms per layer, every other layer slides, capped scores and logits."""
    return _gemma_alternating(config, pattern=2, key_norms=False)


def gemma3(config: ModelConfig) -> Architecture:
    """Gemma 3 (text): four norms, norms on queries and keys, five of six layers slide."""
    pattern = config.integer("sliding_window_pattern", default=6)
    return _gemma_alternating(config, pattern=pattern, key_norms=True)


def _gemma_alternating(config: ModelConfig, *, pattern: int, key_norms: bool) -> Architecture:
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    attention = replace(
        read_attention(config, hidden=hidden),
        softcap=config.get("attn_logit_softcapping") is not None,
    )
    return rope_decoder(
        config,
        hidden=hidden,
        attention=attention,
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=(
            *rms_norms(hidden, *SANDWICH_NORMS),
            *(head_norms(attention) if key_norms else ()),
        ),
        final=rms_norms(hidden, "norm"),
        kinds=attention_kinds(
            config,
            lambda index: "sliding_attention" if (index + 1) % pattern else "full_attention",
        ),
        windows={"sliding_attention": stated_window(config)},
        activation="hidden_activation",
        logit_softcap=config.get("final_logit_softcapping") is not None,
    )


def olmo(config: ModelConfig) -> Architecture:
    """OLMo 1: layer norms without weight and bias."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=tuple(_bare_norm(name, hidden) for name in PRE_NORMS),
        final=(_bare_norm("norm", hidden),),
    )


def _bare_norm(name: str, width: int) -> Norm:
    return Norm(name=name, width=width, kind="layer", weight=False)


def olmo2(config: ModelConfig) -> Architecture:
    """OLMo 2 and 3: norms after attention and MLP; query and key norms over all heads at once."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    attention = read_attention(config, hidden=hidden)
    own_rule = "sliding_attention" if config.family == "olmo3" else "full_attention"
    return rope_decoder(
        config,
        hidden=hidden,
        attention=attention,
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=(
            *rms_norms(hidden, "post_attention_layernorm", "post_feedforward_layernorm"),
            *rms_norms(attention.query_width, "q_norm"),
            *rms_norms(attention.key_width, "k_norm"),
        ),
        final=rms_norms(hidden, "norm"),
        kinds=attention_kinds(
            config, lambda index: own_rule if (index + 1) % 4 else "full_attention"
        ),
        windows={"sliding_attention": stated_window(config)},
    )


def phi3(config: ModelConfig) -> Architecture:
    """Phi-3, Phi-3.5 and Phi-4: fused q-k-v and fused gate-up projections."""
    hidden = config.integer("hidden_size")
    window = stated_window(config)
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden, rotary=partial_rotary(config)),
        projections=fused(hidden, "qkv_proj", "o_proj"),
        mlp=fused_gated_mlp(hidden, config.integer("intermediate_size")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
        windows={"full_attention": window},
        dropout="resid_pdrop",
        embedding_dropout="embd_pdrop",
    )


def glm(config: ModelConfig) -> Architecture:
    """GLM-4 (9B) as `transformers` has it: biased q, k, v, fused gate-up, half rotary."""
    return _glm(config, PRE_NORMS)


def glm4(config: ModelConfig) -> Architecture:
    """GLM-4-0414: GLM with two more norms per layer."""
    return _glm(config, (*PRE_NORMS, "post_self_attn_layernorm", "post_mlp_layernorm"))


def _glm(config: ModelConfig, norms: tuple[str, ...]) -> Architecture:
    hidden = config.integer("hidden_size")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden, rotary=partial_rotary(config, default=0.5)),
        projections=separate(hidden, bias=config.flag("attention_bias")),
        mlp=fused_gated_mlp(hidden, config.integer("intermediate_size")),
        norms=rms_norms(hidden, *norms),
        final=rms_norms(hidden, "norm"),
    )


def seed_oss(config: ModelConfig) -> Architecture:
    """Seed-OSS: Llama with a bias switch of its own for the output projection."""
    hidden = config.integer("hidden_size")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(
            hidden,
            bias=config.flag("attention_bias"),
            output_bias=config.flag("attention_out_bias"),
        ),
        mlp=gated_mlp(hidden, config.integer("intermediate_size"), bias=config.flag("mlp_bias")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
    )


def exaone4(config: ModelConfig) -> Architecture:
    """EXAONE 4: norms after attention and MLP, norms on queries and keys, some layers slide."""
    hidden = config.integer("hidden_size")
    attention = read_attention(config, hidden=hidden)
    window = stated_window(config)

    def default(index: int) -> str:
        pattern = config.integer("sliding_window_pattern", default=4)
        slides = window is not None and (index + 1) % pattern
        return "sliding_attention" if slides else "full_attention"

    return rope_decoder(
        config,
        hidden=hidden,
        attention=attention,
        projections=separate(hidden),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=(
            *rms_norms(hidden, "post_attention_layernorm", "post_feedforward_layernorm"),
            *head_norms(attention),
        ),
        final=rms_norms(hidden, "norm"),
        kinds=attention_kinds(config, default),
        windows={"sliding_attention": window},
    )
