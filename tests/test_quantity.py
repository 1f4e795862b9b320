"""Quantities: every form of range against closed forms and scipy's own distributions."""

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from estimator.quantity import Quantity, pert_shape

POSITIVE = st.floats(0.01, 1e9)


def test_lognormal_from_p10_and_p90_matches_the_worked_example() -> None:
    quantity = Quantity.of({"p10": 5, "p90": 50})
    mu, sigma = 2.760730, 0.898358
    lognormal = stats.lognorm(sigma, scale=np.exp(mu))
    u = np.array([0.01, 0.1, 0.37, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(quantity.ppf(u), lognormal.ppf(u), rtol=1e-5)
    assert quantity.median() == pytest.approx(15.8114, abs=5e-5)
    assert quantity.mean() == pytest.approx(23.6711, rel=5e-4)


def test_pert_matches_the_worked_example_and_scipy_beta() -> None:
    quantity = Quantity.of({"min": 1, "mode": 4, "max": 13})
    assert pert_shape(1, 4, 13) == (2, 4)
    assert quantity.mean() == 5
    beta = stats.beta(2, 4, loc=1, scale=12)
    assert beta.std() == pytest.approx(2.1381, abs=5e-5)
    u = (np.arange(20_000) + 0.5) / 20_000
    np.testing.assert_allclose(quantity.ppf(u), beta.ppf(u), atol=12 * 1e-5)
    assert float(np.std(quantity.ppf(u))) == pytest.approx(2.1381, rel=1e-3)


def test_normal_when_a_percentile_is_not_positive() -> None:
    quantity = Quantity.of({"p10": -2, "p90": 4})
    normal = stats.norm(1, 3 / stats.norm.ppf(0.9))
    u = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(quantity.ppf(u), normal.ppf(u), rtol=1e-9, atol=1e-9)


def test_logit_normal_keeps_a_share_inside_zero_and_one() -> None:
    share = Quantity.of({"p10": 0.6, "p90": 0.95, "unit": "share"})
    values = share.ppf(np.linspace(1e-6, 1 - 1e-6, 1001))
    assert values.min() > 0 and values.max() < 1


@given(st.tuples(POSITIVE, POSITIVE, POSITIVE).map(sorted), st.floats(0, 2))
def test_three_percentiles_are_met_exactly(numbers: list[float], shift: float) -> None:
    p10, p50, p90 = (number - shift for number in numbers)
    if not p10 * 1.01 < p50 or not p50 * 1.01 < p90 or p50 - p10 < 1e-3 or 0 < p10 < p90 / 1e6:
        return
    quantity = Quantity.of({"p10": p10, "p50": p50, "p90": p90})
    assert quantity.p10_p50_p90() == pytest.approx((p10, p50, p90), rel=1e-5, abs=1e-9 * p90)


@given(
    st.one_of(
        st.floats(-1e6, 1e6),
        st.tuples(POSITIVE, POSITIVE, POSITIVE)
        .map(sorted)
        .filter(lambda x: x[0] < x[2])
        .map(lambda x: dict(zip(("min", "mode", "max"), x, strict=True))),
        st.tuples(POSITIVE, POSITIVE)
        .map(sorted)
        .filter(lambda x: x[0] < x[1])
        .map(lambda x: dict(zip(("low", "high"), x, strict=True))),
        st.floats(0, 1).map(lambda p: {"probability": p}),
    ),
    st.sampled_from([{}, {"unit": "USD", "source": "a table", "as_of": "2026-09", "note": "x: y"}]),
)
def test_yaml_round_trip_loses_nothing(number: object, extra: dict[str, str]) -> None:
    data = (
        number
        if not extra
        else {**(number if isinstance(number, dict) else {"value": number}), **extra}
    )
    quantity = Quantity.model_validate(data)
    again = Quantity.model_validate(yaml.safe_load(yaml.safe_dump(quantity.model_dump())))
    assert again == quantity


@given(POSITIVE, st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_the_inverse_cdf_never_falls(scale: float, u: float, v: float) -> None:
    low, high = sorted((u, v))
    for numbers in (
        {"min": 0.0, "mode": scale, "max": 3 * scale},
        {"p10": scale, "p50": 1.2 * scale, "p90": 9 * scale},
        {"low": 0.0, "high": scale},
        {"probability": 0.3},
    ):
        quantity = Quantity.of(numbers)
        assert quantity.ppf(low) <= quantity.ppf(high)


def test_an_event_happens_as_often_as_said() -> None:
    u = (np.arange(1000) + 0.5) / 1000
    assert Quantity.of({"probability": 0.25}).ppf(u).mean() == 0.25


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"min": 3, "mode": 2, "max": 5}, "reversed range: min 3 > mode 2"),
        ({"p10": 9, "p90": 1}, "reversed range"),
        ({"value": 1, "low": 2, "high": 3}, "mixes"),
        ({"p10": 1}, "p90 missing"),
        ({"unit": "USD"}, "no number given"),
        (True, "allowed: a number"),
        ("twelve", "allowed: a number"),
        (float("nan"), "finite"),
        (float("inf"), "finite"),
        ({"probability": 1.2}, "less than or equal to 1"),
        ({"p10": 0.4, "p90": 1.2, "unit": "share"}, "strictly between 0 and 1"),
        ({"value": 3, "as_of": "last May"}, "not a date"),
        ({"value": 3, "sauce": "x"}, "Extra inputs"),
    ],
)
def test_bad_quantities_are_refused_in_words(data: object, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Quantity.model_validate(data)


def test_scaling_scales_every_number() -> None:
    quantity = Quantity.of({"min": 1, "mode": 4, "max": 13, "unit": "USD"})
    assert quantity.scaled(2) == Quantity.of({"min": 2, "mode": 8, "max": 26, "unit": "USD"})
