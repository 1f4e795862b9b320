"""The operations of a transformer block as eager PyTorch runs them, written on a tape.

Each function stands for one line of a `forward`: it records what autograd keeps of it and what its
derivative allocates. Item sizes follow PyTorch's type promotion. Ref: PyTorch
`tools/autograd/derivatives.yaml`, `torch/csrc/autograd/FunctionsManual.cpp` and
`aten/src/ATen/autocast_mode.h`.
"""

from dataclasses import dataclass
from typing import Literal

from estimator.quantity import FloatArray
from estimator.training.tape import NOTHING, Tape, Tensor, per

FLOAT = 4
"""Bytes of an fp32 value, in which norms, the softmax and the loss are computed."""
INDEX_BYTES = 8
"""Bytes of an index (int64)."""

Dispatch = Literal["cuda", "cpu"]
"""Whose kernels: those of a GPU, or those that PyTorch runs, or traces, on a CPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """Item sizes and kernels of a training step."""

    weight_itemsize: int
    """Bytes per stored weight: 2 for bf16 and fp16, 4 for fp32 and under autocast."""
    autocast: bool
    """Whether products run in 16 bits on copies of fp32 weights."""
    trained: bool
    """Whether the base model's weights are trained."""
    dispatch: Dispatch = "cuda"

    @property
    def compute_itemsize(self) -> int:
        """Bytes of a matrix product's output."""
        return 2 if self.autocast else self.weight_itemsize


def cast(tape: Tape, x: Tensor, itemsize: int) -> Tensor:
    """`x.to(dtype)`: a copy, or x itself where it has that type."""
    if x.itemsize == itemsize:
        return x
    return _made(tape, [x], x.elements, itemsize)


def view(tape: Tape, x: Tensor, elements: FloatArray | None = None) -> Tensor:
    """A reshape, or `elements` of x (a slice, a broadcast) whose gradient is made anew."""
    sliced = elements is not None
    out = Tensor(x.elements if elements is None else elements, x.itemsize, x.grad, x.buffer)
    tape.record([x], [out], passes_gradient=not sliced)
    return out


def split(tape: Tape, x: Tensor, *shares: float) -> list[Tensor]:
    """`x.split` or `x.chunk`: views; the derivative concatenates."""
    outputs = [Tensor(x.elements * share, x.itemsize, x.grad, x.buffer) for share in shares]
    tape.record([x], outputs)
    return outputs


def copy(tape: Tape, x: Tensor) -> Tensor:
    """`x.contiguous()` of a transposed tensor; the gradient goes through as a view."""
    out = tape.tensor(x.elements, x.itemsize)
    tape.record([x], [out], passes_gradient=True)
    return out


def repeat(tape: Tape, x: Tensor, times: float) -> Tensor:
    """`repeat_kv`: `times` copies, whose gradients are summed."""
    return x if times == 1 else _made(tape, [x], x.elements * times, x.itemsize)


def reshape_gradient(tape: Tape, x: Tensor) -> Tensor:
    """A transposed view whose gradient has to be copied on its way back."""
    out = Tensor(x.elements, x.itemsize, x.grad, x.buffer)
    tape.record([x], [out])
    return out


def add(tape: Tape, x: Tensor, y: Tensor) -> Tensor:
    """`x + y`: keeps nothing, passes the gradient on."""
    out = tape.tensor(x.elements, max(x.itemsize, y.itemsize))
    tape.record([x, y], [out], passes_gradient=True)
    return out


def add_constant(tape: Tape, x: Tensor) -> Tensor:
    """`x + c` with a tensor that is not trained (a mask, a bias of positions)."""
    out = tape.tensor(x.elements, x.itemsize)
    tape.record([x], [out], passes_gradient=True)
    return out


def shift(tape: Tape, x: Tensor) -> Tensor:
    """`x - max(x)` or a concatenation with a few columns: a copy both ways."""
    return _made(tape, [x], x.elements, x.itemsize)


