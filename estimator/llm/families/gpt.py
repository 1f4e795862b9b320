"""Decoders of the GPT line: learned, rotary or linear-bias positions, LayerNorm, plain MLP."""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Embedding, Layer, Linear
from estimator.llm.config import MAX_CONTEXT, ModelConfig
from estimator.llm.families.build import (
    attention_output,
    decoder,
    fused_query_key_value,
    group_layers,
    identical,
    layer_norms,
    partial_rotary,
    plain_attention,
    plain_mlp,
    query_key_value,
)


def gpt2(config: ModelConfig) -> Architecture:
    """GPT-2: fused transposed projections (Conv1D), all biased; learned positions."""
    hidden = config.integer("n_embd")
    if config.flag("add_cross_attention"):
        config.refuse("add_cross_attention", "false (a decoder without an encoder)")
    attention = plain_attention(config, hidden=hidden, heads="n_head", dropout="attn_pdrop")
    width = config.optional("n_inner") or 4 * hidden
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "c_attn", bias=True, form="conv1d"),
            attention_output(hidden, attention, "c_proj", bias=True, form="conv1d"),
            *plain_mlp(hidden, width, ("c_fc", "c_proj"), form="conv1d"),
        ),
        norms=layer_norms(hidden, "ln_1", "ln_2"),
        attention=attention,
        activation=config.text("activation_function"),
        dropout=config.fraction("resid_pdrop"),
    )
    return _gpt2_like(config, hidden, layer)


def gpt_bigcode(config: ModelConfig) -> Architecture:
    """SantaCoder and StarCoder: GPT-2 with one key and value head for all queries."""
    hidden = config.integer("n_embd")
    if config.flag("add_cross_attention"):
        config.refuse("add_cross_attention", "false (a decoder without an encoder)")
    attention = plain_attention(
        config,
        hidden=hidden,
        heads="n_head",
        kv_heads=1 if config.flag("multi_query", default=True) else None,
        dropout="attn_pdrop",
    )
    width = config.optional("n_inner") or 4 * hidden
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "c_attn", bias=True),
            attention_output(hidden, attention, "c_proj", bias=True),
            *plain_mlp(hidden, width, ("c_fc", "c_proj")),
        ),
        norms=layer_norms(hidden, "ln_1", "ln_2"),
        attention=attention,
        activation=config.text("activation_function"),
        dropout=config.fraction("resid_pdrop"),
    )
    return _gpt2_like(config, hidden, layer)


def _gpt2_like(config: ModelConfig, hidden: int, layer: Layer) -> Architecture:
    positions = config.integer("n_positions", most=MAX_CONTEXT)
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers("n_layer")),
        norms=layer_norms(hidden, "ln_f"),
        embedding="wte",
        context="n_positions",
        positions=Embedding(name="wpe", rows=positions, width=hidden, role="position"),
        embedding_dropout="embd_pdrop",
    )


def gpt_neo(config: ModelConfig) -> Architecture:
    """GPT-Neo: every other layer sees a window of 256 tokens; no biases on q, k and v."""
    hidden = config.integer("hidden_size")
    attention = plain_attention(config, hidden=hidden, heads="num_heads")
    width = config.optional("intermediate_size") or 4 * hidden
    window = config.integer("window_size", default=256)
    kinds = _neo_kinds(config)

    def build(kind: str) -> Layer:
        return Layer(
            kind=kind,
            indices=(),
            linears=(
                *query_key_value(hidden, attention),
                attention_output(hidden, attention, "out_proj", bias=True),
                *plain_mlp(hidden, width, ("c_fc", "c_proj")),
            ),
            norms=layer_norms(hidden, "ln_1", "ln_2"),
            attention=replace(attention, window=window if kind == "local" else None),
            activation=config.text("activation_function"),
            dropout=config.fraction("resid_dropout"),
        )

    positions = config.integer("max_position_embeddings", most=MAX_CONTEXT)
    return decoder(
        config,
        hidden=hidden,
        layers=group_layers(kinds, build),
        norms=layer_norms(hidden, "ln_f"),
        embedding="wte",
        positions=Embedding(name="wpe", rows=positions, width=hidden, role="position"),
        embedding_dropout="embed_dropout",
    )


