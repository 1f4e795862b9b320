"""Sobol' indices of variance by new runs of the model: what interaction adds to each input.

SALib draws the points (Saltelli et al., Computer Physics Communications 181, 2010) and analyses
them. Inputs that are correlated with one another stand in one group, so that groups are
independent and the indices mean what they say (Jacques, Lavergne and Devictor, RESS 91, 2006);
beside the inputs named, everything else is one more group.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from estimator.alternatives.quality import CHANCES
from estimator.decision.evaluate import Columns, cause_of, model_of
from estimator.errors import InputError, unknown
from estimator.hardware.calibration import Calibration
from estimator.quantity import FloatArray
from estimator.sampling import correlate
from estimator.scenario import AlternativeId, Scenario

POINTS = 2048  # fewer leave gaps between some pairs of the many inputs
REST = "everything else"
Uniforms = Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Shares of the variance of a payoff for one group of inputs."""

    inputs: tuple[str, ...]
    """The group: one input, or those correlated with it; `everything else`."""
    first_order: float
    """Share that goes when the group is known: V(E[U|X]) / V(U)."""
    total: float
    """Share that stays when all but the group is known, interaction included."""
    first_order_error: float
    """Half-width of the 95 % interval by bootstrap."""
    total_error: float


def total_indices(
    scenario: Scenario,
    inputs: Sequence[str],
    *,
    better: AlternativeId,
    than: AlternativeId,
    points: int = POINTS,
    seed: int = 7,
    calibration: Calibration | None = None,
) -> tuple[Index, ...]:
    """First-order and total indices of the gap in NPV between two alternatives, largest first.

    `inputs`: paths or causes to tell apart, such as the longest bars of a tornado. Runs the model
    on points x (groups + 2) rows; `points` is a power of two.
    """
    if "staged" in (better, than):
        raise InputError("a pilot decides by all draws together; name two other alternatives")
    causes = _causes(scenario)
    groups = _groups(scenario, causes, inputs)
    named = {cause for members in groups.values() for cause in members}
    rest = tuple(name for name in (*causes, *CHANCES) if name not in named)
    model = model_of(scenario, (better, than), calibration=calibration)

    def gap(uniforms: Uniforms) -> FloatArray:
        npv = model(_columns(scenario, causes, uniforms))
        return npv[better] - npv[than]

    return variance_indices(gap, groups | {REST: rest}, points=points, seed=seed)


def variance_indices(
    f: Callable[[Uniforms], FloatArray],
    groups: Mapping[str, Sequence[str]],
    *,
    points: int = POINTS,
    seed: int = 7,
) -> tuple[Index, ...]:
    """Indices of each group of independent uniforms on which `f` depends, largest total first.

    Empty if `f` does not vary. Source of the definitions: Sobol' 1993; Homma and Saltelli 1996.
    """
    from SALib.analyze import sobol as analysis  # type: ignore[import-untyped]
    from SALib.sample import sobol as sampling  # type: ignore[import-untyped]

    columns = [(name, label) for label, names in groups.items() for name in names]
    problem = {
        "num_vars": len(columns),
        "names": [name for name, _ in columns],
        "bounds": [[0.0, 1.0]] * len(columns),
        "groups": [label for _, label in columns],
    }
    drawn = sampling.sample(problem, points, calc_second_order=False, seed=seed)
    uniforms = np.clip(np.asarray(drawn), 2.0**-33, 1 - 2.0**-33).T
    values = f({name: uniforms[i] for i, (name, _) in enumerate(columns)})
    if values.std() == 0:
        return ()
    found = analysis.analyze(problem, values, calc_second_order=False, seed=seed)
    labels = [label for label, names in groups.items() if names]
    indices = [
        Index(
            inputs=(REST,) if label == REST else tuple(groups[label]),
            first_order=float(found["S1"][i]),
            total=float(found["ST"][i]),
            first_order_error=float(found["S1_conf"][i]),
            total_error=float(found["ST_conf"][i]),
        )
        for i, label in enumerate(labels)
    ]
    return tuple(sorted(indices, key=lambda index: -index.total))


def _causes(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """Uncertain inputs by cause: those of one cause share a uniform."""
    found: dict[str, tuple[str, ...]] = {}
    for path, quantity in scenario.inputs().items():
        if not quantity.is_fixed:
            found[cause_of(path)] = (*found.get(cause_of(path), ()), path)
    return found


def _groups(
    scenario: Scenario, causes: Mapping[str, tuple[str, ...]], inputs: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    """The causes of each group by its label; correlated causes are in one."""
    linked: dict[str, set[str]] = {}
    for pair in scenario.correlations:
        a, b = cause_of(pair.a), cause_of(pair.b)
        together = linked.get(a, {a}) | linked.get(b, {b})
        linked |= dict.fromkeys(together, together)
    groups: dict[str, tuple[str, ...]] = {}
    for name in map(cause_of, inputs):
        if name not in causes:
            raise unknown("uncertain input", name, causes)
        members = tuple(sorted(linked.get(name, {name})))
        groups[members[0]] = members
    return groups


def _columns(
    scenario: Scenario, causes: Mapping[str, tuple[str, ...]], uniforms: Uniforms
) -> Columns:
    """Values of every input at uniforms by cause."""
    quantities = scenario.inputs()
    correlations = {
        (cause_of(pair.a), cause_of(pair.b)): pair.rank for pair in scenario.correlations
    }
    together = correlate(uniforms, correlations)
    columns = {p: np.asarray(q.numbers[0]) for p, q in quantities.items() if q.is_fixed}
    for cause, paths in causes.items():
        columns |= {path: quantities[path].ppf(together[cause]) for path in paths}
    return columns | {name: together[name] for name in CHANCES}
