"""Uncertain quantities: a number somebody may doubt, with its unit, source and date.

Written in YAML as a plain number, `{min, mode, max}`, `{p10, p90}`, `{p10, p50, p90}`,
`{low, high}` or `{probability}`. Every form samples by inverse CDF, so that draws can be
quasi-random, common to all alternatives and correlated.
"""

import datetime
import re
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from estimator.normal import normal_ppf

FloatArray = NDArray[np.float64]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Form = Literal["fixed", "pert", "percentiles", "uniform", "probability"]
Evidence = Literal["measured", "seen", "seen-secondary", "recalled", "guess", "conflict", "user"]

FORMS: dict[Form, tuple[str, ...]] = {
    "fixed": ("value",),
    "pert": ("min", "mode", "max"),
    "percentiles": ("p10", "p50", "p90"),
    "uniform": ("low", "high"),
    "probability": ("probability",),
}
ALLOWED_FORMS = "a number, {min, mode, max}, {p10, p90}, {p10, p50, p90}, {low, high}"
SHARE_UNITS = frozenset({"share", "probability"})
WIDEST_RATIO = 1e6
"""Of P90 to P10: beyond it the tails of a lognormal leave the numbers that mean anything."""
Z90 = 1.2815515655446004  # standard normal quantile at 0.9
_ANGLE = np.linspace(0.0, np.pi, 4097)  # of the table of a PERT's curve
_EVEN_STEPS, _END_STEPS = 2**14, 64
_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


