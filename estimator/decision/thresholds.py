"""Break-even of a scenario: the values of one input at which two alternatives change places.

In expectation, at the medians of everything else, and where one is better with a given chance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from estimator.decision.breakeven import grid_of, roots_on
from estimator.decision.evaluate import Columns, Model, draw_inputs, medians, model_of
from estimator.errors import InputError, unknown
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray, Quantity
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.inputs import In, Section

DRAWS = 512
GRID_POINTS = 65
PILOT_POINTS = 17  # what a pilot leads to is worked out for each value anew
FINE_POINTS = 2001
HALVINGS = 16  # to a hundred-thousandth of a step of the grid
CHANCES = (0.2, 0.5, 0.8)
BEYOND = 10.0  # the search goes so many times beyond what the scenario thinks possible
Statistic = Callable[[FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One value of the input at which the better of the two changes."""

    value: float
    better_above: AlternativeId
    """The one that is better just above the value."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BreakEven:
    """Where two alternatives change places as one input moves."""

    input: str
    quantity: Quantity
    """What the scenario believes about the input."""
    a: AlternativeId
    b: AlternativeId
    low: float
    """Lower end of the search, in the input's unit."""
    high: float
    expected: tuple[Threshold, ...]
    """Values at which both have the same expected NPV, everything else uncertain."""
    at_medians: tuple[Threshold, ...]
    """The same with everything else at its median: steps (whole GPUs, tiers) stay steps. Empty for
    a pilot, which has nothing to find out where all is known."""
    chance: dict[float, tuple[float, ...]]
    """Values at which A is better than B with this probability."""
    values: FloatArray
    """Where the curves below are read, shape (k,)."""
    gain_usd: FloatArray
    """Expected NPV of A less that of B, shape (k,)."""
    probability: FloatArray
    """Chance that A is better than B, shape (k,)."""


