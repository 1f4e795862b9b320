"""How an input is declared: its unit, its bounds and the sourced default behind it.

One declaration serves validation, the API docs, the command's help, the JSON schema and the
dashboard: the attribute docstring says what the input means, `In` says its unit and bounds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from estimator.errors import unknown
from estimator.quantity import Quantity
from pricing import assumption

SMALLEST, LARGEST = 1e-12, 1e15
"""Sizes of numbers that mean something; their products stay far from the limits of a float."""


@dataclass(frozen=True, slots=True)
class In:
    """Unit and bounds of an input; a given unit must match, a missing one is filled in."""

    unit: str
    ge: float | None = None
    le: float | None = None

    def check(self, quantity: Quantity) -> Quantity:
        """The quantity with its unit, or a ValueError that says what is allowed."""
        if quantity.unit not in (None, self.unit):
            raise ValueError(f"unit {quantity.unit!r} given; this input is in {self.unit!r}")
        for number in quantity.numbers:
            if self.ge is not None and number < self.ge:
                raise ValueError(f"{number:g} given; must be at least {self.ge:g} {self.unit}")
            if self.le is not None and number > self.le:
                raise ValueError(f"{number:g} given; must be at most {self.le:g} {self.unit}")
            if number and not SMALLEST <= abs(number) <= LARGEST:
                allowed = f"0 or of a size from {SMALLEST:g} to {LARGEST:g} {self.unit}"
                raise ValueError(f"{number:g} given; must be {allowed}")
        if self.ge == 0 and quantity.p10 == 0 and not quantity.is_fixed:
            raise ValueError(
                "p10 is 0, so one in ten would lie below 0; give min, mode and max, or low and high"
            )
        return Quantity.model_validate({**quantity.model_dump_fields(), "unit": self.unit})

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))


Share = Annotated[Quantity, In("share", 0, 1)]
Factor = Annotated[Quantity, In("factor", 0)]
Count = Annotated[Quantity, In("count", 0)]
Runs = Annotated[Quantity, In("runs", 0)]
Months = Annotated[Quantity, In("months", 0)]
Days = Annotated[Quantity, In("days", 0)]
Usd = Annotated[Quantity, In("USD", 0)]
UsdPerRequest = Annotated[Quantity, In("USD/request", 0)]
UsdPerMonth = Annotated[Quantity, In("USD/month", 0)]
UsdPerGpuHour = Annotated[Quantity, In("USD/GPU-hour", 0)]
UsdPerMtok = Annotated[Quantity, In("USD/Mtok", 0)]
TokensPerRequest = Annotated[Quantity, In("tokens/request", 0)]
YearlyChange = Annotated[Quantity, In("share/year", -0.9, 20)]


def sourced(assumption_id: str) -> Any:
    """A field whose default is the assumption of that id in `pricing/`, with its source."""
    return Field(
        default_factory=partial(assumption, assumption_id),
        json_schema_extra={"default_from": assumption_id},
    )


class Section(BaseModel):
    """A part of a scenario: frozen, and strict about what it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True
    )

    def quantities(self, prefix: str = "") -> Iterator[tuple[str, Quantity]]:
        """Every quantity below this section with its path, such as `demand.growth_per_year`."""
        for name in type(self).model_fields:
            yield from _walk(f"{prefix}{name}", getattr(self, name))


def _walk(path: str, value: object) -> Iterator[tuple[str, Quantity]]:
    if isinstance(value, Quantity):
        yield path, value
    elif isinstance(value, Section):
        yield from value.quantities(f"{path}.")
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _walk(f"{path}.{key}", below)


def over_defaults(
    given: Any, defaults: Mapping[str, Any], kind: str, *, below: str | None = None
) -> Any:
    """The defaults with the user's entries over them, one level deeper when `below` is named."""
    if not isinstance(given, dict):
        return given  # pydantic says what is wrong with it
    for key in given:
        if key not in defaults:
            raise ValueError(str(unknown(kind, str(key), defaults)))
    if below is None:
        return {**defaults, **given}
    return {key: over_defaults(given.get(key, {}), defaults[key], below) for key in defaults}


def describe_input(section: type[Section], path: str) -> str:
    """What an input means, from its own declaration: the first sentence, as a phrase."""
    model: Any = section
    name, rest = path, path.split(".")
    for position, name in enumerate(rest):
        field = model.model_fields.get(name)
        if field is None:
            break
        text = (field.description or name).split(". ")[0].split("; ")[0].rstrip(".")
        model = field.annotation
        if not (isinstance(model, type) and issubclass(model, Section)):
            below = [part.replace("_", " ") for part in rest[position + 1 :] if part != "*"]
            phrase = text[0].lower() + text[1:] if text[1:2].islower() else text
            return f"{phrase} ({', '.join(below)})" if below else phrase
    return name.replace("_", " ")
