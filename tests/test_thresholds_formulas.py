"""Break-even of a payoff made by hand: roots, chances and the ends of the search are known."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from estimator.decision import thresholds
from estimator.decision.evaluate import Columns, Model, draw_inputs
from estimator.decision.thresholds import BreakEven, find_break_even
from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
alternatives: [rag, saas, staged]
""")
PRICE, OTHER = "saas.price_usd_per_unit", "demand.requests_per_month"
GROWTH, SHARE = "demand.growth_per_year", "quality.skill"
Payoff = Callable[[FloatArray, FloatArray], FloatArray]


@pytest.fixture
def find(monkeypatch: pytest.MonkeyPatch) -> Callable[..., BreakEven]:
    """Break-even of a payoff f(value, other input) of the first alternative over the second."""

    def found(payoff: Payoff, path: str = PRICE, changes: Any = (), **given: Any) -> BreakEven:
        pair = given.pop("pair", ("rag", "saas"))

        def model_of(scenario: Scenario, names: Iterable[AlternativeId], **_: Any) -> Model:
            def model(columns: Columns) -> dict[AlternativeId, FloatArray]:
                gain = np.asarray(payoff(columns[path], columns[OTHER]) + 0.0 * columns[path])
                return {"rag": gain + 5, "saas": np.full_like(gain, 5.0), "staged": gain + 5}

            return model

        monkeypatch.setattr(thresholds, "model_of", model_of)
        return find_break_even(with_inputs(BASE, dict(changes)), path, *pair, **given)

    return found


def test_a_race_against_an_uncertain_rival_is_won_at_its_quantiles(
    find: Callable[..., BreakEven],
) -> None:
    """A is worth the price, B what another input is: A leads with the chance that it is lower."""
    rival = np.asarray(draw_inputs(BASE, n=512, seed=7)[OTHER]) / 1000
    found = find(lambda value, other: value - other / 1000, low=5, high=50)
    (expected,) = found.expected
    assert (expected.value, expected.better_above) == (pytest.approx(rival.mean()), "rag")
    (middle,) = found.at_medians
    assert middle.value == pytest.approx(BASE.inputs()[OTHER].median() / 1000)
    assert list(found.chance) == [0.2, 0.5, 0.8]
    for chance, (value,) in found.chance.items():
        below = np.sort(rival)[[int(np.ceil(512 * chance)) - 1]]
        assert value == pytest.approx(float(below[0]), abs=1e-4)
    assert (found.values[0], found.values[-1], found.values.size) == (5, 50, 65)
    assert found.gain_usd == pytest.approx(found.values - rival.mean())
    shares = (rival[None, :] < found.values[:, None]).mean(axis=1)
    assert found.probability == pytest.approx(shares)
    swapped = find(lambda value, other: value - other / 1000, low=5, high=50, pair=("saas", "rag"))
    assert swapped.expected[0].better_above == "rag"
    assert swapped.probability == pytest.approx(1 - shares)
    another = find(lambda value, other: value - other / 1000, low=5, high=50, seed=8)
    assert another.expected[0].value != expected.value


@pytest.mark.parametrize("usd", [1e-3, 1e6])
def test_each_root_says_who_is_better_until_the_next(
    find: Callable[..., BreakEven], usd: float
) -> None:
    found = find(lambda value, other: usd * (value - 3) * (value - 6) * (value - 7), low=1, high=9)
    assert [t.value for t in found.expected] == pytest.approx([3, 6, 7])
    assert [t.better_above for t in found.expected] == ["rag", "saas", "rag"]
    assert [t.value for t in found.at_medians] == pytest.approx([3, 6, 7])
    assert [t.better_above for t in found.at_medians] == ["rag", "saas", "rag"]


def test_a_curve_is_finer_at_the_medians(find: Callable[..., BreakEven]) -> None:
    """Two roots a hundredth of the range apart: seen by 2,001 points, not by 65."""
    found = find(lambda value, other: (value - 5.051) * (value - 5.099), low=0, high=10)
    assert [t.value for t in found.at_medians] == pytest.approx([5.051, 5.099])
    assert found.expected == ()


def test_a_pilot_has_a_coarse_curve_and_no_medians(find: Callable[..., BreakEven]) -> None:
    found = find(lambda value, other: value - 4.3, low=0, high=10, pair=("staged", "saas"))
    assert found.values.size == 17
    assert found.at_medians == ()
    assert found.expected[0].value == pytest.approx(4.3, abs=10 / 16 / 2**7)


@pytest.mark.parametrize(("pair", "worlds"), [(("rag", "saas"), None), (("staged", "rag"), 512)])
def test_the_model_takes_the_calibration_and_plans_a_pilot_on_each_sample(
    monkeypatch: pytest.MonkeyPatch, pair: tuple[str, str], worlds: int | None
) -> None:
    asked: list[Any] = []

    def model_of(scenario: Scenario, names: Iterable[AlternativeId], **given: Any) -> Model:
        asked.append((tuple(names), given))
        return lambda columns: dict.fromkeys(names, 0.0 * columns[PRICE])

    monkeypatch.setattr(thresholds, "model_of", model_of)
    own = shipped_calibration()
    find_break_even(BASE, PRICE, *pair, calibration=own)
    assert asked == [(pair, {"calibration": own, "worlds": worlds})]


def test_equals_are_better_half_the_time_and_never_cross(find: Callable[..., BreakEven]) -> None:
    found = find(lambda value, other: 0 * value)
    assert set(found.probability) == {0.5}
    assert set(found.chance.values()) == {()}


@pytest.mark.parametrize(
    ("path", "given", "low", "high"),
    [  # P0.1 and P99.9 of a uniform range lie a thousandth of it inside
        (PRICE, {"low": 2, "high": 8}, 2.006 / 10, 7.994 * 10),
        (PRICE, 5, 0.5, 50),
        (PRICE, 0, 0, 1),
        (PRICE, {"low": 0, "high": 8}, 0.008 / 10, 7.992 * 10),
        (GROWTH, {"low": -0.1, "high": 0.3}, -0.0996 - 0.3992, 2.996),
        (GROWTH, {"low": -0.3, "high": 0.1}, -0.2996 - 0.3992, 0.0996 * 10),
        (GROWTH, {"low": -0.3, "high": 0.01}, -0.29969 - 0.30938, 0.00969 + 0.30938),
        (GROWTH, {"low": -0.8, "high": -0.6}, -0.9, -0.6002 + 0.7998),
        (GROWTH, {"low": 5, "high": 6}, 0.5001, 20),
        (SHARE, {"low": 0.4, "high": 0.5}, 0, 1),
        (GROWTH, {"probability": 0.0005}, -0.9, 10),
    ],
)
def test_the_search_goes_ten_times_beyond_what_is_thought_possible(
    find: Callable[..., BreakEven], path: str, given: Any, low: float, high: float
) -> None:
    found = find(lambda value, other: value + 1e6, path, {path: given})
    assert (found.low, found.high) == pytest.approx((low, high))


def test_given_ends_are_taken_and_checked(find: Callable[..., BreakEven]) -> None:
    found = find(lambda value, other: value, low=3)
    assert (found.low, found.values[0]) == (3, 3)
    assert find(lambda value, other: value, high=70).high == 70
    for wrong in ({"low": -1.0}, {"low": 5.0, "high": 5.0}, {"high": 1e-15}):
        with pytest.raises(InputError, match=PRICE):
            find(lambda value, other: value, **wrong)
