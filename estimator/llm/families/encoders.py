"""Encoders: BERT, RoBERTa, DistilBERT, DeBERTa-v2 and v3, ModernBERT.

Without a class in `architectures` the count is that of the bare model (AutoModel), with the pooler
where it has one.
"""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Attention, Embedding, Layer, Linear, Norm
from estimator.llm.config import MAX_CONTEXT, MAX_VOCAB, ModelConfig
from estimator.llm.families.build import (
    Task,
    attention_output,
    biased_linear,
    count_labels,
    group_layers,
    identical,
    layer_norms,
    plain_attention,
    plain_mlp,
    query_key_value,
    read_task,
)


def _tables(config: ModelConfig, width: int, *, segments: bool = True) -> tuple[Embedding, ...]:
    positions = config.integer("max_position_embeddings", most=MAX_CONTEXT)
    types = config.integer("type_vocab_size", least=0, most=MAX_VOCAB) if segments else 0
    tables = (
        Embedding(name="word_embeddings", rows=config.vocab(), width=width),
        Embedding(name="position_embeddings", rows=positions, width=width, role="position"),
    )
    if not types:
        return tables
    return (
        *tables,
        Embedding(name="token_type_embeddings", rows=types, width=width, role="segment"),
    )


def _encoder(
    config: ModelConfig,
    *,
    hidden: int,
    layers: tuple[Layer, ...],
    embeddings: tuple[Embedding, ...],
    norms: tuple[Norm, ...],
    task: Task,
    projections: tuple[Linear, ...],
    head: Linear | None,
    embedding_dropout: str = "hidden_dropout_prob",
    other_parameters: int = 0,
    has_output_bias: bool = False,
    notes: tuple[str, ...] = (),
) -> Architecture:
    """The frame of all encoders. `has_output_bias`: the class keeps a bias of the vocabulary
    beside that of the head's matrix; it is the same tensor only where the table is tied."""
    predicts = task in ("language", "pretraining")
    shared = predicts and config.flag("tie_word_embeddings", default=True)
    untied_bias = config.vocab() if predicts and not shared and has_output_bias else 0
    return Architecture(
        id=config.id,
        family=config.family,
        kind="encoder",
        hidden_size=hidden,
        vocab_size=config.vocab(),
        layers=layers,
        embeddings=embeddings,
        norms=norms,
        projections=projections,
        head=head,
        tied_embeddings=shared,
        other_parameters=other_parameters + untied_bias,
        context_length=config.optional("max_position_embeddings", most=MAX_CONTEXT),
        embedding_dropout=config.fraction(embedding_dropout),
        notes=notes,
    )


def _vocabulary_head(config: ModelConfig, width: int) -> Linear:
    return biased_linear("decoder", width, config.vocab(), role="head")


def _bert_layers(config: ModelConfig, hidden: int) -> tuple[Layer, ...]:
    attention = replace(
        plain_attention(
            config,
            hidden=hidden,
            dropout="attention_probs_dropout_prob",
        ),
        causal=False,
    )
    width = config.integer("intermediate_size")
    layer = Layer(
        kind="encoder",
        indices=(),
        linears=(
            *query_key_value(hidden, attention, bias=True, names=("query", "key", "value")),
            attention_output(hidden, attention, "dense", bias=True),
            *plain_mlp(hidden, width, ("dense", "dense")),
        ),
        norms=layer_norms(hidden, "LayerNorm", "LayerNorm"),
        attention=attention,
        activation=config.text("hidden_act"),
        stack="encoder",
        dropout=config.fraction("hidden_dropout_prob"),
    )
    return identical(layer, config.layers())


def bert(config: ModelConfig) -> Architecture:
    """BERT: learned positions and segments, norms after each block, a pooler."""
    hidden = config.integer("hidden_size")
    task = read_task(config) or "base"
    pooler = (biased_linear("dense", hidden, hidden),)
    transform = (biased_linear("dense", hidden, hidden),)
    pairs = (biased_linear("seq_relationship", hidden, 2),)
    heads: dict[Task, tuple[tuple[Linear, ...], Linear | None]] = {
        "base": (pooler, None),
        "language": (transform, _vocabulary_head(config, hidden)),
        "pretraining": ((*pooler, *transform, *pairs), _vocabulary_head(config, hidden)),
        "sequence": (pooler, _classifier(config, hidden)),
        "token": ((), _classifier(config, hidden)),
        "question": ((), _classifier(config, hidden, "qa_outputs")),
    }
    return _bert_like(config, hidden, task, heads)


