"""Dense decoders with LayerNorm and rotary positions: Phi, StableLM, Cohere, Nemotron."""

from estimator.llm.architecture import Architecture, Norm
from estimator.llm.config import ModelConfig
from estimator.llm.families.build import (
    gated_mlp,
    layer_norms,
    partial_rotary,
    plain_mlp,
    read_attention,
)
from estimator.llm.families.llama import PRE_NORMS
from estimator.llm.families.rope import attention_kinds, rope_decoder, separate, stated_window


def phi(config: ModelConfig) -> Architecture:
    """Phi-1, 1.5 and 2: parallel block, every matrix biased, half of each head rotary."""
    hidden = config.integer("hidden_size")
    attention = read_attention(config, hidden=hidden, rotary=partial_rotary(config, default=0.5))
    key_norms = (
        (
            _norm("q_layernorm", attention.head_dim, applied=attention.query_width),
            _norm("k_layernorm", attention.head_dim, applied=attention.key_width),
        )
        if config.flag("qk_layernorm")
        else ()
    )
    return rope_decoder(
        config,
        hidden=hidden,
        attention=attention,
        projections=separate(hidden, bias=True, output_bias=True, output="dense"),
        mlp=plain_mlp(hidden, config.integer("intermediate_size"), ("fc1", "fc2"), reads="input"),
        norms=(*layer_norms(hidden, "input_layernorm"), *key_norms),
        final=layer_norms(hidden, "final_layernorm"),
        gated=False,
        dropout="resid_pdrop",
        embedding_dropout="embd_pdrop",
        head_bias=True,
    )


def _norm(name: str, width: int, *, applied: int) -> Norm:
    return Norm(name=name, width=width, kind="layer", bias=True, applied_width=applied)


def stablelm(config: ModelConfig) -> Architecture:
    """StableLM: Llama with LayerNorm, a quarter of each head rotary; StableLM 2 12B is parallel."""
    hidden = config.integer("hidden_size")
    attention = read_attention(config, hidden=hidden, rotary=partial_rotary(config, default=0.25))
    parallel = config.flag("use_parallel_residual")
    names = PRE_NORMS[:1] if parallel else PRE_NORMS
    key_norms = (
        (
            Norm(
                name="q_layernorm",
                width=attention.head_dim,
                kind="layer",
                copies=attention.heads,
            ),
            Norm(
                name="k_layernorm",
                width=attention.head_dim,
                kind="layer",
                copies=attention.kv_heads,
            ),
        )
        if config.flag("qk_layernorm")
        else ()
    )
    return rope_decoder(
        config,
        hidden=hidden,
        attention=attention,
        projections=separate(hidden, bias=config.flag("use_qkv_bias")),
        mlp=gated_mlp(
            hidden,
            config.integer("intermediate_size"),
            reads="input" if parallel else "residual",
        ),
        norms=(*layer_norms(hidden, *names), *key_norms),
        final=layer_norms(hidden, "norm"),
        dropout="hidden_dropout",
    )


def starcoder2(config: ModelConfig) -> Architecture:
    """StarCoder 2: grouped heads, plain MLP, every matrix biased."""
    hidden = config.integer("hidden_size")
    bias = config.flag("use_bias", default=True)
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=plain_mlp(hidden, config.integer("intermediate_size"), ("c_fc", "c_proj"), bias=bias),
        norms=layer_norms(hidden, *PRE_NORMS),
        final=layer_norms(hidden, "norm"),
        windows={"full_attention": stated_window(config)},
        gated=False,
        dropout="residual_dropout",
        embedding_dropout="embedding_dropout",
    )


def cohere(config: ModelConfig) -> Architecture:
    """Command R and R+: parallel block, norms without bias, head tied to the token table."""
    hidden = config.integer("hidden_size")
    attention = read_attention(config, hidden=hidden)
    key_norms = (
        (
            *layer_norms(attention.query_width, "q_norm", bias=False),
            *layer_norms(attention.key_width, "k_norm", bias=False),
        )
        if config.flag("use_qk_norm")
        else ()
    )
    bias = config.flag("attention_bias")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=attention,
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size"), reads="input"),
        norms=(*layer_norms(hidden, "input_layernorm", bias=False), *key_norms),
        final=layer_norms(hidden, "norm", bias=False),
    )


def cohere2(config: ModelConfig) -> Architecture:
    """Command R7B and Command A: as Command R, three of four layers slide."""
    hidden = config.integer("hidden_size")
    pattern = config.integer("sliding_window_pattern", default=4)
    bias = config.flag("attention_bias")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size"), reads="input"),
        norms=layer_norms(hidden, "input_layernorm", bias=False),
        final=layer_norms(hidden, "norm", bias=False),
        kinds=attention_kinds(
            config,
            lambda index: "sliding_attention" if (index + 1) % pattern else "full_attention",
        ),
        windows={"sliding_attention": stated_window(config)},
    )


def nemotron(config: ModelConfig) -> Architecture:
    """Nemotron-4 and Minitron: LayerNorm, squared-ReLU MLP without a gate."""
    hidden = config.integer("hidden_size")
    bias = config.flag("attention_bias")
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden, rotary=partial_rotary(config, default=0.5)),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=plain_mlp(
            hidden,
            config.integer("intermediate_size"),
            ("up_proj", "down_proj"),
            bias=config.flag("mlp_bias"),
        ),
        norms=layer_norms(hidden, *PRE_NORMS),
        final=layer_norms(hidden, "norm"),
        gated=False,
    )
