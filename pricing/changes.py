"""What a refresh would change, and whether anybody should believe it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Key = tuple[str, ...]
JUMP = 3.0
"""A median that moves by more than this factor is a fault of the source until somebody confirms."""
SHRUNK = 0.5
"""So is a source that has lost more than this share of what it listed."""
FEW = 4  # of so few prices, one that goes is already a large share


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One price before and after, in USD."""

    key: Key
    before: float
    after: float

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after / self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Prices that are new, gone, dearer or cheaper; the rest is as it was."""

    new: tuple[Key, ...]
    gone: tuple[Key, ...]
    up: tuple[Change, ...]
    """Largest rise first."""
    down: tuple[Change, ...]
    """Largest fall first."""
    unchanged: int


def compare(before: Mapping[Key, float], after: Mapping[Key, float]) -> Changes:
    """What differs between two sets of prices."""
    moved = [
        Change(key=key, before=before[key], after=after[key])
        for key in sorted(before.keys() & after.keys())
        if before[key] > 0 and after[key] > 0
    ]
    return Changes(
        new=tuple(sorted(after.keys() - before.keys())),
        gone=tuple(sorted(before.keys() - after.keys())),
        up=tuple(sorted((c for c in moved if c.ratio > 1), key=lambda c: -c.ratio)),
        down=tuple(sorted((c for c in moved if c.ratio < 1), key=lambda c: c.ratio)),
        unchanged=sum(change.ratio == 1 for change in moved),
    )


def absurd(
    before: Mapping[Key, float],
    after: Mapping[Key, float],
    groups: Sequence[tuple[int, ...]],
    *,
    source: int = 0,
) -> tuple[str, ...]:
    """Sentences about moves that no market makes; empty where everything is plausible.

    Each of `groups` names the parts of a key that make a group (GPU and tier; provider). A group
    is absurd where the median ratio of the prices that both sides know passes `JUMP`. Part
    `source` of the key names who lists it: one that lost more than `SHRUNK` is absurd too.
    """
    common = before.keys() & after.keys()
    found: list[str] = []
    for parts in groups:
        ratios: dict[Key, list[float]] = {}
        for key in common:
            if before[key] > 0 and after[key] > 0:
                name = tuple(key[part] for part in parts)
                ratios.setdefault(name, []).append(after[key] / before[key])
        for name, group in sorted(ratios.items()):
            median = statistics.median(group)
            if not 1 / JUMP <= median <= JUMP:
                found.append(f"{' '.join(name)} {_times(median)}")
    return (*found, *_shrunk(before, after, source))


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times as dear" if ratio > 1 else f"at {ratio:.1%} of its price"


def _shrunk(before: Mapping[Key, float], after: Mapping[Key, float], source: int) -> list[str]:
    found = []
    for name in sorted({key[source] for key in before} & {key[source] for key in after}):
        listed = [key for key in before if key[source] == name]
        lost = sum(key not in after for key in listed)
        if len(listed) > FEW and lost > SHRUNK * len(listed):
            found.append(f"{name} lost {lost} of {len(listed)} prices")
    return found
