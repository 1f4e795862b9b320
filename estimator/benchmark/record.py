"""What a benchmark has measured so far, what it concludes, and the file that keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from estimator import __version__
from estimator.benchmark.fit import Fitted, Timed
from estimator.benchmark.probe import Probe
from estimator.benchmark.slices import Rounds, Steady
from estimator.benchmark.target import Target
from estimator.files import write_atomically
from estimator.hardware.calibration_file import (
    CalibrationFile,
    Device,
    load_calibration_file,
    save_calibration_file,
)

PARTS = ("forward", "backward", "optimizer")


@dataclass(slots=True, kw_only=True)
class Record:
    """Raw measurements in the order in which they came; whole at any moment, so that an
    interrupted benchmark keeps them."""

    probe: Probe | None = None
    grid: list[Timed] = field(default_factory=list)
    peaks: dict[int, int] = field(default_factory=dict)
    """Peak bytes by depth."""
    depths: tuple[int, ...] = ()
    rounds: list[list[Mapping[str, list[float]]]] = field(default_factory=list)
    """Of each round the steps at every depth: wall and process seconds by part."""
    drift: list[Mapping[str, float]] = field(default_factory=list)
    slowdown: float = 1.0
    """Wall seconds over those of the clock that times the steps: what neighbours cost."""
    interrupted: bool = False
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    """Wall time that the benchmark took."""

    def seconds_by_part(self, clock: str) -> np.ndarray:
        """Seconds: rounds x depths x parts."""
        return np.array([[step[clock] for step in steps] for steps in self.rounds])

    def timed_rounds(self, clock: str) -> Rounds:
        """The rounds for the extrapolation."""
        return Rounds(
            depths=self.depths,
            seconds=self.seconds_by_part(clock).sum(axis=2),
            probe=np.array([probe[clock] for probe in self.drift[: len(self.rounds)]]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A tenth, half and nine tenths of the outcomes lie below these."""

    p10: float
    p50: float
    p90: float

    def holds(self, value: float) -> bool:
        """Whether a value lies within the 80 % interval."""
        return self.p10 <= value <= self.p90


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One step of the whole model: seconds and bytes, and where they come from."""

    step_seconds: Range
    peak_bytes: Range | None
    """None where no peak was measured."""
    parts_seconds: Mapping[str, float]
    slices_seconds: float | None
    slices_log_sd: float
    model_seconds: float
    """What the physical model says that was fitted to grid and slices."""
    model_log_sd: float
    reached: float
    """Half the 80 % interval that the benchmark's own noise leaves, as a share of the value."""
    formula_bytes: float
    """What the closed form says that PyTorch allocates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished or interrupted benchmark."""

    target: Target
    record: Record
    probe: Probe
    steady: Steady | None
    fitted: Fitted
    prediction: Prediction


def save_result(result: Result, extra: Mapping[str, Any], folder: Path | None = None) -> Path:
    """Where the calibration was written, with everything that was measured."""
    probe = result.probe
    known = probe.catalogue_gpu
    device = Device(
        backend=probe.backend,
        name=probe.name,
        gpu_id=known.id if known else None,
        count=1,
        memory_bytes=probe.memory_bytes,
        driver=probe.driver,
        spec=None if known else probe.measured_spec,
    )
    now = datetime.now(tz=UTC)
    calibration = result.fitted.calibration.model_copy(update={"as_of": now.date().isoformat()})
    file = CalibrationFile(
        schema_version=1,
        tuneroi_version=__version__,
        created=now,
        kind="benchmark",
        device=device,
        software=dict(probe.software),
        calibration=calibration,
        evidence={**evidence(result), **extra},
    )
    return save_calibration_file(file, folder)


def evidence(result: Result) -> dict[str, Any]:
    """Raw timings, the fit's inputs and intervals as plain data."""
    record, probe, prediction = result.record, result.probe, result.prediction
    return {
        "model": result.target.name,
        "recipe": result.target.recipe.model_dump(mode="json"),
        "clock": probe.clock,
        "threads": probe.threads,
        "load_share": probe.load_share,
        "rates": {
            "matmul_flops_per_second": dict(probe.matmul_flops_per_second),
            "memory_bytes_per_second": probe.memory_bytes_per_second,
            "launch_seconds": probe.launch_seconds,
            "touch_bytes_per_second": probe.touch_bytes_per_second,
        },
        "grid": [
            {"shape": each.target.name, "seconds": each.seconds, "log_sd": each.log_sd}
            for each in record.grid
        ],
        "slices": {
            "depths": list(record.depths),
            "parts": list(PARTS),
            "rounds": [[dict(step) for step in steps] for steps in record.rounds],
            "drift": [dict(probe) for probe in record.drift],
        },
        "peaks_bytes": {str(depth): peak for depth, peak in record.peaks.items()},
        "prediction": {
            "step_seconds": ranged(prediction.step_seconds),
            "peak_bytes": ranged(prediction.peak_bytes),
            "slices_seconds": prediction.slices_seconds,
            "slices_log_sd": prediction.slices_log_sd,
            "model_seconds": prediction.model_seconds,
            "model_log_sd": prediction.model_log_sd,
        },
        "seconds": record.seconds,
        "interrupted": record.interrupted,
        "notes": list(record.notes),
    }


def keep_more(path: Path, found: Mapping[str, Any]) -> None:
    """Put what was measured after the prediction into its file, whole or not at all."""
    file = load_calibration_file(path)
    more = file.model_copy(update={"evidence": {**file.evidence, **found}})
    write_atomically(path, more.model_dump_json(indent=1) + "\n")


def ranged(found: Range | None) -> dict[str, float] | None:
    """A range as `--json` promises it."""
    return None if found is None else {"p10": found.p10, "p50": found.p50, "p90": found.p90}
