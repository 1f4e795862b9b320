"""The states of a training step that can be its peak, as polynomials in batch and length.

Each kind of layer is replayed once on a tape; what the layers keep adds up, and the peak is at the
loss, in the first or last layer of a kind, or at the embedding's gradient. States that another
one exceeds in every term are dropped, which leaves a handful.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from estimator.llm.architecture import Architecture, Layer
from estimator.quantity import FloatArray
from estimator.training.blocks import Block, loss
from estimator.training.operations import FLOAT
from estimator.training.setup import Setup
from estimator.training.tape import BASIS, Replay, Tape, per, replay, tokens

PARTS = (
    "activations",
    "attention",
    "routing",
    "adapter_inputs",
    "autocast_copies",
    "logits",
    "recomputed",
    "dequantisation",
    "working",
    "gradients",
)
"""Under what a tape's bytes are counted. `working`: gradients of activations and buffers that live
for one operation; `recomputed`: the layer that checkpointing runs again."""
Moment = Literal["forward", "backward"]
ID_BYTES = 8.0
"""Bytes of a token id."""
MASK_BYTES = 1.0
"""Bytes of an entry of a boolean mask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Bytes alive at one moment beside weights and optimizer states (parts x basis)."""

    moment: Moment
    bytes: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The part of the layers that one GPU runs (pipeline parallelism)."""

    first: int
    last: int
    """Exclusive."""
    in_flight: float = 1.0
    """Micro-batches whose activations are held at once (one forward, one backward schedule:
    Narayanan et al., arXiv 2104.04473, section 2.2)."""


def part(name: str, size: FloatArray) -> FloatArray:
    """A state that holds `size` bytes of one part."""
    state = np.zeros((len(PARTS), len(BASIS)))
    state[PARTS.index(name)] = size
    return state


