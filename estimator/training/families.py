"""How `transformers` writes the layers of each family, where that decides what stays in memory.

The shape of a layer (which norms, fused projections, parallel branches) comes from its
`Architecture`; this table holds what the shape cannot say. A family that is not listed is treated
as Llama's code and marked as not derived.
Ref: `transformers` 5.23, `models/*/modeling_*.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from estimator.llm.architecture import Architecture
from estimator.training import operations as op
from estimator.training.tape import Tape, Tensor

Activation = Callable[[Tape, Tensor], Tensor]
INNER_NORMS = ("q_norm", "k_norm", "q_a_layernorm", "kv_a_layernorm")
"""Norms inside the attention, which the attention applies itself."""
AFTER_MLP = ("post_feedforward_layernorm", "post_mlp_layernorm")
"""Norms of the MLP's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The habits of a family's code."""

    norm: Literal["cast_first", "cast_last", "upcast"] = "cast_first"
    """RMS norm: `weight * x.to(dtype)` (Llama), `(weight * x).to(dtype)` (Gemma, OLMo 2);
    `upcast`: a layer norm computed in fp32 (OLMo)."""
    softmax_in_fp32: bool = True
    """Whether eager attention computes the softmax in fp32."""
    slices_fused: bool = False
    """Whether a fused projection is cut by slices, whose gradients are zero-filled wholes."""
    concatenates_rotated: bool = False
    """Whether rotated and unrotated halves are joined by `torch.cat`: the attention's output then
    lies in another order and is copied."""
    scales_scores: bool = True
    """Whether eager attention multiplies the scores by the scale (else it scales the queries)."""
    keeps_branch: bool = False
    """Whether a local variable holds the attention's output while the MLP runs."""
    scores_in_fp32: bool = False
    """Whether eager attention casts queries and keys to fp32 (GPT-J)."""
    broadcasts_key: bool = False
    """Whether a single key head is broadcast by the products instead of being repeated."""
    repeats_key: bool = False
    """Whether keys and values are repeated for all heads before any kernel (Falcon 40B)."""
    routes_in_fp32: bool = False
    """Whether the routers' weights stay in fp32."""
    casts_router: bool = False
    """Whether the router's product runs in fp32 on copies of its operands (DeepSeek)."""
    clamps_gate: bool = False
    """Whether experts clamp their gate (gpt-oss)."""
    always_masks: bool = False
    """Whether `sdpa` is given a mask even where causality would do (Falcon)."""
    gelu_temporaries: float = 0.0
    """Inner activations alive while a hand-written derivative of GELU runs (BLOOM)."""
    moves_embedding: bool = False
    """Whether the embedding is scaled or normalised before the first layer, so that with adapters
    and checkpointing the leaf that requires a gradient is kept beside the first boundary."""
    drops_embedding: bool = True
    """Whether the config's embedding dropout is applied at all (OPT's class ignores it)."""
    returns_scores: bool = False
    """Whether a layer returns its eager scores, so that they outlive it by one layer."""
    scales_branches: bool = False
    """Whether each branch is multiplied by a constant before it is added (Granite)."""
    derived: bool = True
    """Whether the closed form was checked against a trace of this family."""


