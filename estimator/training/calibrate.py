"""Fit the efficiency parameters to measurements of throughput.

Maximum a posteriori: every fitted entry keeps a lognormal prior; residuals of ln(tokens/s) count
with a soft L1 loss, and each source counts for at most `SOURCE_CAP` rows, so that no single
benchmark decides. Interval widths come from predicting each source with a fit to the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.hardware.calibration import (
    Calibration,
    Keys,
    Knowledge,
    Spread,
    Values,
    generation_key,
)
from estimator.hardware.efficiency import efficiency
from estimator.hardware.rates import Rates, cluster_rates
from estimator.quantity import FloatArray
from estimator.training.published import Measurement
from estimator.training.software import loss_kind
from estimator.training.throughput import StepTime, step_time_of
from estimator.training.work import StepWork, step_work

NOISE = 0.08  # sd of ln(tokens/s) that the best parameters leave: 0.06 between equal runs, and form
SOURCE_CAP = 60
WIDENING = 1.25
"""How much wider the logarithms of intervals are than left-out residuals: rows of sources that
nobody had in view when the form was chosen lie further off."""
MAX_EVALUATIONS = 40
TOLERANCE = 1e-6  # relative change of the loss, or of the parameters, at which a fit ends
STEP = 0.01  # of a logarithm, for numerical derivatives
Place = tuple[str, str]
"""An entry of a calibration: parameter and key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Measurements as arrays: what was asked, on which machine, with which software."""

    work: StepWork
    rates: Rates
    generation: NDArray[np.str_]
    stack: NDArray[np.str_]
    number_format: NDArray[np.str_]
    kernel: NDArray[np.str_]
    loss: NDArray[np.str_]
    optimizer: NDArray[np.str_]
    compiled: NDArray[np.bool_]
    source: NDArray[np.str_]
    measured: FloatArray
    """Tokens per second and GPU."""

    def __len__(self) -> int:
        return len(self.measured)

    def where(self, chosen: NDArray[np.bool_]) -> "Batch":
        """Only the chosen measurements."""
        taken: Batch = _take(self, chosen)
        return taken

    @property
    def source_weights(self) -> FloatArray:
        """Weight of each row by which every source weighs 1."""
        _, where, count = np.unique(self.source, return_inverse=True, return_counts=True)
        return (1.0 / count)[where]

    @property
    def weights(self) -> FloatArray:
        """Weight of each row: 1, or less where its source has more rows than the cap."""
        _, where, count = np.unique(self.source, return_inverse=True, return_counts=True)
        return (np.minimum(count, SOURCE_CAP) / count)[where]


def batch(measurements: Sequence[Measurement], values: Values) -> Batch:
    """The measurements as arrays."""
    rates = [cluster_rates(m.cluster, m.number_format, values) for m in measurements]
    work = [
        step_work(m.architecture, m.recipe, m.cluster, virtual_stages=m.virtual_stages)
        for m in measurements
    ]
    return Batch(
        work=_stack(work),
        rates=_stack(rates),
        generation=np.array([generation_key(m.cluster.gpu.generation) for m in measurements]),
        stack=np.array([m.recipe.stack for m in measurements]),
        number_format=np.array([m.number_format for m in measurements]),
        kernel=np.array([m.kernel for m in measurements]),
        loss=np.array([loss_kind(m.recipe) for m in measurements]),
        optimizer=np.array([m.recipe.optimizer for m in measurements]),
        compiled=np.array([m.recipe.compiled for m in measurements]),
        source=np.array([m.source for m in measurements]),
        measured=np.array([m.tokens_per_second_per_gpu for m in measurements]),
    )


def predict(rows: Batch, values: Values) -> StepTime:
    """The step time of every measurement."""
    return _predict(rows, values, _keys(rows))


def _keys(rows: Batch) -> dict[str, Any]:
    """The keys by which `efficiency` looks up the rows' parameters."""
    columns = ("generation", "stack", "number_format", "kernel", "loss", "optimizer")
    return {name: Keys.of(getattr(rows, name)) for name in columns} | {"compiled": rows.compiled}