class Footprint:
    """Replays an architecture's layers under a setup and puts them together."""

    def __init__(self, architecture: Architecture, setup: Setup, stage: Stage | None = None):
        self.architecture = architecture
        self.setup = setup
        order = sorted(
            ((layer.stack == "decoder", index, layer) for layer in architecture.layers
             for index in layer.indices),
            key=lambda entry: entry[:2],
        )  # fmt: skip
        self.stage = stage or Stage(first=0, last=len(order))
        self.layers: list[Layer] = [layer for _, _, layer in order]
        self._replays: dict[tuple[int, bool], Replay] = {}

    def replay_of(self, place: int) -> Replay:
        """The replay of the layer at a place; the first one may need no gradient of its input."""
        cut = place == 0 and self.setup.freezes_start
        key = (id(self.layers[place]), cut)
        if key not in self._replays:
            tape = Tape()
            source = tape.tensor(self._stream_elements, self.setup.stream_itemsize, grad=not cut)
            sink = Block(tape, self.layers[place], self.setup).run(source)
            self._replays[key] = replay(
                tape,
                source,
                sink,
                PARTS,
                merges_in_place=self.setup.numerics.dispatch == "cuda",
                keeps_source=not self.setup.checkpointed,
            )
        return self._replays[key]

    def states(self) -> Iterator[State]:
        """Every state of the forward and backward pass that may be the largest."""
        held, left = self._held(), self._left_behind()
        below = (sum(held) + self._shared) * self.stage.in_flight
        ends = self.stage.last == len(self.layers)
        gradients = np.zeros_like(below)
        if ends:
            end = self._loss()
            yield from self._loss_states(end, below)
            gradients = part("gradients", end.weight_gradients)
        visited = self._turning_points()
        for offset in reversed(range(len(held))):
            place = self.stage.first + offset
            if place in visited:
                yield from self._layer_states(place, below, held[offset], gradients)
            below = below - held[offset]
            gradients = gradients + left[offset]
        if self.stage.first == 0:
            yield State(moment="backward", bytes=below + gradients + self._embedding_gradient())

    @cached_property
    def _boundary(self) -> FloatArray:
        """The residual stream between two layers."""
        itemsize = FLOAT if self.setup.wide_boundaries else self.setup.stream_itemsize
        return part("activations", self._stream_elements * itemsize)

    @cached_property
    def _stream_elements(self) -> FloatArray:
        return tokens(self.architecture.hidden_size)

    @cached_property
    def _shared(self) -> FloatArray:
        """What all layers share: ids, rotary tables, and under checkpointing the mask."""
        shared = part("activations", tokens(2.0 * ID_BYTES))
        rotary = max((x.attention.rotary_dim for x in self.layers if x.attention), default=0)
        shared += part("attention", per("S", 2.0 * rotary * self.setup.stream_itemsize))
        dropped = self.architecture.embedding_dropout > 0.0 and self.setup.code.drops_embedding
        if dropped and not self.setup.freezes_start:
            cuda = self.setup.numerics.dispatch == "cuda"
            mask = MASK_BYTES if cuda else float(self.setup.stream_itemsize)
            shared += part("activations", self._stream_elements * mask)
        if not self.setup.checkpointed:
            return shared
        moved = len(self.architecture.embeddings) > 1 or self.setup.code.moves_embedding or dropped
        if self.setup.adapter is not None and moved:
            shared = shared + self._boundary
        return shared + self._mask

    @cached_property
    def _mask(self) -> FloatArray:
        """The mask that the layers are given: additive for `eager`, boolean for `sdpa`."""
        attentions = [layer.attention for layer in self.layers if layer.attention]
        if self.setup.kernel == "eager":
            return part("attention", per("BSS", float(self.setup.stream_itemsize)))
        if any(self.setup.masked(attention) for attention in attentions):
            return part("attention", per("SS", MASK_BYTES))
        return np.zeros((len(PARTS), len(BASIS)))

    def _held(self) -> list[FloatArray]:
        """What each layer of the stage keeps for its backward pass."""
        places = range(self.stage.first, self.stage.last)
        if self.setup.checkpointed:
            return [self._boundary for _ in places]
        return [self._kept(self.replay_of(place)) for place in places]

    def _kept(self, layer: Replay) -> FloatArray:
        """Selective checkpointing forgets what grows with the square of the length.

        Ref: Korthikanti et al., arXiv 2205.05198, section 5.
        """
        if not self.setup.forgets_scores:
            return layer.held
        kept = layer.held.copy()
        kept[:, BASIS.index("BSS")] = 0.0
        return kept

    def _left_behind(self) -> list[FloatArray]:
        """Weight gradients that each layer of the stage leaves."""
        places = range(self.stage.first, self.stage.last)
        return [part("gradients", self.replay_of(place).weight_gradients) for place in places]

    def _turning_points(self) -> set[int]:
        """First and last place of each kind of layer in the stage: the peak is at one of them."""
        points: dict[int, list[int]] = {}
        for place in range(self.stage.first, self.stage.last):
            points.setdefault(id(self.layers[place]), []).append(place)
        return {place for places in points.values() for place in (places[0], places[-1])}

    def _layer_states(
        self, place: int, below: FloatArray, held: FloatArray, gradients: FloatArray
    ) -> Iterator[State]:
        """States of one layer; `below`: what it and the layers before it keep."""
        layer = self.replay_of(place)
        if self.setup.checkpointed:
            for state in layer.recomputed:
                on_top = layer.entry + _as_recomputed(state)
                yield State(moment="backward", bytes=below + gradients + on_top)
            for state in layer.backward:
                yield State(moment="backward", bytes=below + gradients + _as_recomputed(state))
            for state in layer.forward if place > 0 else ():
                yield State(moment="forward", bytes=below + state + self._returned_scores(place))
            return
        own = below - held
        for state in layer.backward:
            yield State(moment="backward", bytes=own + gradients + state)
        inputs = self._boundary * (1 + (place > 0 and self._drops_embedding))
        for state in layer.forward:
            yield State(moment="forward", bytes=own + state + inputs + self._mask)

    def _returned_scores(self, place: int) -> FloatArray:
        """Eager scores of the layer before, where the family's layers return them."""
        attention = self.layers[place - 1].attention
        if self.setup.kernel != "eager" or not self.setup.code.returns_scores or not attention:
            return np.zeros((len(PARTS), len(BASIS)))
        size = attention.heads * self.setup.numerics.compute_itemsize
        return part("attention", per("BSS", float(size)))

    @property
    def _drops_embedding(self) -> bool:
        """Whether no layer keeps the embedding's output, which Python holds while layers run."""
        return self.setup.stream_itemsize == 2 or self.setup.freezes_start

    def _loss(self) -> Replay:
        tape = Tape()
        source = tape.tensor(self._stream_elements, self.setup.stream_itemsize)
        sink = loss(tape, source, self.architecture, self.setup)
        in_place = self.setup.numerics.dispatch == "cuda"
        return replay(tape, source, sink, PARTS, merges_in_place=in_place, keeps_source=True)

    def _loss_states(self, end: Replay, below: FloatArray) -> Iterator[State]:
        for state in end.backward:
            yield State(moment="backward", bytes=below + state)
        copies = part("autocast_copies", per("1", self._cached_copies))
        for state in end.forward:
            yield State(moment="forward", bytes=below + self._boundary + copies + state)

    @property
    def _cached_copies(self) -> float:
        """16-bit copies of trained weights that autocast caches until the forward pass ends.

        Without checkpointing the graph keeps them anyway, and the layers count them.
        """
        numerics = self.setup.numerics
        wide = numerics.autocast and numerics.weight_itemsize == FLOAT
        if not (wide and numerics.trained and self.setup.checkpointed):
            return 0.0
        places = self.layers[self.stage.first : self.stage.last]
        entries = sum(linear.weights for layer in places for linear in layer.linears)
        return 2.0 * entries / self.setup.tensor_parallel

    def _embedding_gradient(self) -> FloatArray:
        """The token table's gradient; a tied one joins the head's (a third copy when traced)."""
        numerics = self.setup.numerics
        if not numerics.trained:
            return np.zeros((len(PARTS), len(BASIS)))
        entries = sum(table.parameters for table in self.architecture.embeddings)
        size = float(entries * numerics.weight_itemsize) / self.setup.tensor_parallel
        if not self.architecture.tied_embeddings:
            incoming = self._stream_elements * self.setup.stream_itemsize
            return part("gradients", per("1", size)) + part("working", incoming)
        copies = 1.0 if numerics.dispatch == "cuda" else 2.0
        return part("working", per("1", copies * size))


def _as_recomputed(state: FloatArray) -> FloatArray:
    """The state of a recomputed layer: what it keeps under the one part `recomputed`."""
    rows = [PARTS.index(name) for name in ("dequantisation", "working", "gradients")]
    moved = np.zeros_like(state)
    moved[rows] = state[rows]
    moved[PARTS.index("recomputed")] = state.sum(axis=0) - state[rows].sum(axis=0)
    return moved


def peaks(architecture: Architecture, setup: Setup, stage: Stage | None = None) -> list[State]:
    """The states of which one is the peak, whatever the micro-batch and the sequence length."""
    found = list(Footprint(architecture, setup, stage).states())
    totals = np.array([state.bytes.sum(axis=0) for state in found])
    return [found[i] for i in undominated(totals)]


def undominated(totals: FloatArray) -> list[int]:
    """Rows that no other row equals or exceeds in every column (the first of equal rows)."""
    order = np.argsort(-totals.sum(axis=1), kind="stable")
    kept: list[int] = []
    rows = np.empty_like(totals)
    for i in order:
        if not (rows[: len(kept)] >= totals[i]).all(axis=1).any():
            rows[len(kept)] = totals[i]
            kept.append(int(i))
    return kept