class Quantity(BaseModel):
    """A number somebody may doubt: exactly one form of range, and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    value: Number | None = None
    """The number itself, when nobody doubts it."""
    min: Number | None = None
    """Smallest value (PERT)."""
    mode: Number | None = None
    """Most likely value (PERT)."""
    max: Number | None = None
    """Largest value (PERT)."""
    p10: Number | None = None
    """One chance in ten of being below."""
    p50: Number | None = None
    """As likely above as below; may be left out."""
    p90: Number | None = None
    """One chance in ten of being above."""
    low: Number | None = None
    """Lower end (uniform)."""
    high: Number | None = None
    """Upper end (uniform)."""
    probability: Annotated[float, Field(strict=True, ge=0, le=1)] | None = None
    """Chance that an event happens; draws are 0 or 1."""
    unit: str | None = None
    """Unit of every number above."""
    source: str | None = None
    """Where the numbers come from."""
    as_of: str | None = None
    """Date of the source: YYYY, YYYY-MM or YYYY-MM-DD."""
    evidence: Evidence | None = None
    """How far the source can be trusted."""
    note: str | None = None
    """What a reader should know before using it."""

    @model_validator(mode="before")
    @classmethod
    def _accept_plain_number(cls, data: Any) -> Any:
        if isinstance(data, int | float) and not isinstance(data, bool):
            return {"value": data}
        if isinstance(data, dict | Quantity):
            return data
        raise ValueError(f"got {data!r}; allowed: {ALLOWED_FORMS}")

    @field_validator("as_of", mode="before")
    @classmethod
    def _date_as_text(cls, as_of: Any) -> Any:
        if isinstance(as_of, datetime.date):
            return as_of.isoformat()
        if isinstance(as_of, int) and not isinstance(as_of, bool):
            as_of = str(as_of)
        if isinstance(as_of, str) and not _DATE.fullmatch(as_of):
            raise ValueError(f"{as_of!r} is not a date (YYYY, YYYY-MM or YYYY-MM-DD)")
        return as_of

    @model_validator(mode="after")
    def _exactly_one_form(self) -> Self:
        given = {name for names in FORMS.values() for name in names if self._has(name)}
        forms = [form for form, names in FORMS.items() if given & set(names)]
        if len(forms) != 1:
            what = f"mixes {', '.join(sorted(given))}" if given else "no number given"
            raise ValueError(f"{what}; allowed: exactly one of {ALLOWED_FORMS}, {{probability}}")
        required = set(FORMS[forms[0]]) - {"p50"}
        if missing := sorted(required - given):
            raise ValueError(f"{', '.join(missing)} missing beside {', '.join(sorted(given))}")
        numbers = [(name, getattr(self, name)) for name in FORMS[forms[0]] if self._has(name)]
        for (name, number), (next_name, next_number) in pairwise(numbers):
            if number > next_number:
                raise ValueError(f"reversed range: {name} {number:g} > {next_name} {next_number:g}")
        self._check_percentiles(forms[0])
        return self

    def _check_percentiles(self, form: Form) -> None:
        if form != "percentiles" or self.is_fixed:
            return
        numbers = self.numbers
        if any(a == b for a, b in pairwise(numbers)):
            raise ValueError("p10, p50 and p90 must differ (or all be equal)")
        if self.unit in SHARE_UNITS and not (numbers[0] > 0 and numbers[-1] < 1):
            raise ValueError(f"percentiles of a share lie strictly between 0 and 1, got {numbers}")
        if numbers[0] > 0 and numbers[-1] / WIDEST_RATIO > numbers[0]:
            raise ValueError(
                f"p90 {numbers[-1]:g} is more than {WIDEST_RATIO:g} times p10 {numbers[0]:g}; "
                "narrow the range"
            )

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None

    @classmethod
    def of(cls, data: "Quantity | float | dict[str, Any]") -> "Quantity":
        """A Quantity from a number, a mapping or a Quantity."""
        return data if isinstance(data, Quantity) else cls.model_validate(data)

    @model_serializer(mode="plain")
    def _shortest_form(self) -> float | dict[str, float | str]:
        fields = {k: v for k in type(self).model_fields if (v := getattr(self, k)) is not None}
        if set(fields) == {"value"}:
            return fields["value"]  # type: ignore[no-any-return]
        return fields

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Number or object: both are valid in a scenario file."""
        properties = {
            name: {"type": "number", "description": field.description or ""}
            if name in {n for names in FORMS.values() for n in names}
            else {"type": "string", "description": field.description or ""}
            for name, field in cls.model_fields.items()
        }
        return {
            "title": "Quantity",
            "description": cls.__doc__ or "",
            "anyOf": [
                {"type": "number"},
                {"type": "object", "properties": properties, "additionalProperties": False},
            ],
        }

    @property
    def form(self) -> Form:
        """Which kind of range this is."""
        return next(form for form, names in FORMS.items() if self._has(names[0]))

    @property
    def numbers(self) -> tuple[float, ...]:
        """The numbers given, in ascending order of meaning (min, mode, max; p10, p50, p90; ...)."""
        return tuple(x for n in FORMS[self.form] if (x := getattr(self, n)) is not None)

    @property
    def is_fixed(self) -> bool:
        """Whether every draw is the same number."""
        if self.form == "probability":
            return self.probability in (0.0, 1.0)
        return self.numbers[0] == self.numbers[-1]

    def with_unit(self, unit: str) -> "Quantity":
        """The same quantity with its unit filled in."""
        return self if self.unit == unit else self.model_copy(update={"unit": unit})

    def scaled(self, factor: float) -> "Quantity":
        """The same quantity with every number multiplied by a positive `factor`."""
        names = FORMS[self.form]
        return Quantity.model_validate(
            self.model_dump_fields() | {n: getattr(self, n) * factor for n in names if self._has(n)}
        )

    def model_dump_fields(self) -> dict[str, Any]:
        """Every field that is set, by name."""
        return {k: v for k in type(self).model_fields if (v := getattr(self, k)) is not None}

    def ppf(self, u: ArrayLike) -> FloatArray:
        """Value at cumulative probability `u` (any shape, inside 0..1): the inverse CDF."""
        u = np.asarray(u, dtype=np.float64)
        if self.is_fixed:
            return np.full(u.shape, self.numbers[0])
        if self.form == "pert":
            return pert_ppf(u, *self.numbers)
        if self.form == "uniform":
            low, high = self.numbers
            return low + (high - low) * u
        if self.form == "probability":
            return (u > 1.0 - self.numbers[0]).astype(np.float64)
        return percentile_ppf(u, self.numbers, support=self._support())

    def _support(self) -> Literal["real", "positive", "share"]:
        if self.unit in SHARE_UNITS:
            return "share"
        return "positive" if self.numbers[0] > 0 else "real"

    def median(self) -> float:
        """The value at probability one half (of an event: its probability)."""
        return self.numbers[0] if self.form == "probability" else float(self.ppf(0.5))

    def mean(self) -> float:
        """The expected value; closed form, or a fine midpoint sum over the inverse CDF."""
        if self.is_fixed or self.form == "probability":
            return self.numbers[0]
        if self.form == "pert":
            low, mode, high = self.numbers
            return (low + 4 * mode + high) / 6
        if self.form == "uniform":
            return sum(self.numbers) / 2
        return float(np.mean(self.ppf((np.arange(20_000) + 0.5) / 20_000)))

    def p10_p50_p90(self) -> tuple[float, float, float]:
        """The values at cumulative probabilities 0.1, 0.5 and 0.9."""
        p10, p50, p90 = self.ppf(np.array([0.1, 0.5, 0.9]))
        return float(p10), float(p50), float(p90)


