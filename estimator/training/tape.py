"""What eager PyTorch keeps and allocates while it differentiates a block, without PyTorch.

A block is written down as the operations that its `forward` runs (`blocks.py`). The tape replays
them as autograd does: an operation keeps the tensors that its derivative needs; backwards, in
reverse order of creation, each operation receives the gradient of its output, allocates those of
its inputs and lets go of what it kept. The peak is the largest sum alive at one moment.
Ref: PyTorch `torch/csrc/autograd/engine.cpp` (order, release of saved tensors, accumulation) and
`tools/autograd/derivatives.yaml` (what each operation saves).

Sizes are polynomials in the micro-batch B and the sequence length S, so that one replay serves
every B and S.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from estimator.quantity import FloatArray

BASIS = ("1", "S", "BS", "SS", "BSS")
"""The terms of a size: constant, per position, per token, per pair of positions, per pair."""


def per(term: str, amount: float) -> FloatArray:
    """A size of `amount` for each unit of a term of `BASIS`."""
    size = np.zeros(len(BASIS))
    size[BASIS.index(term)] = amount
    return size


def tokens(width: float) -> FloatArray:
    """A size of `width` values per token."""
    return per("BS", width)


def basis_values(micro_batch: ArrayLike, sequence_length: ArrayLike) -> FloatArray:
    """The terms of `BASIS` for each candidate: shape (candidates..., 5)."""
    b, s = np.broadcast_arrays(
        np.asarray(micro_batch, dtype=np.float64), np.asarray(sequence_length, dtype=np.float64)
    )
    return np.stack([np.ones_like(s), s, b * s, s * s, b * s * s], axis=-1)


NOTHING = np.zeros(len(BASIS))


@dataclass(eq=False, slots=True)
class Buffer:
    """A block of memory; tensors that are views of one another share it."""

    bytes: FloatArray
    part: str
    """Under which part of the breakdown it is counted."""


@dataclass(eq=False, slots=True)
class Tensor:
    """A value of the forward pass: so many elements of `itemsize` bytes in a buffer."""

    elements: FloatArray
    itemsize: int
    grad: bool
    """Whether it requires a gradient."""
    buffer: Buffer
    parameter: bool = False
    """Whether it is a weight, which exists before the block and keeps its gradient after it."""

    @property
    def bytes(self) -> FloatArray:
        """Its size if it were stored alone."""
        return self.elements * self.itemsize


@dataclass(eq=False, slots=True)
class Node:
    """One operation and its derivative."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    saves: tuple[Buffer, ...]
    forward_extra: FloatArray
    """Bytes alive only while the operation runs forward."""
    backward_extra: FloatArray
    """Bytes alive only while its derivative runs, beside the gradients."""
    passes_gradient: bool
    """Whether the inputs receive the very gradient of the output (addition, a view)."""
    needs_forward: bool
    """Whether its derivative reads a tensor of the forward pass, be it a weight."""
    extra_part: str
    """The part under which the extra bytes are counted."""


@dataclass(slots=True)
class Tape:
    """The operations of a block in the order in which they ran."""

    part: str = "activations"
    """The part under which new buffers are counted."""
    nodes: list[Node] = field(default_factory=list)
    pins: set[Buffer] = field(default_factory=set)
    """Buffers that the caller of the block keeps until its forward pass ends."""

    def tensor(self, elements: FloatArray, itemsize: int, *, grad: bool = True) -> Tensor:
        """A new tensor in a buffer of its own."""
        return Tensor(elements, itemsize, grad, Buffer(elements * itemsize, self.part))

    def parameter(self, count: float, itemsize: int, *, grad: bool) -> Tensor:
        """A weight of `count` entries."""
        return Tensor(per("1", count), itemsize, grad, Buffer(NOTHING, self.part), parameter=True)

    def record(
        self,
        inputs: Sequence[Tensor],
        outputs: Sequence[Tensor],
        *,
        saves: Iterable[Tensor] = (),
        forward_extra: FloatArray = NOTHING,
        backward_extra: FloatArray = NOTHING,
        passes_gradient: bool = False,
        extra_part: str = "working",
    ) -> None:
        """Runs one operation. Its outputs require a gradient if an input does."""
        grad = any(x.grad for x in inputs)
        for output in outputs:
            output.grad = grad
        wanted = list(saves) if grad else []
        kept = dict.fromkeys(x.buffer for x in wanted if not x.parameter)
        self.nodes.append(
            Node(
                tuple(inputs),
                tuple(outputs),
                tuple(kept),
                forward_extra,
                backward_extra,
                passes_gradient,
                bool(wanted),
                extra_part,
            )
        )

    def touch(self, *tensors: Tensor) -> None:
        """Says that Python still refers to these tensors here (the argument of a module)."""
        self.record(tensors, ())


