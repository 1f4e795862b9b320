"""Extrapolation of step times over depth, against timings whose truth is known."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.benchmark.slices import (
    Rounds,
    choose_depths,
    drift_share,
    extrapolate,
    parts_at,
    spread_depths,
    steady,
    steady_from,
    student,
)

DEPTHS = (1, 3, 8)
LAYERS = 24
WORK = {depth: float(depth) for depth in DEPTHS}


def made(
    seed: int,
    *,
    base: float = 0.4,
    slope: float = 0.1,
    noise: float = 0.03,
    drift: float = 0.0,
    warm: int = 0,
    rounds: int = 8,
) -> Rounds:
    """Rounds of a machine with noise, a common drift, and a slow start."""
    random = np.random.default_rng(seed)
    true = base + slope * np.array(DEPTHS)
    common = np.exp(np.cumsum(drift * random.standard_normal(rounds)))
    own = np.exp(noise * random.standard_normal((rounds, len(DEPTHS))))
    seconds = true * own * common[:, None]
    seconds[:warm] *= 2.0
    return Rounds(depths=DEPTHS, seconds=seconds, probe=0.02 * common)


@given(base=st.floats(0.01, 10), slope=st.floats(1e-3, 10), layers=st.integers(9, 100))
def test_noise_free_timings_give_the_exact_line(base: float, slope: float, layers: int) -> None:
    held = steady(made(0, base=base, slope=slope, noise=0.0))
    found = extrapolate(held, WORK, float(layers))
    assert found.seconds == pytest.approx(base + slope * layers, rel=1e-9)


@pytest.mark.parametrize(("drift", "least"), [(0.0, 0.72), (0.05, 0.66)])
def test_the_interval_covers_as_often_as_it_says(drift: float, least: float) -> None:
    inside = []
    for seed in range(400):
        rounds = made(seed, drift=drift)
        held = steady(rounds)
        # The level of a machine that drifts is its middle one over the rounds that count.
        level = float(np.median(rounds.probe[held.warm_up :])) / 0.02
        found = extrapolate(held, WORK, float(LAYERS))
        error = np.log(found.seconds / (0.4 + 0.1 * LAYERS) / level)
        inside.append(abs(error) < found.half_width)
    assert least < np.mean(inside) < 0.92, np.mean(inside)


def test_drift_is_divided_out_of_the_noise() -> None:
    calm = np.median([steady(made(seed, noise=0.01)).noise for seed in range(30)])
    drifting = [made(seed, noise=0.01, drift=0.1) for seed in range(30)]
    ignored = [Rounds(depths=r.depths, seconds=r.seconds, probe=r.probe * 0 + 1) for r in drifting]
    assert np.median([steady(r).noise for r in drifting]) < 1.6 * calm
    assert np.median([steady(r).noise for r in ignored]) > 4.0 * calm


@given(seed=st.integers(0, 10_000))
def test_a_probe_that_has_nothing_to_do_with_the_steps_is_not_followed(seed: int) -> None:
    random = np.random.default_rng(seed)
    logs = 0.0 * random.standard_normal((40, 3))
    assert drift_share(logs, 0.2 * random.standard_normal(40)) == 0.0


@given(share=st.floats(0.1, 1.0), seed=st.integers(0, 1000))
def test_the_share_of_drift_is_the_slope_against_the_probe(share: float, seed: int) -> None:
    drift = 0.2 * np.random.default_rng(seed).standard_normal(60)
    logs = share * np.repeat(drift[:, None], 3, axis=1)
    assert drift_share(logs, drift) == pytest.approx(share, rel=0.05)


@given(warm=st.integers(0, 4), seed=st.integers(0, 1000))
def test_warm_up_is_found_and_nothing_else_is_dropped(warm: int, seed: int) -> None:
    rounds = made(seed, warm=warm, noise=0.01, rounds=12)
    held = steady(rounds)
    assert held.warm_up == warm and held.rounds == 12 - warm


def test_a_machine_that_never_settles_keeps_three_rounds() -> None:
    falling = 2.0 ** -np.arange(8.0)
    assert steady_from(falling[:, None]) == 5
    assert steady_from(np.ones((2, 1))) == 0


def test_deeper_slices_and_more_rounds_narrow_the_interval() -> None:
    def width(deepest: int, rounds: int) -> float:
        depths = spread_depths(deepest)
        true = 0.4 + 0.1 * np.array(depths)
        own = np.exp(0.03 * np.random.default_rng(5).standard_normal((rounds, len(depths))))
        held = steady(Rounds(depths=depths, seconds=true * own, probe=np.ones(rounds)))
        return extrapolate(held, {d: float(d) for d in depths}, 24.0).half_width

    assert width(2, 8) > 3 * width(12, 8)
    assert width(8, 5) > width(8, 40)


def test_one_depth_is_sure_of_itself_and_of_nothing_else() -> None:
    held = steady(Rounds(depths=(1,), seconds=np.full((5, 1), 0.5), probe=np.ones(5)))
    itself, further = (extrapolate(held, {1: 2.0}, whole) for whole in (2.0, 20.0))
    assert itself.seconds == pytest.approx(0.5) and itself.half_width < 0.01
    assert further.seconds == pytest.approx(5.0) and further.half_width > 1.0


def test_depths_one_and_two_amplify_noise_by_the_ratio_of_depths() -> None:
    held = steady(made(3, noise=0.02, rounds=20))
    error = held.noise * np.sqrt(np.pi / 2 / 20)
    found = extrapolate(held, WORK, float(LAYERS))
    # Two depths alone: t(L) = t1 + (L - 1) (t8 - t1) / 7, by the propagation of errors.
    ends = held.seconds[[0, 2]]
    factors = np.array([1 - (LAYERS - 1) / 7, (LAYERS - 1) / 7])
    two = error * np.hypot(*(factors * ends)) / (factors @ ends)
    assert 0.7 * two < found.log_sd < 1.1 * two


@given(layers=st.integers(1, 120), allowed=st.floats(0.01, 1e4), cost=st.floats(0.01, 10))
def test_chosen_depths_fit_the_time_or_are_the_least(
    layers: int, allowed: float, cost: float
) -> None:
    seconds = {depth: cost * (1 + depth) for depth in range(1, layers + 1)}
    depths = choose_depths(layers, seconds, allowed)
    assert depths[0] == 1 and depths[-1] <= layers and list(depths) == sorted(set(depths))
    if max(depths) > 4:
        assert sum(seconds[depth] for depth in depths) <= allowed
    else:
        assert max(depths) == min(4, layers)


def test_no_depth_beyond_memory_is_chosen() -> None:
    assert max(choose_depths(32, {1: 1.0, 2: 2.0, 3: 3.0}, 1e9)) == 3
    assert choose_depths(32, {1: 1.0}, 0.1) == (1,)


@settings(max_examples=20)
@given(freedom=st.integers(1, 200))
def test_the_factor_for_few_rounds_is_students(freedom: int) -> None:
    expected = scipy.stats.t.ppf(0.9, freedom) / scipy.stats.norm.ppf(0.9)
    assert student(freedom) == pytest.approx(expected, rel=1e-9)


def test_parts_follow_their_own_lines_and_never_fall_below_zero() -> None:
    seconds = np.array([[1.0, 2.0, 5.0], [2.0, 4.0, 4.0], [4.0, 8.0, 2.0]])
    parts = parts_at(seconds, (1, 2, 4), {1: 1.0, 2: 2.0, 4: 4.0}, 10.0)
    assert parts == pytest.approx([10.0, 20.0, 0.0])
