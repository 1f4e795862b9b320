"""The physical model fitted to the steps of this machine.

Maximum a posteriori on the logarithms of the parameters that the steps read, around the shipped
calibration: narrow priors for a GPU that it knows, wide ones for a device that it has never seen.
The form is that of `estimator/training/throughput.py`, so that what one model taught serves others.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from estimator.benchmark.probe import Probe
from estimator.benchmark.spread import Spreads
from estimator.benchmark.target import Target
from estimator.hardware.calibration import Calibration, Entry, Spread, generation_key
from estimator.hardware.cluster import Cluster
from estimator.quantity import FloatArray
from estimator.training.calibrate import Batch, LogRate, Place, batch
from estimator.training.published import Measurement
from estimator.training.throughput import StepTime, step_time

UNSEEN_LOG_SD = 1.0
"""Prior sd of a parameter on a device that the shipped calibration knows nothing of."""
UNSEEN_SIZE = 16.0
"""Width and rows at which a product takes twice its time there: a vector unit or a small tile."""
SIZES = ("narrow_width", "few_tokens")
BY_DEVICE = ("generation", "stack", "kernel", "format", "optimizer", "loss", "all")
MAX_EVALUATIONS = 60
LEAST_SLOPE = 1e-9
"""d ln(rate) / d ln(entry) below which no row depends on an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """Measured steps of one model at one depth."""

    target: Target
    depth: int
    seconds: float
    log_sd: float
    """Noise of the logarithm of `seconds`."""
    source: str
    """"grid" or "slice"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A calibration of this device, and how well it explains what it was fitted to."""

    calibration: Calibration
    residuals: FloatArray
    """ln(measured / predicted) seconds of each row."""
    places: tuple[Place, ...]
    """The entries that were free."""
    covariance: FloatArray
    """Of their logarithms, after the measurements."""


def measurement(timed: Timed, cluster: Cluster) -> Measurement:
    """A timed step as the kind of row that published measurements are."""
    recipe = timed.target.recipe
    return Measurement(
        row_id=f"{timed.target.name} {timed.depth}",
        source=timed.source,
        architecture=timed.target.at(timed.depth),
        recipe=recipe,
        cluster=cluster,
        kernel=recipe.attention,
        number_format=recipe.number_format,
        virtual_stages=1,
        tokens_per_second_per_gpu=recipe.tokens_per_micro_batch / timed.seconds,
    )


def device_cluster(probe: Probe) -> Cluster:
    """One device, as the formulas take it."""
    return Cluster.of(probe.gpu, 1)


def fit_device(
    probe: Probe, shipped: Calibration, timed: Sequence[Timed], spreads: Spreads
) -> Fitted:
    """The shipped calibration moved to what was measured on this device."""
    cluster = device_cluster(probe)
    prior = device_prior(shipped, cluster, seen=probe.catalogue_gpu is not None)
    rows = batch([measurement(each, cluster) for each in timed], prior.values)
    free = _free(prior, rows)
    model = LogRate.of(rows, tuple(free), prior)
    noise = _row_noise(timed, spreads.form_log_sd)
    x, covariance = _posterior(model, list(free.values()), noise)
    moved = {
        place: entry.model_copy(
            update={"value": float(np.exp(at)), "log_sd": float(min(sd, 3.0)), "origin": "fitted"}
        )
        for (place, entry), at, sd in zip(
            free.items(), x, np.sqrt(np.diag(covariance)), strict=True
        )
    }
    return Fitted(
        calibration=_described(prior.with_entries(moved), probe, cluster, timed, spreads),
        residuals=model.at(x) - np.log(rows.measured),
        places=tuple(free),
        covariance=covariance,
    )