def roberta(config: ModelConfig) -> Architecture:
    """RoBERTa and XLM-RoBERTa: BERT whose classifier has a hidden layer instead of the pooler."""
    hidden = config.integer("hidden_size")
    task = read_task(config) or "base"
    dense = (biased_linear("dense", hidden, hidden),)
    heads: dict[Task, tuple[tuple[Linear, ...], Linear | None]] = {
        "base": (dense, None),
        "language": (dense, _vocabulary_head(config, hidden)),
        "sequence": (dense, _classifier(config, hidden, "out_proj")),
        "token": ((), _classifier(config, hidden)),
        "question": ((), _classifier(config, hidden, "qa_outputs")),
    }
    return _bert_like(config, hidden, task, heads)


def _classifier(config: ModelConfig, width: int, name: str = "classifier") -> Linear:
    return biased_linear(name, width, count_labels(config), role="head")


def _bert_like(
    config: ModelConfig,
    hidden: int,
    task: Task,
    heads: dict[Task, tuple[tuple[Linear, ...], Linear | None]],
) -> Architecture:
    projections, head = heads.get(task, heads["base"])
    transformed = task in ("language", "pretraining")
    return _encoder(
        config,
        hidden=hidden,
        layers=_bert_layers(config, hidden),
        embeddings=_tables(config, hidden),
        norms=layer_norms(hidden, *["LayerNorm"] * (1 + transformed)),
        task=task,
        projections=projections,
        head=head,
        has_output_bias=True,
    )


def distilbert(config: ModelConfig) -> Architecture:
    """DistilBERT: BERT without segments and pooler."""
    hidden = config.integer("dim")
    task = read_task(config) or "base"
    attention = replace(plain_attention(config, hidden=hidden, heads="n_heads"), causal=False)
    layer = Layer(
        kind="encoder",
        indices=(),
        linears=(
            *query_key_value(hidden, attention, bias=True, names=("q_lin", "k_lin", "v_lin")),
            attention_output(hidden, attention, "out_lin", bias=True),
            *plain_mlp(hidden, config.integer("hidden_dim"), ("lin1", "lin2")),
        ),
        norms=layer_norms(hidden, "sa_layer_norm", "output_layer_norm"),
        attention=attention,
        activation=config.text("activation"),
        stack="encoder",
        dropout=config.fraction("dropout"),
    )
    heads: dict[Task, tuple[str, Linear]] = {
        "language": (
            "vocab_transform",
            biased_linear("vocab_projector", hidden, config.vocab(), role="head"),
        ),
        "sequence": ("pre_classifier", _classifier(config, hidden)),
        "token": ("", _classifier(config, hidden)),
        "question": ("", _classifier(config, hidden, "qa_outputs")),
    }
    transform, head = heads.get(task, ("", None))
    return _encoder(
        config,
        hidden=hidden,
        layers=identical(layer, config.layers("n_layers")),
        embeddings=_tables(config, hidden, segments=False),
        norms=layer_norms(
            hidden, "LayerNorm", *(["vocab_layer_norm"] if task == "language" else [])
        ),
        task=task,
        projections=(biased_linear(transform, hidden, hidden),) if transform else (),
        head=head,
        embedding_dropout="dropout",
    )


