"""Break-even of a scenario: roots checked by comparing at them, by hand, and on the steps."""

import numpy as np
import pytest

from estimator.decision.breakeven import break_even
from estimator.decision.evaluate import medians, model_of
from estimator.decision.simulate import compare
from estimator.decision.thresholds import CHANCES, bounds_of, find_break_even
from estimator.errors import CatalogError, InputError
from estimator.quantity import FloatArray
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 18
alternatives: [rag, saas, prompting, self_hosted_finetune]
""")
PRICE = "saas.price_usd_per_unit"


def test_at_the_break_even_value_both_are_worth_the_same() -> None:
    found = find_break_even(BASE, PRICE, "rag", "saas", low=0.01, high=20)
    (root,) = found.expected
    assert root.better_above == "rag"
    at_root = compare(with_inputs(BASE, {PRICE: root.value}), n=512, seed=7).payoffs()
    scale = np.abs(at_root["rag"]).mean()
    assert at_root["rag"].mean() == pytest.approx(at_root["saas"].mean(), abs=1e-4 * scale)


def test_the_chance_is_reached_at_its_value() -> None:
    found = find_break_even(BASE, PRICE, "rag", "saas", low=0.01, high=20)
    assert set(found.chance) == set(CHANCES)
    reached = {chance: values[0] for chance, values in found.chance.items() if values}
    assert set(reached) >= {0.5, 0.8}
    for chance, value in reached.items():
        npv = compare(with_inputs(BASE, {PRICE: value * 1.0001}), n=512, seed=7).payoffs()
        assert (npv["rag"] > npv["saas"]).mean() == pytest.approx(chance, abs=2 / 512)
    assert reached[0.5] < reached[0.8]  # the dearer the one, the more often the other wins


def test_a_price_at_the_medians_breaks_even_where_two_lines_cross() -> None:
    """A payoff is linear in a price, so two points of the model give the root."""
    found = find_break_even(BASE, PRICE, "saas", "rag", low=0.01, high=20)
    columns = {**medians(BASE), PRICE: np.array([1.0, 2.0])}
    npv = model_of(BASE, ["rag", "saas"])(columns)
    first, second = npv["saas"] - npv["rag"]
    (root,) = found.at_medians
    assert root.value == pytest.approx(1 + first / (first - second), rel=1e-6)
    assert root.better_above == "rag"


def test_whole_gpus_stay_steps() -> None:
    """Dear just after each further GPU, cheaper per request until the next: the same gain comes
    several times, and every one of them is found."""
    slow = with_inputs(
        BASE,
        {
            "alternatives": ["self_hosted_finetune", "prompting"],
            "serving.spare_replicas": 0,
            "serving.gpu_usd_per_hour": 3.0,
            "serving.speed_factor": 0.01,
            "serving.price_change_per_year": 0,
            "horizon_months": 6,
            "quality.tuning_gain": 0.3,
            "quality.memorised_share": 0.3,
            "quality.incidents_per_million_answers": 0,
            "demand.growth_per_year": 0,
            "demand.seasonal_swing_share": 0,
        },
    )
    model, fixed = model_of(slow), medians(slow)

    def gain(requests: FloatArray) -> FloatArray:
        npv = model({**fixed, "demand.requests_per_month": requests})
        return npv["self_hosted_finetune"] - npv["prompting"]

    requests = np.linspace(1e4, 6e5, 400)
    falls = np.flatnonzero(np.diff(gain(requests)) < 0)
    assert falls.size >= 3  # more requests for less: one more GPU
    level = gain(requests[[falls[1]]])[0] - 1.0
    roots = break_even(lambda r: gain(r) - level, 1e4, 6e5, points=400)
    assert len(roots) >= 3


def test_an_input_of_neither_alternative_has_no_break_even() -> None:
    found = find_break_even(BASE, "training.gpu_usd_per_hour", "rag", "saas")
    assert found.expected == found.at_medians == ()
    assert all(values == () for values in found.chance.values())
    assert np.ptp(found.gain_usd) == pytest.approx(0, abs=1e-6)


def test_a_pilot_is_weighed_too() -> None:
    staged = with_inputs(BASE, {"alternatives": ["rag", "saas", "staged"]})
    found = find_break_even(staged, PRICE, "staged", "saas", low=0.05, high=30)
    assert found.at_medians == ()
    assert [t.better_above for t in found.expected] == ["staged"]


@pytest.mark.parametrize(
    ("path", "unit", "ge", "le"),
    [
        ("quality.skill", "share", 0, 1),
        ("quality.error_rate.rag", "share", 0, 1),
        ("team.wages_usd_per_year.ml_engineer", "USD/year", 0, None),
        ("project.effort_days.rag.evaluate", "person-days", 0, None),
        ("training.purchase_usd_per_gpu", "USD/GPU", 0, None),
        ("quality.tuning_gain", "score", -1, 1),
    ],
)
def test_bounds_are_those_of_the_declaration(
    path: str, unit: str, ge: float, le: float | None
) -> None:
    bounds = bounds_of(Scenario, path)
    assert (bounds.unit, bounds.ge, bounds.le) == (unit, ge, le)


def test_every_input_of_a_scenario_has_its_bounds() -> None:
    for path, quantity in BASE.inputs().items():
        assert bounds_of(Scenario, path).unit == quantity.unit, path


def test_mistakes_are_named() -> None:
    with pytest.raises(CatalogError, match=r"unknown input 'quality\.skil'.*quality\.skill"):
        find_break_even(BASE, "quality.skil", "rag", "saas")
    with pytest.raises(CatalogError, match=r"unknown alternative 'rga'.*rag"):
        find_break_even(BASE, "quality.skill", "rga", "saas")
    with pytest.raises(InputError, match="name two alternatives"):
        find_break_even(BASE, "quality.skill", "rag", "rag")
    with pytest.raises(InputError, match=r"quality\.skill: 1\.5 given; must be at most 1"):
        find_break_even(BASE, "quality.skill", "rag", "saas", high=1.5)
    with pytest.raises(InputError, match="is no range"):
        find_break_even(BASE, PRICE, "rag", "saas", low=5, high=2)
