"""Shared and routed experts after some dense layers: DeepSeek V2 and V3, Kimi K2, GLM-4.5.

Multi-token-prediction layers stand in the checkpoints but not in the `transformers` classes: they
are given as `unbuilt_parameters` and not counted.
"""

from collections.abc import Callable

from estimator.llm.architecture import Architecture, Attention, Layer, Linear, Norm
from estimator.llm.config import MAX_EXPERTS, MAX_LAYERS, ModelConfig
from estimator.llm.families.build import (
    attention_output,
    decoder,
    gated_mlp,
    head_norms,
    partial_rotary,
    read_attention,
    read_experts,
    rms_norms,
    routed_mlp,
)
from estimator.llm.families.llama import PRE_NORMS
from estimator.llm.families.rope import rope_layers, separate


def deepseek_v2(config: ModelConfig) -> Architecture:
    """DeepSeek V2: multi-head latent attention, experts whose matrices may be biased."""
    bias = config.flag("mlp_bias")
    return _latent_decoder(config, mlp_bias=bias, predicted_layers=0)


def deepseek_v3(config: ModelConfig) -> Architecture:
    """DeepSeek V3, R1 and Kimi K2: as V2; one multi-token-prediction layer in the checkpoint."""
    predicted = config.optional("num_mtp_layers", least=0, most=MAX_LAYERS) or 0
    return _latent_decoder(config, mlp_bias=False, predicted_layers=predicted)


def latent_attention(config: ModelConfig) -> Attention:
    """Multi-head latent attention (DeepSeek-V2, section 2.1): keys and values share one latent
    vector per token, beside a rotary part that all heads share."""
    heads = config.integer("num_attention_heads")
    rotary = config.integer("qk_rope_head_dim")
    return Attention(
        heads=heads,
        kv_heads=heads,
        head_dim=config.integer("qk_nope_head_dim") + rotary,
        value_head_dim=config.integer("v_head_dim"),
        rotary_dim=rotary,
        latent_width=config.integer("kv_lora_rank") + rotary,
        dropout=config.fraction("attention_dropout"),
    )


def _latent_projections(
    config: ModelConfig, hidden: int
) -> Callable[[Attention], tuple[Linear, ...]]:
    bias = config.flag("attention_bias")
    query_rank = config.optional("q_lora_rank")
    latent = config.integer("kv_lora_rank")
    unrotated = config.integer("qk_nope_head_dim")

    def projections(attention: Attention) -> tuple[Linear, ...]:
        key_value = attention.heads * (unrotated + attention.value_head_dim)
        compressed = latent + attention.rotary_dim
        return (
            *_query(hidden, attention, query_rank, bias=bias),
            _matrix("kv_a_proj_with_mqa", hidden, compressed, bias=bias),
            _matrix("kv_b_proj", latent, key_value, from_latent=True),
            attention_output(hidden, attention, bias=bias),
        )

    return projections


def _query(
    hidden: int, attention: Attention, rank: int | None, *, bias: bool
) -> tuple[Linear, ...]:
    if rank is None:
        return (_matrix("q_proj", hidden, attention.query_width),)
    return (
        _matrix("q_a_proj", hidden, rank, bias=bias),
        _matrix("q_b_proj", rank, attention.query_width, from_latent=True),
    )


def _matrix(
    name: str, inputs: int, outputs: int, *, bias: bool = False, from_latent: bool = False
) -> Linear:
    return Linear(
        name=name,
        inputs=inputs,
        outputs=outputs,
        bias=bias,
        role="attention",
        reads="latent" if from_latent else "input",
    )


def _latent_norms(config: ModelConfig) -> tuple[Norm, ...]:
    query_rank = config.optional("q_lora_rank")
    query = () if query_rank is None else rms_norms(query_rank, "q_a_layernorm")
    return (*query, *rms_norms(config.integer("kv_lora_rank"), "kv_a_layernorm"))


