"""What to do after a pilot, planned before it: a rule from the pilot's signal to an alternative."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId
from estimator.scenario.ways import Candidate

FAR = 3.0  # signals further than this from the mean are valued like one that far


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PilotPolicy:
    """A pilot of one way, and the expected worth of every alternative given its signal."""

    candidate: Candidate
    names: tuple[AlternativeId, ...]
    """The alternatives that may follow."""
    centre: float
    """Mean signal."""
    spread: float
    """Standard deviation of the signal."""
    weights: FloatArray
    """Of the powers 0 to 3 of the standardised signal, shape (4, alternatives)."""
    expected_usd: float
    """Expected worth of what follows, the pilot's own cost aside."""

    def choose(self, seen: FloatArray) -> NDArray[np.intp]:
        """Place in `names` of what is taken at each signal, shape (n,)."""
        expected = cubic(seen, self.centre, self.spread) @ self.weights
        return np.asarray(np.argmax(expected, axis=1))


def plan_policy(
    candidate: Candidate,
    names: tuple[AlternativeId, ...],
    seen: FloatArray,
    worth_usd: FloatArray,
) -> PilotPolicy:
    """The rule that takes the highest E[worth | signal], from draws of both.

    Least squares on a cubic of the signal, shape (n,), for the worth of k alternatives, shape
    (k, n). Source: Strong, Oakley and Brennan, Med. Decis. Making 34:311, 2014.
    """
    centre, spread = float(seen.mean()), float(seen.std())
    powers = cubic(seen, centre, spread)
    weights = np.asarray(np.linalg.lstsq(powers, worth_usd.T, rcond=None)[0], np.float64)
    return PilotPolicy(
        candidate=candidate,
        names=names,
        centre=centre,
        spread=spread,
        weights=weights,
        expected_usd=float((powers @ weights).max(axis=1).mean()),
    )


def cubic(seen: FloatArray, centre: float, spread: float) -> FloatArray:
    """Powers 0 to 3 of the standardised signal, shape (n, 4); of a certain signal, only 0."""
    scaled = (seen - centre) / spread if spread > 0 else np.zeros_like(seen)
    scaled = np.clip(scaled, -FAR, FAR)
    return np.stack([np.ones_like(scaled), scaled, scaled**2, scaled**3], axis=1)