def deberta_v2(config: ModelConfig) -> Architecture:
    """DeBERTa v2 and v3: scores from content and relative position, which share matrices in v3."""
    hidden = config.integer("hidden_size")
    task = read_task(config) or "base"
    width = config.integer("embedding_size", default=hidden)
    tables, table_norms = _relative_tables(config, hidden, width)
    transform = (biased_linear("dense", hidden, width),) if task == "language" else ()
    pooled = config.integer("pooler_hidden_size", default=hidden)
    pooler = (biased_linear("dense", pooled, pooled),) if task == "sequence" else ()
    narrow = Linear(
        name="embed_proj", inputs=width, outputs=hidden, role="projection", reads="final"
    )
    head = {
        "language": _vocabulary_head(config, width),
        "sequence": _classifier(config, pooled),
        "token": _classifier(config, hidden),
        "question": _classifier(config, hidden, "qa_outputs"),
    }.get(task)
    kernel = config.integer("conv_kernel_size", default=0, least=0)
    groups = config.integer("conv_groups", default=1)
    convolution = hidden * (hidden // groups) * kernel + hidden if kernel else 0
    return _encoder(
        config,
        hidden=hidden,
        layers=_deberta_layers(config, hidden),
        embeddings=tables,
        norms=(
            *layer_norms(hidden, "LayerNorm"),
            *table_norms,
            *(layer_norms(hidden, "LayerNorm") if kernel else ()),
            *(layer_norms(width, "LayerNorm") if transform else ()),
        ),
        task=task,
        projections=(*((narrow,) if width != hidden else ()), *transform, *pooler),
        head=head,
        other_parameters=convolution,
        has_output_bias=True,
        notes=("attention also multiplies relative positions, which FLOP counts here leave out",)
        if config.flag("relative_attention")
        else (),
    )


def _relative_tables(
    config: ModelConfig, hidden: int, width: int
) -> tuple[tuple[Embedding, ...], tuple[Norm, ...]]:
    biased = config.flag("position_biased_input", default=True)
    tables = tuple(table for table in _tables(config, width) if biased or table.role != "position")
    normed = "layer_norm" in config.text("norm_rel_ebd", default="none").lower()
    norms = layer_norms(hidden, "LayerNorm") if normed else ()
    if not config.flag("relative_attention"):
        return tables, norms
    longest = config.integer("max_relative_positions", default=-1, least=-1, most=MAX_CONTEXT)
    buckets = config.integer("position_buckets", default=-1, least=-1, most=MAX_CONTEXT)
    span = longest if longest > 0 else config.integer("max_position_embeddings", most=MAX_CONTEXT)
    rows = 2 * (buckets if buckets > 0 else span)
    relative = Embedding(name="rel_embeddings", rows=rows, width=hidden, role="position")
    return (*tables, relative), norms


def _deberta_layers(config: ModelConfig, hidden: int) -> tuple[Layer, ...]:
    (layer,) = _bert_layers(config, hidden)
    renamed = {"query": "query_proj", "key": "key_proj", "value": "value_proj"}
    linears = tuple(
        replace(linear, name=renamed.get(linear.name, linear.name)) for linear in layer.linears
    )
    return (replace(layer, linears=(*linears, *_position_projections(config, hidden))),)


def _position_projections(config: ModelConfig, hidden: int) -> tuple[Linear, ...]:
    if not config.flag("relative_attention") or config.flag("share_att_key"):
        return ()
    stated = config.get("pos_att_type")
    kinds = stated.split("|") if isinstance(stated, str) else config.list_of("pos_att_type", str)
    names = {"c2p": "pos_key_proj", "p2c": "pos_query_proj"}
    return tuple(
        biased_linear(name, hidden, hidden) for kind, name in names.items() if kind in (kinds or [])
    )


def modernbert(config: ModelConfig) -> Architecture:
    """ModernBERT: rotary positions, gated MLP, two of three layers see a local window."""
    hidden = config.integer("hidden_size")
    task = read_task(config) or "base"
    norm_bias = config.flag("norm_bias")
    dense = Linear(
        name="dense",
        inputs=hidden,
        outputs=hidden,
        bias=config.flag("classifier_bias"),
        role="projection",
        reads="final",
    )
    decoder_head = replace(
        _vocabulary_head(config, hidden), bias=config.flag("decoder_bias", default=True)
    )
    heads = {
        "language": decoder_head,
        "sequence": _classifier(config, hidden),
        "token": _classifier(config, hidden),
        "question": _classifier(config, hidden),
    }
    headed = task in heads
    return _encoder(
        config,
        hidden=hidden,
        layers=_modernbert_layers(config, hidden),
        embeddings=(Embedding(name="tok_embeddings", rows=config.vocab(), width=hidden),),
        norms=layer_norms(
            hidden, "norm", "final_norm", *(["norm"] if headed else []), bias=norm_bias
        ),
        task=task,
        projections=(dense,) if headed else (),
        head=heads.get(task),
        embedding_dropout="embedding_dropout",
    )


def _modernbert_layers(config: ModelConfig, hidden: int) -> tuple[Layer, ...]:
    attention = replace(
        plain_attention(config, hidden=hidden, rotary=1.0),
        causal=False,
    )
    every = config.integer("global_attn_every_n_layers", default=3)
    window = config.integer("local_attention", default=128, most=MAX_CONTEXT)
    stated = config.per_layer("layer_types", config.layers())
    kinds = [
        (
            stated[index] != "full_attention" if stated else index % every != 0,
            index == 0,
        )
        for index in range(config.layers())
    ]
    return group_layers(kinds, lambda kind: _modernbert_layer(config, attention, window, *kind))


def _modernbert_layer(
    config: ModelConfig, attention: Attention, window: int, local: bool, first: bool
) -> Layer:
    """The first layer has no norm before attention: the embedding's serves."""
    hidden, width = attention.output_width, config.integer("intermediate_size")
    bias = config.flag("attention_bias")
    mlp_bias = config.flag("mlp_bias")
    fused = plain_mlp(hidden, width, ("Wi", "Wo"), bias=mlp_bias)
    return Layer(
        kind="sliding encoder" if local else "encoder",
        indices=(),
        linears=(
            Linear(
                name="Wqkv",
                inputs=hidden,
                outputs=3 * hidden,
                bias=bias,
                role="attention",
                reads="input",
            ),
            attention_output(hidden, attention, "Wo", bias=bias),
            replace(fused[0], outputs=2 * width),
            fused[1],
        ),
        norms=layer_norms(
            hidden,
            *([] if first else ["attn_norm"]),
            "mlp_norm",
            bias=config.flag("norm_bias"),
        ),
        attention=replace(attention, window=window if local else None),
        gated=True,
        activation=config.text("hidden_activation"),
        stack="encoder",
        dropout=config.fraction("mlp_dropout"),
    )
