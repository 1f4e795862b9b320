"""Operations: what autograd keeps of them, the types they give, and what lives for one alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from estimator.training import operations as op
from estimator.training.footprint import PARTS
from estimator.training.operations import Numerics
from estimator.training.tape import BASIS, Tape, per, replay, tokens

BF16 = Numerics(weight_itemsize=2, autocast=False, trained=True)


def of(size: Any, term: str) -> float:
    """The coefficient of a term, all parts together."""
    return float(np.atleast_2d(size).sum(axis=0)[BASIS.index(term)])


# --- operations against autograd


@pytest.mark.parametrize("case", ["multiply", "scale", "relu", "silu", "matmul", "softmax",
                                  "linear", "gather", "constant", "dropout"])  # fmt: skip
def test_an_operation_keeps_what_autograd_keeps(case: str) -> None:
    """Bytes of the tensors that PyTorch packs for the derivative, 4 tokens of 8 fp32 values."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    x, y = (torch.rand(4, 8, requires_grad=True) for _ in range(2))
    square, weight = (torch.rand(8, 8, requires_grad=True) for _ in range(2))
    index = torch.tensor([3, 1, 2, 0])
    held: dict[int, int] = {}

    def pack(tensor: Any) -> Any:
        held[tensor.untyped_storage().data_ptr()] = tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        {
            "multiply": lambda: x * y,
            "scale": lambda: x * 3.0,
            "relu": lambda: torch.relu(x),
            "silu": lambda: functional.silu(x),
            "matmul": lambda: x @ square,
            "softmax": lambda: x.softmax(-1),
            "linear": lambda: functional.linear(x, weight),
            "gather": lambda: x[index],
            "constant": lambda: x + y.detach(),
            "dropout": lambda: functional.dropout(x, 0.5),
        }[case]()
    packed = sum(held.values())
    if case == "linear":
        packed -= 8 * 8 * 4  # the weight exists anyway
    tape = Tape()
    a, b = (tape.tensor(tokens(8), 4) for _ in range(2))
    numerics = replace(BF16, weight_itemsize=4)
    {
        "multiply": lambda: op.multiply(tape, a, b),
        "scale": lambda: op.scale(tape, a),
        "relu": lambda: op.function(tape, a, keeps="output"),
        "silu": lambda: op.function(tape, a, keeps="input"),
        "matmul": lambda: op.matmul(tape, a, tape.tensor(per("1", 64.0), 4), tokens(8)),
        "softmax": lambda: op.softmax(tape, a, upcast=True, fused_cast=False),
        "linear": lambda: op.linear(tape, a, 64.0, tokens(8), numerics),
        "gather": lambda: op.gather(tape, a, tokens(8), tokens(1)),
        "constant": lambda: op.add_constant(tape, a),
        "dropout": lambda: op.dropout(tape, a, 0.5, "cpu"),
    }[case]()
    size = sum(buffer.bytes for buffer in tape.nodes[-1].saves) if tape.nodes[-1].saves else None
    assert packed == (0 if size is None else size @ np.array([1, 1, 4, 1, 4.0]))


def test_a_mask_of_dropout_takes_a_byte_on_a_gpu() -> None:
    tape = Tape()
    x = tape.tensor(tokens(8), 2)
    assert op.dropout(tape, x, 0.0, "cuda") is x and not tape.nodes
    op.dropout(tape, x, 0.1, "cuda")
    assert of(tape.nodes[-1].saves[0].bytes, "BS") == 8


def test_gradients_of_one_tensor_are_added_in_place_on_a_gpu() -> None:
    """Two functions of x that are added: traced, their sum is a third buffer."""

    def peak(in_place: bool) -> float:
        tape = Tape()
        x = tape.tensor(tokens(8), 2)
        first = op.function(tape, x, keeps="output")
        second = op.function(tape, x, keeps="output")
        out = op.add(tape, first, second)
        found = replay(tape, x, out, PARTS, merges_in_place=in_place, keeps_source=True)
        return max(of(state, "BS") for state in found.backward)

    # kept: two outputs; alive: the gradient of the sum, which both receive, and one of x
    assert peak(True) == 16 * (2 + 1 + 1)
    assert peak(False) == 16 * (1 + 3)


# --- types and what lives for one operation


@pytest.mark.parametrize(("left", "right"), [(2, 2), (2, 4), (4, 2), (4, 4)])
def test_types_are_promoted_as_in_pytorch(left: int, right: int) -> None:
    torch = pytest.importorskip("torch")
    kinds = {2: torch.bfloat16, 4: torch.float32}
    x, y = torch.ones(4, 8, dtype=kinds[left]), torch.ones(4, 8, dtype=kinds[right])
    tape = Tape()
    a, b = tape.tensor(tokens(8), left), tape.tensor(tokens(8), right)
    assert op.add(tape, a, b).itemsize == (x + y).element_size()
    assert op.multiply(tape, a, b).itemsize == (x * y).element_size()
    row = tape.tensor(tokens(1), right)
    assert op.multiply_broadcast(tape, a, row).itemsize == (x * y[:, :1]).element_size()


