"""Break-even: every value of an input at which two alternatives are worth the same."""

from collections.abc import Callable

import numpy as np

from estimator.errors import InputError
from estimator.quantity import FloatArray

GRID_POINTS = 2001
HALVINGS = 60


def break_even(
    f: Callable[[FloatArray], FloatArray], low: float, high: float, *, points: int = GRID_POINTS
) -> tuple[float, ...]:
    """Every root of `f` on [low, high], ascending: a grid of `points`, then bisection.

    `f` maps an array of values to an array, such as the difference in expected value between two
    alternatives. Whole GPUs and price tiers make steps: where `f` jumps over zero, the jump is a
    root. A stretch on which `f` is zero gives its two ends. Two roots between neighbouring grid
    points go unseen. The grid is geometric where the range spans more than a factor of 100.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(f"break-even range {low:g} to {high:g}: the first must be the smaller")
    return roots_on(f, grid_of(low, high, points))


def grid_of(low: float, high: float, points: int) -> FloatArray:
    """Ascending values from low to high: equal ratios over more than a factor of 100."""
    geometric = low > 0 and high > 100 * low
    return np.geomspace(low, high, points) if geometric else np.linspace(low, high, points)


def roots_on(
    f: Callable[[FloatArray], FloatArray], grid: FloatArray, *, halvings: int = HALVINGS
) -> tuple[float, ...]:
    """Every root of `f` that an ascending grid shows, refined between its points.

    Bisection of all brackets at once: as sure on a step as on a smooth curve.
    """
    sign = np.sign(f(grid))
    assert np.isfinite(sign).all(), "f must be a number everywhere on the grid"
    bracket = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    low, high = grid[bracket], grid[bracket + 1]
    for _ in range(halvings if bracket.size else 0):
        middle = (low + high) / 2
        is_low = np.sign(f(middle)) == sign[bracket]
        low, high = np.where(is_low, middle, low), np.where(is_low, high, middle)
    is_zero = sign == 0
    inside_stretch = np.append(False, is_zero[:-1]) & np.append(is_zero[1:], False)
    roots = {*high.tolist(), *grid[is_zero & ~inside_stretch].tolist()}
    return tuple(sorted(roots))
