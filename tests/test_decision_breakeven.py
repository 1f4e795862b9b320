"""Break-even values: closed form, several roots, steps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.decision.breakeven import break_even, grid_of
from estimator.errors import InputError
from estimator.quantity import FloatArray


def test_rag_against_a_saas_fee() -> None:
    """$6,000 a month + $0.04 each, against $49 + $0.99 for the 60 % resolved: 10,741.9 a month."""

    def saas_less_rag(conversations: FloatArray) -> FloatArray:
        return (49 + 0.99 * 0.6 * conversations) - (6000 + 0.04 * conversations)

    assert break_even(saas_less_rag, 100, 1e6) == pytest.approx((10_741.9,), abs=0.05)


def test_fixed_hosting_fee() -> None:
    """$1,241 a month against a saving of $3 per million tokens."""
    roots = break_even(lambda tokens: tokens * 3e-6 - 1241, 1e6, 1e10)
    assert roots == pytest.approx((1241 / 3e-6,))


def test_whole_gpus_make_several_break_evens_each_on_its_step() -> None:
    """API $1 per request; one GPU per 100 requests at $90: cheaper only at the end of each step."""

    def api_less_gpus(requests: FloatArray) -> FloatArray:
        return np.asarray(1.0 * requests - 90 * np.ceil(requests / 100))

    roots = break_even(api_less_gpus, 1, 350)
    assert roots == pytest.approx((90, 100, 180, 200, 270, 300), rel=1e-9)


def test_a_stretch_of_equality_gives_its_two_ends() -> None:
    roots = break_even(lambda x: np.maximum(x - 6, 0) + np.minimum(x - 4, 0), 0, 10, points=11)
    assert roots == (4, 6)


def test_a_stretch_of_equality_that_reaches_the_end_of_the_range() -> None:
    assert break_even(lambda x: np.maximum(x - 6, 0), 0, 10, points=11) == (0, 6)
    assert break_even(lambda x: np.minimum(x - 6, 0), 0, 10, points=11) == (6, 10)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.5, 500, (0.5, 5, 50, 500)),  # a factor of 1,000: equal ratios
        (10, 1001, (10, 46.4, 215.7, 1001)),
        (1, 100, (1, 34, 67, 100)),  # a factor of 100, and no more: equal steps
        (0, 300, (0, 100, 200, 300)),
        (2, 152, (2, 52, 102, 152)),
        (-100, 200, (-100, 0, 100, 200)),
    ],
)
def test_the_grid_has_equal_steps_or_equal_ratios(
    low: float, high: float, expected: tuple[float, ...]
) -> None:
    assert grid_of(low, high, 4) == pytest.approx(expected, rel=1e-3)


def test_no_break_even() -> None:
    assert break_even(lambda x: x**2 + 1, -5, 5) == ()


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=6, unique=True))
def test_all_roots_of_a_polynomial(integers: list[int]) -> None:
    at = sorted(i / 4 for i in integers)
    roots = break_even(lambda x: np.prod([x - root for root in at], axis=0), -11, 12)
    assert roots == pytest.approx(tuple(at), abs=1e-9)


@pytest.mark.parametrize(("low", "high"), [(5, 5), (7, 3), (0, float("inf"))])
def test_a_range_that_is_none_is_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="break-even range"):
        break_even(lambda x: x, low, high)
