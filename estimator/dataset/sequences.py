"""Token lengths of a dataset, and what training makes of them at a sequence length.

All results are exact functions of the histogram of lengths: they do not depend on the order of
the examples, need no random draws, and cost the number of distinct lengths, not of examples.
"""

from bisect import bisect_left, insort
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimator.errors import InputError

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class LengthDistribution:
    """How many examples have how many tokens."""

    lengths: IntArray
    """Distinct token lengths, ascending."""
    counts: IntArray
    """Examples of each length."""

    @classmethod
    def of(cls, lengths: ArrayLike, counts: ArrayLike | None = None) -> "LengthDistribution":
        """The distribution of `lengths`, each standing for one example or for `counts` of them."""
        values, where = np.unique(np.asarray(lengths, dtype=np.int64), return_inverse=True)
        weights = None if counts is None else np.asarray(counts, dtype=np.float64)
        return cls(values, np.bincount(where, weights, len(values)).astype(np.int64))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, LengthDistribution)
            and np.array_equal(self.lengths, other.lengths)
            and np.array_equal(self.counts, other.counts)
        )

    def __hash__(self) -> int:
        return hash((self.lengths.tobytes(), self.counts.tobytes()))

    @property
    def examples(self) -> int:
        """Number of examples."""
        return int(self.counts.sum())

    @property
    def total(self) -> int:
        """Tokens of all examples."""
        return int(self.lengths @ self.counts)

    @property
    def mean(self) -> float:
        """Mean tokens per example."""
        return self.total / self.examples

    @property
    def longest(self) -> int:
        """Tokens of the longest example."""
        return int(self.lengths[-1])

    def quantile(self, share: float) -> int:
        """Shortest length that at least `share` of the examples do not exceed."""
        below = np.cumsum(self.counts)
        return int(self.lengths[np.searchsorted(below, share * below[-1])])

    def cut_at(self, sequence_length: int) -> "LengthDistribution":
        """The distribution when everything beyond `sequence_length` is cut off."""
        return LengthDistribution.of(np.minimum(self.lengths, sequence_length), self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceFit:
    """One epoch at a sequence length: what is cut off, and the share of positions that is data."""

    sequence_length: int
    micro_batch_size: int
    kept_tokens: int
    """Tokens left after cutting each example at the sequence length."""
    truncated_tokens: int
    """Tokens cut off."""
    truncated_examples: int
    """Examples that lose tokens."""
    packed_sequences: int
    """Full-length sequences that hold all examples, packed best-fit decreasing."""
    packing_efficiency: float
    """Kept tokens / positions when packed."""
    padding_efficiency: float
    """Kept tokens / expected positions when each random micro-batch is padded to its longest."""
    padding_to_max_efficiency: float
    """Kept tokens / positions when every example is padded to the sequence length."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def fit_sequences(
    distribution: LengthDistribution, *, sequence_length: int, micro_batch_size: int
) -> SequenceFit:
    """Truncation, padding and packing of one epoch at `sequence_length` tokens."""
    for name, value in (
        ("sequence_length", sequence_length),
        ("micro_batch_size", micro_batch_size),
    ):
        if value < 1:
            raise InputError(f"{name} is {value}; it must be at least 1")
    cut = distribution.cut_at(sequence_length)
    packed = pack(cut, sequence_length)
    return SequenceFit(
        sequence_length=sequence_length,
        micro_batch_size=micro_batch_size,
        kept_tokens=cut.total,
        truncated_tokens=distribution.total - cut.total,
        truncated_examples=int(distribution.counts[distribution.lengths > sequence_length].sum()),
        packed_sequences=packed,
        packing_efficiency=cut.total / (packed * sequence_length),
        padding_efficiency=cut.total / padded_tokens(cut, micro_batch_size),
        padding_to_max_efficiency=cut.total / (cut.examples * sequence_length),
    )


def padded_tokens(distribution: LengthDistribution, micro_batch_size: int) -> float:
    """Expected positions of an epoch of random micro-batches, each padded to its longest example.

    n examples make q full micro-batches of b and one of r = n - q b. In a random order each
    micro-batch is a uniform draw without replacement: the sum is q b E[max of b] + r E[max of r].
    """
    full, rest = divmod(distribution.examples, micro_batch_size)
    padded = full * micro_batch_size * expected_longest(distribution, micro_batch_size)
    return padded + (rest * expected_longest(distribution, rest) if rest else 0.0)


def expected_longest(distribution: LengthDistribution, draws: int) -> float:
    """Expected longest of `draws` examples drawn without replacement, in tokens.

    With N(l) of the n examples no longer than l, the chance that no longer one is drawn is
    P(longest <= l) = product over j < draws of (N(l) - j)/(n - j).
    """
    draws = min(draws, distribution.examples)
    not_longer = np.cumsum(distribution.counts).astype(np.float64)
    chance = np.ones(len(not_longer))
    for drawn in range(draws):
        chance *= np.maximum(not_longer - drawn, 0.0) / (not_longer[-1] - drawn)
    return float(distribution.lengths @ np.diff(chance, prepend=0.0))


def pack(distribution: LengthDistribution, sequence_length: int) -> int:
    """Sequences of `sequence_length` tokens that best-fit decreasing packing fills.

    Longest examples first, each into the fullest sequence that still has room; all examples of
    one length at once, so the cost does not grow with their number. Nothing is split. Source:
    best-fit decreasing (Johnson 1974), used for training in Ding et al., "Fewer Truncations
    Improve Language Modeling" (2024) and as `packing_strategy="bfd"` in TRL.
    """
    opened = 0
    rooms: list[int] = []  # distinct free lengths of open sequences, ascending
    sequences: Counter[int] = Counter()  # sequences with that much room

    def leave(room: int, count: int) -> None:
        if room and count:
            if not sequences[room]:
                insort(rooms, room)
            sequences[room] += count

    for length, waiting in zip(
        distribution.lengths[::-1].tolist(), distribution.counts[::-1].tolist(), strict=True
    ):
        while waiting:
            place = bisect_left(rooms, length)
            if place == len(rooms):
                room, available = sequence_length, -(-waiting // (sequence_length // length))
                opened += available
            else:
                room = rooms.pop(place)
                available = sequences.pop(room)
            each = room // length
            full = min(available, waiting // each)
            waiting -= full * each
            leave(room - each * length, full)
            if full < available and waiting:
                leave(room - waiting * length, 1)
                available, waiting = available - 1, 0
            leave(room, available - full)
    return opened
