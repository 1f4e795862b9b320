"""The matrix products of a training step, one by one: which pass computes them, how often.

`flops.py` adds them up. The rules are those of reverse-mode differentiation: the gradient of a
product's input is computed only where something trainable lies before it, the gradient of a matrix
only where the matrix itself is trained.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from estimator.llm.adapters import is_target
from estimator.llm.architecture import MLP_ROLES, Architecture, Attention, Layer, Linear
from estimator.quantity import FloatArray

Checkpointing = Literal["none", "selective", "full"]
Kernel = Literal["flash", "sdpa", "eager"]
Reach = Literal["whole", "entry", "none"]
"""How far the backward pass goes in a layer: through it (`whole`), to its first adapter because
nothing before it is trained (`entry`), or not into it (`none`)."""

FORWARD_MATMUL = "forward_matmul."


@dataclass(frozen=True, slots=True)
class Span:
    """The pairs of a query and a key that a kernel computes in one sequence."""

    causal: bool = False
    window: int | None = None

    def pairs(self, sequence: FloatArray) -> FloatArray:
        """Pairs in a sequence: its square, half of it if causal, less with a sliding window."""
        if not self.causal and self.window is None:
            return sequence * sequence
        back = sequence if self.window is None else np.minimum(sequence, float(self.window))
        seen = sequence * back - back * (back - 1.0) / 2.0
        return seen if self.causal else 2.0 * seen - sequence


Per = Literal["step", "sequence", "token"] | Span
WHOLE_SQUARE = Span()


@dataclass(frozen=True, slots=True)
class Product:
    """FLOPs of one part of the work, and what they are counted per."""

    part: str
    flops: float
    per: Per = "token"


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """What decides which products a training step computes."""

    trained: bool
    """Whether the model's own matrices are trained (full fine-tuning)."""
    rank: int
    targets: str | tuple[str, ...]
    checkpointing: Checkpointing
    kernel: Kernel

    def adapts(self, linear: Linear) -> bool:
        """Whether the matrix has a LoRA adapter."""
        return not self.trained and is_target(linear, self.targets)


def products(architecture: Architecture, passes: Passes) -> Iterator[Product]:
    """Every product of one forward and backward pass over a micro-batch."""
    for layer in architecture.layers:
        entered = _reaches(architecture, layer, passes)
        for reach, count in entered.items():
            for product in _layer_products(layer, passes, reach):
                yield Product(product.part, product.flops * count, product.per)
    for linear in architecture.projections:
        yield from _outside_layers(linear, passes, FORWARD_MATMUL + linear.role)
    if architecture.head is not None:
        yield from _outside_layers(architecture.head, passes, "forward_head")


def _reaches(architecture: Architecture, layer: Layer, passes: Passes) -> dict[Reach, int]:
    """How many layers of this kind the backward pass crosses, enters, or leaves alone."""
    if passes.trained or passes.checkpointing == "full":
        return {"whole": layer.count}
    adapted = [
        index
        for other in architecture.layers
        if other.stack == layer.stack and any(map(passes.adapts, other.linears))
        for index in other.indices
    ]
    first = min(adapted, default=None)
    if first is None:
        return {"none": layer.count}
    return {
        "none": sum(index < first for index in layer.indices),
        "entry": sum(index == first for index in layer.indices),
        "whole": sum(index > first for index in layer.indices),
    }


def _layer_products(layer: Layer, passes: Passes, reach: Reach) -> Iterator[Product]:
    """Products of one layer."""
    live = _LiveInputs.of(layer, passes, reach)
    for linear in layer.linears:
        flops = 2.0 * linear.weights_per_token
        yield Product(FORWARD_MATMUL + linear.role, flops)
        if live.reaches(linear):
            yield Product("backward_input_gradient", flops)
        if passes.trained:
            yield Product("backward_weight_gradient", flops)
        if passes.checkpointing == "full" and not _stops_before(layer, linear, passes):
            yield Product("recompute_matmul", flops)
        if passes.adapts(linear):
            yield from _adapter_products(layer, linear, passes, live)
    if layer.attention is not None:
        yield from _attention_products(layer.attention, passes, live)
    if layer.cross_attention is not None:
        yield from _attention_products(layer.cross_attention, passes, _LiveInputs.all())