def find_break_even(
    scenario: Scenario,
    path: str,
    first: str,
    second: str,
    *,
    low: float | None = None,
    high: float | None = None,
    seed: int = 7,
    calibration: Calibration | None = None,
) -> BreakEven:
    """Every break-even value of the input at `path` between two alternatives.

    The input is set to each value in turn; what the scenario correlates with it stays as drawn.
    512 draws, common to all values; a grid of 65 values (2,001 at the medians; 17 for a pilot),
    then bisection.
    """
    quantity = _quantity(scenario, path)
    a, b = _pair(scenario, first, second)
    ends = _range(scenario, path, quantity, low, high)
    pilot = "staged" in (a, b)
    worlds, halvings = (DRAWS, HALVINGS // 2) if pilot else (None, HALVINGS)
    model = model_of(scenario, (a, b), calibration=calibration, worlds=worlds)
    draws = dict(draw_inputs(scenario, n=DRAWS, seed=seed))
    coarse = grid_of(*ends, PILOT_POINTS if pilot else GRID_POINTS)
    fine = grid_of(*ends, FINE_POINTS)
    at_draws = _Gap(model, draws, path, a, b)
    at_median = _Gap(model, medians(scenario), path, a, b)
    gaps = at_draws(coarse)

    def roots(statistic: Statistic) -> tuple[float, ...]:
        return roots_on(
            lambda v: statistic(gaps if v is coarse else at_draws(v)), coarse, halvings=halvings
        )

    middle: tuple[float, ...] = ()
    if not pilot:
        middle = roots_on(lambda v: at_median(v)[:, 0], fine, halvings=2 * HALVINGS)
    expected = roots(lambda gap: gap.mean(axis=1))
    return BreakEven(
        input=path,
        quantity=quantity,
        a=a,
        b=b,
        low=ends[0],
        high=ends[1],
        expected=_thresholds(expected, lambda v: at_draws(v).mean(axis=1), ends, a, b),
        at_medians=_thresholds(middle, lambda v: at_median(v)[:, 0], ends, a, b),
        chance={p: roots(_reaches(p)) for p in CHANCES},
        values=coarse,
        gain_usd=gaps.mean(axis=1),
        probability=_chance(gaps),
    )


@dataclass(frozen=True, slots=True)
class _Gap:
    """NPV of A less that of B with the input at given values: (k,) to (k, worlds)."""

    model: Model
    worlds: Columns
    path: str
    a: AlternativeId
    b: AlternativeId

    def __call__(self, values: FloatArray) -> FloatArray:
        worlds = max(x.size for x in self.worlds.values())
        columns = {p: np.tile(x, values.size) if x.ndim else x for p, x in self.worlds.items()}
        columns[self.path] = np.repeat(values, worlds)
        npv = self.model(columns)
        return (npv[self.a] - npv[self.b]).reshape(values.size, worlds)


def _chance(gap: FloatArray) -> FloatArray:
    """Share of worlds in which A is better, ties split: (k, worlds) to (k,)."""
    return np.asarray(((gap > 0) + 0.5 * (gap == 0)).mean(axis=1))


def _reaches(probability: float) -> Statistic:
    """Above 0 from the worlds on in which A is better with this probability, never 0 itself."""
    return lambda gap: _chance(gap) - probability + 1e-9


def _thresholds(
    roots: tuple[float, ...],
    gain: Statistic,
    ends: tuple[float, float],
    a: AlternativeId,
    b: AlternativeId,
) -> tuple[Threshold, ...]:
    """Each root with the alternative that is better between it and the next one."""
    if not roots:
        return ()
    edges = np.array([*roots, ends[1]])
    just_above = gain((edges[:-1] + edges[1:]) / 2)
    return tuple(
        Threshold(value=root, better_above=a if ahead > 0 else b)
        for root, ahead in zip(roots, just_above, strict=True)
    )


def _quantity(scenario: Scenario, path: str) -> Quantity:
    inputs = scenario.inputs()
    if path not in inputs:
        raise unknown("input", path, inputs, "`tuneroi init --inputs` lists them all")
    return inputs[path]


def _pair(scenario: Scenario, first: str, second: str) -> tuple[AlternativeId, AlternativeId]:
    a, b = _alternative(scenario, first), _alternative(scenario, second)
    if a == b:
        raise InputError(f"break-even between {a!r} and itself: name two alternatives")
    return a, b


def _alternative(scenario: Scenario, name: str) -> AlternativeId:
    for known in scenario.alternatives:
        if known == name:
            return known
    raise unknown("alternative", name, scenario.alternatives)


def _range(
    scenario: Scenario, path: str, quantity: Quantity, low: float | None, high: float | None
) -> tuple[float, float]:
    """Ends of the search: ten times beyond what is thought possible, within the input's bounds."""
    limits = bounds_of(type(scenario), path)
    first, last = (float(q) for q in quantity.ppf(np.array([0.001, 0.999])))
    if quantity.form == "probability":
        first, last = 0.0, 1.0
    width = max(last - first, abs(first), abs(last)) or 1.0
    wide = (first / BEYOND if first > 0 else first - width, max(last * BEYOND, last + width))
    if limits.ge == 0 and limits.le == 1:
        wide = (0.0, 1.0)
    low = max(wide[0], -np.inf if limits.ge is None else limits.ge) if low is None else low
    high = min(wide[1], np.inf if limits.le is None else limits.le) if high is None else high
    for end in (low, high):
        try:
            limits.check(Quantity.of(float(end)))
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
    if not low < high:
        raise InputError(f"{path}: from {low:g} to {high:g} is no range; give --from and --to")
    return low, high


def bounds_of(section: type[Section], path: str) -> In:
    """Unit and bounds that the input at `path` is declared with."""
    declared: Any = section
    metadata: tuple[Any, ...] = ()
    for part in path.split("."):
        if isinstance(declared, type) and issubclass(declared, Section):
            field = declared.model_fields[part]
            declared, metadata = field.annotation, tuple(field.metadata)
        else:
            declared = get_args(declared)[1]
    return next(_declarations((*metadata, declared)), In(""))


def _declarations(found: tuple[Any, ...]) -> Iterator[In]:
    """Every `In` in the annotations, however deep: an optional or keyed input wraps its own."""
    for item in found:
        if isinstance(item, In):
            yield item
        elif inner := (getattr(item, "__metadata__", ()) or get_args(item)):
            yield from _declarations(tuple(inner))
