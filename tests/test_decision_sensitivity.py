"""Sensitivity from the sample: Ishigami's function, exact conditional means, scipy's KS test."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, qmc

from estimator.decision.sensitivity import decision_sensitivity, first_order_indices, tornado
from estimator.decision.smoothing import conditional_mean, design, is_constant
from estimator.quantity import FloatArray

N = 16_384


def uniforms(dimensions: int, seed: int = 7) -> FloatArray:
    points = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random(N)
    return np.clip(points, 2.0**-33, 1 - 2.0**-33).T


def test_ishigami_first_order_indices() -> None:
    x = dict(zip("abc", 2 * np.pi * uniforms(3) - np.pi, strict=True))
    y = np.sin(x["a"]) + 7 * np.sin(x["b"]) ** 2 + 0.1 * x["c"] ** 4 * np.sin(x["a"])
    assert y.var() == pytest.approx(13.844588, rel=0.002)
    found = first_order_indices(y, x | {"constant": np.ones(N)})
    assert list(found) == ["b", "a", "c"]
    assert [found[name] for name in "abc"] == pytest.approx((0.313905, 0.442411, 0), abs=0.01)


def test_conditional_mean_of_skewed_stepped_and_rare_inputs() -> None:
    u = uniforms(3)
    noise = norm.ppf(u[0])
    lognormal, event = np.exp(norm.ppf(u[1])), (u[2] > 0.97).astype(np.float64)
    responses = np.stack([lognormal + noise, 3 * event + noise, np.ceil(lognormal) + noise], axis=1)
    skewed = conditional_mean(lognormal, responses)
    assert skewed.near(2.0)[0] == pytest.approx(2.0, abs=0.05)
    assert skewed.near(6.0)[0] == pytest.approx(6.0, abs=0.15)
    assert skewed.near(1.5)[2] == pytest.approx(2.0, abs=0.15)
    rare = conditional_mean(event, responses)
    assert rare.is_discrete
    assert rare.at.tolist() == [0, 1]
    exact = [responses[event == happened].mean(axis=0) for happened in (0, 1)]
    assert rare.mean[:, 1] == pytest.approx([row[1] for row in exact], abs=0.01)


def test_an_input_of_many_repeated_values_has_one_mean_each() -> None:
    x = np.round(10 * norm.ppf(uniforms(1)[0]))
    fitted = conditional_mean(x, np.stack([x, x**2], axis=1))
    assert fitted.at.tolist() == np.unique(x).tolist()
    assert not fitted.is_discrete
    assert fitted.weight.sum() == pytest.approx(1)
    assert fitted.near(5.0) == pytest.approx([5, 25], abs=0.3)
    assert design(x).at[design(x).row_of_draw()].tolist() == x.tolist()


@settings(deadline=None)
@given(st.integers(2, 200), st.integers(1, 30), st.integers(0, 10))
def test_smoothing_keeps_the_mean_and_never_explains_more_than_there_is(
    n: int, values: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, values + 1, n).astype(np.float64)
    y = x[:, None] ** 2 + rng.normal(size=(n, 3))
    if is_constant(x):
        return
    fitted = conditional_mean(x, y)
    assert fitted.weight @ fitted.mean == pytest.approx(y.mean(axis=0), abs=1e-6 * np.abs(y).max())
    assert (fitted.explained_variance <= y.var(axis=0) * (1 + 1e-6)).all()


def test_tornado_of_a_linear_payoff() -> None:
    u = uniforms(4)
    inputs = {
        "small": 10 + norm.ppf(u[0]),
        "large": norm.ppf(u[1]),
        "event": (u[2] > 0.95).astype(np.float64),
        "nothing": u[3],
        "constant": np.asarray(3.0),
    }
    payoff = 2 * inputs["small"] - 8 * inputs["large"] + 5 * inputs["event"] + 7
    bars = {bar.input: bar for bar in tornado(payoff, inputs)}
    first, *_, last = bars
    assert (first, last) == ("large", "nothing")
    assert bars["large"].low_value == pytest.approx(-1.28155, abs=0.01)
    assert bars["large"].payoff_at_low == pytest.approx(27 + 0.25 + 8 * 1.28155, abs=0.1)
    assert bars["large"].swing == pytest.approx(16 * 1.28155, rel=0.01)
    assert bars["small"].swing == pytest.approx(4 * 1.28155, rel=0.05)
    assert (bars["event"].low_value, bars["event"].high_value) == (0, 1)
    assert bars["event"].swing == pytest.approx(5, abs=0.6)
    assert bars["nothing"].swing < 0.4
    assert "constant" not in bars


def test_decision_sensitivity_agrees_with_scipy() -> None:
    u = uniforms(4)
    wins = u[0] + 0.3 * u[1] > 0.8
    inputs = {"strong": u[0], "weak": u[1], "none": u[2], "steps": np.floor(5 * u[0])}
    found = {s.input: s for s in decision_sensitivity(wins, inputs)}
    assert list(found) == ["strong", "steps", "weak", "none"]
    for name, separation in found.items():
        expected = scipy.stats.ks_2samp(inputs[name][wins], inputs[name][~wins]).statistic
        assert separation.distance == pytest.approx(expected, abs=1e-12)
        u_statistic = scipy.stats.mannwhitneyu(inputs[name][wins], inputs[name][~wins]).statistic
        auc = u_statistic / (wins.sum() * (~wins).sum())
        assert separation.auc == pytest.approx(auc, abs=1e-12)
    assert found["none"].auc == pytest.approx(0.5, abs=0.02)
    assert found["strong"].auc > 0.95
    assert found["none"].distance < found["none"].noise < found["weak"].distance
    assert found["strong"].typical_when_winning == np.median(u[0][wins])
    assert found["strong"].typical_when_losing == np.median(u[0][~wins])


def test_an_event_is_told_by_how_often_it_happens_and_not_by_a_median_of_nothing() -> None:
    u = uniforms(2)
    happens = u[0] < 0.3
    wins = np.where(happens, u[1] < 0.25, u[1] >= 0.25)
    (found,) = decision_sensitivity(wins, {"event": happens.astype(float)})
    assert found.typical_when_winning == pytest.approx(0.075 / (0.075 + 0.525), abs=0.01)
    assert found.typical_when_losing == pytest.approx(0.225 / (0.225 + 0.175), abs=0.01)


def test_noise_is_the_five_percent_point_of_kolmogorov() -> None:
    """By chance alone the distance times sqrt(m n / (m + n)) follows Kolmogorov's distribution."""
    (found,) = decision_sensitivity(np.arange(100) < 50, {"x": np.arange(100.0)})
    assert found.noise == pytest.approx(scipy.stats.kstwobign.ppf(0.95) * 0.2, abs=1e-4)
    (one,) = decision_sensitivity(np.arange(10) < 1, {"x": np.arange(10.0)})
    assert one.distance == 1


def test_a_value_that_is_no_event_is_told_by_its_median() -> None:
    (found,) = decision_sensitivity(np.arange(6) < 3, {"x": np.array([0.0, 1, 5, 0, 0, 9])})
    assert (found.typical_when_winning, found.typical_when_losing) == (1, 0)


def test_a_payoff_that_does_not_vary_has_no_indices_and_few_values_have_two_ends() -> None:
    x = np.tile([0.0, 1.0, 2.0], 40)
    assert list(first_order_indices(np.ones(120), {"b": x, "a": x}).items()) == [("a", 0), ("b", 0)]
    assert first_order_indices(0.01 * x, {"x": x})["x"] == pytest.approx(1, abs=1e-4)
    (bar,) = tornado(x**2, {"x": x})
    assert (bar.low_value, bar.high_value) == (0, 2)
    assert (bar.payoff_at_low, bar.payoff_at_high) == pytest.approx((0, 4), abs=0.01)


def test_a_certain_decision_depends_on_nothing() -> None:
    assert decision_sensitivity(np.ones(8, dtype=bool), {"x": np.arange(8.0)}) == ()
