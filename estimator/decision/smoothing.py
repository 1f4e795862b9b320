"""Conditional means E[response | input] by penalised regression on one Monte Carlo sample.

The one smoother behind the tornado, the first-order indices, the value of information and the
flips of a verdict. No extra model run is needed: the sample that ranks the alternatives also says
how their payoffs move with each input (Strong, Oakley and Brennan, Medical Decision Making 2014).

Cubic B-splines on the normal scores of the input's ranks, so that a skewed input needs no special
care, with a second-difference penalty (P-splines: Eilers and Marx, Statistical Science 1996) in
Demmler-Reinsch form; the penalty is chosen per response by generalised cross-validation, and "no
influence at all" is one of its choices. An input of few values gets one mean per value instead.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from scipy.special import ndtri

from estimator.quantity import FloatArray

SPLINES = 24
FEW_VALUES = 12
PENALTIES = np.logspace(-6, 6, 19)


@dataclass(frozen=True, slots=True)
class Projection:
    """Functions of the input: orthonormal under the row weights, mean 0, smoothest first."""

    functions: FloatArray  # (rows, k)
    roughness: FloatArray  # (k,), 0 for a straight line
    kept: FloatArray  # (penalties, k), share of each coefficient that each penalty keeps


@dataclass(frozen=True, slots=True)
class Design:
    """One input made ready for regression; a row is one distinct value of the input."""

    order: NDArray[np.intp]  # (n,) draws by ascending input
    starts: NDArray[np.intp] | None  # (rows,) first draw of each row; None: every draw is a row
    at: FloatArray  # (rows,) the distinct values, ascending
    weight: FloatArray  # (rows,) share of the draws
    projection: Projection

    @property
    def is_discrete(self) -> bool:
        """Whether the input takes so few values that each has a mean of its own."""
        return self.starts is not None and self.at.size <= FEW_VALUES

    def row_of_draw(self) -> NDArray[np.intp]:
        """The row that each draw belongs to, shape (n,)."""
        rows = np.empty(self.order.size, dtype=np.intp)
        counts = np.rint(self.weight * self.order.size).astype(np.intp)
        rows[self.order] = np.repeat(np.arange(self.at.size), counts)
        return rows


@dataclass(frozen=True, slots=True)
class ConditionalMean:
    """E[response | input] at every distinct value of the input."""

    at: FloatArray  # (rows,) ascending
    weight: FloatArray  # (rows,) share of the draws
    mean: FloatArray  # (rows, responses)
    explained_variance: FloatArray  # (responses,) covariance of the fit with the response
    is_discrete: bool

    def near(self, value: float) -> FloatArray:
        """The conditional means at one value of the input, linear between draws: (responses,)."""
        return np.array([np.interp(value, self.at, column) for column in self.mean.T])


def is_constant(x: FloatArray) -> bool:
    """Whether the input is the same in every draw (a 0-d array is)."""
    return x.ndim == 0 or bool(x.min() == x.max())


def design(x: FloatArray) -> Design:
    """The regression functions of one input that varies, from its draws (n,)."""
    order = np.argsort(x)
    ascending = x[order]
    new_value = np.append(True, ascending[1:] != ascending[:-1])
    if new_value.all():
        weight = np.full(x.size, 1 / x.size)
        return Design(order, None, ascending, weight, _spline_projection(x.size))
    starts = np.flatnonzero(new_value)
    counts = np.diff(np.append(starts, x.size))
    weight = counts / x.size
    if starts.size <= FEW_VALUES:
        projection = project(np.eye(starts.size)[:, 1:], np.eye(starts.size - 1), weight)
    else:
        rows = np.add.reduceat(_splines(x.size), starts, axis=0) / counts[:, None]
        projection = project(rows[:, 1:], _bending(rows.shape[1])[1:, 1:], weight)
    return Design(order, starts, ascending[starts], weight, projection)


def conditional_mean(x: FloatArray, responses: FloatArray) -> ConditionalMean:
    """E[response | x] for responses of shape (n, m), at every distinct value of x (n,)."""
    return fit(design(x), responses, responses.var(axis=0))


def fit(ready: Design, responses: FloatArray, variance: FloatArray) -> ConditionalMean:
    """E[response | input] for responses (n, m) with their variances (m,), on a ready design."""
    functions, n = ready.projection.functions, responses.shape[0]
    total = responses.T.take(ready.order, axis=1)
    if ready.starts is not None:
        total = np.add.reduceat(total, ready.starts, axis=1)
    raw = (total @ functions).T / n
    slopes = shrink(raw, ready.projection, variance, n)
    # One response after the other in memory: to take the highest in each row is then fast.
    fitted = slopes.T @ functions.T
    fitted += responses.mean(axis=0)[:, None]
    explained = (raw * slopes).sum(axis=0)
    return ConditionalMean(ready.at, ready.weight, fitted.T, explained, ready.is_discrete)


def project(rows: FloatArray, penalty: FloatArray, weight: FloatArray) -> Projection:
    """The span of the columns of `rows` without constants, in Demmler-Reinsch form.

    Solves penalty v = roughness * gram v, so that the gram matrix becomes the identity and the
    penalty a diagonal. The ridge keeps collinear columns (ties, copies of an input) solvable.
    """
    centred = rows - weight @ rows
    gram = centred.T @ (centred * weight[:, None])
    gram[np.diag_indices_from(gram)] += 1e-9 * np.trace(gram) / gram.shape[0]
    eigenvalues, vectors = eigh(penalty, gram)
    roughness = np.maximum(eigenvalues, 0.0)
    kept = np.vstack([1 / (1 + np.outer(PENALTIES, roughness)), np.zeros_like(roughness)])
    return Projection(centred @ vectors, roughness, kept)


def shrink(slopes: FloatArray, onto: Projection, variance: FloatArray, n: int) -> FloatArray:
    """Coefficients (k, m) shrunk by the penalty of least generalised cross-validation error.

    GCV = residual variance / (1 - df/n)^2 (Craven and Wahba, Numerische Mathematik 1979), for each
    of the m responses by itself. The last penalty is infinite and leaves the mean alone.
    """
    kept = onto.kept
    residual = variance - (2 * kept - kept**2) @ slopes**2
    freedom = 1 - (1 + kept.sum(axis=1)) / n
    score = np.full_like(residual, np.inf)
    np.divide(residual, freedom[:, None] ** 2, out=score, where=freedom[:, None] > 0)
    return np.asarray(slopes * kept[score.argmin(axis=0)].T)


@lru_cache(maxsize=2)
def _spline_projection(n: int) -> Projection:
    """The projection shared by every input whose n draws all differ."""
    rows = _splines(n)
    return project(rows[:, 1:], _bending(rows.shape[1])[1:, 1:], np.full(n, 1 / n))


@lru_cache(maxsize=2)
def _splines(n: int) -> FloatArray:
    """Cubic B-splines on equal steps of the normal scores of the ranks 1..n: (n, splines)."""
    scores = ndtri((np.arange(n) + 0.5) / n)
    count = int(np.clip(n // 8, 5, SPLINES))
    step = (scores[-1] - scores[0]) / (count - 3)
    centres = scores[0] + step * (np.arange(count) - 1)
    away = np.abs(scores[:, None] - centres) / step
    inner, outer = 2 / 3 - away**2 + away**3 / 2, np.maximum(2 - away, 0) ** 3 / 6
    return np.asarray(np.where(away < 1, inner, outer))


def _bending(count: int) -> FloatArray:
    """The penalty matrix D'D of second differences between neighbouring splines."""
    second = np.diff(np.eye(count), n=2, axis=0)
    return np.asarray(second.T @ second)
