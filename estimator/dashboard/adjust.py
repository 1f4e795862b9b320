"""Moving an uncertain input to a new median, its range going along."""

from estimator.quantity import FORMS, Quantity
from estimator.scenario.inputs import In

SOURCE = "set in the dashboard"


def moved_to(
    quantity: Quantity, median: float, bounds: In, *, middle: float | None = None
) -> Quantity:
    """The quantity with another median; its whole range moves along and stays within bounds.

    Where `middle` is given, it is this number of the range that goes to `median`.

    Going down, every number's distance from the lower bound shrinks by one factor; going up, its
    distance to the upper bound, or where there is none, the distance from the lower bound grows.
    So a range above 0 is scaled, a share stays a share, and nothing is cut off.
    """
    given = {"source": SOURCE, "evidence": "user"}
    if quantity.unit is not None:
        given["unit"] = quantity.unit
    if quantity.form == "probability":
        return Quantity.model_validate({**given, "probability": median})
    if quantity.is_fixed or median in (bounds.ge, bounds.le):
        return Quantity.model_validate({**given, "value": median})
    old = quantity.median() if middle is None else middle
    fixed = bounds.le if median > old and bounds.le is not None else bounds.ge
    names = [name for name in FORMS[quantity.form] if getattr(quantity, name) is not None]
    numbers = {name: _moved(getattr(quantity, name), old, median, fixed) for name in names}
    if quantity.form == "percentiles":
        numbers["p50"] = median
    return Quantity.model_validate({**given, **numbers})


def _moved(number: float, old: float, new: float, fixed: float | None) -> float:
    """The number after a stretch that leaves `fixed` in place and takes `old` to `new`."""
    if number == old:
        return new
    if fixed is None:
        return number + new - old
    return fixed + (number - fixed) * ((new - fixed) / (old - fixed))
