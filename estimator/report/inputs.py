"""Every input of a scenario: what it means, its unit, its range, and where that comes from."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.console import RenderableType

from estimator.decision.wording import significant
from estimator.quantity import Quantity
from estimator.report.layout import table
from estimator.scenario import Scenario
from estimator.scenario.inputs import describe_input


def inputs_dict(scenario: Scenario) -> dict[str, dict[str, Any]]:
    """Every input by path, with its meaning and the fields of its quantity."""
    return {
        path: {"meaning": describe_input(Scenario, path), **quantity.model_dump_fields()}
        for path, quantity in scenario.inputs().items()
    }


def input_parts(scenario: Scenario) -> Iterator[RenderableType]:
    """One table per section of the scenario."""
    for section, inputs in groupby(scenario.inputs().items(), lambda item: item[0].split(".")[0]):
        rows = [
            (
                path.removeprefix(f"{section}.") + f"\n{describe_input(Scenario, path)}",
                spread(quantity),
                quantity.unit or "",
                f"{quantity.evidence or 'your figure'}\n{quantity.as_of or ''}",
            )
            for path, quantity in inputs
        ]
        yield table(section, ("Input", "P10, P50, P90", "Unit", "Known by"), rows, left=(0, 2, 3))


def spread(quantity: Quantity) -> str:
    """A fixed number, or its P10, P50 and P90, to two digits."""
    if quantity.is_fixed:
        return significant(quantity.numbers[0])
    return ", ".join(significant(number) for number in quantity.p10_p50_p90())
