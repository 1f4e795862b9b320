"""What would change the answer: the inputs that could flip it, and at which value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from estimator.decision.choose import Payoffs
from estimator.decision.information import Inputs, evppi_all
from estimator.decision.smoothing import ConditionalMean, conditional_mean
from estimator.quantity import FloatArray

TAIL = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An input that could make another alternative the best one in expectation."""

    input: str
    value: float
    """Where the answer changes, in the input's unit."""
    side: Literal["above", "below", "at"]
    """The other alternative is better above, below, or (an input of few values) at the value."""
    alternative: str
    """Which alternative takes over."""
    median: float
    """The input's median, for comparison."""
    evppi_usd: float
    """What it would be worth to know the input before deciding."""


def flips(
    payoffs: Payoffs,
    inputs: Inputs,
    best: str,
    n: int = 2,
    *,
    evppi_usd: Mapping[str, float] | None = None,
) -> tuple[Flip, ...]:
    """The `n` inputs most worth knowing whose value alone could make another alternative better.

    Where the conditional expectation of (next best - best) given the input crosses zero between
    the input's P2 and P98, nearest to its median. Ranked by EVPPI; an input whose EVPPI cannot be
    told from noise is never named. `evppi_usd`: result of `evppi_all`, if it is there already.
    """
    worth = evppi_all(payoffs, inputs) if evppi_usd is None else evppi_usd
    others = [name for name in sorted(payoffs) if name != best]
    if not others:
        return ()
    gains = np.stack([payoffs[name] - payoffs[best] for name in others], axis=1)
    ranked = sorted((name for name in inputs if worth[name] > 0), key=lambda i: (-worth[i], i))
    return tuple(islice(_found(ranked, inputs, gains, others, worth), n))


def _found(
    ranked: list[str],
    inputs: Inputs,
    gains: FloatArray,
    others: list[str],
    worth: Mapping[str, float],
) -> Iterator[Flip]:
    for name in ranked:
        fitted = conditional_mean(inputs[name], gains)
        place = _event(fitted) if fitted.is_discrete else _crossing(fitted)
        if place is not None:
            yield Flip(
                input=name,
                value=place.value,
                side=place.side,
                alternative=others[int(fitted.mean[place.row].argmax())],
                median=float(np.median(inputs[name])),
                evppi_usd=worth[name],
            )


@dataclass(frozen=True, slots=True)
class _Place:
    value: float
    side: Literal["above", "below", "at"]
    row: int  # the first one on the side where another alternative is better


def _crossing(fitted: ConditionalMean) -> _Place | None:
    """Where the highest conditional gain crosses zero, nearest to the median of the input."""
    lead = fitted.mean.max(axis=1)
    below = np.cumsum(fitted.weight)
    crossing: NDArray[np.bool_] = (lead[:-1] > 0) != (lead[1:] > 0)
    crossing &= (below[:-1] >= TAIL) & (below[:-1] <= 1 - TAIL)
    where = np.flatnonzero(crossing)
    if where.size == 0:
        return None
    i = int(where[np.abs(below[where] - 0.5).argmin()])
    part = lead[i] / (lead[i] - lead[i + 1])
    value = float(fitted.at[i] + part * (fitted.at[i + 1] - fitted.at[i]))
    return _Place(value, "above", i + 1) if lead[i + 1] > 0 else _Place(value, "below", i)


def _event(fitted: ConditionalMean) -> _Place | None:
    """The most frequent value, of an input with few, at which another alternative is better."""
    lead = fitted.mean.max(axis=1)
    likely = np.where((lead > 0) & (fitted.weight >= TAIL), fitted.weight, 0.0)
    row = int(likely.argmax())
    return _Place(float(fitted.at[row]), "at", row) if likely[row] > 0 else None