def lived(make: Any, itemsize: int = 2) -> tuple[float, float, bool]:
    """Bytes per token that the last operation on 8 values needs beside its tensors, both ways."""
    tape = Tape()
    make(tape, tape.tensor(tokens(8), itemsize))
    node = tape.nodes[-1]
    return of(node.forward_extra, "BS"), of(node.backward_extra, "BS"), node.passes_gradient


def test_what_lives_for_one_operation() -> None:
    """Sizes in bytes for 8 values; a product with a row of weights is made whole and summed."""

    def mixed(tape: Tape, x: Any) -> Any:
        return op.multiply(tape, x, tape.tensor(tokens(8), 4))

    def broadcast(itemsize: int, grad: bool) -> Any:
        def make(tape: Tape, x: Any) -> Any:
            return op.multiply_broadcast(tape, x, tape.tensor(tokens(1), itemsize, grad=grad))

        return make

    nothing = (0.0, 0.0, False)
    assert lived(mixed) == (0.0, 8 * 2, False)  # the gradient in fp32 before it is cast
    assert lived(broadcast(2, True)) == (0.0, 8 * 2, False)
    assert lived(broadcast(4, True)) == (0.0, 8 * 4 + 8 * 2, False)
    assert lived(broadcast(2, False)) == nothing
    assert lived(lambda t, x: op.rotate(t, x, 4)) == (2 * 16.0, 2 * 32.0, False)
    assert lived(lambda t, x: op.gather(t, x, tokens(16), tokens(2))) == (0.0, 16.0, False)
    assert lived(lambda t, x: op.function(t, x, keeps="input", extra=3.0)) == (0.0, 48.0, False)
    assert lived(op.copy) == lived(op.add_constant) == lived(op.view) == (0.0, 0.0, True)
    assert lived(lambda t, x: op.add(t, x, x)) == (0.0, 0.0, True)
    assert lived(lambda t, x: op.view(t, x, tokens(4))) == nothing
    assert lived(op.scale) == lived(op.shift) == lived(op.reshape_gradient) == nothing


def test_a_function_keeps_its_input_or_its_output() -> None:
    for keeps in ("input", "output"):
        tape = Tape()
        x = tape.tensor(tokens(8), 2)
        out = op.function(tape, x, keeps=keeps)
        kept = x if keeps == "input" else out
        assert tape.nodes[-1].saves == (kept.buffer,)


def test_norms_written_out_in_fp32() -> None:
    """RMS norm: squares read x twice backward; a centred one keeps the difference, too."""
    tape = Tape()
    x = tape.tensor(tokens(8), 4)
    op.rms_core(tape, x, tokens(1))
    extras = [of(node.backward_extra, "BS") for node in tape.nodes]
    assert extras == [64.0, 0.0, 0.0, 32.0]
    tape = Tape()
    x = tape.tensor(tokens(8), 4)
    op.centred_core(tape, x, tokens(1))
    extras = [of(node.backward_extra, "BS") for node in tape.nodes]
    assert extras == [0.0, 0.0, 64.0, 0.0, 0.0, 0.0, 32.0]


def test_repeats_views_and_indices() -> None:
    tape = Tape()
    x = tape.tensor(tokens(8), 2)
    assert op.repeat(tape, x, 1.0) is x
    assert of(op.repeat(tape, x, 3.0).bytes, "BS") == 48
    part = op.view(tape, x, tokens(3))
    assert part.buffer is x.buffer and of(part.bytes, "BS") == 6
    assert op.view(tape, x).elements is x.elements
    frozen = tape.tensor(tokens(8), 2, grad=False)
    op.gather(tape, x, tokens(16), tokens(2))
    assert of(tape.nodes[-1].saves[0].bytes, "BS") == 16  # two indices of eight bytes
    assert not op.scale(tape, frozen).grad and op.add(tape, frozen, x).grad


def test_softmax_by_type_and_kernel() -> None:
    """A GPU reads 16 bits and writes fp32; elsewhere the scores are copied first."""
    for upcast, fused, nodes, itemsize in (
        (True, True, 1, 4),
        (True, False, 2, 4),
        (False, True, 1, 2),
        (False, False, 1, 2),
    ):
        tape = Tape()
        out = op.softmax(tape, tape.tensor(tokens(8), 2), upcast=upcast, fused_cast=fused)
        assert (len(tape.nodes), out.itemsize) == (nodes, itemsize)


def test_products_under_autocast_are_in_16_bits() -> None:
    amp = replace(BF16, weight_itemsize=4, autocast=True)
    assert (amp.compute_itemsize, BF16.compute_itemsize) == (2, 2)
    assert replace(amp, autocast=False).compute_itemsize == 4
    for numerics, given, itemsize in ((amp, 4, 2), (BF16, 2, 2), (BF16, 4, 4)):
        tape = Tape()
        x = tape.tensor(tokens(8), given)
        assert op.linear(tape, x, 64.0, tokens(8), numerics).itemsize == itemsize
    tape = Tape()
    x, merged = tape.tensor(tokens(8), 2), tape.tensor(per("1", 64.0), 2)
    op.linear(tape, x, 64.0, tokens(8), BF16, weight=merged)
    assert merged in tape.nodes[-1].inputs and merged.buffer in tape.nodes[-1].saves
