"""A mixture-of-experts MLP on a tape: router, grouped products, weighting.

Written after `transformers` 5 (`integrations/moe.py`, `grouped_mm_experts_forward`): tokens are
sorted by expert, each expert's rows pass its two matrices, and the results are weighted, put back
in order and added up.
"""

from estimator.llm.adapters import is_target, lora_parameters
from estimator.llm.architecture import Layer, Linear
from estimator.quantity import FloatArray
from estimator.training import operations as op
from estimator.training.families import Activation
from estimator.training.operations import FLOAT, INDEX_BYTES
from estimator.training.setup import Setup
from estimator.training.tape import Tape, Tensor, per, tokens


def route(tape: Tape, x: Tensor, layer: Layer, activate: Activation, setup: Setup) -> Tensor:
    """The routed experts' output for the (normalised) state x."""
    router, up, down = _matrices(layer)
    chosen = float(up.copies_per_token)
    part, tape.part = tape.part, "routing"
    weights = _choose(tape, x, router, chosen, setup)
    rows = op.gather(tape, x, chosen * x.elements, tokens(chosen))
    tape.part = part
    inner = _grouped(tape, rows, up, chosen * tokens(up.outputs), setup)
    if layer.gated and setup.code.clamps_gate:
        inner = _clamped_gate(tape, inner)
    elif layer.gated:
        gate, linear = op.split(tape, inner, 0.5, 0.5)
        inner = op.multiply(tape, activate(tape, gate), linear)
    else:
        inner = activate(tape, inner)
    tape.part = "routing"
    out = _grouped(tape, inner, down, chosen * tokens(down.outputs), setup)
    weighted = op.multiply_broadcast(tape, out, weights)
    ordered = op.gather(tape, weighted, weighted.elements, tokens(chosen))
    summed = tape.tensor(x.elements, ordered.itemsize)
    tape.record([ordered], [summed])
    tape.part = part
    return op.cast(tape, summed, x.itemsize)


def _matrices(layer: Layer) -> tuple[Linear, Linear, Linear]:
    """Router, first and second expert matrix."""
    router = next(m for m in layer.linears if m.role == "router" and m.outputs == layer.experts)
    up = next(m for m in layer.linears if m.role == "expert" and m.reads != "hidden")
    down = next(m for m in layer.linears if m.role == "expert" and m.reads == "hidden")
    return router, up, down


def _choose(tape: Tape, x: Tensor, router: Linear, chosen: float, setup: Setup) -> Tensor:
    """Softmax over the experts in fp32 and the weights of the chosen ones."""
    numerics = setup.numerics
    weight = tape.parameter(router.weights, numerics.weight_itemsize, grad=numerics.trained)
    state = x
    if setup.code.casts_router:
        state, weight = op.cast(tape, x, FLOAT), op.cast(tape, weight, FLOAT)
    logits = op.linear(tape, state, router.weights, tokens(router.outputs), numerics, weight=weight)
    chances = op.softmax(tape, op.cast(tape, logits, FLOAT), upcast=True, fused_cast=True)
    top = tape.tensor(tokens(chosen), FLOAT)
    indices = tape.tensor(tokens(chosen), INDEX_BYTES, grad=False)
    tape.record([chances], [top], saves=[indices])
    return op.cast(tape, top, FLOAT if setup.code.routes_in_fp32 else x.itemsize)


def _grouped(tape: Tape, x: Tensor, linear: Linear, outputs: FloatArray, setup: Setup) -> Tensor:
    """`grouped_mm` of sorted rows with the experts' matrices.

    `peft` adapts a fused tensor by adding the product of its factors to all of it
    (`LoraParameter`, a `baddbmm`): the sum is kept, and its gradient is as large.
    """
    numerics, adapter = setup.numerics, setup.adapter
    entries = linear.weights / (setup.tensor_parallel * setup.expert_parallel)
    weight = tape.parameter(entries, numerics.weight_itemsize, grad=numerics.trained)
    if adapter is not None and is_target(linear, adapter.targets):
        count = lora_parameters(linear, adapter.rank) * entries / linear.weights
        factors = tape.parameter(count, adapter.itemsize, grad=True)
        factors = op.cast(tape, factors, numerics.weight_itemsize)
        merged = tape.tensor(per("1", entries), numerics.weight_itemsize)
        tape.record([factors], [merged], saves=[factors], forward_extra=merged.bytes)
        weight = merged
    return op.linear(tape, x, entries, outputs, numerics, weight=weight)


def _clamped_gate(tape: Tape, x: Tensor) -> Tensor:
    """gpt-oss: `(clamp(up) + 1) * clamp(gate) * sigmoid(alpha * clamp(gate))`, interleaved."""
    halves = 0.5 * x.elements
    gate, up = (op.view(tape, x, halves) for _ in range(2))
    gate = op.function(tape, gate, keeps="input")
    up = op.function(tape, up, keeps="input")
    bent = op.function(tape, op.scale(tape, gate), keeps="output")
    glu = op.multiply(tape, gate, bent)
    return op.multiply(tape, op.shift(tape, up), glu)
