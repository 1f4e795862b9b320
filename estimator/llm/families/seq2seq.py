"""Encoder-decoders: T5 with Flan-T5 and mT5, BART."""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Attention, Embedding, Layer, Linear, Norm
from estimator.llm.config import MAX_CONTEXT, MAX_LAYERS, ModelConfig
from estimator.llm.families.build import (
    Task,
    attention_output,
    biased_linear,
    count_labels,
    gated_mlp,
    identical,
    layer_norms,
    plain_attention,
    plain_mlp,
    query_key_value,
    read_task,
    rms_norms,
)


def cross(linears: tuple[Linear, ...]) -> tuple[Linear, ...]:
    """Attention projections as cross-attention has them: keys and values read the encoder."""
    query, key, value, output = (replace(x, role="cross_attention") for x in linears)
    return (
        replace(query, reads="residual"),
        replace(key, reads="encoder"),
        replace(value, reads="encoder"),
        output,
    )


def t5(config: ModelConfig) -> Architecture:
    """T5, T5 v1.1, Flan-T5 and mT5: relative positions by bucket, RMS norms, no biases.

    The class ties the head to the token table always; checkpoints of v1.1 and Flan hold a head of
    their own, given as `unbuilt_parameters`.
    """
    hidden = config.integer("d_model")
    task = read_task(config) or "language"
    table = Embedding(name="shared", rows=config.vocab(), width=hidden)
    buckets = Embedding(
        name="relative_attention_bias",
        rows=config.integer("relative_attention_num_buckets"),
        width=config.integer("num_heads"),
        role="position",
    )
    alone = task in ("encoder", "token")
    untied = "tie_word_embeddings" in config.values and not config.flag("tie_word_embeddings")
    projections, head = _head(config, hidden, task)
    return Architecture(
        id=config.id,
        family=config.family,
        kind="encoder" if alone else "encoder-decoder",
        hidden_size=hidden,
        vocab_size=config.vocab(),
        layers=_t5_layers(config, hidden, alone=alone),
        embeddings=(table, buckets) if alone else (table, buckets, buckets),
        norms=rms_norms(hidden, *["final_layer_norm"] * (1 if alone else 2)),
        projections=projections,
        head=head,
        tied_embeddings=task == "language",
        unbuilt_parameters=config.vocab() * hidden if untied and task == "language" else 0,
        context_length=config.optional("n_positions", most=MAX_CONTEXT),
        embedding_dropout=config.fraction("dropout_rate"),
    )


def _head(config: ModelConfig, hidden: int, task: Task) -> tuple[tuple[Linear, ...], Linear | None]:
    """What stands between the last layer and the logits of each task."""
    labels = count_labels(config, default=3 if config.family == "bart" else 2)
    if task == "question" and config.family == "bart":
        labels = 2
    if task == "language":
        head = Linear(
            name="lm_head", inputs=hidden, outputs=config.vocab(), role="head", reads="final"
        )
        return (), head
    if task == "sequence":
        dense = biased_linear("dense", hidden, hidden)
        return (dense,), biased_linear("out_proj", hidden, labels, role="head")
    names = {"token": "classifier", "question": "qa_outputs"}
    if task in names:
        return (), biased_linear(names[task], hidden, labels, role="head")
    return (), None


