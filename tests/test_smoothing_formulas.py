"""The smoother against P-splines fitted the long way with SciPy's B-splines.

Eilers and Marx (Statistical Science 1996): the coefficients a minimise |y - B a|^2 / n plus a
penalty times the squared second differences of a; generalised cross-validation takes the penalty.
"""

import numpy as np
import pytest
from scipy.interpolate import BSpline
from scipy.stats import norm

from estimator.decision.smoothing import FEW_VALUES, PENALTIES, conditional_mean, design
from estimator.quantity import FloatArray


def b_splines(n: int) -> FloatArray:
    """Cubic B-splines of the ranks' normal scores: one for eight draws, at least 5, at most 24."""
    scores = norm.ppf((np.arange(n) + 0.5) / n)
    count = min(max(n // 8, 5), 24)
    step = (scores[-1] - scores[0]) / (count - 3)
    knots = scores[0] + step * np.arange(-3.0, count + 1)
    knots[[3, count]] = scores[[0, -1]]  # the ends exactly
    return np.asarray(BSpline.design_matrix(scores, knots, 3).toarray())


def p_spline(basis: FloatArray, y: FloatArray) -> FloatArray:
    """The fit of least generalised cross-validation error; the mean alone is one of the choices."""
    n, count = basis.shape
    differences = np.diff(np.eye(count), n=2, axis=0)
    fits, scores = [np.full(n, y.mean())], [y.var() / (1 - 1 / n) ** 2]
    for penalty in PENALTIES:
        inverse = np.linalg.inv(basis.T @ basis / n + penalty * differences.T @ differences)
        hat = basis @ inverse @ basis.T / n
        fits.append(hat @ y)
        scores.append(np.mean((y - fits[-1]) ** 2) / (1 - np.trace(hat) / n) ** 2)
    return np.asarray(fits[int(np.argmin(scores))])


SHAPES = {
    "line": lambda z: 3 * z - 1,
    "bent": lambda z: np.sin(2 * z) + z,
    "step": lambda z: np.floor(1.5 * z),
    "none": lambda z: 0 * z,
}


@pytest.mark.parametrize("n", [30, 46, 100, 191, 400])
@pytest.mark.parametrize(("noise", "within"), [(0.02, 2e-3), (0.6, 1e-2)])
def test_the_smoother_is_the_p_spline_of_least_cross_validation_error(
    n: int, noise: float, within: float
) -> None:
    rng = np.random.default_rng(n)
    z = norm.ppf((np.arange(n) + 0.5) / n)
    y = np.stack([shape(z) + noise * rng.normal(size=n) for shape in SHAPES.values()], axis=1)
    expected = np.stack([p_spline(b_splines(n), column) for column in y.T], axis=1)
    shuffled = rng.permutation(n)
    found = conditional_mean(np.exp(z)[shuffled], y[shuffled])  # only the ranks matter
    np.testing.assert_allclose(found.mean, expected, atol=within)
    explained = [
        np.cov(e, column, bias=True)[0, 1] for e, column in zip(expected.T, y.T, strict=True)
    ]
    assert found.explained_variance == pytest.approx(explained, abs=within)


@pytest.mark.parametrize("noise", [0.02, 0.6])
def test_draws_of_one_value_share_the_mean_of_their_splines(noise: float) -> None:
    n, value = 400, np.repeat(np.arange(25.0), 16)
    y = np.sin(value / 4) + noise * np.random.default_rng(1).normal(size=n)
    basis = b_splines(n)
    shared = np.stack([basis[value == v].mean(axis=0) for v in value])
    found = conditional_mean(value, y[:, None])
    expected = p_spline(shared, y)
    np.testing.assert_allclose(found.mean[:, 0], expected[::16], atol=2e-3)
    assert not found.is_discrete


@pytest.mark.parametrize(("values", "discrete"), [(2, True), (12, True), (13, False)])
def test_up_to_twelve_values_have_a_mean_each(values: int, discrete: bool) -> None:
    assert FEW_VALUES == 12
    x = np.repeat(np.arange(float(values)), 10)
    y = (x % 2)[:, None]  # up and down: no smooth curve
    found = conditional_mean(x, y)
    assert design(x).is_discrete == found.is_discrete == discrete
    exact = np.arange(values) % 2
    assert (np.abs(found.mean[:, 0] - exact).max() < 1e-3) == discrete
