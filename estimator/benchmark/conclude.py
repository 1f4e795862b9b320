"""From what was measured to the prediction: one fit; slices and model weighed by variance."""

import math
from collections.abc import Mapping

import numpy as np

from estimator.benchmark.fit import (
    Fitted,
    Timed,
    device_cluster,
    fit_device,
    predicted,
    predicted_log_sd,
)
from estimator.benchmark.peak import extrapolate_peak, formula_bytes
from estimator.benchmark.probe import Probe
from estimator.benchmark.record import PARTS, Prediction, Range, Record, Result
from estimator.benchmark.slices import (
    LEAST_STEADY,
    Z80,
    Extrapolation,
    Steady,
    extrapolate,
    parts_at,
    steady,
)
from estimator.benchmark.spread import spreads
from estimator.benchmark.target import Target
from estimator.hardware.calibration import shipped_calibration


def fit_of(target: Target, record: Record, held: Steady | None) -> Fitted:
    """The physical model fitted to grid and slices together."""
    assert record.probe is not None
    rows = [*record.grid, *slice_rows(target, held)]
    return fit_device(record.probe, shipped_calibration(), rows, spreads())


def slice_rows(target: Target, held: Steady | None) -> list[Timed]:
    """The depths' medians as rows for the fit."""
    if held is None:
        return []
    noise = held.noise / math.sqrt(held.rounds)
    return [
        Timed(target=target, depth=depth, seconds=float(seconds), log_sd=noise, source="slice")
        for depth, seconds in zip(held.depths, held.seconds, strict=True)
    ]


def steady_of(record: Record, probe: Probe) -> Steady | None:
    """The slices without warm-up and drift; None while there are too few rounds."""
    if len(record.rounds) < LEAST_STEADY:
        return None
    return steady(record.timed_rounds(probe.clock))


def work_by_depth(
    target: Target, depths: tuple[int, ...], probe: Probe, fitted: Fitted
) -> dict[int, float]:
    """x of each depth: the fitted model's seconds, linear in depth where layers are alike."""
    cluster = device_cluster(probe)
    calibration = fitted.calibration
    return {
        depth: float(predicted(target, depth, cluster, calibration).step_seconds)
        for depth in dict.fromkeys((*depths, target.depth))
    }


def conclude(target: Target, record: Record) -> Result:
    """What the measurements say about the whole model."""
    probe = record.probe
    assert probe is not None
    held = steady_of(record, probe)
    fitted = fit_of(target, record, held)
    return Result(
        target=target,
        record=record,
        probe=probe,
        steady=held,
        fitted=fitted,
        prediction=prediction(target, record, held, fitted),
    )


def prediction(target: Target, record: Record, held: Steady | None, fitted: Fitted) -> Prediction:
    """Step seconds and peak bytes of the whole model, with 80 % intervals."""
    probe, known = record.probe, spreads()
    assert probe is not None
    work = work_by_depth(target, record.depths, probe, fitted)
    model = work[target.depth]
    model_sd = predicted_log_sd(fitted, target, device_cluster(probe), known.form_log_sd)
    sliced = extrapolate(held, work, model) if held else None
    log_seconds, log_sd = weighed(sliced, model, model_sd)
    seconds = math.exp(log_seconds)
    parts = _parts(record, held, work, model, seconds)
    peak = extrapolate_peak(target, record.peaks, probe.backend) if record.peaks else None
    return Prediction(
        step_seconds=interval(seconds, math.hypot(log_sd, known.between_runs_log_sd)),
        peak_bytes=interval(peak.bytes, math.hypot(peak.log_sd, known.memory_log_sd))
        if peak
        else None,
        parts_seconds=parts,
        slices_seconds=sliced.seconds if sliced else None,
        slices_log_sd=sliced.log_sd if sliced else math.inf,
        model_seconds=model,
        model_log_sd=model_sd,
        reached=Z80 * log_sd,
        formula_bytes=peak.formula_bytes
        if peak
        else formula_bytes(target, target.depth, probe.backend),
    )


def weighed(sliced: Extrapolation | None, model: float, model_log_sd: float) -> tuple[float, float]:
    """Mean of the logarithms weighed by inverse variances, and its sd."""
    if sliced is None:
        return math.log(model), model_log_sd
    weights = np.array([sliced.log_sd**-2, model_log_sd**-2])
    logs = np.log([sliced.seconds, model])
    return float(weights @ logs / weights.sum()), float(weights.sum() ** -0.5)


def interval(middle: float, log_sd: float) -> Range:
    """The lognormal range about a median."""
    factor = math.exp(Z80 * log_sd)
    return Range(p10=middle / factor, p50=middle, p90=middle * factor)


def _parts(
    record: Record,
    held: Steady | None,
    work: Mapping[int, float],
    whole: float,
    seconds: float,
) -> dict[str, float]:
    """Forward, backward and optimizer of the whole model, scaled to sum to its step."""
    if held is None or record.probe is None:
        return {}
    raw = record.seconds_by_part(record.probe.clock)[held.warm_up :]
    parts = parts_at(np.median(raw, axis=0), record.depths, work, whole)
    return {
        name: float(part * seconds / parts.sum()) for name, part in zip(PARTS, parts, strict=True)
    }