def _predict(rows: Batch, values: Values, keys: Mapping[str, Any]) -> StepTime:
    peak = np.asarray(rows.rates.attention_flops_per_second)
    return step_time_of(
        rows.work, rows.rates, efficiency(values, **keys), peak_flops_per_second=peak
    )


@dataclass(frozen=True, slots=True)
class LogRate:
    """ln(tokens/s) of some rows as a function of the logarithms of some entries."""

    rows: Batch
    places: Sequence[Place]
    calibration: Calibration
    keys: Mapping[str, Any]

    @classmethod
    def of(cls, rows: Batch, places: Sequence[Place], calibration: Calibration) -> "LogRate":
        """The function for `places`; every other entry keeps its value in `calibration`."""
        return cls(rows, places, calibration, _keys(rows))

    def at(self, x: FloatArray) -> FloatArray:
        """ln(tokens/s) of every row where the entries' logarithms are `x`."""
        table = {name: dict(held) for name, held in self.calibration.values.items()}
        for (name, key), value in zip(self.places, np.exp(x), strict=True):
            table[name][key] = float(value)
        return np.log(_predict(self.rows, table, self.keys).tokens_per_second_per_gpu)

    def slopes(self, x: FloatArray) -> FloatArray:
        """Derivatives at `x` by forward differences: rows x entries."""
        base = self.at(x)
        steps = STEP * np.eye(len(x))
        return np.array([(self.at(x + step) - base) / STEP for step in steps]).T


def fit(rows: Batch, prior: Calibration, start: Calibration | None = None) -> Calibration:
    """The calibration that explains the rows best, given the priors of its entries.

    `start`: where to begin looking; another fit to almost the same rows saves time.
    """
    from scipy.optimize import least_squares

    free = [
        (name, key)
        for name, parameter in prior.parameters.items()
        for key, entry in parameter.entries.items()
        if entry.prior_log_sd > 0
    ]
    entries = [prior.parameters[name].entries[key] for name, key in free]
    centre = np.log([entry.prior for entry in entries])
    width = np.array([entry.prior_log_sd for entry in entries])
    weight = np.sqrt(rows.weights)
    model = LogRate.of(rows, free, prior)
    measured = np.log(rows.measured)

    def misfit(x: FloatArray) -> FloatArray:
        return (model.at(x) - measured) / NOISE

    def residuals(x: FloatArray) -> FloatArray:
        return np.concatenate([weight * _soften(misfit(x)), (x - centre) / width])

    def slopes(x: FloatArray) -> FloatArray:
        outer = weight * _soften_slope(misfit(x)) / NOISE
        return np.concatenate([outer[:, None] * model.slopes(x), np.diag(1.0 / width)])

    values = (start or prior).values
    first = np.log([values[name][key] for name, key in free]) if start else centre
    solved = least_squares(
        residuals, first, jac=slopes, ftol=TOLERANCE, xtol=TOLERANCE, max_nfev=MAX_EVALUATIONS
    )
    jacobian = np.asarray(solved.jac)
    spread = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    fitted = {
        place: entry.model_copy(update={"value": _round(np.exp(x)), "log_sd": _round(sd)})
        for place, entry, x, sd in zip(free, entries, solved.x, spread, strict=True)
    }
    return prior.with_entries(fitted).model_copy(
        update={
            "rows": len(rows),
            "generations_seen": tuple(sorted(set(rows.generation.tolist()))),
            "stacks_seen": tuple(sorted(set(rows.stack.tolist()))),
        }
    )


def _soften(misfit: FloatArray) -> FloatArray:
    """Residuals whose squares are the soft L1 loss 2 (sqrt(1 + m^2) - 1)."""
    return np.sign(misfit) * np.sqrt(2.0 * (np.sqrt(1.0 + misfit**2) - 1.0))


def _soften_slope(misfit: FloatArray) -> FloatArray:
    """Derivative of `_soften`; 1 at 0."""
    root = np.sqrt(1.0 + misfit**2)
    return np.sqrt((root + 1.0) / 2.0) / root


