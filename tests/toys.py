"""A small mixture of experts whose every number differs, so that a slip shows in the sums.

Three layers with eight experts, two per token, and two dense ones. Weights of one layer: attention
64x96 + 64x32 + 64x16 + 48x64 = 12,288, router 512, experts 8 x (64x80 + 40x64) = 61,440; dense
64x48 x 2 + 64x24 + 24x64 = 9,216 and 2 x 6,400.
"""

from dataclasses import replace

from estimator.llm.architecture import Architecture, Attention, Embedding, Layer, Linear, Norm

HIDDEN = 64
NORMS = (Norm(name="input_layernorm", width=64), Norm(name="post_attention_layernorm", width=64))


def attention_matrices(query: int, key: int, value: int, context: int) -> tuple[Linear, ...]:
    names = (("q_proj", query), ("k_proj", key), ("v_proj", value))
    into = [
        Linear(name=name, inputs=HIDDEN, outputs=width, role="attention", reads="input")
        for name, width in names
    ]
    out = Linear(name="o_proj", inputs=context, outputs=HIDDEN, role="attention", reads="context")
    return (*into, out)


MIXED = Layer(
    kind="moe",
    indices=(0, 1, 2),
    linears=(
        *attention_matrices(96, 32, 16, 48),
        Linear(name="router", inputs=64, outputs=8, role="router", reads="residual", form="tensor"),
        Linear(name="gate_up_proj", inputs=64, outputs=80, role="expert", reads="residual",
               copies=8, active=2, form="tensor", adapter_names=("gate_proj", "up_proj")),
        Linear(name="down_proj", inputs=40, outputs=64, role="expert", reads="hidden",
               copies=8, active=2, form="tensor", adapter_names=("down_proj",)),
    ),
    norms=(*NORMS, Norm(name="q_norm", width=16, applied_width=96)),
    attention=Attention(heads=6, kv_heads=2, head_dim=16, value_head_dim=8, rotary_dim=16),
    other_parameters=5,
    gated=True,
)  # fmt: skip
QUERY, *OTHERS = attention_matrices(48, 48, 24, 24)
DENSE = Layer(
    kind="dense",
    indices=(3, 4),
    linears=(
        replace(QUERY, bias=True),
        *OTHERS,
        Linear(name="fc1", inputs=64, outputs=100, role="mlp", reads="residual"),
        Linear(name="fc2", inputs=100, outputs=64, role="mlp", reads="hidden"),
    ),
    norms=NORMS,
    attention=Attention(heads=3, kv_heads=3, head_dim=16, value_head_dim=8, rotary_dim=8),
)
MIXTURE = Architecture(
    id="mixture",
    family="made up",
    hidden_size=HIDDEN,
    vocab_size=500,
    layers=(MIXED, DENSE),
    embeddings=(
        Embedding(name="tokens", rows=500, width=64),
        Embedding(name="places", rows=20, width=64, role="position"),
    ),
    norms=(Norm(name="norm", width=64),),
    projections=(
        Linear(name="out", inputs=64, outputs=10, role="projection", reads="final", bias=True),
    ),
    head=Linear(name="head", inputs=64, outputs=500, role="head", reads="final"),
    tied_embeddings=False,
    other_parameters=7,
)
"""Layers' matrices 82,432 + 184,320 of experts; 66,800 parameters beside them."""


def with_modules() -> Architecture:
    """The mixture with its experts as modules, which four-bit loading quantises."""
    linears = tuple(replace(x, form="linear") if x.role == "expert" else x for x in MIXED.linears)
    return replace(MIXTURE, layers=(replace(MIXED, linears=linears), DENSE))
