"""Flips against payoffs that are straight lines or parabolas in an input of normal scores."""

import numpy as np
import pytest
from scipy.stats import norm

from estimator.decision.flips import Flip, flips
from estimator.quantity import FloatArray

N = 201
X = norm.ppf((np.arange(N) + 0.5) / N)  # a straight line in X is a straight line to the smoother


def flips_of(gain: FloatArray, x: FloatArray = X) -> tuple[Flip, ...]:
    """Flips of the best, worth 0, when another alternative is worth `gain`."""
    return flips({"best": np.zeros(x.size), "other": gain}, {"x": x}, "best", evppi_usd={"x": 1.0})


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("at", [-1.3, -0.4, 0.7, 1.5])
def test_a_straight_line_crosses_zero_where_it_does(at: float, unit: float) -> None:
    (above,) = flips_of(unit * (X - at))
    assert above.value == pytest.approx(at, abs=1e-4)
    assert (above.side, above.alternative, above.evppi_usd) == ("above", "other", 1)
    assert above.median == pytest.approx(0, abs=1e-12)
    (below,) = flips_of(unit * (at - X))
    assert below.value == pytest.approx(at, abs=1e-4)
    assert below.side == "below"


def test_of_two_crossings_the_one_nearer_to_the_median_is_told() -> None:
    (right,) = flips_of((X + 1.5) * (X - 0.5))
    assert (right.value, right.side) == (pytest.approx(0.5, abs=0.02), "above")
    (left,) = flips_of((X + 0.5) * (X - 1.5))
    assert (left.value, left.side) == (pytest.approx(-0.5, abs=0.02), "below")


@pytest.mark.parametrize(("share", "told"), [(0.01, 0), (0.03, 1), (0.97, 1), (0.99, 0)])
def test_crossings_in_the_outer_two_percent_are_not_told(share: float, told: int) -> None:
    at = norm.ppf(share)
    assert len(flips_of(X - at)) == len(flips_of(at - X)) == told


def test_the_alternative_that_takes_over_is_the_one_that_leads_there() -> None:
    payoffs = {"best": np.zeros(N), "steep": 2 * (X - 1), "flat": -1 - X, "same": -1 - X}
    above = flips({name: payoffs[name] for name in ("best", "steep")}, {"x": X}, "best")
    assert [(f.alternative, f.side) for f in above] == [("steep", "above")]
    for names in (("flat", "same"), ("same", "flat")):  # of equals the first by name
        given = {name: payoffs[name] for name in ("best", *names)}
        (found,) = flips(given, {"x": X}, "best", evppi_usd={"x": 1.0})
        assert (found.alternative, found.side) == ("flat", "below")


def test_the_two_inputs_most_worth_knowing_are_told_and_none_that_is_noise() -> None:
    payoffs = {"best": np.zeros(N), "other": X - 0.5}
    worth = {"c": 0.5, "a": 3.0, "noise": 0.0, "b": 5.0, "d": 0.5}
    inputs = dict.fromkeys(worth, X)
    assert [f.input for f in flips(payoffs, inputs, "best", evppi_usd=worth)] == ["b", "a"]
    every = flips(payoffs, inputs, "best", n=9, evppi_usd=worth)
    assert [f.input for f in every] == ["b", "a", "c", "d"]


def test_of_few_values_the_most_frequent_one_that_changes_the_answer_is_told() -> None:
    x = np.repeat([0.0, 1.0, 2.0, 3.0], [50, 10, 38, 2])
    gain = np.repeat([-0.1, 0.3, 0.2, 0.5], [50, 10, 38, 2])
    (found,) = flips_of(gain, x)
    assert (found.value, found.side) == (2, "at")
    rare = np.where(x == 3, 0.5, -0.1)
    assert [f.value for f in flips_of(rare, x)] == [3]  # 2 % of draws are enough
    rarer = np.where(np.arange(100) == 99, 5.0, -0.1)
    assert flips_of(rarer, (np.arange(100) == 99).astype(float)) == ()
    assert flips_of(np.full(100, -0.1), x) == ()
