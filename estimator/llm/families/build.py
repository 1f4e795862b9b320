"""The parts from which every family is built, under the names of its `transformers` class."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeVar

from estimator.llm.architecture import (
    Architecture,
    Attention,
    Embedding,
    Layer,
    Linear,
    Norm,
    Reads,
    Role,
)
from estimator.llm.config import MAX_CONTEXT, MAX_EXPERTS, ModelConfig

Form = Literal["linear", "conv1d", "tensor"]
_Kind = TypeVar("_Kind")


def read_attention(
    config: ModelConfig,
    *,
    hidden: int,
    heads: str = "num_attention_heads",
    kv_heads: str = "num_key_value_heads",
    window: int | None = None,
    rotary: float = 1.0,
    dropout: str = "attention_dropout",
) -> Attention:
    """Grouped-query attention as most configs state it: absent kv_heads are the query heads, an
    absent head_dim is hidden / heads. `rotary` is the rotated part of each head."""
    query_heads = config.integer(heads)
    groups = config.optional(kv_heads) or query_heads
    if query_heads % groups:
        config.refuse(kv_heads, f"a divisor of {heads} {query_heads}")
    head_dim = config.optional("head_dim") or hidden // query_heads
    if not head_dim:
        config.refuse(heads, f"at most the hidden size {hidden}")
    return Attention(
        heads=query_heads,
        kv_heads=groups,
        head_dim=head_dim,
        value_head_dim=head_dim,
        window=window,
        rotary_dim=int(head_dim * rotary),
        dropout=config.fraction(dropout),
    )


def plain_attention(
    config: ModelConfig,
    *,
    hidden: int,
    heads: str = "num_attention_heads",
    kv_heads: int | None = None,
    rotary: float = 0.0,
    dropout: str = "attention_dropout",
) -> Attention:
    """Attention whose head width is hidden / heads, which must divide without remainder."""
    count = config.integer(heads)
    if hidden % count:
        config.refuse(heads, f"a divisor of the hidden size {hidden}")
    return Attention(
        heads=count,
        kv_heads=kv_heads or count,
        head_dim=hidden // count,
        value_head_dim=hidden // count,
        rotary_dim=int(hidden // count * rotary),
        dropout=config.fraction(dropout) if dropout else 0.0,
    )


def partial_rotary(config: ModelConfig, *, default: float = 1.0) -> float:
    """The part of each head that is rotated, wherever the config states it."""
    for source in (config.nested("rope_parameters"), config):
        if source.states("partial_rotary_factor"):
            return source.fraction("partial_rotary_factor")
    return default


def query_key_value(
    hidden: int,
    attention: Attention,
    *,
    bias: bool = False,
    names: tuple[str, str, str] = ("q_proj", "k_proj", "v_proj"),
) -> tuple[Linear, ...]:
    """Three separate projections of the layer's input."""
    widths = (attention.query_width, attention.key_width, attention.value_width)
    return tuple(
        Linear(name=name, inputs=hidden, outputs=width, bias=bias, role="attention", reads="input")
        for name, width in zip(names, widths, strict=True)
    )


def fused_query_key_value(
    hidden: int, attention: Attention, name: str, *, bias: bool = False, form: Form = "linear"
) -> Linear:
    """One projection of the layer's input that makes queries, keys and values."""
    width = attention.query_width + attention.key_width + attention.value_width
    return Linear(
        name=name,
        inputs=hidden,
        outputs=width,
        bias=bias,
        role="attention",
        reads="input",
        form=form,
    )


def attention_output(
    hidden: int,
    attention: Attention,
    name: str = "o_proj",
    *,
    bias: bool = False,
    form: Form = "linear",
) -> Linear:
    """The projection of the attention's output."""
    return Linear(
        name=name,
        inputs=attention.output_width,
        outputs=hidden,
        bias=bias,
        role="attention",
        reads="context",
        form=form,
    )


