"""Joint draws: marginals kept, correlations met, columns independent of what else is drawn."""

import numpy as np
import pytest
from scipy import stats

from estimator import sampling
from estimator.errors import CatalogError, InputError
from estimator.quantity import Quantity
from estimator.sampling import normal_correlation, sample, sobol

A = Quantity.of({"min": 1, "mode": 4, "max": 13})
B = Quantity.of({"p10": 5, "p90": 50})
FIXED = Quantity.of(7)


def test_spearman_to_normal_correlation_matches_the_worked_example() -> None:
    assert normal_correlation(0.5) == pytest.approx(0.517638, abs=5e-7)


def test_rank_correlation_is_met_and_marginals_are_untouched() -> None:
    draws = sample({"a": A, "b": B}, n=2**17, seed=3, rank_correlations={("a", "b"): 0.5})
    spearman = stats.spearmanr(draws["a"], draws["b"]).statistic
    assert spearman == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(np.quantile(draws["a"], [0.1, 0.5, 0.9]), A.p10_p50_p90(), rtol=2e-3)
    np.testing.assert_allclose(np.quantile(draws["b"], [0.1, 0.5, 0.9]), B.p10_p50_p90(), rtol=2e-3)


def test_same_seed_same_draws_and_another_seed_others() -> None:
    first, other = (sample({"a": A}, n=64, seed=s)["a"] for s in (1, 2))
    sampling._uniforms.cache_clear()
    again = sample({"a": A}, n=64, seed=1)["a"]
    assert again is not first
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_did_not_change_is_not_drawn_again_and_nobody_can_change_it() -> None:
    before = sample({"a": A, "b": B}, n=64, seed=1)
    after = sample({"a": Quantity.of({"min": 1, "mode": 5, "max": 13}), "b": B}, n=64, seed=1)
    assert after["b"] is before["b"] and not np.array_equal(after["a"], before["a"])
    with pytest.raises(ValueError, match="read-only"):
        after["b"][0] = 0.0
    correlated = sample({"a": A, "b": B}, n=64, seed=1, rank_correlations={("a", "b"): 0.9})
    assert not np.array_equal(correlated["b"], before["b"])


def test_fixed_inputs_take_no_column() -> None:
    with_fixed = sample({"a": A, "z": FIXED, "b": B}, n=64, seed=1)
    without = sample({"b": B, "a": A}, n=64, seed=1)
    np.testing.assert_array_equal(with_fixed["b"], without["b"])
    assert with_fixed["z"].ndim == 0 and with_fixed["z"] == 7
    assert set(with_fixed.uncertain()) == {"a", "b"}


def test_chances_are_uniform() -> None:
    u = sample({}, n=1024, seed=0, chances=["chance.x"])["chance.x"]
    assert stats.kstest(u, "uniform").statistic < 0.01


def test_quasi_random_means_beat_the_usual_standard_error() -> None:
    error = abs(sample({"a": A}, n=4096, seed=5)["a"].mean() - 5)
    assert error < 0.1 * 2.1381 / np.sqrt(4096)


def test_points_stay_inside_the_unit_cube() -> None:
    points = sobol(1024, 50, seed=9)
    assert points.shape == (1024, 50)
    assert points.min() > 0 and points.max() < 1


def test_impossible_correlations_are_refused() -> None:
    c = Quantity.of({"low": 0, "high": 1})
    correlations = {("a", "b"): 0.95, ("b", "c"): 0.95, ("a", "c"): -0.9}
    with pytest.raises(InputError, match="contradict"):
        sample({"a": A, "b": B, "c": c}, n=8, seed=1, rank_correlations=correlations)
    with pytest.raises(CatalogError, match="nearest"):
        sample({"speed": A, "b": B}, n=8, seed=1, rank_correlations={("sped", "b"): 0.2})


def test_no_two_inputs_of_many_follow_each_other() -> None:
    """Cosines of two independent uniforms correlate by about 1/sqrt(n), whatever their waves.

    Of two and a half million pairs chance alone puts one at 5/sqrt(n); Sobol points of 200
    dimensions taken together reach 52/sqrt(n).
    """
    n, inputs, waves = 4096, 200, np.arange(1, 9)
    points = sobol(n, inputs, seed=7)
    features = np.cos(np.pi * points[:, :, None] * waves).reshape(n, -1) * np.sqrt(2)
    correlation = features.T @ features / n
    own = np.repeat(np.arange(inputs), waves.size)
    between = np.abs(correlation[own[:, None] != own])
    assert between.max() < 8 / np.sqrt(n)


@pytest.mark.parametrize("dimensions", [1, 16, 17, 40])
def test_every_input_fills_every_stratum_once(dimensions: int) -> None:
    points = sobol(256, dimensions, seed=1)
    assert points.shape == (256, dimensions)
    strata = np.sort((points * 256).astype(int), axis=0)
    assert (strata == np.arange(256)[:, None]).all()