def _latent_decoder(config: ModelConfig, *, mlp_bias: bool, predicted_layers: int) -> Architecture:
    hidden = config.integer("hidden_size")
    layers = rope_layers(
        config,
        attention=latent_attention(config),
        projections=_latent_projections(config, hidden),
        mlp=_dense_or_shared(config, hidden, bias=mlp_bias),
        norms=(*rms_norms(hidden, *PRE_NORMS), *_latent_norms(config)),
        kinds=_dense_first(config),
    )
    corrected = config.family != "deepseek_v2"
    return decoder(
        config,
        hidden=hidden,
        layers=layers,
        norms=rms_norms(hidden, "norm"),
        unbuilt_parameters=_unbuilt(config, layers, hidden, predicted_layers, corrected),
        notes=_prediction_notes(predicted_layers),
    )


def glm4_moe(config: ModelConfig) -> Architecture:
    """GLM-4.5 and 4.6: grouped-query attention, half rotary, experts as in DeepSeek V3."""
    hidden = config.integer("hidden_size")
    attention = read_attention(config, hidden=hidden, rotary=partial_rotary(config, default=0.5))
    key_norms = head_norms(attention) if config.flag("use_qk_norm") else ()
    predicted = config.optional("num_mtp_layers", least=0, most=MAX_LAYERS) or 0
    layers = rope_layers(
        config,
        attention=attention,
        projections=separate(hidden, bias=config.flag("attention_bias")),
        mlp=_dense_or_shared(config, hidden, bias=False),
        norms=(*rms_norms(hidden, *PRE_NORMS), *key_norms),
        kinds=_dense_first(config),
    )
    return decoder(
        config,
        hidden=hidden,
        layers=layers,
        norms=rms_norms(hidden, "norm"),
        unbuilt_parameters=_unbuilt(config, layers, hidden, predicted, True),
        notes=_prediction_notes(predicted),
    )


def _dense_first(config: ModelConfig) -> list[tuple[str, str]]:
    dense = config.integer("first_k_dense_replace", default=0, least=0, most=MAX_LAYERS)
    return [
        ("full_attention", "dense" if index < dense else "moe") for index in range(config.layers())
    ]


def _dense_or_shared(
    config: ModelConfig, hidden: int, *, bias: bool
) -> Callable[[str], tuple[Linear, ...]]:
    width = config.integer("moe_intermediate_size")
    shared = config.optional("n_shared_experts", least=0, most=MAX_EXPERTS) or 0
    experts = read_experts(config, count="n_routed_experts")
    sparse = (
        *routed_mlp(hidden, width, experts),
        *(gated_mlp(hidden, width * shared, bias=bias, role="shared_expert") if shared else ()),
    )
    dense = gated_mlp(hidden, config.integer("intermediate_size"), bias=bias)
    return lambda kind: sparse if kind == "moe" else dense


def _unbuilt(
    config: ModelConfig,
    layers: tuple[Layer, ...],
    hidden: int,
    predicted_layers: int,
    corrected: bool,
) -> int:
    """What the checkpoint holds beyond the class: per predicted layer one MoE layer, the merging
    matrix (2 hidden x hidden), three norms and copies of table and head; and the routers' bias
    buffers (DeepSeek-V3, section 2.2 and 2.1.2)."""
    sparse = [layer for layer in layers if layer.is_moe]
    if not sparse:
        return 0
    copies = 2 * config.vocab() * hidden
    predicted = sparse[0].parameters + 2 * hidden * hidden + 3 * hidden + copies
    routers = sum(layer.count for layer in sparse) + predicted_layers
    buffers = sparse[0].experts * routers if corrected else 0
    return predicted_layers * predicted + buffers


def _prediction_notes(predicted_layers: int) -> tuple[str, ...]:
    if not predicted_layers:
        return ()
    return (
        f"{predicted_layers} multi-token-prediction layer(s) of the checkpoint are not counted: "
        "the transformers class leaves them out",
    )
