"""The same scenario with some inputs changed, by their paths."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from estimator.errors import EstimatorError, InputError
from estimator.quantity import Quantity
from estimator.scenario import Scenario
from estimator.scenario.files import describe


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
