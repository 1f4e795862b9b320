"""The normal quantile against scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from estimator.normal import normal_ppf


@given(st.floats(0, 1))
def test_quantile_is_scipys(probability: float) -> None:
    assert float(normal_ppf(probability)) == pytest.approx(float(ndtri(probability)), rel=1e-13)


def test_far_tails_and_ends() -> None:
    small = 10.0 ** -np.arange(1, 300, 7)
    assert normal_ppf(small) == pytest.approx(ndtri(small), rel=1e-13)
    assert normal_ppf([0.0, 1.0]).tolist() == [-np.inf, np.inf]


def test_shape_is_kept() -> None:
    assert normal_ppf(np.full((3, 5), 0.2)).shape == (3, 5)
