"""A quantity as a table shows it, Low, Middle and High, and what is typed into these cells."""

from collections.abc import Mapping
from itertools import pairwise

from pydantic import ValidationError

from estimator.dashboard.adjust import SOURCE, moved_to
from estimator.errors import InputError
from estimator.quantity import Form, Quantity
from estimator.scenario.files import describe
from estimator.scenario.inputs import In

LOW, MIDDLE, HIGH = "Low", "Middle", "High"
CELLS = (LOW, MIDDLE, HIGH)
MEANINGS: Mapping[Form, str] = {
    "fixed": "exact",
    "pert": "least, likeliest, most",
    "percentiles": "8 of 10 cases",
    "uniform": "all alike between",
    "probability": "a chance",
}
"""What Low, Middle and High stand for."""

Cells = Mapping[str, float | None]


def cells(quantity: Quantity) -> dict[str, float | None]:
    """Low, middle and high as the quantity states them; None is an empty cell."""
    numbers = quantity.numbers
    if quantity.form in ("fixed", "probability"):
        return dict(zip(CELLS, (None, numbers[0], None), strict=True))
    if quantity.form == "uniform":
        return dict(zip(CELLS, (numbers[0], None, numbers[1]), strict=True))
    middle = numbers[1] if len(numbers) == len(CELLS) else quantity.median()
    return dict(zip(CELLS, (numbers[0], middle, numbers[-1]), strict=True))


def typed(quantity: Quantity, given: Cells, limits: In) -> Quantity:
    """The quantity after some of its cells were typed, or emptied (None); else `InputError`.

    The middle alone takes the whole range along, as a slider does. Low and high alone keep the
    middle if it lies between them; else it takes the same place between the new ones as between the
    old, and half-way where there were none. A middle alone is exact; without a middle, all between
    low and high is as likely.
    """
    try:
        return limits.check(_typed(quantity, given, limits))
    except ValidationError as error:
        raise InputError(describe(error, {}).removeprefix("scenario: ")) from None
    except ValueError as error:
        raise InputError(str(error)) from None


def user_quantity(numbers: Mapping[str, float], limits: In) -> Quantity:
    """A quantity of the user's own from its numbers by name; else `InputError`."""
    try:
        return limits.check(_own(numbers, limits))
    except ValidationError as error:
        raise InputError(describe(error, {}).removeprefix("scenario: ")) from None
    except ValueError as error:
        raise InputError(str(error)) from None


def _own(numbers: Cells, limits: In) -> Quantity:
    given = {"source": SOURCE, "evidence": "user", "unit": limits.unit}
    return Quantity.model_validate({**numbers, **given})


def _typed(quantity: Quantity, given: Cells, limits: In) -> Quantity:
    for number in filter(None, given.values()):
        limits.check(_own({"value": number}, limits))
    now = cells(quantity)
    middle = given.get(MIDDLE)
    if set(given) == {MIDDLE} and middle is not None and _can_move(now, limits):
        return moved_to(quantity, middle, limits, middle=now[MIDDLE])
    wanted = {**now, **given}
    if MIDDLE not in given and given.get(LOW) is not None and given.get(HIGH) is not None:
        wanted[MIDDLE] = _kept_between(now, wanted)
    _check_order(wanted)
    return _own(_numbers(quantity, wanted, said=MIDDLE in given, limits=limits), limits)


def _can_move(now: Cells, limits: In) -> bool:
    """Whether there is a range to take along; one that starts at a bound has nowhere to pull."""
    return now[LOW] is not None and now[MIDDLE] not in (None, limits.ge, limits.le)


def _kept_between(now: Cells, wanted: Cells) -> float | None:
    low, high, middle = wanted[LOW], wanted[HIGH], now[MIDDLE]
    old_low, old_high = now[LOW], now[HIGH]
    if low is None or high is None or middle is None or low <= middle <= high:
        return middle
    if low > high:
        return None
    if old_low is None or old_high is None or old_low == old_high:
        return (low + high) / 2
    place = low + (high - low) * (middle - old_low) / (old_high - old_low)
    short = float(f"{place:.4g}")
    return short if low <= short <= high else place


def _check_order(wanted: Cells) -> None:
    low, middle, high = (wanted[name] for name in CELLS)
    if (low is None) != (high is None):
        there, missing = (LOW, HIGH) if high is None else (HIGH, LOW)
        raise InputError(f"{there} {wanted[there]:g} needs a {missing} beside it")
    if low is None and middle is None:
        raise InputError("no number left; type a Middle, or a Low and a High")
    given = [(name, number) for name in CELLS if (number := wanted[name]) is not None]
    for (name, number), (next_name, next_number) in pairwise(given):
        if number > next_number:
            raise InputError(f"{name} {number:g} is above {next_name} {next_number:g}")


def _numbers(quantity: Quantity, wanted: Cells, *, said: bool, limits: In) -> Cells:
    """The numbers of a quantity with these cells, in the old form where that can hold them."""
    low, middle, high = (wanted[name] for name in CELLS)
    if quantity.form == "probability":
        if low is not None:
            raise InputError("a chance is one number from 0 to 1; empty Low and High")
        return {"probability": middle}
    if low is None:
        return {"value": middle}
    if quantity.form == "percentiles" and not quantity.is_fixed:
        if limits.ge is not None and low <= limits.ge:
            raise InputError(
                f"{LOW} {low:g}, exceeded in 9 of 10 cases, must be above {limits.ge:g}"
            )
        stated = said or quantity.p50 is not None  # else the middle shown was computed
        return {"p10": low, "p50": middle if stated else None, "p90": wanted[HIGH]}
    if middle is None:
        return {"low": low, "high": high}
    return {"min": low, "mode": middle, "max": high}
