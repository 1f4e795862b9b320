"""Value of information: closed forms, nested Monte Carlo, textbook tests, bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, qmc

from estimator.decision.information import (
    evpi,
    evppi,
    evppi_all,
    evppi_group,
    expected_value_of_sample,
    noise_floor,
)
from estimator.quantity import FloatArray

N = 16_384
SEEDS = [0, 1, 7]


def normals(dimensions: int, seed: int) -> FloatArray:
    points = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random(N)
    return norm.ppf(np.clip(points, 2.0**-33, 1 - 2.0**-33)).T


def unit_normal_loss(mean: float, sd: float) -> float:
    """E[max(0, G)] - max(0, E[G]) for G ~ N(mean, sd): what knowing G is worth."""
    return sd * norm.pdf(mean / sd) - abs(mean) * norm.cdf(-abs(mean) / sd)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_normal_inputs_have_their_closed_form(seed: int) -> None:
    x, y = normals(2, seed) * [[1], [2]]
    u = {"a": np.zeros(N), "b": 0.5 + x + y}
    assert unit_normal_loss(0.5, 5**0.5) == pytest.approx(0.664271, abs=5e-7)
    assert evpi(u) == pytest.approx(0.664271, rel=0.01)
    assert evppi(u, x) == pytest.approx(0.197797, rel=0.03)
    assert evppi(u, y) == pytest.approx(0.572689, rel=0.03)
    assert evppi_group(u, {"x": x, "y": y}, ["x", "y"]) == pytest.approx(0.664271, rel=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_skewed_stepped_and_rare_inputs_have_their_closed_form(seed: int) -> None:
    z = normals(3, seed)
    x, noise = np.exp(z[0]), 3 * z[1]
    lognormal = {"a": np.zeros(N), "b": x - 2 + noise}
    # E[max(0, X - 2)] of a lognormal (Black and Scholes), the prior mean being negative
    call = np.exp(0.5) * norm.cdf(1 - np.log(2)) - 2 * norm.cdf(-np.log(2))
    assert evppi(lognormal, x) == pytest.approx(call, rel=0.03)
    steps = {"a": np.zeros(N), "b": 2 - np.ceil(x) + noise}
    assert evppi(steps, x) == pytest.approx(0.5, rel=0.03)  # 1 in the half of draws below 1
    event = (z[2] > norm.ppf(0.9)).astype(np.float64)
    rare = {"a": np.zeros(N), "b": 10 * event - 1.5 + noise}
    assert evppi(rare, event) == pytest.approx(0.1 * 8.5, rel=0.03)


def model(x: FloatArray, y: FloatArray, w: FloatArray) -> list[FloatArray]:
    """Three alternatives, nonlinear in x, with an interaction and a common nuisance."""
    common = 5 * w
    return [common + 0 * x, common + x**2 - 1.2 + y, common + np.exp(0.5 * x * y) - 1.3 - 0.5 * w]


@pytest.mark.parametrize("seed", SEEDS)
def test_nested_monte_carlo_agrees(seed: int) -> None:
    x, y, w = normals(3, seed)
    u = dict(zip("abc", model(x, y, w), strict=True))
    rng = np.random.default_rng(3)
    outer = norm.ppf((rng.permutation(2000) + rng.random(2000)) / 2000)[:, None]
    inner = [norm.ppf((rng.permutation(2000) + rng.random(2000)) / 2000)[None] for _ in range(2)]
    means = np.stack([row.mean(axis=1) for row in model(outer, *inner)])
    best_of_each = means.max(axis=0)
    prior = means.mean(axis=1)
    nested = best_of_each.mean() - prior.max()
    error = (best_of_each - means[prior.argmax()]).std() / np.sqrt(2000)
    assert evppi(u, x) == pytest.approx(nested, abs=2 * error)
    assert 2 * error < 0.15 * nested


def test_a_pure_interaction_shows_in_the_group_only() -> None:
    x, y, noise = normals(3, 0)
    u = {"a": np.zeros(N), "b": x * y - 0.2 + noise}
    worth = evppi_all(u, {"x": x, "y": y, "noise": noise})
    assert worth["x"] == worth["y"] == 0
    draws = np.random.default_rng(0).normal(size=(2, 1_000_000))
    expected = np.maximum(draws[0] * draws[1] - 0.2, 0).mean()
    assert evppi_group(u, {"x": x, "y": y}, ["x", "y"]) == pytest.approx(expected, rel=0.03)


def test_inputs_without_influence_are_worth_nothing_and_the_rest_is_ranked() -> None:
    z = normals(12, 5)
    names = ["major", "minor", *(f"idle {i}" for i in range(10))]
    inputs = dict(zip(names, z, strict=True)) | {"fixed": np.asarray(4.0), "same": np.ones(N)}
    u = {"a": np.zeros(N), "b": 2 * z[0] + 0.5 * z[1], "c": 0.1 * z[0] - 0.05}
    worth = evppi_all(u, inputs)
    assert list(worth)[:2] == ["major", "minor"]
    assert worth["major"] > worth["minor"] > noise_floor(u) > 0
    assert [name for name in worth if worth[name] > 0] == ["major", "minor"]
    assert worth == evppi_all(dict(reversed(u.items())), dict(reversed(inputs.items())))
    assert evppi_group(u, inputs, [*names[2:], "fixed"]) == 0


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 4), st.integers(0, 1000), st.sampled_from([1.0, 1e9]))
def test_knowing_one_input_is_never_worth_more_than_knowing_all(
    n: int, alternatives: int, seed: int, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 40, n).astype(np.float64)
    u = {f"{i}": scale * (rng.normal(size=n) + i * x / 40) for i in range(alternatives)}
    assert 0 <= evppi(u, x) <= evpi(u)
    assert all(0 <= v <= evpi(u) for v in evppi_all(u, {"x": x}).values())
    assert 0 <= evppi_group(u, {"x": x, "z": rng.normal(size=n)}, ["x", "z"]) <= evpi(u)


def test_certain_payoffs_make_information_worthless() -> None:
    u = {"a": np.full(64, 3.7), "b": np.full(64, 1 / 3)}
    x = {"x": np.arange(64.0)}
    assert evpi(u) == noise_floor(u) == evppi(u, x["x"]) == evppi_group(u, x, ["x"]) == 0
    assert evpi({"a": np.arange(64.0)}) == 0


def test_goferbroke_seismic_survey() -> None:
    """Hillier and Lieberman: drill 700 or -100, sell 90; oil 1/4; EVPI 142.5, EVSI 53 > 30."""
    prior = np.array([0.25, 0.75])
    survey = np.array([[0.6, 0.4], [0.2, 0.8]])  # favourable, unfavourable
    u = {"drill": np.array([700.0, -100.0]), "sell": np.array([90.0, 90.0])}
    assert prior @ survey == pytest.approx([0.3, 0.7])
    assert expected_value_of_sample(prior, survey, u) == pytest.approx(53)
    assert expected_value_of_sample(prior, np.eye(2), u) == pytest.approx(142.5)
    assert expected_value_of_sample(prior, np.full((2, 2), 0.5), u) == pytest.approx(0)
    draws = np.repeat([0, 1], [25, 75])  # the same as equally likely draws
    assert evpi({name: payoff[draws] for name, payoff in u.items()}) == pytest.approx(142.5)


def test_staged_gate() -> None:
    """Pilot 1, build 9, success 0.4, payoff 25 or 4: commit 2.4, stage 5.4, option value 3.0."""
    prior = np.array([0.4, 0.6])
    after_pilot = {"build": np.array([25.0, 4.0]) - 9, "stop": np.zeros(2)}
    commit = prior @ after_pilot["build"] - 1
    option = expected_value_of_sample(prior, np.eye(2), after_pilot)
    assert (commit, commit + option, option) == pytest.approx((2.4, 5.4, 3.0))