def _neo_kinds(config: ModelConfig) -> list[str]:
    """`attention_types` lists [kinds, repeats]; the class default alternates 12 times."""
    layers = config.layers("num_layers")
    stated = config.get("attention_types")
    if stated is None:
        stated = [[["global", "local"], 12]]
    try:
        kinds = [str(kind) for names, repeats in stated for kind in list(names) * int(repeats)]  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        config.refuse("attention_types", "a list of [kinds, repeats]")
    if len(kinds) != layers:
        config.refuse("attention_types", f"one kind for each of the {layers} layers")
    return kinds


def gptj(config: ModelConfig) -> Architecture:
    """GPT-J: parallel block with one norm, no attention biases, a biased head."""
    hidden = config.integer("n_embd")
    attention = replace(
        plain_attention(config, hidden=hidden, heads="n_head", dropout="attn_pdrop"),
        rotary_dim=config.optional("rotary_dim") or 0,
    )
    width = config.optional("n_inner") or 4 * hidden
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            *query_key_value(hidden, attention),
            attention_output(hidden, attention, "out_proj"),
            *plain_mlp(hidden, width, ("fc_in", "fc_out"), reads="input"),
        ),
        norms=layer_norms(hidden, "ln_1"),
        attention=attention,
        activation=config.text("activation_function"),
        dropout=config.fraction("resid_pdrop"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers("n_layer")),
        norms=layer_norms(hidden, "ln_f"),
        embedding="wte",
        head_bias=True,
        context="n_positions",
        embedding_dropout="embd_pdrop",
    )


def gpt_neox(config: ModelConfig) -> Architecture:
    """GPT-NeoX and Pythia: parallel block with two norms, fused projection, partly rotary."""
    hidden = config.integer("hidden_size")
    rotary = partial_rotary(config, default=config.fraction("rotary_pct", default=0.25))
    attention = plain_attention(config, hidden=hidden, rotary=rotary)
    bias = config.flag("attention_bias", default=True)
    parallel = config.flag("use_parallel_residual", default=True)
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            fused_query_key_value(hidden, attention, "query_key_value", bias=bias),
            attention_output(hidden, attention, "dense", bias=bias),
            *plain_mlp(
                hidden,
                config.integer("intermediate_size"),
                ("dense_h_to_4h", "dense_4h_to_h"),
                reads="input" if parallel else "residual",
            ),
        ),
        norms=layer_norms(hidden, "input_layernorm", "post_attention_layernorm"),
        attention=attention,
        activation=config.text("hidden_act"),
        dropout=config.fraction("hidden_dropout"),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=layer_norms(hidden, "final_layer_norm"),
        embedding="embed_in",
        embedding_dropout="hidden_dropout",
    )


def opt(config: ModelConfig) -> Architecture:
    """OPT: learned positions with two extra rows; the 350M size has a narrower token table."""
    hidden = config.integer("hidden_size")
    attention = plain_attention(config, hidden=hidden)
    bias = config.flag("enable_bias", default=True)
    affine = config.flag("layer_norm_elementwise_affine", default=True)
    norm = layer_norms if affine else lambda *_: ()
    table_width = config.optional("word_embed_proj_dim") or hidden
    final = config.flag("do_layer_norm_before", default=True) and not config.flag(
        "_remove_final_layer_norm"
    )
    layer = Layer(
        kind="dense",
        indices=(),
        linears=(
            *query_key_value(hidden, attention, bias=bias),
            attention_output(hidden, attention, "out_proj", bias=bias),
            *plain_mlp(hidden, config.integer("ffn_dim"), ("fc1", "fc2"), bias=bias),
        ),
        norms=norm(hidden, "self_attn_layer_norm", "final_layer_norm"),
        attention=attention,
        activation=config.text("activation_function"),
        dropout=config.fraction("dropout"),
    )
    positions = config.integer("max_position_embeddings", most=MAX_CONTEXT)
    return decoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers()),
        norms=norm(hidden, "final_layer_norm") if final else (),
        positions=Embedding(
            name="embed_positions", rows=positions + 2, width=hidden, role="position"
        ),
        embedding_dropout="dropout",
        embedding_width=table_width,
        projections=_opt_projections(hidden, table_width),
    )


def _opt_projections(hidden: int, table_width: int) -> tuple[Linear, ...]:
    if table_width == hidden:
        return ()
    return (
        Linear(
            name="project_in",
            inputs=table_width,
            outputs=hidden,
            role="projection",
            reads="final",
        ),
        Linear(
            name="project_out",
            inputs=hidden,
            outputs=table_width,
            role="projection",
            reads="final",
        ),
    )
