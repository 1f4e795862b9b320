"""Fitting the parameters of serving to measurements, robustly and within their priors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.hardware.calibration import Values
from estimator.quantity import FloatArray
from estimator.serving.constants import ServingConstants
from estimator.serving.measured import Batch, predict

NOISE = 0.15
"""Standard deviation of a row's log error that no parameter is to explain."""
ROWS_PER_SOURCE = 30.0
"""Weight of a source, however many rows it has more: they repeat its habits."""
Places = list[tuple[str, str]]


def fit(rows: Batch, sources: NDArray[np.str_], prior: ServingConstants) -> ServingConstants:
    """The constants that explain the rows best, given the priors of their entries.

    Least squares of log rates under the soft L1 loss, plus ((ln p - ln prior) / sd)^2 for each
    parameter; rows of a source share at most the weight of `ROWS_PER_SOURCE`.
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
    weight = np.sqrt(source_weights(sources))

    def residuals(x: FloatArray) -> FloatArray:
        found = predict(rows, _with(prior.values, free, np.exp(x)))
        misfit = np.log(np.maximum(found, 1e-3) / rows.measured) / NOISE
        softened = np.sign(misfit) * np.sqrt(2.0 * (np.sqrt(1.0 + misfit**2) - 1.0))
        return np.concatenate([weight * softened, (x - centre) / width])

    # Whole batches make small steps: differences are taken over more than one sequence.
    solved = least_squares(residuals, centre, diff_step=[0.01], xtol=1e-5, ftol=1e-6, max_nfev=40)
    jacobian = np.asarray(solved.jac)
    spread = np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
    return _updated(prior, free, np.exp(solved.x), spread, len(rows.measured))


def left_out(
    rows: Batch, sources: NDArray[np.str_], prior: ServingConstants, groups: NDArray[np.str_]
) -> FloatArray:
    """Each row predicted by a fit to the rows of every other group."""
    predicted = np.zeros(len(rows.measured))
    for group in np.unique(groups):
        held = groups == group
        others = fit(rows.at(~held), sources[~held], prior)
        predicted[held] = predict(rows.at(held), others.values)
    return predicted


def source_weights(sources: NDArray[np.str_]) -> FloatArray:
    """Weight of each row: 1, or less where its source has more than `ROWS_PER_SOURCE` rows."""
    _, place, count = np.unique(sources, return_inverse=True, return_counts=True)
    return np.minimum(1.0, ROWS_PER_SOURCE / count)[place]


def _with(values: Values, places: Places, numbers: FloatArray) -> Values:
    changed = {name: dict(entries) for name, entries in values.items()}
    for (name, key), number in zip(places, numbers, strict=True):
        changed[name][key] = float(number)
    return changed


def _updated(
    prior: ServingConstants, places: Places, numbers: FloatArray, spread: FloatArray, rows: int
) -> ServingConstants:
    parameters: dict[str, Any] = dict(prior.parameters)
    for (name, key), number, sd in zip(places, numbers, spread, strict=True):
        entry = (
            parameters[name]
            .entries[key]
            .model_copy(update={"value": float(f"{number:.4g}"), "log_sd": float(f"{sd:.2g}")})
        )
        held = {**parameters[name].entries, key: entry}
        parameters[name] = parameters[name].model_copy(update={"entries": held})
    return prior.model_copy(update={"parameters": parameters, "rows": rows})