def gated_mlp(
    hidden: int,
    width: int,
    *,
    bias: bool = False,
    role: Role = "mlp",
    reads: Reads = "residual",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> tuple[Linear, ...]:
    """Gate, up and down projection."""
    gate, up, down = names
    return (
        Linear(name=gate, inputs=hidden, outputs=width, bias=bias, role=role, reads=reads),
        Linear(name=up, inputs=hidden, outputs=width, bias=bias, role=role, reads=reads),
        Linear(name=down, inputs=width, outputs=hidden, bias=bias, role=role, reads="hidden"),
    )


def fused_gated_mlp(
    hidden: int,
    width: int,
    *,
    bias: bool = False,
    role: Role = "mlp",
    names: tuple[str, str] = ("gate_up_proj", "down_proj"),
) -> tuple[Linear, ...]:
    """Gate and up in one projection, then down."""
    fused, down = names
    return (
        Linear(
            name=fused, inputs=hidden, outputs=2 * width, bias=bias, role=role, reads="residual"
        ),
        Linear(name=down, inputs=width, outputs=hidden, bias=bias, role=role, reads="hidden"),
    )


def plain_mlp(
    hidden: int,
    width: int,
    names: tuple[str, str],
    *,
    bias: bool = True,
    reads: Reads = "residual",
    form: Form = "linear",
) -> tuple[Linear, ...]:
    """Up and down projection without a gate."""
    up, down = names
    return (
        Linear(
            name=up,
            inputs=hidden,
            outputs=width,
            bias=bias,
            role="mlp",
            reads=reads,
            form=form,
        ),
        Linear(
            name=down,
            inputs=width,
            outputs=hidden,
            bias=bias,
            role="mlp",
            reads="hidden",
            form=form,
        ),
    )


def read_experts(
    config: ModelConfig, *, count: str = "num_experts", active: str = "num_experts_per_tok"
) -> tuple[int, int]:
    """The number of routed experts and how many of them a token uses."""
    experts = config.integer(count, most=MAX_EXPERTS)
    return experts, config.integer(active, most=experts)


def routed_mlp(
    hidden: int,
    width: int,
    experts: tuple[int, int],
    *,
    router: str = "gate",
    router_form: Form = "tensor",
    bias: bool = False,
) -> tuple[Linear, ...]:
    """Router and fused gated experts: `experts` are (all, those a token uses)."""
    count, active = experts
    return (
        Linear(
            name=router,
            inputs=hidden,
            outputs=count,
            bias=bias,
            role="router",
            reads="residual",
            form=router_form,
        ),
        Linear(
            name="gate_up_proj",
            inputs=hidden,
            outputs=2 * width,
            bias=bias,
            role="expert",
            reads="residual",
            copies=count,
            active=active,
            form="tensor",
        ),
        Linear(
            name="down_proj",
            inputs=width,
            outputs=hidden,
            bias=bias,
            role="expert",
            reads="hidden",
            copies=count,
            active=active,
            form="tensor",
        ),
    )


def rms_norms(width: int, *names: str) -> tuple[Norm, ...]:
    """RMS norms with a weight, one per name."""
    return tuple(Norm(name=name, width=width) for name in names)


def layer_norms(width: int, *names: str, bias: bool = True) -> tuple[Norm, ...]:
    """Layer norms with a weight, one per name."""
    return tuple(Norm(name=name, width=width, kind="layer", bias=bias) for name in names)


def head_norms(attention: Attention) -> tuple[Norm, ...]:
    """RMS norms of queries and keys whose weight every head shares."""
    return (
        Norm(name="q_norm", width=attention.head_dim, applied_width=attention.query_width),
        Norm(name="k_norm", width=attention.head_dim, applied_width=attention.key_width),
    )


def group_layers(
    kinds: Sequence[_Kind], build: Callable[[_Kind], Layer], *, first: int = 0
) -> tuple[Layer, ...]:
    """One Layer for each distinct kind, at the places where it stands in `kinds`."""
    places: dict[_Kind, list[int]] = {}
    for index, kind in enumerate(kinds, start=first):
        places.setdefault(kind, []).append(index)
    return tuple(replace(build(kind), indices=tuple(indices)) for kind, indices in places.items())


def identical(layer: Layer, count: int) -> tuple[Layer, ...]:
    """`count` layers that are all like `layer`."""
    return (replace(layer, indices=tuple(range(count))),)


Task = Literal["language", "base", "encoder", "pretraining", "sequence", "token", "question"]
"""What the class in `architectures` is for, and so which head it has."""

_SUFFIXES: tuple[tuple[str, Task], ...] = (
    ("ForCausalLM", "language"),
    ("LMHeadModel", "language"),
    ("ForMaskedLM", "language"),
    ("ForConditionalGeneration", "language"),
    ("ForPreTraining", "pretraining"),
    ("ForSequenceClassification", "sequence"),
    ("ForTokenClassification", "token"),
    ("ForQuestionAnswering", "question"),
    ("EncoderModel", "encoder"),
    ("Model", "base"),
)


def read_task(config: ModelConfig) -> Task | None:
    """The task of the first class in `architectures`; None where it names none that is known."""
    classes = config.list_of("architectures", str) or [""]
    return next((task for suffix, task in _SUFFIXES if classes[0].endswith(suffix)), None)


def count_labels(config: ModelConfig, *, default: int = 2) -> int:
    """Classes that a classification head tells apart; `default` where the config says nothing."""
    names = config.get("id2label")
    if isinstance(names, Mapping) and names:
        return len(names)
    return config.integer("num_labels", default=default)


def task_head(config: ModelConfig, task: Task, width: int) -> Linear | None:
    """The head of a decoder that is not a language model."""
    if task in ("base", "encoder"):
        return None
    if task == "question":
        return biased_linear("qa_outputs", width, 2, role="head")
    labels = count_labels(config)
    head = biased_linear("score", width, labels, role="head")
    return replace(head, bias=False) if task == "sequence" else head


def biased_linear(name: str, inputs: int, outputs: int, *, role: Role = "projection") -> Linear:
    """A biased matrix outside the layers."""
    return Linear(name=name, inputs=inputs, outputs=outputs, bias=True, role=role, reads="final")


def decoder(
    config: ModelConfig,
    *,
    hidden: int,
    layers: tuple[Layer, ...],
    norms: tuple[Norm, ...],
    embedding: str = "embed_tokens",
    head: str = "lm_head",
    head_bias: bool = False,
    context: str = "max_position_embeddings",
    positions: Embedding | None = None,
    embedding_dropout: str = "",
    embedding_width: int | None = None,
    projections: tuple[Linear, ...] = (),
    tied: bool | None = None,
    unbuilt_parameters: int = 0,
    logit_softcap: bool = False,
    vocab: str = "vocab_size",
    notes: tuple[str, ...] = (),
    task: Task | None = None,
) -> Architecture:
    """A decoder from its layers and what stands around them.

    The head is the language model's unless `architectures` names another class.
    """
    rows = config.vocab(vocab)
    width = embedding_width or hidden
    table = Embedding(name=embedding, rows=rows, width=width)
    lm_head = Linear(
        name=head, inputs=width, outputs=rows, bias=head_bias, role="head", reads="final"
    )
    task = task or read_task(config) or "language"
    stated_tie = config.flag("tie_word_embeddings") if tied is None else tied
    return Architecture(
        id=config.id,
        family=config.family,
        hidden_size=hidden,
        vocab_size=rows,
        layers=layers,
        embeddings=(table,) if positions is None else (table, positions),
        norms=norms,
        projections=projections,
        head=lm_head if task == "language" else task_head(config, task, width),
        tied_embeddings=stated_tie and task == "language",
        context_length=config.optional(context, most=MAX_CONTEXT),
        embedding_dropout=config.fraction(embedding_dropout) if embedding_dropout else 0.0,
        unbuilt_parameters=unbuilt_parameters,
        logit_softcap=logit_softcap,
        notes=notes,
    )