@dataclass(slots=True)
class Ledger:
    """Bytes alive by part, and every state worth looking at."""

    parts: tuple[str, ...]
    alive: FloatArray = field(init=False)
    references: dict[Buffer, int] = field(default_factory=dict)
    states: list[FloatArray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.alive = np.zeros((len(self.parts), len(BASIS)))

    def hold(self, buffer: Buffer) -> None:
        """One more owner; the first one allocates."""
        count = self.references.get(buffer, 0)
        if count == 0:
            self.alive[self.parts.index(buffer.part)] += buffer.bytes
        self.references[buffer] = count + 1

    def drop(self, buffer: Buffer) -> None:
        """One owner less; the last one frees."""
        self.references[buffer] -= 1
        if self.references[buffer] == 0:
            del self.references[buffer]
            self.alive[self.parts.index(buffer.part)] -= buffer.bytes

    def add(self, part: str, size: FloatArray) -> None:
        """Bytes that stay."""
        self.alive[self.parts.index(part)] += size

    def snapshot(self, part: str, extra: FloatArray = NOTHING) -> None:
        """Notes the present state, with `extra` bytes of `part` on top."""
        state = self.alive.copy()
        state[self.parts.index(part)] += extra
        self.states.append(state)


@dataclass(frozen=True, slots=True)
class Replay:
    """What a block keeps after its forward pass, and the states of both passes (parts x basis)."""

    held: FloatArray
    forward: tuple[FloatArray, ...]
    """States of the forward pass, from nothing."""
    recomputed: tuple[FloatArray, ...]
    """Those of them that a recomputation passes: it stops at the last tensor that is kept."""
    backward: tuple[FloatArray, ...]
    """States of the backward pass; they begin with `held` and the gradient of the output."""
    entry: FloatArray
    """Gradients alive when the backward pass first needs a tensor of the forward pass: on top of
    these a checkpointed block is recomputed."""
    weight_gradients: FloatArray
    """Bytes (by basis) of gradients that the backward pass leaves behind."""


def replay(
    tape: Tape,
    source: Tensor,
    sink: Tensor,
    parts: tuple[str, ...],
    *,
    merges_in_place: bool,
    keeps_source: bool,
) -> Replay:
    """Runs a tape forwards and backwards from `source` to `sink`.

    `merges_in_place`: whether two gradients of one tensor are added in place, as on a GPU, or into
    a third buffer, as when operations are traced. `keeps_source`: whether the input belongs to the
    block (it does, unless a checkpoint holds it).
    """
    shelter = frozenset() if keeps_source else frozenset({source.buffer})
    forward = _forward(tape, source, sink, parts)
    ledger = Ledger(parts)
    for node in tape.nodes:
        for buffer in node.saves:
            if buffer not in shelter:
                ledger.hold(buffer)
    held = ledger.alive.copy()
    entry = _backward(tape, sink, ledger, shelter, merges_in_place) - held
    left = ledger.alive[parts.index("gradients")].copy()
    last = max(place for place, node in enumerate(tape.nodes) if node.needs_forward)
    return Replay(held, forward, forward[:last], tuple(ledger.states), entry, left)


def _forward(
    tape: Tape, source: Tensor, sink: Tensor, parts: tuple[str, ...]
) -> tuple[FloatArray, ...]:
    """States of the forward pass: a tensor lives until its last use unless a node keeps it."""
    last_use: dict[Buffer, int] = {}
    for place, node in enumerate(tape.nodes):
        for tensor in (*node.inputs, *node.outputs):
            last_use[tensor.buffer] = place
    kept = {buffer for node in tape.nodes for buffer in node.saves} | tape.pins
    kept |= {source.buffer, sink.buffer}
    ledger = Ledger(parts)
    for place, node in enumerate(tape.nodes):
        touched = dict.fromkeys(x.buffer for x in (*node.inputs, *node.outputs) if not x.parameter)
        for output in node.outputs:
            if output.buffer not in ledger.references and output.buffer is not source.buffer:
                ledger.hold(output.buffer)
        ledger.snapshot(node.extra_part, node.forward_extra)
        for buffer in touched:
            if last_use[buffer] == place and buffer not in kept and buffer in ledger.references:
                ledger.drop(buffer)
    return tuple(ledger.states)


def _backward(
    tape: Tape, sink: Tensor, ledger: Ledger, shelter: frozenset[Buffer], merges_in_place: bool
) -> FloatArray:
    """Runs the derivatives in reverse order of creation; the state at the first that reads."""
    incoming = Buffer(sink.bytes, "working")
    ledger.hold(incoming)
    gradients: dict[Tensor, Buffer] = {sink: incoming}
    entry: FloatArray | None = None
    for node in reversed(tape.nodes):
        received = [gradients.pop(x) for x in node.outputs if x in gradients]
        if node.needs_forward and entry is None:
            entry = ledger.alive.copy()
        made = _differentiate(node, received[0], ledger) if received else []
        ledger.snapshot(node.extra_part, node.backward_extra if received else NOTHING)
        for buffer in received:
            ledger.drop(buffer)
        for buffer in node.saves:
            if buffer not in shelter:
                ledger.drop(buffer)
        for tensor, gradient in made:
            _accumulate(gradients, tensor, gradient, ledger, merges_in_place)
    assert entry is not None
    return entry


def _differentiate(node: Node, received: Buffer, ledger: Ledger) -> list[tuple[Tensor, Buffer]]:
    """Allocates the gradients of a node's inputs; those of weights stay."""
    made: list[tuple[Tensor, Buffer]] = []
    for tensor in node.inputs:
        if not tensor.grad:
            continue
        if tensor.parameter:
            ledger.add("gradients", tensor.bytes)
            continue
        same = node.passes_gradient and tensor.itemsize == node.outputs[0].itemsize
        gradient = received if same else Buffer(tensor.bytes, "working")
        ledger.hold(gradient)
        made.append((tensor, gradient))
    return made


def _accumulate(
    gradients: dict[Tensor, Buffer],
    tensor: Tensor,
    gradient: Buffer,
    ledger: Ledger,
    merges_in_place: bool,
) -> None:
    """Adds a gradient to what the tensor has received so far."""
    earlier = gradients.get(tensor)
    if earlier is None:
        gradients[tensor] = gradient
        return
    if merges_in_place and ledger.references[earlier] == 1:
        ledger.drop(gradient)
        return
    total = Buffer(tensor.bytes, "working")
    ledger.hold(total)
    ledger.snapshot("working")
    ledger.drop(earlier)
    ledger.drop(gradient)
    gradients[tensor] = total
