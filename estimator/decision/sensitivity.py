"""Which inputs move a payoff, and which move the decision: read off the sample, no extra runs.

Conditional means include what comes with an input: of two correlated inputs each carries part of
the other. Inputs that never vary have no effect and are left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimator.decision.smoothing import ConditionalMean, conditional_mean, is_constant
from estimator.quantity import FloatArray

Inputs = Mapping[str, FloatArray]
KS_95 = 1.358  # 95 % point of the Kolmogorov distribution (Smirnov 1948)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a tornado: the expected payoff with the input at its low and its high end."""

    input: str
    low_value: float
    """The input's P10 (of an event, or an input of few values, its lowest)."""
    high_value: float
    """The input's P90 (or its highest value)."""
    payoff_at_low: float
    payoff_at_high: float

    @property
    def swing(self) -> float:
        """Length of the bar, in the payoff's unit."""
        return abs(self.payoff_at_high - self.payoff_at_low)


def tornado(payoff: FloatArray, inputs: Inputs) -> tuple[Bar, ...]:
    """Expected payoff at each input's P10 and P90, the others free; longest bar first.

    E[U | X = P10] and E[U | X = P90] by regression on the sample.
    """
    bars = [_bar(name, x, fitted) for name, x, fitted in _fits(payoff, inputs)]
    return tuple(sorted(bars, key=lambda bar: (-bar.swing, bar.input)))


def _bar(name: str, x: FloatArray, fitted: ConditionalMean) -> Bar:
    low, high = fitted.at[[0, -1]] if fitted.is_discrete else np.quantile(x, [0.1, 0.9])
    return Bar(
        input=name,
        low_value=float(low),
        high_value=float(high),
        payoff_at_low=float(fitted.near(low)[0]),
        payoff_at_high=float(fitted.near(high)[0]),
    )


def first_order_indices(payoff: FloatArray, inputs: Inputs) -> dict[str, float]:
    """Sobol' first-order index V(E[U|X]) / V(U) of each varying input, as a share, largest first.

    The share of the payoff's variance that would go if the input were known. The shares of
    independent inputs sum to at most 1; what is missing is interaction. By covariance of the fit
    with the payoff (Sobol' 1993; estimated from a given sample as in Plischke, RESS 2010).
    """
    variance = payoff.var()
    shares = {
        name: float(fitted.explained_variance[0] / variance) if variance > 0 else 0.0
        for name, _, fitted in _fits(payoff, inputs)
    }
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _fits(payoff: FloatArray, inputs: Inputs) -> Iterator[tuple[str, FloatArray, ConditionalMean]]:
    response = payoff[:, None]
    for name, x in inputs.items():
        if not is_constant(x):
            yield name, x, conditional_mean(x, response)


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How far an input separates the draws in which an alternative wins from the others."""

    input: str
    distance: float
    """Kolmogorov-Smirnov distance between the two distributions, 0 to 1."""
    noise: float
    """What the distance would exceed in one case out of twenty by chance alone."""
    auc: float
    """Chance that the input is higher in a winning draw than in a losing one; 0.5: no telling."""
    typical_when_winning: float
    """The median; of something that happens or not, how often it happens."""
    typical_when_losing: float


def decision_sensitivity(wins: NDArray[np.bool_], inputs: Inputs) -> tuple[Separation, ...]:
    """Which inputs decide who wins: the largest distance first; empty if one side never happens.

    Regional sensitivity analysis: sup |F(x | wins) - F(x | loses)| (Hornberger and Spear, Journal
    of Environmental Management 1981).
    """
    won = int(wins.sum())
    lost = wins.size - won
    if won == 0 or lost == 0:
        return ()
    noise = KS_95 * np.sqrt((won + lost) / (won * lost))
    found = [
        Separation(
            input=name,
            distance=_ks_distance(x, wins),
            noise=float(noise),
            auc=_auc(x, wins),
            typical_when_winning=_typical(x[wins]),
            typical_when_losing=_typical(x[~wins]),
        )
        for name, x in inputs.items()
        if not is_constant(x)
    ]
    return tuple(sorted(found, key=lambda s: (-s.distance, s.input)))


def _typical(x: FloatArray) -> float:
    happens_or_not = np.isin(x, (0.0, 1.0)).all()
    return float(x.mean() if happens_or_not else np.median(x))


def _ks_distance(x: FloatArray, wins: NDArray[np.bool_]) -> float:
    order = np.argsort(x)
    rising, won = x[order], wins[order]
    ahead = np.cumsum(won) / won.sum() - np.cumsum(~won) / (~won).sum()
    last_of_value = np.append(rising[1:] != rising[:-1], True)
    return float(np.abs(ahead[last_of_value]).max())


def _auc(x: FloatArray, wins: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: P(x | wins > x | loses), ties half (Mann and Whitney 1947)."""
    _, row, count = np.unique(x, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[row]
    won, lost = wins.sum(), (~wins).sum()
    return float((rank[wins].sum() - won * (won + 1) / 2) / (won * lost))
