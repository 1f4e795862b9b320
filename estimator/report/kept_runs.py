"""One's own calibrations as tables, and what was predicted and measured for the runs they keep."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from estimator.decision.wording import significant
from estimator.errors import EstimatorError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.calibration_file import CalibrationFile
from estimator.hardware.cluster import Cluster
from estimator.llm.resolve import resolve_model
from estimator.report.layout import gib
from estimator.report.validation import signed
from estimator.training.published import Measurement
from estimator.training.recipe import TrainingRecipe
from estimator.validation.own_runs import Compared, measured_run, predicted_range

FILE_COLUMNS = ("Device", "Made (UTC)", "From", "Measurements", "Range ×/÷", "File")
STEP_COLUMNS = ("Model", "Made (UTC)", "Seconds by layers", "By the fitted formula", "Apart")
KINDS = {"benchmark": "benchmark", "logs": "training logs", "rows": "a table of runs"}


def file_row(path: Path, file: CalibrationFile) -> tuple[str, ...]:
    """What a calibration is of, when and from what it was made, and how wide its range is."""
    return (
        f"{file.device.count} × {file.device.name}",
        f"{file.created:%Y-%m-%d %H:%M}",
        KINDS[file.kind],
        f"{file.calibration.rows:,}",
        f"{file.calibration.spread['seen'].factor:.2f}",
        path.name,
    )


def step_row(file: CalibrationFile) -> tuple[str, ...] | None:
    """A benchmark's step of the whole model: extrapolated from layers, and by the fitted formula.

    None for a calibration from logs, and where the benchmark ended before its layers were timed.
    """
    predicted: Any = file.evidence.get("prediction")
    if file.kind != "benchmark" or not predicted or predicted["slices_seconds"] is None:
        return None
    layers, formula = predicted["slices_seconds"], predicted["model_seconds"]
    return (
        str(file.evidence["model"]),
        f"{file.created:%Y-%m-%d %H:%M}",
        significant(layers, 3),
        significant(formula, 3),
        signed(formula / layers - 1),
    )


def kept_comparisons(files: Sequence[tuple[Path, CalibrationFile]]) -> tuple[Compared, ...]:
    """Runs that own calibrations keep: measured speed, predicted by the shipped one and by theirs.

    Tokens per second and GPU. A run whose model is not known offline is left out.
    """
    return tuple(found for _, file in files for found in _compared(file))


def _compared(file: CalibrationFile) -> Iterator[Compared]:
    runs: Any = file.evidence.get("runs", [])
    measurements = [m for run in runs if (m := _measurement(run, file)) is not None]
    if not measurements:
        return
    before = predicted_range(measurements, shipped_calibration())
    after = predicted_range(measurements, file.calibration)
    for m, b, a in zip(measurements, before, after, strict=True):
        yield Compared(name=m.row_id, measured=m.tokens_per_second_per_gpu, before=b, after=a)


def _measurement(run: Mapping[str, Any], file: CalibrationFile) -> Measurement | None:
    try:
        architecture = resolve_model(run["model"], offline=True).architecture
    except EstimatorError:
        return None
    return measured_run(
        str(run.get("log") or run.get("row")),
        float(run["tokens_per_second_per_gpu"]),
        TrainingRecipe.model_validate(run["recipe"]),
        architecture,
        Cluster.of(file.device.gpu, int(run["gpus"])),
    )


def result_rows(figures: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """A benchmark's answer as rows: what, how much, and how sure; from its `--json`."""
    predicted, device = figures["prediction"], figures["device"]
    yield "Seconds of a step", *_ranged(predicted["step_seconds"])
    yield "Tokens per second", significant(predicted["tokens_per_second"], 3), ""
    if (peak := predicted["peak_bytes"]) is not None:
        low, high = gib(peak["p10"]), gib(peak["p90"])
        yield "Peak memory, GiB", gib(peak["p50"]), f"{low} to {high}"
    if (checked := figures.get("verified")) is not None:
        where = "within" if checked["step_in_interval"] else "outside"
        yield (
            "The whole model, measured: seconds",
            significant(checked["step_seconds"], 3),
            f"predicted {signed(checked['step_error'])}, {where} the 80 % range",
        )
    yield "Device", device["name"], f"{device['threads']} threads"
    yield "Took, seconds", f"{figures['seconds']:.0f}", "stopped early" * figures["interrupted"]


def _ranged(found: Mapping[str, float]) -> tuple[str, str]:
    low, high = significant(found["p10"], 3), significant(found["p90"], 3)
    return significant(found["p50"], 3), f"{low} to {high}"


def used_share(used_seconds: float, left_seconds: float | None) -> float:
    """How much of its time a benchmark has used, 0 to 1; 1 where it does not say what is left."""
    return used_seconds / (used_seconds + left_seconds or 1.0) if left_seconds is not None else 1.0