def pert_shape(low: float, mode: float, high: float) -> tuple[float, float]:
    """The two beta shapes of a PERT: 1 + 4(mode-low)/(high-low), 1 + 4(high-mode)/(high-low).

    Source: Malcolm, Roseboom, Clark and Fazar (1959), with the usual weight of 4 on the mode.
    The mean is (low + 4 mode + high)/6; the standard deviation is the beta's own, not
    the textbook's (high-low)/6.
    """
    width = high - low
    return 1 + 4 * (mode - low) / width, 1 + 4 * (high - mode) / width


def pert_ppf(u: ArrayLike, low: float, mode: float, high: float) -> FloatArray:
    """Inverse CDF of the beta-PERT distribution, in the unit of `low`.

    Read off a table of the curve; its error is below 3e-6 of the range.
    """
    shape = pert_shape(low, mode, high)
    cumulative, share = _pert_table(*shape)
    u = np.asarray(u, np.float64)
    if u.size < _EVEN_STEPS / 4:
        return np.asarray(low + (high - low) * np.interp(u, cumulative, share))
    even = _pert_even(*shape)
    place = u * _EVEN_STEPS
    step = np.minimum(place.astype(np.intp), _EVEN_STEPS - 1)
    shares = even[step] + (place - step) * (even[step + 1] - even[step])
    ends = (step < _END_STEPS) | (step >= _EVEN_STEPS - _END_STEPS)
    shares[ends] = np.interp(u[ends], cumulative, share)
    return np.asarray(low + (high - low) * shares)


@lru_cache(maxsize=1024)
def _pert_even(alpha: float, beta: float) -> FloatArray:
    """The curve at even steps of probability, where nothing need be searched: ten times faster.

    At both ends it is too steep for straight lines between them.
    """
    return np.interp(np.linspace(0.0, 1.0, _EVEN_STEPS + 1), *_pert_table(alpha, beta))


@lru_cache(maxsize=1024)
def _pert_table(alpha: float, beta: float) -> tuple[FloatArray, FloatArray]:
    """Cumulative probability of a beta at shares of the range; the same shapes come again.

    With x = sin^2(t/2) the density becomes sin^(2a-1) cos^(2b-1), which the trapezoidal rule
    integrates without trouble at the ends (shapes of a PERT are at least 1).
    """
    sine, cosine = np.sin(_ANGLE / 2), np.cos(_ANGLE / 2)
    density = sine ** (2 * alpha - 1) * np.maximum(cosine, 0.0) ** (2 * beta - 1)
    cumulative = np.concatenate([[0.0], np.cumsum(density[1:] + density[:-1])])
    return cumulative / cumulative[-1], sine**2


def percentile_ppf(
    u: ArrayLike, numbers: tuple[float, ...], *, support: Literal["real", "positive", "share"]
) -> FloatArray:
    """Inverse CDF through P10, P90 and, when given, P50.

    The percentiles are mapped to the whole real line (as they are, by log, or by logit), joined
    there by the J-QPD curve and mapped back; with P50 in the middle of the mapped percentiles the
    result is the normal, the lognormal or the logit-normal.
    Source: Hadlock and Bickel, "Johnson quantile-parameterized distributions", Decision Analysis
    14(1), 2017; their semi-bounded form is this one under the log.
    """
    z = normal_ppf(u)
    if support == "share":
        odds = np.log(np.array(numbers)) - np.log1p(-np.array(numbers))
        return np.asarray(0.5 + 0.5 * np.tanh(_johnson(z, *map(float, odds)) / 2))
    if support == "positive":
        return np.asarray(np.exp(_johnson(z, *map(float, np.log(np.array(numbers))))))
    return _johnson(z, *numbers)


def _johnson(z: FloatArray, y10: float, *rest: float) -> FloatArray:
    """The J-QPD curve at standard normal `z` through y10, (y50,) y90 on the real line."""
    y90 = rest[-1]
    y50 = rest[0] if len(rest) == 2 else (y10 + y90) / 2
    skew = np.sign(y10 + y90 - 2 * y50)
    nearer = min(y50 - y10, y90 - y50)
    ratio = (y90 - y10) / (2 * nearer)
    if ratio - 1 < 1e-9:
        return np.asarray(y50 + z * (y90 - y10) / (2 * Z90))
    anchor = {1.0: y10, -1.0: y90}[float(skew)]
    delta = np.sinh(np.arccosh(ratio)) / Z90
    scale = nearer / (delta * Z90)
    return np.asarray(
        anchor + scale * np.sinh(np.arcsinh(delta * z) + np.arcsinh(skew * Z90 * delta))
    )
