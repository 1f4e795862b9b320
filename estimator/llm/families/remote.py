"""Families whose classes live in their own repositories, not in `transformers`.

That code is never run: the shapes here are those of the published weights, whose totals the tests
hold.
"""

from estimator.llm.architecture import Architecture, Attention, Layer
from estimator.llm.config import ModelConfig
from estimator.llm.families.build import (
    attention_output,
    decoder,
    fused_gated_mlp,
    fused_query_key_value,
    gated_mlp,
    identical,
    layer_norms,
    plain_attention,
    plain_mlp,
    read_attention,
    rms_norms,
)
from estimator.llm.families.llama import PRE_NORMS
from estimator.llm.families.rope import rope_decoder, separate


def internlm(config: ModelConfig) -> Architecture:
    """InternLM 1: Llama whose attention matrices are biased."""
    hidden = config.integer("hidden_size")
    bias = config.flag("bias", default=True)
    return rope_decoder(
        config,
        hidden=hidden,
        attention=read_attention(config, hidden=hidden),
        projections=separate(hidden, bias=bias, output_bias=bias),
        mlp=gated_mlp(hidden, config.integer("intermediate_size")),
        norms=rms_norms(hidden, *PRE_NORMS),
        final=rms_norms(hidden, "norm"),
    )


def internlm2(config: ModelConfig) -> Architecture:
    """InternLM 2 and 2.5: grouped heads in one fused projection."""
    hidden = config.integer("hidden_size")
    bias = config.flag("bias")
    attention = read_attention(config, hidden=hidden)
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "wqkv", bias=bias),
            attention_output(hidden, attention, "wo", bias=bias),
            *gated_mlp(hidden, config.integer("intermediate_size"), names=("w1", "w3", "w2")),
        ),
        norms=rms_norms(hidden, "attention_norm", "ffn_norm"),
        attention=attention,
        gated=True,
        activation=config.text("hidden_act", default="silu"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=rms_norms(hidden, "norm"),
        embedding="tok_embeddings",
        head="output",
    )


def baichuan(config: ModelConfig) -> Architecture:
    """Baichuan 1 and 2: Llama with a fused projection; the 13B size has linear-bias positions."""
    hidden = config.integer("hidden_size")
    rotary = config.states("max_position_embeddings")
    attention = plain_attention(
        config,
        hidden=hidden,
        rotary=1.0 if rotary else 0.0,
    )
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "W_pack"),
            attention_output(hidden, attention),
            *gated_mlp(hidden, config.integer("intermediate_size")),
        ),
        norms=rms_norms(hidden, *PRE_NORMS),
        attention=attention,
        gated=True,
        activation=config.text("hidden_act", default="silu"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=rms_norms(hidden, "norm"),
        context="max_position_embeddings" if rotary else "model_max_length",
    )


def qwen(config: ModelConfig) -> Architecture:
    """Qwen 1: biased fused projection; `intermediate_size` counts gate and up together."""
    hidden = config.integer("hidden_size")
    heads = config.integer("num_attention_heads")
    width = config.integer("kv_channels", default=max(1, hidden // heads))
    attention = Attention(
        heads=heads, kv_heads=heads, head_dim=width, value_head_dim=width, rotary_dim=width
    )
    inner = config.integer("intermediate_size")
    if inner % 2:
        config.refuse("intermediate_size", "an even number: gate and up share it")
    bias = not config.flag("no_bias", default=True)
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "c_attn", bias=True),
            attention_output(hidden, attention, "c_proj", bias=bias),
            *gated_mlp(hidden, inner // 2, bias=bias, names=("w2", "w1", "c_proj")),
        ),
        norms=rms_norms(hidden, "ln_1", "ln_2"),
        attention=attention,
        gated=True,
        activation="silu",
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=rms_norms(hidden, "ln_f"),
        embedding="wte",
        context="max_position_embeddings"
        if config.states("max_position_embeddings")
        else "seq_length",
    )


def chatglm(config: ModelConfig) -> Architecture:
    """ChatGLM 2 and 3 and GLM-4-9B in their own code; the first ChatGLM-6B by its own keys."""
    if config.states("inner_hidden_size"):
        return _chatglm1(config)
    hidden = config.integer("hidden_size")
    heads, width = config.integer("num_attention_heads"), config.integer("kv_channels")
    grouped = config.flag("multi_query_attention")
    attention = Attention(
        heads=heads,
        kv_heads=config.integer("multi_query_group_num") if grouped else heads,
        head_dim=width,
        value_head_dim=width,
        rotary_dim=width // 2,
        dropout=config.fraction("attention_dropout"),
    )
    bias = config.flag("add_bias_linear")
    qkv_bias = bias or config.flag("add_qkv_bias")
    norm = rms_norms if config.flag("rmsnorm", default=True) else layer_norms
    mlp = fused_gated_mlp(
        hidden,
        config.integer("ffn_hidden_size"),
        bias=bias,
        names=("dense_h_to_4h", "dense_4h_to_h"),
    )
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "query_key_value", bias=qkv_bias),
            attention_output(hidden, attention, "dense", bias=bias),
            *mlp,
        ),
        norms=norm(hidden, *PRE_NORMS),
        attention=attention,
        gated=True,
        activation="silu",
        dropout=config.fraction("hidden_dropout"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers("num_layers")),
        norms=norm(hidden, "final_layernorm")
        if config.flag("post_layer_norm", default=True)
        else (),
        embedding="word_embeddings",
        head="output_layer",
        context="seq_length",
        vocab="padded_vocab_size",
        task="language",
    )


def _chatglm1(config: ModelConfig) -> Architecture:
    hidden = config.integer("hidden_size")
    attention = plain_attention(config, hidden=hidden)
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "query_key_value", bias=True),
            attention_output(hidden, attention, "dense", bias=True),
            *plain_mlp(
                hidden,
                config.integer("inner_hidden_size"),
                ("dense_h_to_4h", "dense_4h_to_h"),
            ),
        ),
        norms=layer_norms(hidden, *PRE_NORMS),
        attention=attention,
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers("num_layers")),
        norms=layer_norms(hidden, "final_layernorm"),
        embedding="word_embeddings",
        context="max_sequence_length",
        tied=True,
        task="language",
    )
