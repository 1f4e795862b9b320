"""The tornado of textbooks: one input at a time from its P10 to its P90, the others at medians."""

from collections.abc import Mapping

import numpy as np

from estimator.decision.evaluate import Model, cause_of, medians
from estimator.decision.sensitivity import Bar
from estimator.quantity import FloatArray, Quantity
from estimator.scenario import AlternativeId, Scenario

ENDS = (0.1, 0.9)


def tornado_at_medians(scenario: Scenario, model: Model) -> dict[AlternativeId, tuple[Bar, ...]]:
    """NPV of each alternative with each input at P10 and at P90, all others at their medians.

    Inputs of one cause move together. An event is taken as not happening and happening. What the
    medians hide (skewed inputs, products of inputs) the tornado of conditional means shows
    (`sensitivity.tornado`). Longest bar first.
    """
    groups = _causes(scenario)
    ends = {cause: _ends(paths) for cause, paths in groups.items()}
    columns = dict(medians(scenario))
    for row, (cause, paths) in enumerate(groups.items()):
        for path in paths:
            column = np.full(2 * len(groups), float(columns[path]))
            column[[2 * row, 2 * row + 1]] = ends[cause][path]
            columns[path] = column
    npv = model(columns)
    return {name: _bars(values, ends) for name, values in npv.items()}


def _causes(scenario: Scenario) -> dict[str, dict[str, Quantity]]:
    groups: dict[str, dict[str, Quantity]] = {}
    for path, quantity in scenario.inputs().items():
        if not quantity.is_fixed:
            groups.setdefault(cause_of(path), {})[path] = quantity
    return groups


def _ends(paths: Mapping[str, Quantity]) -> dict[str, FloatArray]:
    return {
        path: np.array([0.0, 1.0]) if q.form == "probability" else q.ppf(np.array(ENDS))
        for path, q in paths.items()
    }


def _bars(npv: FloatArray, ends: Mapping[str, Mapping[str, FloatArray]]) -> tuple[Bar, ...]:
    bars = []
    for row, (cause, paths) in enumerate(ends.items()):
        low, high = next(iter(paths.values()))
        bars.append(
            Bar(
                input=cause,
                low_value=float(low),
                high_value=float(high),
                payoff_at_low=float(npv[2 * row]),
                payoff_at_high=float(npv[2 * row + 1]),
            )
        )
    return tuple(sorted(bars, key=lambda bar: (-bar.swing, bar.input)))