def _t5_layers(config: ModelConfig, hidden: int, *, alone: bool) -> tuple[Layer, ...]:
    heads, width = config.integer("num_heads"), config.integer("d_kv")
    attention = Attention(
        heads=heads,
        kv_heads=heads,
        head_dim=width,
        value_head_dim=width,
        causal=False,
        dropout=config.fraction("dropout_rate"),
    )
    form = config.text("feed_forward_proj", default="relu").split("-")
    inner = config.integer("d_ff")
    gated = form[0] == "gated"
    mlp = (
        gated_mlp(hidden, inner, names=("wi_0", "wi_1", "wo"))
        if gated
        else plain_mlp(hidden, inner, ("wi", "wo"), bias=False)
    )
    own = (
        *query_key_value(hidden, attention, names=("q", "k", "v")),
        attention_output(hidden, attention, "o"),
    )
    encoder = Layer(
        kind="encoder",
        indices=(),
        linears=(*own, *mlp),
        norms=rms_norms(hidden, "layer_norm", "layer_norm"),
        attention=attention,
        gated=gated,
        activation=form[-1],
        stack="encoder",
        dropout=config.fraction("dropout_rate"),
    )
    below = identical(encoder, config.layers("num_layers"))
    if alone:
        return below
    count = config.optional("num_decoder_layers", most=MAX_LAYERS) or below[0].count
    return (*below, *identical(_decoder_layer(encoder, own, mlp), count))


def _decoder_layer(
    encoder: Layer, own: tuple[Linear, ...], mlp: tuple[Linear, ...], norm: Norm | None = None
) -> Layer:
    """The decoder's layer: that of the encoder with cross-attention and a third norm."""
    attention = encoder.attention
    assert attention is not None
    return replace(
        encoder,
        kind="decoder",
        stack="decoder",
        linears=(*own, *cross(own), *mlp),
        norms=(*encoder.norms, norm or encoder.norms[0]),
        attention=replace(attention, causal=True),
        cross_attention=attention,
    )


def bart(config: ModelConfig) -> Architecture:
    """BART: learned positions with two extra rows, every matrix biased, norms after each block.

    Untied, encoder and decoder hold token tables of their own.
    """
    hidden = config.integer("d_model")
    if any(name.endswith("CausalLM") for name in config.list_of("architectures", str) or []):
        config.refuse("architectures", "BART classes with an encoder")
    task = read_task(config) or "language"
    positions = config.integer("max_position_embeddings", most=MAX_CONTEXT) + 2
    places = Embedding(name="embed_positions", rows=positions, width=hidden, role="position")
    table = Embedding(name="shared", rows=config.vocab(), width=hidden)
    tied = config.flag("tie_word_embeddings", default=True)
    projections, head = _head(config, hidden, task)
    return Architecture(
        id=config.id,
        family=config.family,
        kind="encoder-decoder",
        hidden_size=hidden,
        vocab_size=config.vocab(),
        layers=_bart_layers(config, hidden),
        embeddings=(*([table] if tied else [table] * 3), places, places),
        norms=layer_norms(hidden, "layernorm_embedding", "layernorm_embedding"),
        projections=projections,
        head=head,
        tied_embeddings=task == "language" and tied,
        context_length=config.optional("max_position_embeddings", most=MAX_CONTEXT),
        embedding_dropout=config.fraction("dropout"),
    )


def _bart_layers(config: ModelConfig, hidden: int) -> tuple[Layer, ...]:
    names = ("self_attn_layer_norm", "final_layer_norm")
    stacks = []
    for stack in ("encoder", "decoder"):
        attention = replace(
            plain_attention(config, hidden=hidden, heads=f"{stack}_attention_heads"),
            causal=False,
        )
        own = (
            *query_key_value(hidden, attention, bias=True),
            attention_output(hidden, attention, "out_proj", bias=True),
        )
        mlp = plain_mlp(hidden, config.integer(f"{stack}_ffn_dim"), ("fc1", "fc2"))
        layer = Layer(
            kind="encoder",
            indices=(),
            linears=(*own, *mlp),
            norms=layer_norms(hidden, *names),
            attention=attention,
            activation=config.text("activation_function"),
            stack="encoder",
            dropout=config.fraction("dropout"),
        )
        if stack == "decoder":
            (third,) = layer_norms(hidden, "encoder_attn_layer_norm")
            layer = _decoder_layer(layer, own, mlp, third)
        stacks.append(identical(layer, config.layers(f"{stack}_layers"))[0])
    return tuple(stacks)
