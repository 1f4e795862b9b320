"""Value of a study: conjugate closed forms, exact Bayes on the sample, bounds."""

import numpy as np
import pytest
import scipy.stats
from scipy.stats import beta, betabinom, binom, norm, qmc

from estimator.decision.information import evpi, evppi, expected_value_of_sample
from estimator.decision.signals import counted, evsi, judged, measured
from estimator.quantity import FloatArray

N = 16_384
SEEDS = [0, 1, 7]


def uniforms(dimensions: int, seed: int) -> FloatArray:
    points = qmc.Sobol(dimensions, rng=np.random.default_rng(seed)).random(N)
    return np.clip(points, 2.0**-33, 1 - 2.0**-33).T


def pilot(seed: int) -> tuple[FloatArray, dict[str, FloatArray]]:
    """A share with a Beta(12, 8) prior; building is worth 1,000 for each point above 0.62."""
    u = uniforms(2, seed)
    share = beta.ppf(u[0], 12, 8)
    return share, {"build": 100_000 * (share - 0.62) + 500 * norm.ppf(u[1]), "stop": np.zeros(N)}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [20, 100, 500])
def test_a_count_is_worth_what_the_conjugate_beta_binomial_says(n: int, seed: int) -> None:
    share, payoffs = pilot(seed)
    k = np.arange(n + 1)
    posterior_gain = 100_000 * ((12 + k) / (20 + n) - 0.62)
    exact = betabinom(n, 12, 8).pmf(k) @ np.maximum(posterior_gain, 0.0)
    found = counted(share, n, np.random.default_rng(seed))
    assert evsi(payoffs, {"p": share}, {"k": found}) == pytest.approx(exact, rel=0.03)


def test_a_count_is_worth_what_bayes_says_state_by_state() -> None:
    """The same by Bayes' rule over 400 equally likely states, without any regression."""
    share, payoffs = pilot(3)
    states = beta.ppf((np.arange(400) + 0.5) / 400, 12, 8)
    likelihood = binom.pmf(np.arange(101)[None, :], 100, states[:, None])
    bayes = expected_value_of_sample(
        np.full(400, 1 / 400),
        likelihood,
        {"build": 100_000 * (states - 0.62), "stop": np.zeros(400)},
    )
    found = counted(share, 100, np.random.default_rng(3))
    assert evsi(payoffs, {"p": share}, {"k": found}) == pytest.approx(bayes, rel=0.03)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_measurement_is_worth_its_preposterior_spread(seed: int) -> None:
    """ln X ~ N(0, 0.5) measured with s = 0.3: the posterior mean of ln X has variance
    0.25^2 / (0.25 + 0.09), and a payoff of a + b ln X the unit normal loss of that spread."""
    u = uniforms(2, seed)
    log_x = 0.5 * norm.ppf(u[0])
    payoffs = {"a": 30 + 100 * log_x + 20 * norm.ppf(u[1]), "b": np.zeros(N)}
    spread = 100 * np.sqrt(0.25**2 / (0.25 + 0.09))
    exact = spread * norm.pdf(30 / spread) - 30 * norm.cdf(-30 / spread)
    x = np.exp(log_x)
    seen = measured(x, 0.3, np.random.default_rng(seed))
    assert evsi(payoffs, {"x": x}, {"y": seen}) == pytest.approx(exact, rel=0.03)


def test_more_is_worth_more_and_never_more_than_the_truth() -> None:
    share, payoffs = pilot(1)
    rng = np.random.default_rng(1)
    sizes = (5, 20, 100, 1000, 100_000)
    worth = [evsi(payoffs, {"p": share}, {"k": counted(share, n, rng)}) for n in sizes]
    assert worth == sorted(worth)
    assert worth[-1] == pytest.approx(evppi(payoffs, share), rel=0.01)
    assert worth[-1] <= evppi(payoffs, share) <= evpi(payoffs)


def test_what_says_nothing_is_worth_nothing() -> None:
    share, payoffs = pilot(2)
    idle = uniforms(3, 9)[2]
    assert evsi(payoffs, {"idle": idle}, {"idle": idle}) == 0
    certain = np.full(N, 0.7)
    assert evsi(payoffs, {"p": certain}, {"k": counted(certain, 10, np.random.default_rng(0))}) == 0
    noise = counted(certain, 10, np.random.default_rng(0))
    assert evsi(payoffs, {"p": share}, {"noise": noise}) == 0


def test_signals_have_the_spread_of_their_study() -> None:
    rng = np.random.default_rng(0)
    share = np.full(N, 0.3)
    assert counted(share, 50, rng).std() == pytest.approx(np.sqrt(0.3 * 0.7 / 50), rel=0.03)
    price = np.full(N, 2.0)
    assert np.log(measured(price, 0.05, rng)).std() == pytest.approx(0.05, rel=0.03)
    np.testing.assert_array_equal(measured(share, 0.0, rng), share)
    change = np.linspace(-1, 1, N)
    off = measured(change, 0.1, rng) - change
    assert off.std() == pytest.approx(0.1 * change.std(), rel=0.03)
    seen = judged(share, np.full(N, 0.1), 200, rng)
    assert seen["resolved"].mean() == pytest.approx(0.3, abs=0.002)
    assert seen["wrong"].mean() == pytest.approx(0.1, abs=0.002)
    nothing = judged(np.zeros(N), np.full(N, 0.1), 200, rng)
    assert nothing["wrong"] == pytest.approx(0.1)


def test_shares_a_hair_beyond_their_bounds_are_counted_as_none_and_all() -> None:
    rng, share = np.random.default_rng(0), np.array([-1e-9, 1 + 1e-9])
    assert counted(share, 10, rng).tolist() == [0, 1]
    seen = judged(share, share, 10, rng)
    assert seen["resolved"].tolist() == [0, 1]
    assert seen["wrong"][1] == 1
    one = judged(np.ones(2), np.array([0.0, 1.0]), 1, rng)  # one request, judged wrong or not
    assert one["wrong"].tolist() == [0, 1]


def test_a_measurement_around_nothing_can_be_off_too() -> None:
    for x in (np.array([0.0, 2.0]), np.array([-2.0, 0.0])):
        seen = measured(x, 0.1, np.random.default_rng(0))
        assert (seen != x).all()


def test_a_study_is_worth_no_more_than_what_it_measures() -> None:
    share, payoffs = pilot(1)
    weak = counted(share, 5, np.random.default_rng(1))
    known = evppi(payoffs, weak)
    assert 0 < known < evppi(payoffs, share)
    assert evsi(payoffs, {"weak": weak}, {"p": share}) == pytest.approx(known, rel=0.02)
    assert evsi(payoffs, {"p": share}, {"p": share}, most=1.0) == 1
    assert evsi(payoffs, {"p": share}, {"p": share}, most=0.0) == 0


def test_two_shares_judged_together_are_worth_more_than_one() -> None:
    u = uniforms(2, 5)
    resolved, wrong = beta.ppf(u[0], 12, 8), beta.ppf(u[1], 4, 16)
    payoffs = {"go": resolved * (1 - 3 * wrong) - 0.22, "stop": np.zeros(N)}
    seen = judged(resolved, wrong, 200, np.random.default_rng(5))
    truth = {"resolved": resolved, "wrong": wrong}
    both = evsi(payoffs, truth, seen)
    one = evsi(payoffs, {"resolved": resolved}, {"resolved": seen["resolved"]})
    assert one < both < evpi(payoffs)
    assert scipy.stats.spearmanr(seen["resolved"], resolved).statistic > 0.9