def scale(tape: Tape, x: Tensor) -> Tensor:
    """`x * c` with a number: keeps nothing."""
    return _made(tape, [x], x.elements, x.itemsize)


def multiply(tape: Tape, x: Tensor, y: Tensor) -> Tensor:
    """`x * y` of equal shapes: each factor is kept for the other's gradient."""
    itemsize = max(x.itemsize, y.itemsize)
    saves = [a for a, b in ((x, y), (y, x)) if b.grad]
    lower = x.elements * abs(x.itemsize - y.itemsize)
    return _made(tape, [x, y], x.elements, itemsize, saves=saves, backward_extra=lower)


def multiply_broadcast(tape: Tape, x: Tensor, weight: Tensor) -> Tensor:
    """`x * w` where w has one value per row or column: its gradient is a whole product, summed."""
    itemsize = max(x.itemsize, weight.itemsize)
    saves = [a for a, b in ((x, weight), (weight, x)) if b.grad]
    extra = x.elements * itemsize if weight.grad else NOTHING
    if x.grad:
        extra = extra + x.elements * (itemsize - x.itemsize)
    return _made(tape, [x, weight], x.elements, itemsize, saves=saves, backward_extra=extra)


def function(
    tape: Tape, x: Tensor, *, keeps: Literal["input", "output"], extra: float = 0.0
) -> Tensor:
    """A function of each value; `extra` sizes of x are alive only while the derivative runs."""
    out = tape.tensor(x.elements, x.itemsize)
    saved = [x] if keeps == "input" else [out]
    tape.record([x], [out], saves=saved, backward_extra=extra * x.bytes)
    return out


def matmul(tape: Tape, x: Tensor, y: Tensor, elements: FloatArray) -> Tensor:
    """A batched product of two activations; both are kept."""
    saves = [a for a, b in ((x, y), (y, x)) if b.grad]
    return _made(tape, [x, y], elements, x.itemsize, saves=saves)


def linear(
    tape: Tape,
    x: Tensor,
    weights: float,
    outputs: FloatArray,
    numerics: Numerics,
    *,
    bias: float = 0.0,
    trained: bool | None = None,
    itemsize: int | None = None,
    workspace: float = 0.0,
    weight: Tensor | None = None,
) -> Tensor:
    """`F.linear`: the input is kept for the weight's gradient, where the weight is trained.

    Under autocast both operands are cast first, and the graph keeps those copies. `workspace`:
    bytes alive while the product runs, forwards and backwards (a dequantised weight). `weight`: a
    matrix that was computed (fused experts with their adapter merged).
    """
    grad = numerics.trained if trained is None else trained
    stored = numerics.weight_itemsize if itemsize is None else itemsize
    if weight is None:
        weight = tape.parameter(weights, stored, grad=grad)
    offset = tape.parameter(bias, stored, grad=grad)
    if numerics.autocast:
        x = cast(tape, x, 2)
        weight = _cast_weight(tape, weight)
    out = tape.tensor(outputs, max(x.itemsize, weight.itemsize))
    saves = ([x] if weight.grad else []) + ([weight] if x.grad else [])
    extra = per("1", workspace)
    tape.record(
        [x, weight, offset],
        [out],
        saves=saves,
        forward_extra=extra,
        backward_extra=extra,
        extra_part="dequantisation" if workspace else "working",
    )
    return out


def _cast_weight(tape: Tape, weight: Tensor) -> Tensor:
    """The 16-bit copy that autocast makes of a weight."""
    if weight.itemsize == 2:
        return weight
    part, tape.part = tape.part, "autocast_copies"
    out = tape.tensor(weight.elements, 2)
    tape.record([weight], [out])
    tape.part = part
    return out


