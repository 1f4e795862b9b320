"""Sobol' indices through SALib: Ishigami's analytical values, and groups of a scenario."""

import numpy as np
import pytest

from estimator.decision import indices
from estimator.decision.indices import REST, Index, total_indices, variance_indices
from estimator.errors import CatalogError, InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.scenario import Scenario
from estimator.scenario.files import parse_scenario

SMALL = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 12
alternatives: [rag, saas]
""")


def ishigami(u: dict[str, np.ndarray]) -> np.ndarray:
    x = {name: 2 * np.pi * uniform - np.pi for name, uniform in u.items()}
    return np.sin(x["a"]) + 7 * np.sin(x["b"]) ** 2 + 0.1 * x["c"] ** 4 * np.sin(x["a"])


def by_group(indices: tuple[Index, ...]) -> dict[str, Index]:
    return {index.inputs[0]: index for index in indices}


def test_ishigami_has_its_analytical_indices() -> None:
    found = by_group(variance_indices(ishigami, {name: [name] for name in "abc"}, points=4096))
    totals = {"a": 0.557589, "b": 0.442411, "c": 0.243684}
    firsts = {"a": 0.313905, "b": 0.442411, "c": 0.0}
    for name, index in found.items():
        assert index.total == pytest.approx(totals[name], abs=0.01)
        assert index.first_order == pytest.approx(firsts[name], abs=0.02)
    assert list(found) == ["a", "b", "c"]  # largest total first


def test_uniforms_lie_strictly_between_0_and_1_and_the_order_of_groups_changes_nothing() -> None:
    seen: list[np.ndarray] = []

    def line(u: dict[str, np.ndarray]) -> np.ndarray:
        seen.extend(u.values())
        return u["a"] + 3 * u["b"] + 2 * u["c"]

    found = by_group(variance_indices(line, {name: [name] for name in "abc"}, points=256))
    assert list(found) == ["b", "c", "a"]
    assert found["b"].total == pytest.approx(9 / 14, abs=0.02)  # variances 1 : 9 : 4
    assert all(0 < u.min() < 0.01 and 0.99 < u.max() < 1 for u in seen)
    again = by_group(variance_indices(line, {name: [name] for name in "abc"}, points=256))
    assert again == found
    other = by_group(variance_indices(line, {name: [name] for name in "abc"}, points=256, seed=8))
    assert other["b"].total_error != found["b"].total_error


def test_indices_are_of_the_two_alternatives_with_the_points_and_the_calibration_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def model_of(scenario: Scenario, names: object, **given: object) -> object:
        asked.extend((names, given))

    def variance_indices(f: object, groups: dict[str, object], **given: object) -> object:
        asked.extend((list(groups), given))
        return ()

    monkeypatch.setattr(indices, "model_of", model_of)
    monkeypatch.setattr(indices, "variance_indices", variance_indices)
    own = shipped_calibration()
    total_indices(
        SMALL, ["quality.skill"], better="rag", than="saas", points=64, seed=3, calibration=own
    )
    named = ["quality.skill", REST]
    assert asked == [("rag", "saas"), {"calibration": own}, named, {"points": 64, "seed": 3}]


def test_a_group_takes_the_interaction_inside_it() -> None:
    found = by_group(variance_indices(ishigami, {"ac": ["a", "c"], "b": ["b"]}, points=4096))
    assert found["a"].inputs == ("a", "c")
    assert found["a"].first_order == pytest.approx(0.557589, abs=0.02)
    assert found["a"].total == pytest.approx(0.557589, abs=0.01)


def test_a_function_that_does_not_vary_has_no_indices() -> None:
    assert variance_indices(lambda u: np.ones_like(u["a"]), {"a": ["a"]}, points=64) == ()


def test_indices_of_a_scenario_keep_correlated_inputs_together() -> None:
    found = by_group(
        total_indices(
            SMALL,
            ["quality.saas_skill_ratio", "quality.error_rate.rag"],
            better="rag",
            than="saas",
            points=256,
        )
    )
    assert set(found) == {"quality.saas_skill_ratio", "quality.error_rate.finetune", REST}
    assert "quality.error_rate.rag" in found["quality.error_rate.finetune"].inputs
    assert 0.01 < found["quality.saas_skill_ratio"].total < 0.2
    assert all(index.total > -index.total_error for index in found.values())


def test_what_has_no_indices_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"unknown uncertain input 'quality\.skil'.*skill"):
        total_indices(SMALL, ["quality.skil"], better="rag", than="saas")
    with pytest.raises(InputError, match="a pilot decides by all draws"):
        total_indices(SMALL, ["quality.skill"], better="staged", than="saas")
