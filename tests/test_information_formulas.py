"""Value of information where it is known exactly: bounds that hold, and what must not matter."""

import numpy as np
import pytest
from scipy.stats import norm, qmc

from estimator.decision.information import (
    evppi,
    evppi_all,
    evppi_group,
    expected_value_of_sample,
    noise_floor,
)
from estimator.quantity import FloatArray

N = 4096


def normals(dimensions: int, n: int = N, seed: int = 7) -> FloatArray:
    points = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random(n)
    return np.asarray(norm.ppf(np.clip(points, 2.0**-33, 1 - 2.0**-33)).T)


def test_an_alternative_that_is_never_best_changes_nothing() -> None:
    x, y, noise, wild = normals(4)
    gain = 0.5 + x + np.round(y)
    two = {"a": np.zeros(N), "b": gain}
    three = two | {"c": gain - 1e6 + 1000 * wild}
    inputs = {"x": x, "y": np.round(y), "idle": noise}
    for path in ("x", "y"):
        assert evppi(three, inputs[path]) == pytest.approx(evppi(two, inputs[path]), rel=1e-3)
    assert evppi_all(three, inputs) == pytest.approx(evppi_all(two, inputs), rel=1e-3)
    assert evppi_all(two, inputs)["x"] > 0.1
    both = evppi_group(two, inputs, ["x", "y"])
    assert evppi_group(three, inputs, ["x", "y"]) == pytest.approx(both, rel=1e-3)
    assert both > 0.3
    near = two | {"b": gain - 0.5}  # a tie, so that chance alone can make either one better
    far = near | {"c": three["c"]}
    assert noise_floor(far) == pytest.approx(noise_floor(near), rel=1e-3)
    assert noise_floor(near) > 0


def test_a_curve_that_overshoots_is_worth_no_more_than_all_knowledge() -> None:
    """The other way loses by a little or by much, never wins: nothing is worth knowing."""
    (x,) = normals(1, n=256)
    payoffs = {"best": np.zeros(256), "other": np.where(x > 0, -0.01, -10.0)}
    assert evppi(payoffs, x) == evppi_group(payoffs, {"x": x}, ["x"]) == 0
    assert evppi_all(payoffs, {"x": x}) == {"x": 0}


def test_what_is_always_the_same_or_leaves_no_choice_is_worth_nothing() -> None:
    x, y = normals(2)
    payoffs, constant = {"a": np.zeros(N), "b": x}, np.full(N, 3.0)
    assert evppi(payoffs, constant) == evppi_group(payoffs, {"c": constant}, ["c"]) == 0
    assert evppi({"only": x}, x) == evppi_group({"only": x}, {"x": x, "y": y}, ["x", "y"]) == 0
    assert noise_floor({"a": np.zeros(1), "b": np.ones(1)}) == noise_floor({"only": x}) == 0


def test_inputs_are_ranked_by_worth_then_by_name() -> None:
    z = normals(4)
    inputs = {"minor": z[0], "idle b": z[2], "major": z[1], "idle a": z[3]}
    payoffs = {"a": np.zeros(N), "b": 0.5 * z[0] + 2 * z[1]}
    assert list(evppi_all(payoffs, inputs)) == ["major", "minor", "idle a", "idle b"]


def test_a_group_that_says_nothing_is_seldom_taken_for_one_that_does() -> None:
    """Above the highest of 8 shuffled samples by chance: once in nine times, not eight times."""
    mistaken = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        z = rng.normal(size=(3, 256))
        payoffs = {"a": np.zeros(256), "b": z[0]}
        mistaken += evppi_group(payoffs, {"x": z[1], "y": z[2]}, ["x", "y"], seed=seed) > 0
    assert mistaken <= 4


def test_a_group_is_worth_what_a_lognormal_sum_is() -> None:
    """exp((x + y) / 2) against a strike of 2: Black and Scholes' call with sigma^2 = 1/2."""
    x, y = normals(2, n=16_384)
    payoffs = {"a": np.full(x.size, 2.0), "b": np.exp((x + y) / 2)}
    sigma = 0.5**0.5
    d2 = (0.0 - np.log(2)) / sigma
    call = np.exp(sigma**2 / 2) * norm.cdf(d2 + sigma) - 2 * norm.cdf(d2)
    found = evppi_group(payoffs, {"x": x, "y": y}, ["x", "y"])
    assert found == pytest.approx(call, rel=0.03)


def test_a_group_is_worth_at_least_its_best_member() -> None:
    """A payoff that swings up and down has more bends than the functions of a group follow."""
    x, idle = normals(2)
    payoffs = {"a": np.zeros(N), "b": np.sin(5 * x) - 0.1}
    alone = evppi(payoffs, x)
    assert alone > 0.2
    assert evppi_group(payoffs, {"x": x, "i": idle}, ["x", "i"]) >= alone
    assert evppi_group(payoffs, {"x": x, "i": idle}, ["i", "x"]) >= alone


@pytest.mark.parametrize("sign", [1, -1])
def test_the_strongest_inputs_of_a_large_group_are_paired(sign: int) -> None:
    """Of eight inputs two act together; their product carries most of what there is to know."""
    z = normals(8)
    gain = 1.5 * z[0] * z[7] + sign * (z[0] + z[7]) - 0.5 + 0.02 * z[1:7].sum(axis=0)
    inputs = {str(i): x for i, x in enumerate(z)}
    found = evppi_group({"a": np.zeros(N), "b": gain}, inputs, list(inputs))
    assert found == pytest.approx(np.maximum(gain, 0).mean(), rel=0.03)


def test_a_test_that_says_nothing_is_worth_exactly_nothing_or_rounding_above_it() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        prior = rng.dirichlet(np.ones(4))
        likelihood = np.tile(rng.dirichlet(np.ones(3)), (4, 1))
        payoffs = {"a": rng.normal(size=4), "b": rng.normal(size=4)}
        assert 0 <= expected_value_of_sample(prior, likelihood, payoffs) < 1e-12