def layer_norm(tape: Tape, x: Tensor, rows: FloatArray, weight: Tensor) -> Tensor:
    """A norm in one kernel: keeps its input and, per row, mean and deviation."""
    out = tape.tensor(x.elements, x.itemsize)
    statistics = tape.tensor(2.0 * rows, FLOAT)
    tape.record([x, weight], [out], saves=[x, statistics])
    return out


def fused_gate(tape: Tape, gate: Tensor, up: Tensor) -> Tensor:
    """`act(gate) * up` in one kernel: keeps its two inputs."""
    out = tape.tensor(up.elements, up.itemsize)
    tape.record([gate, up], [out], saves=[gate, up])
    return out


def rms_core(tape: Tape, x: Tensor, rows: FloatArray) -> Tensor:
    """`x * rsqrt(mean(x**2))` in fp32 as `transformers` writes it, five operations."""
    x = cast(tape, x, FLOAT)
    squares = _made(tape, [x], x.elements, FLOAT, saves=[x], backward_extra=2.0 * x.bytes)
    mean = _made(tape, [squares], rows, FLOAT)
    inverse = function(tape, mean, keeps="output")
    return multiply_broadcast(tape, x, inverse)


def centred_core(tape: Tape, x: Tensor, rows: FloatArray) -> Tensor:
    """A layer norm written out in fp32: `(x - mean) * rsqrt(mean((x - mean)**2))` (Cohere)."""
    x = cast(tape, x, FLOAT)
    mean = _made(tape, [x], rows, FLOAT)
    first = add(tape, x, mean)
    squares = _made(tape, [first], x.elements, FLOAT, saves=[first], backward_extra=2.0 * x.bytes)
    inverse = function(tape, _made(tape, [squares], rows, FLOAT), keeps="output")
    return multiply_broadcast(tape, add(tape, x, mean), inverse)


def rotate(tape: Tape, x: Tensor, itemsize: int) -> Tensor:
    """Rotary positions: `x * cos + rotate_half(x) * sin`, which keeps nothing of x.

    Forwards two products and a half-turned copy are alive beside the result; backwards a product,
    two zero-filled halves and their sum.
    """
    out = tape.tensor(x.elements, itemsize)
    tape.record([x], [out], forward_extra=2.0 * x.bytes, backward_extra=2.0 * x.elements * itemsize)
    return out


def gather(tape: Tape, x: Tensor, elements: FloatArray, rows: FloatArray) -> Tensor:
    """`x[index]`: keeps the index; the gradient is put into zeros, out of place when traced."""
    out = tape.tensor(elements, x.itemsize)
    index = tape.tensor(rows, INDEX_BYTES, grad=False)
    tape.record([x], [out], saves=[index], backward_extra=x.bytes)
    return out


def softmax(tape: Tape, scores: Tensor, *, upcast: bool, fused_cast: bool) -> Tensor:
    """Softmax over the scores, in fp32 where `upcast`; a GPU reads 16 bits without a copy."""
    if upcast and not fused_cast:
        scores = cast(tape, scores, FLOAT)
    out = tape.tensor(scores.elements, FLOAT if upcast else scores.itemsize)
    tape.record([scores], [out], saves=[out])
    return out


def dropout(tape: Tape, x: Tensor, probability: float, dispatch: Dispatch) -> Tensor:
    """`F.dropout`: keeps a mask of one byte per value on a GPU, a scaled mask on a CPU."""
    if probability == 0.0:
        return x
    mask = tape.tensor(x.elements, 1 if dispatch == "cuda" else x.itemsize)
    return _made(tape, [x], x.elements, x.itemsize, saves=[mask])


def _made(
    tape: Tape,
    inputs: list[Tensor],
    elements: FloatArray,
    itemsize: int,
    *,
    saves: list[Tensor] | None = None,
    backward_extra: FloatArray = NOTHING,
) -> Tensor:
    out = tape.tensor(elements, itemsize)
    tape.record(inputs, [out], saves=saves or [], backward_extra=backward_extra)
    return out