FAMILIES: dict[str, Code] = {
    "llama": Code(),
    "mistral": Code(),
    "qwen2": Code(),
    "qwen3": Code(),
    "gemma": Code(norm="cast_last"),
    "gemma2": Code(norm="cast_last"),
    "gemma3_text": Code(norm="cast_last"),
    "gpt2": Code(softmax_in_fp32=False, keeps_branch=True),
    "gpt_neox": Code(concatenates_rotated=True),
    "falcon": Code(
        softmax_in_fp32=False, broadcasts_key=True, always_masks=True, returns_scores=True
    ),
    "opt": Code(scales_scores=False, drops_embedding=False),
    "olmo2": Code(norm="cast_last"),
    "olmo3": Code(norm="cast_last"),
    "olmo": Code(norm="upcast"),
    "phi3": Code(slices_fused=True, concatenates_rotated=True),
    "mixtral": Code(routes_in_fp32=True),
    "qwen3_moe": Code(),
    "qwen2_moe": Code(),
    "olmoe": Code(),
    "gpt_oss": Code(norm="cast_last", softmax_in_fp32=False, clamps_gate=True),
    "deepseek_v3": Code(routes_in_fp32=True, casts_router=True),
    "deepseek_v2": Code(routes_in_fp32=True, casts_router=True),
    "cohere": Code(norm="cast_last"),
    "cohere2": Code(norm="cast_last"),
    "nemotron": Code(concatenates_rotated=True),
    "granitemoe": Code(moves_embedding=True),
    "phimoe": Code(),
    "gpt_neo": Code(scores_in_fp32=True, scales_scores=False, keeps_branch=True),
    "glm4_moe": Code(routes_in_fp32=True, casts_router=True, concatenates_rotated=True),
    "bloom": Code(scales_scores=False, gelu_temporaries=4.0, moves_embedding=True),
    "gptj": Code(scores_in_fp32=True, concatenates_rotated=True),
    "mpt": Code(),
    "phi": Code(concatenates_rotated=True),
    "stablelm": Code(concatenates_rotated=True, keeps_branch=True),
    "glm": Code(concatenates_rotated=True),
    "glm4": Code(concatenates_rotated=True),
    "smollm3": Code(),
    "granite": Code(scales_branches=True, moves_embedding=True),
    "starcoder2": Code(),
    "gpt_bigcode": Code(keeps_branch=True),
}


def code_of(architecture: Architecture) -> Code:
    """The habits of a family's code; Llama's, marked as not derived, for one that is not known."""
    code = FAMILIES.get(architecture.family, Code(derived=False))
    attention = architecture.main_layer.attention
    if architecture.family == "falcon" and attention is not None and attention.kv_heads > 1:
        return replace(code, broadcasts_key=False, repeats_key=True)
    return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Names of the norms of a sequential layer by where they stand; None where there is none."""

    before_attention: str | None = None
    after_attention: str | None = None
    """On the branch, before it is added."""
    after_attention_sum: str | None = None
    """On the stream, after it is added (post-norm)."""
    before_mlp: str | None = None
    after_mlp: str | None = None
    after_mlp_sum: str | None = None


def placement(names: Sequence[str]) -> Placement:
    """Where the norms of a sequential layer stand, by their names in `transformers`."""
    own = [name for name in names if name not in INNER_NORMS]
    after_mlp = next((name for name in AFTER_MLP if name in own), None)
    if after_mlp is None and own[:1] == ["LayerNorm"]:
        return Placement(after_attention_sum=own[0], after_mlp_sum=own[-1])
    if after_mlp is None:
        return Placement(
            before_attention=own[0] if own else None, before_mlp=own[-1] if own else None
        )
    before = "input_layernorm" if "input_layernorm" in own else None
    if "post_self_attn_layernorm" in own:
        return Placement(
            before_attention=before,
            after_attention="post_self_attn_layernorm",
            before_mlp="post_attention_layernorm",
            after_mlp=after_mlp,
        )
    return Placement(
        before_attention=before,
        after_attention="post_attention_layernorm",
        before_mlp="pre_feedforward_layernorm" if before else None,
        after_mlp=after_mlp,
    )


def activation(name: str, code: Code) -> Activation:
    """The operations of an activation function of `transformers`."""
    if code.gelu_temporaries:
        return lambda tape, x: op.function(tape, x, keeps="input", extra=code.gelu_temporaries)
    if name == "relu":
        return lambda tape, x: op.function(tape, x, keeps="output")
    if name == "relu2":
        return _squared_relu
    if name in ("gelu_new", "gelu_fast"):
        return _gelu_in_python
    return lambda tape, x: op.function(tape, x, keeps="input")


def _squared_relu(tape: Tape, x: Tensor) -> Tensor:
    """`relu(x) ** 2`."""
    positive = op.function(tape, x, keeps="output")
    return op.function(tape, positive, keeps="input", extra=2.0)


def _gelu_in_python(tape: Tape, x: Tensor) -> Tensor:
    """`0.5 * x * (1 + tanh(c * (x + 0.044715 * x**3)))`, one operation after the other."""
    half = op.scale(tape, x)
    cube = op.function(tape, x, keeps="input", extra=2.0)
    inner = op.scale(tape, op.add(tape, x, op.scale(tape, cube)))
    bent = op.function(tape, inner, keeps="output")
    return op.multiply(tape, half, op.add_constant(tape, bent))
