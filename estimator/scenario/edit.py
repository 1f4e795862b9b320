"""The same scenario with some inputs changed, by their paths."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from estimator.errors import EstimatorError, InputError
from estimator.quantity import Quantity
from estimator.scenario import Scenario
from estimator.scenario.files import describe, read_value


def with_inputs(scenario: Scenario, changes: Mapping[str, Any]) -> Scenario:
    """A scenario with `changes` such as {"demand.growth_per_year": 0.1, "training.gpu": "l4-24gb"}.

    What was not set before and is not set now takes its default again, so a price follows the GPU.
    """
    data = scenario.model_dump(mode="json", exclude_unset=True)
    for path, value in changes.items():
        *sections, name = path.split(".")
        place = data
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise InputError(f"{path}: {section} is a value, not a section")
        place[name] = value.model_dump() if isinstance(value, Quantity) else value
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise InputError(describe(error, {})) from None
    except EstimatorError as error:
        raise InputError(str(error)) from None


def with_settings(
    scenario: Scenario, settings: Iterable[str], *, alternatives: str | None = None
) -> Scenario:
    """A scenario changed by settings as typed in a shell: "demand.growth_per_year=0.1".

    Values are YAML, so that a range reads "path={low: 1, high: 2}". `alternatives`: "rag,saas".
    """
    changes = dict(setting(text) for text in settings)
    if alternatives is not None:
        changes["alternatives"] = [name.strip() for name in alternatives.split(",")]
    return with_inputs(scenario, changes) if changes else scenario


def setting(text: str) -> tuple[str, Any]:
    """Path and value of a setting "path=value"."""
    path, equals, value = text.partition("=")
    path = path.strip()
    if not (equals and path and value.strip()):
        raise InputError(f"--set {text!r}: write PATH=VALUE, such as demand.growth_per_year=0.1")
    return path, read_value(value, name=f"--set {path}")


def given_quantity(text: str, *, name: str) -> Quantity:
    """A quantity above 0 as typed in a shell: "2.5" or "{low: 2, high: 3}"."""
    try:
        quantity = Quantity.model_validate(read_value(text, name=name))
    except ValidationError as error:
        fault = describe(error, {}).removeprefix("scenario: ")
        raise InputError(f"{name}: {fault}") from None
    if quantity.numbers[0] <= 0:
        raise InputError(f"{name}: {quantity.numbers[0]:g} given; must be above 0")
    return quantity.model_copy(update={"evidence": "user", "source": f"given by {name}"})
