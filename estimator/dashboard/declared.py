"""What the scenario declares about an input: its docstring, unit and bounds, and its help text."""

from functools import cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from estimator.decision.wording import capitalised, value_with_unit
from estimator.quantity import Quantity
from estimator.scenario import Scenario
from estimator.scenario.inputs import In, describe_input


@cache
def docstring(path: str) -> str:
    """The whole docstring of an input, or of the table of inputs that it is in."""
    found = ""
    model: type[BaseModel] = Scenario
    for name in path.split("."):
        field = model.model_fields.get(name)
        if field is None:
            break
        found = field.description or found
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break
        model = field.annotation
    return " ".join(found.split())


@cache
def bounds(path: str) -> In:
    """Unit and bounds of a quantity, from its annotation."""
    annotation: Any = Scenario
    for name in path.split("."):
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            field = annotation.model_fields[name]
            annotation = Annotated[field.annotation, *field.metadata, None]
            annotation = field.annotation if not field.metadata else annotation
        else:
            annotation = get_args(annotation)[1]  # a table: dict[str, ...]
    found = _find(annotation)
    assert found is not None, f"{path} is not declared as a quantity"
    return found


def _find(annotation: Any) -> In | None:
    if get_origin(annotation) is Annotated:
        marks = (mark for mark in annotation.__metadata__ if isinstance(mark, In))
        return next(marks, None) or _find(annotation.__origin__)
    return next((found for arg in get_args(annotation) if (found := _find(arg))), None)


@cache
def label(path: str) -> str:
    """What an input is called: the first sentence of its docstring, up to a colon."""
    return capitalised(" ".join(describe_input(Scenario, path).split(": ")[0].split()))


def quantity_help(path: str, quantity: Quantity) -> str:
    """All that is known about a quantity: meaning, range, unit, bounds, source, date, evidence."""
    limits = bounds(path)
    p10, p50, p90 = (value_with_unit(x, limits.unit) for x in quantity.p10_p50_p90())
    range_now = f"certainly {p50}" if quantity.is_fixed else f"{p10} to {p90} in 8 of 10 cases"
    allowed = [
        f"{word} {value_with_unit(limit, limits.unit)}"
        for word, limit in (("at least", limits.ge), ("at most", limits.le))
        if limit is not None
    ]
    source = quantity.source or "the scenario file"
    known = [f"as of {quantity.as_of}"] if quantity.as_of else []
    known += [f"evidence: {quantity.evidence}"] if quantity.evidence else []
    parts = [
        docstring(path),
        f"Starts from: {range_now}.",
        "The slider sets the middle; the range moves along.",
        f"Unit: {limits.unit}; allowed: {' and '.join(allowed) or 'any number'}.",
        f"Source: {'; '.join([source, *known])}.",
        *([quantity.note] if quantity.note else []),
    ]
    return plain("  \n".join(parts))


def plain(text: str) -> str:
    """The text with Markdown's signs made ordinary, so that "$2 to $3" is not read as a formula."""
    text = text.replace("`", "")
    for sign in "\\$*_[]<~":
        text = text.replace(sign, f"\\{sign}")
    return text