def _outside_layers(linear: Linear, passes: Passes, part: str) -> Iterator[Product]:
    """Products of the head or a projection; a pooler reads one token of each sequence."""
    per: Per = "sequence" if "pool" in linear.name else "token"
    flops = 2.0 * linear.weights_per_token
    yield Product(part, flops, per)
    if passes.trained:
        yield Product("backward_weight_gradient", flops, per)
    if passes.trained or linear.reads == "final":
        yield Product("backward_input_gradient", flops, per)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LiveInputs:
    """Which tensors of a layer require a gradient."""

    input: bool
    query: bool
    key: bool
    value: bool
    residual: bool
    hidden: bool

    @classmethod
    def all(cls, live: bool = True) -> "_LiveInputs":
        """Every tensor, or none."""
        return cls(input=live, query=live, key=live, value=live, residual=live, hidden=live)

    @classmethod
    def of(cls, layer: Layer, passes: Passes, reach: Reach) -> "_LiveInputs":
        """In the first adapted layer a tensor requires a gradient from its first adapter on."""
        if reach != "entry":
            return cls.all(reach == "whole")
        adapted = [linear for linear in layer.linears if passes.adapts(linear)]
        made = frozenset().union(*(_makes(linear) for linear in adapted))
        before_mlp = any(linear.role not in MLP_ROLES for linear in adapted)
        residual = before_mlp and not layer.is_parallel
        inner = any(x.role in MLP_ROLES and x.reads != "hidden" for x in adapted)
        return cls(
            input=False,
            query="query" in made,
            key="key" in made,
            value="value" in made,
            residual=residual,
            hidden=residual or inner,
        )

    def reaches(self, linear: Linear) -> bool:
        """Whether the input of the matrix requires a gradient."""
        if linear.reads == "latent":
            return any(getattr(self, name) for name in _makes(linear))
        if linear.reads == "context":
            return self.query or self.key or self.value
        if linear.reads in ("residual", "hidden"):
            return self.residual if linear.reads == "residual" else self.hidden
        return self.input if linear.reads == "input" else True


def _makes(linear: Linear) -> frozenset[str]:
    """Which of query, key and value the matrix contributes to."""
    if linear.role != "attention" or linear.reads == "context":
        return frozenset()
    start = linear.name.lower()
    if start.startswith("q") and not start.startswith(("qkv", "query_key_value")):
        return frozenset({"query"})
    if start.startswith("kv"):
        return frozenset({"key", "value"})
    if start.startswith("k"):
        return frozenset({"key"})
    if start.startswith("v"):
        return frozenset({"value"})
    return frozenset({"query", "key", "value"})


def _adapter_products(
    layer: Layer, linear: Linear, passes: Passes, live: _LiveInputs
) -> Iterator[Product]:
    """Products of a LoRA adapter: down to the rank, up again, and their gradients.

    For a bare tensor (fused experts) `peft` adds the product of the two factors to the tensor
    itself, for all copies and twice per forward pass, and the gradient is first that of the whole
    tensor; a tensor fused from several matrices takes the rank of each.
    """
    if linear.form == "tensor":
        factors = 2.0 * passes.rank * max(1, len(linear.adapter_targets)) * linear.weights
        yield Product("forward_adapters", 2.0 * factors, "step")
        yield Product("backward_adapters", 2.0 * factors, "step")
        yield Product("backward_adapters", 2.0 * linear.weights_per_token)
        if passes.checkpointing == "full":
            yield Product("recompute_adapters", 2.0 * factors, "step")
        return
    down = 2.0 * passes.rank * linear.inputs * linear.copies_per_token
    up = 2.0 * passes.rank * linear.outputs * linear.copies_per_token
    yield Product("forward_adapters", down + up)
    yield Product("backward_adapters", down + 2.0 * up + (down if live.reaches(linear) else 0.0))
    if passes.checkpointing == "full":
        stops = _is_last_product(layer, linear)
        yield Product("recompute_adapters", down if stops else down + up)


def _stops_before(layer: Layer, linear: Linear, passes: Passes) -> bool:
    """Whether recomputation ends before this matrix; with an adapter, before the adapter's."""
    return _is_last_product(layer, linear) and not passes.adapts(linear)


def _is_last_product(layer: Layer, linear: Linear) -> bool:
    """Whether nothing after this matrix in its layer is kept for the backward pass.

    So it is for the MLP's output matrix, unless a norm, dropout or the router's weighting follows.
    """
    weighted = any(x.role == "router" and x.outputs == 1 for x in layer.linears)
    if weighted and linear.role == "shared_expert":
        return False
    if linear.reads != "hidden" or linear.role not in ("mlp", "shared_expert"):
        return False
    followed = layer.dropout > 0.0 or layer.stack == "encoder"
    names = ("post_feedforward", "post_mlp")
    return not followed and not any(norm.name.startswith(names) for norm in layer.norms)


def _attention_products(
    attention: Attention, passes: Passes, live: _LiveInputs
) -> Iterator[Product]:
    """Batched products of queries with keys and of weights with values, per pair of tokens."""
    score = 2.0 * attention.heads * attention.head_dim
    mix = 2.0 * attention.heads * attention.value_head_dim
    needed = live.query or live.key or live.value
    if passes.kernel == "eager":
        scores = live.query or live.key
        backward = score * (live.query + live.key) + mix * (scores + live.value)
    else:
        backward = 2.0 * (score + mix) * needed
    executed = backward + (score * needed if passes.kernel != "eager" else 0.0)
    counted = executed if passes.kernel == "flash" else backward
    eager = passes.kernel == "eager"
    span = WHOLE_SQUARE if eager else Span(attention.causal, attention.window)
    yield Product("forward_attention", score + mix, WHOLE_SQUARE)
    yield Product("hardware_forward_attention", score + mix, span)
    yield Product("backward_attention", counted, WHOLE_SQUARE)
    yield Product("hardware_backward_attention", executed, span)
    if passes.checkpointing != "none":
        yield Product("recompute_attention", score + mix, WHOLE_SQUARE)
        yield Product("hardware_recompute_attention", score + mix, span)
