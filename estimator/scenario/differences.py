"""What one scenario says that another does not: inputs by path, before and after."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from estimator.quantity import Quantity
from estimator.scenario import Scenario

WORDS = ("name", "description")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One input that differs; None where a scenario does not have it."""

    path: str
    before: Quantity | str | None
    after: Quantity | str | None


def differences(before: Scenario, after: Scenario) -> tuple[Difference, ...]:
    """Everything that two scenarios do not share, defaults included, in the order of paths.

    A quantity differs when a number or its unit does; another source of the same number does not
    count. Names and descriptions are left out.
    """
    return tuple(
        Difference(path=path, before=old, after=new)
        for path, (old, new) in differing((before, after)).items()
    )


def differing(scenarios: Sequence[Scenario]) -> dict[str, tuple[Quantity | str | None, ...]]:
    """Every input that not all scenarios share, with its value in each, in the order of paths."""
    flat = [_flat(scenario) for scenario in scenarios]
    paths = sorted(set().union(*flat))
    values = {path: tuple(inputs.get(path) for inputs in flat) for path in paths}
    return {
        path: found
        for path, found in values.items()
        if any(_meaning(value) != _meaning(found[0]) for value in found)
    }


def _meaning(value: Quantity | str | None) -> object:
    if isinstance(value, Quantity):
        return value.form, value.numbers, value.unit
    return value


def _flat(scenario: Scenario) -> dict[str, Quantity | str]:
    """Every input by path: quantities as they are, everything else as text."""
    quantities = scenario.inputs()
    data = scenario.model_dump(mode="json")
    others = {
        path: text
        for path, text in _leaves(data, "", quantities)
        if path not in WORDS and path not in quantities
    }
    return {**others, **quantities}


def _leaves(data: Any, path: str, quantities: Mapping[str, Quantity]) -> Iterator[tuple[str, str]]:
    if isinstance(data, Mapping) and path not in quantities:
        for key, value in data.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key), quantities)
    elif isinstance(data, list | tuple):
        yield path, ", ".join(_item(item) for item in data)
    elif data is not None:
        yield path, str(data)


def _item(item: Any) -> str:
    if isinstance(item, Mapping):
        return " ".join(str(value) for value in item.values())
    return str(item)