def left_out(rows: Batch, prior: Calibration, groups: NDArray[Any]) -> FloatArray:
    """Tokens per second and GPU of each row, predicted by a fit to the rows of all other groups."""
    predicted = np.full(len(rows), np.nan)
    whole = fit(rows, prior)
    for group in np.unique(groups):
        held = groups == group
        values = fit(rows.where(~held), prior, whole).values
        predicted[held] = predict(rows.where(held), values).tokens_per_second_per_gpu
    return predicted


def spread_factor(log_ratio: FloatArray, weights: FloatArray, share: float = 0.8) -> float:
    """Factor f so that `share` of the weight lies within x/f and x f (conformal half-width).

    Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005: the quantile of
    absolute left-out residuals.
    """
    order = np.argsort(np.abs(log_ratio))
    reached = np.cumsum(weights[order]) / np.sum(weights)
    return float(np.exp(np.abs(log_ratio)[order][np.searchsorted(reached, share)]))


def measured_spread(rows: Batch, prior: Calibration) -> dict[Knowledge, Spread]:
    """Interval widths by how much is known, from predicting what a fit has not seen.

    Each source from all others gives `seen` (its generation and stack occur elsewhere) and part of
    `one_unseen`; each generation from all others the rest of it; each pair of generation and stack
    from the rows that share neither gives `both_unseen`.
    """
    by_source = np.log(rows.measured / left_out(rows, prior, rows.source))
    by_generation = np.log(rows.measured / left_out(rows, prior, rows.generation))
    by_pair = np.log(rows.measured / _left_out_pairs(rows, prior))
    unseen = _unseen_elsewhere(rows)
    once = unseen == 1
    weights = rows.source_weights
    seen = spread_factor(by_source[unseen == 0], weights[unseen == 0])
    one_unseen = spread_factor(
        np.concatenate([by_source[once], by_generation]),
        np.concatenate([weights[once], weights]),
    )
    both_unseen = spread_factor(by_pair, weights)
    return {
        "seen": _spread(seen, "left-out sources"),
        "one_unseen": _spread(max(seen, one_unseen), "left-out sources and GPU generations"),
        "both_unseen": _spread(
            max(seen, one_unseen, both_unseen), "left-out pairs of generation and stack"
        ),
    }


def _spread(factor: float, what: str) -> Spread:
    source = (
        f"80 % of absolute residuals on {what}, every source with equal weight: {factor:.3f}; "
        "logarithm widened by a quarter, as the form of the model was chosen with them in view"
    )
    return Spread(factor=_round(max(factor, 1.0) ** WIDENING), source=source)


def _unseen_elsewhere(rows: Batch) -> NDArray[np.int_]:
    """Of each row's generation and stack, how many occur in no other source."""
    count = np.zeros(len(rows), dtype=int)
    for source in np.unique(rows.source):
        held = rows.source == source
        for column in (rows.generation, rows.stack):
            count[held] += ~np.isin(column[held], column[~held])
    return count


def _left_out_pairs(rows: Batch, prior: Calibration) -> FloatArray:
    predicted = np.full(len(rows), np.nan)
    whole = fit(rows, prior)
    for generation, stack in sorted(set(zip(rows.generation, rows.stack, strict=True))):
        held = (rows.generation == generation) & (rows.stack == stack)
        others = (rows.generation != generation) & (rows.stack != stack)
        values = fit(rows.where(others), prior, whole).values
        predicted[held] = predict(rows.where(held), values).tokens_per_second_per_gpu
    return predicted


def _round(x: Any) -> float:
    return float(f"{float(x):.4g}")


def _stack(items: Sequence[Any]) -> Any:
    """Equal dataclasses of numbers as one dataclass of arrays."""
    first = items[0]
    if not is_dataclass(first):
        return np.array([float(item) for item in items])
    kind: Any = type(first)
    names = [field.name for field in fields(first)]
    return kind(**{name: _stack([getattr(item, name) for item in items]) for name in names})


def _take(rows: Any, chosen: NDArray[np.bool_]) -> Any:
    """The chosen rows of a dataclass of arrays."""
    if not is_dataclass(rows):
        return rows[chosen]
    kind: Any = type(rows)
    return kind(**{f.name: _take(getattr(rows, f.name), chosen) for f in fields(rows)})
