"""BLOOM, Falcon and MPT: fused projections, linear-bias or rotary positions, plain MLP."""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Layer
from estimator.llm.config import ModelConfig
from estimator.llm.families.build import (
    attention_output,
    decoder,
    fused_query_key_value,
    identical,
    layer_norms,
    plain_attention,
    plain_mlp,
)


def bloom(config: ModelConfig) -> Architecture:
    """BLOOM: linear-bias positions, a norm after the token table, MLP of 4 x hidden."""
    hidden = config.integer("hidden_size")
    attention = plain_attention(config, hidden=hidden, heads="n_head")
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "query_key_value", bias=True),
            attention_output(hidden, attention, "dense", bias=True),
            *plain_mlp(hidden, 4 * hidden, ("dense_h_to_4h", "dense_4h_to_h")),
        ),
        norms=layer_norms(hidden, "input_layernorm", "post_attention_layernorm"),
        attention=attention,
        dropout=config.fraction("hidden_dropout"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers("n_layer")),
        norms=layer_norms(hidden, "word_embeddings_layernorm", "ln_f"),
        embedding="word_embeddings",
        context="seq_length",
    )


def falcon(config: ModelConfig) -> Architecture:
    """Falcon 7B (one key head), 40B and 180B (grouped heads, two norms), and the 1B models."""
    hidden = config.integer("hidden_size")
    heads = config.integer("num_attention_heads")
    new = config.flag("new_decoder_architecture") or config.family == "RefinedWeb"
    single = config.flag("multi_query", default=True)
    kv_heads = (config.optional("num_kv_heads") or heads) if new else (1 if single else heads)
    attention = plain_attention(
        config,
        hidden=hidden,
        kv_heads=kv_heads,
        rotary=0.0 if config.flag("alibi") else 1.0,
    )
    bias = config.flag("bias")
    parallel = config.flag("parallel_attn", default=True)
    width = config.optional("ffn_hidden_size") or 4 * hidden
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "query_key_value", bias=bias),
            attention_output(hidden, attention, "dense", bias=bias),
            *plain_mlp(
                hidden,
                width,
                ("dense_h_to_4h", "dense_4h_to_h"),
                bias=bias,
                reads="input" if parallel else "residual",
            ),
        ),
        norms=layer_norms(hidden, *_falcon_norms(config, new=new, parallel=parallel)),
        attention=attention,
        activation=config.text("activation"),
        dropout=config.fraction("hidden_dropout"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=layer_norms(hidden, "ln_f"),
        embedding="word_embeddings",
    )


def _falcon_norms(config: ModelConfig, *, new: bool, parallel: bool) -> tuple[str, ...]:
    if not parallel:
        return ("input_layernorm", "post_attention_layernorm")
    count = config.optional("num_ln_in_parallel_attn", most=2) or (2 if new else 1)
    return ("ln_attn", "ln_mlp") if count == 2 else ("input_layernorm",)


def mpt(config: ModelConfig) -> Architecture:
    """MPT: linear-bias positions and no biases at all; the class fixes an MLP of 4 x hidden."""
    hidden = config.integer("d_model")
    attention = plain_attention(config, hidden=hidden, heads="n_heads", dropout="")
    dropout = config.nested("attn_config").fraction("attn_pdrop")
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "Wqkv"),
            attention_output(hidden, attention, "out_proj"),
            *plain_mlp(hidden, 4 * hidden, ("up_proj", "down_proj"), bias=False),
        ),
        norms=layer_norms(hidden, "norm_1", "norm_2", bias=False),
        attention=replace(attention, dropout=dropout),
        dropout=dropout,
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers("n_layers")),
        norms=layer_norms(hidden, "norm_f", bias=False),
        embedding="wte",
        context="max_seq_len",
        embedding_dropout="emb_pdrop",
    )
