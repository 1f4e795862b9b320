"""Choosing among alternatives from their payoffs: P(best), regret, tail, dominance, closeness.

Payoffs map an alternative's id to its NPV per draw, in USD, shape (n,); draw i is the same world
for all. The order of the alternatives changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from estimator.errors import InputError
from estimator.quantity import FloatArray

Payoffs = Mapping[str, FloatArray]


def table(payoffs: Payoffs) -> FloatArray:
    """The payoffs as one array of shape (n, alternatives), columns in the mapping's order."""
    assert payoffs, "at least one alternative"
    columns = np.stack([np.asarray(u, dtype=np.float64) for u in payoffs.values()], axis=1)
    assert columns.ndim == 2 and np.isfinite(columns).all(), "payoffs must be finite, shape (n,)"
    return columns


def ranking(payoffs: Payoffs) -> tuple[str, ...]:
    """Alternatives from highest to lowest expected payoff; equal ones by name."""
    return tuple(sorted(payoffs, key=lambda name: (-payoffs[name].mean(), name)))


def probability_best(payoffs: Payoffs) -> dict[str, float]:
    """Share of draws in which each alternative has the highest payoff; ties are split equally."""
    columns = table(payoffs)
    is_best = columns == columns.max(axis=1, keepdims=True)
    share = (is_best / is_best.sum(axis=1, keepdims=True)).mean(axis=0)
    return dict(zip(payoffs, share.tolist(), strict=True))


def expected_regret(payoffs: Payoffs) -> dict[str, float]:
    """Mean loss from having chosen this alternative instead of each draw's best, in USD.

    E[max_k U_k - U_o]. The smallest is the expected value of perfect information.
    """
    columns = table(payoffs)
    regret = (columns.max(axis=1, keepdims=True) - columns).mean(axis=0)
    return dict(zip(payoffs, regret.tolist(), strict=True))


def cvar(payoff: ArrayLike, tail: float = 0.10) -> float:
    """Conditional value at risk: the mean of the worst `tail` of the draws, in the payoff's unit.

    The draw that the tail cuts through counts with the part inside it (Rockafellar and Uryasev,
    Journal of Banking & Finance 2002).
    """
    worst_first = np.sort(np.asarray(payoff, dtype=np.float64))
    in_tail = tail * worst_first.size
    share = np.clip(in_tail - np.arange(worst_first.size), 0.0, 1.0)
    return float(share @ worst_first / in_tail)


def certainty_equivalent(payoff: ArrayLike, risk_tolerance: float) -> float:
    """The sure sum that is worth as much as the uncertain payoff, in the payoff's unit.

    -R ln E[exp(-U / R)] for exponential utility with risk tolerance R > 0; a large R gives the
    mean. Rule of thumb for a company: R is about 6 % of its sales (Howard, Management Science
    34(6), 1988).
    """
    if not risk_tolerance > 0:
        raise InputError(f"risk tolerance {risk_tolerance:g}: must be above 0")
    scaled = -np.asarray(payoff, dtype=np.float64) / risk_tolerance
    highest = scaled.max()
    return float(-risk_tolerance * (highest + np.log(np.exp(scaled - highest).mean())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dominance:
    """One alternative's payoff distribution compared with another's."""

    better: str
    worse: str
    order: Literal[1, 2] | None
    """1: at least as good at every probability; 2: for everyone averse to risk; None: neither."""
    violation: float
    """Share of the area between the two distributions that speaks against first-order dominance;
    "almost" dominance is a small one."""


def dominance(payoffs: Payoffs) -> tuple[Dominance, ...]:
    """Every ordered pair of alternatives compared by first and second-order dominance.

    First order: F_A <= F_B everywhere; second: the integral of F_A <= that of F_B everywhere. Both
    are read off the sorted draws, whose running sums are the quantile form of the integrals.
    Violation: Leshno and Levy, Management Science 2002. Marginal distributions only: that draws
    are common to both is not used.
    """
    rising = {name: np.sort(np.asarray(u, dtype=np.float64)) for name, u in payoffs.items()}
    return tuple(_compare(a, b, rising[a], rising[b]) for a, b in permutations(sorted(rising), 2))


def _compare(a: str, b: str, rising_a: FloatArray, rising_b: FloatArray) -> Dominance:
    gap = rising_a - rising_b
    area = np.abs(gap).sum()
    if area == 0:
        return Dominance(better=a, worse=b, order=None, violation=0.5)
    rounding = 1e-12 * area
    order: Literal[1, 2] | None = None
    if gap.min() >= 0:
        order = 1
    elif np.cumsum(gap).min() >= -rounding:
        order = 2
    against = float(np.maximum(-gap, 0.0).sum() / area)
    return Dominance(better=a, worse=b, order=order, violation=against)


def standard_error(payoff: ArrayLike) -> float:
    """Monte Carlo standard error of the mean, s / sqrt(n); an upper bound for Sobol draws."""
    payoff = np.asarray(payoff, dtype=np.float64)
    return float(payoff.std(ddof=1) / np.sqrt(payoff.size))


def probability_standard_error(probability: float, n: int) -> float:
    """Binomial standard error of a probability estimated from n draws: sqrt(p (1 - p) / n)."""
    return float(np.sqrt(probability * (1 - probability) / n))


def quantile_standard_error(payoff: ArrayLike, q: float) -> float:
    """Standard error of the q-quantile, in the payoff's unit, from order statistics.

    Half the distance between the order statistics one binomial standard deviation, sqrt(n q (1-q)),
    either side of the quantile's rank (David and Nagaraja, Order Statistics, section 7.1).
    """
    rising = np.sort(np.asarray(payoff, dtype=np.float64))
    ranks = rising.size * q + np.array([-1, 1]) * np.sqrt(rising.size * q * (1 - q))
    below, above = np.interp(ranks, np.arange(rising.size) + 0.5, rising)
    return float(above - below) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Closeness:
    """Whether the best alternative can be told from the next ones."""

    best: str
    contenders: tuple[str, ...]
    """Best first, then every alternative too close to it."""
    spread_usd: float
    """Expected payoff of the best less that of the last contender."""
    reason: Literal["clear", "immaterial", "noise"]
    """Clear; the gaps do not matter to the user; or a gap that does is below 2 standard errors."""

    @property
    def too_close(self) -> bool:
        """Whether there is more than one contender."""
        return len(self.contenders) > 1


def too_close_to_call(payoffs: Payoffs, *, materiality_usd: float) -> Closeness:
    """The best alternative and every one within the user's materiality, or 2 standard errors.

    The gap in expected payoff is also the extra expected regret of choosing the other one. Its
    standard error is that of the paired differences, as the draws are common.
    """
    best, *others = ranking(payoffs)
    contenders, spread, noisy = [best], 0.0, False
    for name in others:
        difference = payoffs[best] - payoffs[name]
        gap = float(difference.mean())
        immaterial = gap <= materiality_usd
        if immaterial or gap < 2 * standard_error(difference):
            contenders.append(name)
            spread = max(spread, gap)
            noisy |= not immaterial
    reason: Literal["clear", "immaterial", "noise"] = "clear"
    if len(contenders) > 1:
        reason = "noise" if noisy else "immaterial"
    return Closeness(best=best, contenders=tuple(contenders), spread_usd=spread, reason=reason)