def _posterior(
    model: LogRate, entries: Sequence[Entry], noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The most probable logarithms of the entries, and their covariance there."""
    from scipy.optimize import least_squares

    centre = np.log([entry.value for entry in entries])
    width = np.array([_prior_sd(entry) for entry in entries])
    measured = np.log(model.rows.measured)

    def residuals(x: FloatArray) -> FloatArray:
        return np.concatenate([(model.at(x) - measured) / noise, (x - centre) / width])

    def jacobian(x: FloatArray) -> FloatArray:
        return np.concatenate([model.slopes(x) / noise[:, None], np.diag(1.0 / width)])

    solved = least_squares(residuals, centre, jac=jacobian, max_nfev=MAX_EVALUATIONS)
    slopes = np.asarray(solved.jac)
    return np.asarray(solved.x), np.linalg.inv(slopes.T @ slopes)


def _row_noise(timed: Sequence[Timed], form_log_sd: float) -> FloatArray:
    """Sd of each row: its own noise and the form's error, which the slices of a model share."""
    slices = sum(each.source == "slice" for each in timed)
    crowd = np.array([slices if each.source == "slice" else 1 for each in timed])
    own = np.hypot([each.log_sd for each in timed], form_log_sd)
    return np.asarray(own * np.sqrt(crowd))


def predicted(target: Target, depth: int, cluster: Cluster, calibration: Calibration) -> StepTime:
    """Step time by part of the first `depth` layers of a target."""
    return step_time(target.at(depth), target.recipe, cluster, calibration)


def predicted_log_sd(fitted: Fitted, target: Target, cluster: Cluster, form: float) -> float:
    """Sd of the logarithm of the target's predicted step: parameters' uncertainty and form."""
    whole = Timed(target=target, depth=target.depth, seconds=1.0, log_sd=0.0, source="whole")
    calibration = fitted.calibration
    rows = batch([measurement(whole, cluster)], calibration.values)
    at = np.log([calibration.values[name][key] for name, key in fitted.places])
    gradient = LogRate.of(rows, fitted.places, calibration).slopes(at)[0]
    return float(np.sqrt(gradient @ fitted.covariance @ gradient + form**2))


def device_prior(shipped: Calibration, cluster: Cluster, *, seen: bool) -> Calibration:
    """The shipped calibration; for a device that it does not know, with wide ranges.

    Its small products are as fast as its large ones down to a few rows: tiles of 128 and more are
    for large GPUs.
    """
    if seen:
        return shipped
    generation = generation_key(cluster.gpu.generation)
    entries: dict[Place, Entry] = {}
    for name, parameter in shipped.parameters.items():
        if parameter.by not in BY_DEVICE or name == "stack_factor":
            continue
        held = parameter.entries
        if parameter.by == "generation":
            held = {generation: held.get(generation, held["other"])}
        for key, entry in held.items():
            if _prior_sd(entry) > 0.0:
                value = UNSEEN_SIZE if name in SIZES else entry.value
                wide = {"value": value, "prior_log_sd": UNSEEN_LOG_SD, "log_sd": UNSEEN_LOG_SD}
                entries[name, key] = entry.model_copy(update=wide)
    fixed = shipped.parameters["stack_factor"].entries
    for key, entry in fixed.items():
        entries["stack_factor", key] = entry.model_copy(
            update={"value": 1.0, "prior_log_sd": 0.0, "log_sd": 0.0}
        )
    return shipped.with_entries(entries)


def _free(prior: Calibration, rows: Batch) -> dict[Place, Entry]:
    """The uncertain entries that the rows depend on; a generation without its own gets a copy."""
    used = {
        "generation": rows.generation,
        "stack": rows.stack,
        "kernel": rows.kernel,
        "format": rows.number_format,
        "optimizer": rows.optimizer,
        "loss": rows.loss,
        "all": np.array(["all"]),
    }
    free: dict[Place, Entry] = {}
    for name, parameter in prior.parameters.items():
        for key in np.unique(used.get(parameter.by, np.array([], dtype=str))).tolist():
            entry = parameter.entries.get(key, parameter.entries.get("other"))
            if entry is not None and _prior_sd(entry) > 0.0:
                free[name, str(key)] = entry
    slopes = LogRate.of(rows, tuple(free), prior).slopes(np.log([e.value for e in free.values()]))
    felt = np.abs(slopes).max(axis=0) > LEAST_SLOPE
    return {place: entry for (place, entry), feel in zip(free.items(), felt, strict=True) if feel}


def _prior_sd(entry: Entry) -> float:
    return entry.prior_log_sd or entry.log_sd


def _described(
    calibration: Calibration,
    probe: Probe,
    cluster: Cluster,
    timed: Sequence[Timed],
    spreads: Spreads,
) -> Calibration:
    """The calibration with its provenance, and the range that transfer to other models has."""
    known = tuple(dict.fromkeys(each.target.recipe.stack for each in timed))
    source = f"{len(timed)} kinds of steps timed by tuneroi benchmark on {probe.name}"
    seen = Spread(factor=spreads.transfer_factor, source=spreads.source)
    return calibration.model_copy(
        update={
            "name": f"benchmark of {probe.name}",
            "source": f"{source}, on top of {calibration.name} ({calibration.as_of})",
            "rows": len(timed),
            "generations_seen": (generation_key(cluster.gpu.generation),),
            "stacks_seen": known,
            "spread": {**calibration.spread, "seen": seen},
        }
    )
