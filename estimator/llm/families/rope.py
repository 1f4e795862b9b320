"""The common frame of decoders with rotary positions; families differ in what they put in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from estimator.llm.architecture import Architecture, Attention, Layer, Linear, Norm
from estimator.llm.config import MAX_CONTEXT, ModelConfig
from estimator.llm.families.build import (
    attention_output,
    decoder,
    fused_query_key_value,
    group_layers,
    query_key_value,
)

Kind = tuple[str, str]
"""What kind of attention and what kind of MLP a layer has."""

_LEGACY = {"attention": "full_attention", "mamba": "linear_attention"}


def attention_kinds(
    config: ModelConfig,
    default: Callable[[int], str] = lambda _: "full_attention",
    *,
    key: str = "layer_types",
) -> list[str]:
    """The attention of each layer: as `layer_types` lists it, else by the class's own rule."""
    count = config.layers()
    stated = config.per_layer(key, count)
    kinds = stated if stated is not None else [default(index) for index in range(count)]
    return [_LEGACY.get(kind, kind) for kind in kinds]


def stated_window(config: ModelConfig, key: str = "sliding_window") -> int | None:
    """The sliding window in tokens; 0 and null mean none."""
    return config.optional(key, least=0, most=MAX_CONTEXT) or None


def separate(
    hidden: int, *, bias: bool = False, output_bias: bool = False, output: str = "o_proj"
) -> Callable[[Attention], tuple[Linear, ...]]:
    """Four attention projections, queries, keys and values apart."""
    return lambda attention: (
        *query_key_value(hidden, attention, bias=bias),
        attention_output(hidden, attention, output, bias=output_bias),
    )


def fused(
    hidden: int, name: str, output: str, *, bias: bool = False, output_bias: bool = False
) -> Callable[[Attention], tuple[Linear, ...]]:
    """Two attention projections, queries, keys and values in one."""
    return lambda attention: (
        fused_query_key_value(hidden, attention, name, bias=bias),
        attention_output(hidden, attention, output, bias=output_bias),
    )


def rope_layers(
    config: ModelConfig,
    *,
    attention: Attention,
    projections: Callable[[Attention], tuple[Linear, ...]],
    mlp: Callable[[str], tuple[Linear, ...]],
    norms: tuple[Norm, ...],
    kinds: Sequence[Kind],
    windows: Mapping[str, int | None] | None = None,
    other_parameters: int = 0,
    gated: bool = True,
    activation: str = "hidden_act",
    dropout: str = "",
) -> tuple[Layer, ...]:
    """Layers of attention and MLP; `windows` gives the window of each kind of attention."""

    def build(kind: Kind) -> Layer:
        seen, inner = kind
        own = replace(attention, window=(windows or {}).get(seen))
        return Layer(
            kind=inner if own.window is None else f"sliding {inner}",
            indices=(),
            linears=(*projections(own), *mlp(inner)),
            norms=norms,
            attention=own,
            other_parameters=other_parameters,
            gated=gated,
            activation=config.text(activation),
            dropout=config.fraction(dropout) if dropout else 0.0,
        )

    return group_layers(kinds, build)


def rope_decoder(
    config: ModelConfig,
    *,
    hidden: int,
    attention: Attention,
    projections: Callable[[Attention], tuple[Linear, ...]],
    mlp: tuple[Linear, ...],
    norms: tuple[Norm, ...],
    final: tuple[Norm, ...],
    kinds: Sequence[str] | None = None,
    windows: Mapping[str, int | None] | None = None,
    gated: bool = True,
    activation: str = "hidden_act",
    dropout: str = "",
    embedding_dropout: str = "",
    head_bias: bool = False,
    logit_softcap: bool = False,
) -> Architecture:
    """A dense decoder: every layer has the same MLP, attention may differ in its window."""
    seen = kinds if kinds is not None else ["full_attention"] * config.layers()
    layers = rope_layers(
        config,
        attention=attention,
        projections=projections,
        mlp=lambda _: mlp,
        norms=norms,
        kinds=[(kind, "dense") for kind in seen],
        windows=windows,
        gated=gated,
        activation=activation,
        dropout=dropout,
    )
    return decoder(
        config,
        hidden=hidden,
        layers=layers,
        norms=final,
        head_bias=head_bias,
        embedding_dropout=embedding_dropout,
        logit_softcap=logit_softcap,
    )
