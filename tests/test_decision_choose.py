"""Choosing among payoffs: identities that must hold, textbook cases, order independence."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from estimator.decision import choose
from estimator.decision.information import evpi
from estimator.quantity import FloatArray

Payoffs = dict[str, FloatArray]


@st.composite
def payoffs(draw: st.DrawFn) -> Payoffs:
    """A few alternatives with whole-dollar payoffs, so that ties happen and sums are exact."""
    n, count = draw(st.integers(2, 30)), draw(st.integers(1, 5))
    values = draw(hnp.arrays(np.int64, (count, n), elements=st.integers(-50, 50)))
    return {name: row.astype(np.float64) for name, row in zip("abcde", values, strict=False)}


@given(payoffs())
def test_probabilities_sum_to_one_and_regret_is_never_negative(u: Payoffs) -> None:
    assert sum(choose.probability_best(u).values()) == pytest.approx(1)
    assert min(choose.expected_regret(u).values()) >= 0


@given(payoffs())
def test_least_regret_is_the_highest_mean_and_equals_evpi(u: Payoffs) -> None:
    regret = choose.expected_regret(u)
    assert regret[choose.ranking(u)[0]] == pytest.approx(min(regret.values()), abs=1e-12)
    assert min(regret.values()) == pytest.approx(evpi(u), abs=1e-12)
    draws = np.stack(list(u.values()))
    assert evpi(u) == pytest.approx(draws.max(axis=0).mean() - draws.mean(axis=1).max(), abs=1e-12)


@settings(deadline=None)
@given(payoffs(), st.randoms(use_true_random=False), st.integers(-5, 5))
def test_order_and_a_common_constant_change_nothing(u: Payoffs, random: object, c: int) -> None:
    names = list(u)
    random.shuffle(names)  # type: ignore[attr-defined]
    moved = {name: u[name] + 64 * c for name in names}
    assert choose.ranking(moved) == choose.ranking(u)
    assert choose.probability_best(moved) == choose.probability_best(u)
    assert choose.expected_regret(moved) == choose.expected_regret(u)
    close = choose.too_close_to_call(u, materiality_usd=3)
    assert choose.too_close_to_call(moved, materiality_usd=3) == close
    assert [(d.better, d.worse, d.order) for d in choose.dominance(moved)] == [
        (d.better, d.worse, d.order) for d in choose.dominance(u)
    ]


def test_ties_are_split_equally() -> None:
    u = {"a": np.array([1.0, 0, 3]), "b": np.array([1.0, 2, 3]), "c": np.array([0.0, 2, 3])}
    thirds = choose.probability_best(u)
    assert thirds == pytest.approx({"a": (1 / 2 + 1 / 3) / 3, "b": 4 / 9, "c": 5 / 18})


def test_ranking_is_by_mean_then_by_name() -> None:
    u = {"b": np.array([-1.0, 1]), "a": np.zeros(2), "c": np.array([0.0, 1])}
    assert choose.ranking(u) == ("c", "a", "b")


def test_cvar_is_the_mean_of_the_worst_tenth() -> None:
    payoff = np.random.default_rng(0).permutation(np.arange(100.0))
    assert choose.cvar(payoff) == pytest.approx(np.mean(np.arange(10)))
    assert choose.cvar(np.array([1.0, 2, 3, 4]), 0.375) == pytest.approx((1 + 0.5 * 2) / 1.5)
    assert choose.cvar(payoff, 1.0) == pytest.approx(payoff.mean())


def test_cvar_of_a_normal_has_its_closed_form() -> None:
    z = scipy.stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    expected = -scipy.stats.norm.pdf(scipy.stats.norm.ppf(0.1)) / 0.1
    assert choose.cvar(z) == pytest.approx(expected, rel=1e-4)


def pair(a: FloatArray, b: FloatArray) -> choose.Dominance:
    return next(d for d in choose.dominance({"a": a, "b": b}) if d.better == "a")


def test_dominance_orders() -> None:
    base = np.random.default_rng(0).normal(size=500)
    base -= base.mean()
    shuffled = np.random.default_rng(1).permutation(base)
    assert pair(shuffled + 0.1, base).order == 1
    assert pair(0.5 * shuffled, base).order == 2  # same mean, half the spread
    assert pair(base, shuffled + 0.1).order is None
    assert pair(base, shuffled).order is None  # equal distributions dominate neither
    assert pair(3 * base + 0.1, base).order is None
    assert pair(base, shuffled).violation == 0.5  # as far from the one as from the other
    surely = np.ones(2)
    assert pair(surely, np.array([0.0, 2.0])).order == 2
    assert pair(surely, np.array([0.0, 2.0 + 1e-9])).order is None  # its mean is lower


def test_almost_dominance_is_the_share_of_area_against() -> None:
    """Uniform draws on 0..10 against a sure 1: area against 0.5, in favour 40.5 (of 10)."""
    uniform = (np.arange(10_000) + 0.5) / 1000
    assert pair(uniform, np.ones(10_000)).violation == pytest.approx(0.5 / 41, rel=1e-3)


@settings(deadline=None)
@given(payoffs())
def test_first_order_dominance_agrees_with_empirical_distributions(u: Payoffs) -> None:
    for found in choose.dominance(u):
        a, b = u[found.better], u[found.worse]
        at = np.union1d(a, b)
        below_a, below_b = (np.searchsorted(np.sort(v), at, "right") for v in (a, b))
        first = bool((below_a <= below_b).all() and (below_a < below_b).any())
        assert (found.order == 1) == first


def test_standard_errors_against_repeated_sampling() -> None:
    samples = np.random.default_rng(0).normal(size=(2000, 1000))
    one = samples[0]
    assert choose.standard_error(one) == pytest.approx(samples.mean(axis=1).std(), rel=0.06)
    p90 = np.quantile(samples, 0.9, axis=1).std()
    errors = [choose.quantile_standard_error(row, 0.9) for row in samples[:200]]
    assert np.mean(errors) == pytest.approx(p90, rel=0.06)
    share = (samples > 1).mean(axis=1)
    expected = choose.probability_standard_error(scipy.stats.norm.sf(1), 1000)
    assert expected == pytest.approx(share.std(), rel=0.06)


def test_certainty_equivalent_of_a_gamble_that_cannot_be_lost() -> None:
    """Nothing or far more than is tolerated, at even odds: worth R ln 2, without overflow."""
    assert choose.certainty_equivalent([0.0, 1e5], 2.0) == pytest.approx(2 * np.log(2))


def test_standard_errors_by_hand() -> None:
    assert choose.standard_error([1.0, 3.0]) == pytest.approx(1)  # s = sqrt(2), n = 2
    assert choose.probability_standard_error(0.2, 400) == pytest.approx(0.02)
    # the 45th and the 55th of a hundred: half of (54^2 + 55^2) / 2 - (44^2 + 45^2) / 2
    assert choose.quantile_standard_error(np.arange(100.0) ** 2, 0.5) == pytest.approx(495)


@pytest.mark.parametrize(("gap", "reason"), [(0.15, "noise"), (0.25, "clear")])
def test_two_standard_errors_of_the_paired_difference_are_enough(gap: float, reason: str) -> None:
    """A hundred differences of gap +- 1 have a standard error of 0.1."""
    u = {"a": gap + np.tile([1.0, -1.0], 50), "b": np.zeros(100)}
    assert choose.too_close_to_call(u, materiality_usd=0).reason == reason


def test_the_spread_is_the_gap_to_the_last_contender() -> None:
    u = {"a": np.zeros(4), "b": np.full(4, -0.4), "c": np.full(4, -0.25), "d": np.full(4, -2.0)}
    close = choose.too_close_to_call(u, materiality_usd=1)
    assert (close.contenders, close.too_close) == (("a", "c", "b"), True)
    assert close.spread_usd == pytest.approx(0.4)


def test_too_close_by_materiality_and_by_noise() -> None:
    rng = np.random.default_rng(0)
    common = rng.normal(0, 1e6, 1000)
    u = {"a": common + 10_000, "b": common, "c": common - 90_000}
    clear = choose.too_close_to_call(u, materiality_usd=5_000)
    assert (clear.best, clear.too_close, clear.reason) == ("a", False, "clear")
    close = choose.too_close_to_call(u, materiality_usd=25_000)
    assert close.contenders == ("a", "b")
    assert close.too_close
    assert close.reason == "immaterial"
    assert close.spread_usd == pytest.approx(10_000)
    u["b"] = common.mean() + rng.normal(0, 1e6, 1000)  # 2 standard errors are about $90k
    assert choose.too_close_to_call(u, materiality_usd=0).reason == "noise"


def test_equal_alternatives_are_too_close_whatever_matters() -> None:
    u = {"a": np.ones(8), "b": np.ones(8)}
    assert choose.too_close_to_call(u, materiality_usd=0).contenders == ("a", "b")
