"""A user's past runs as measurements, and the calibration that they shift.

What a log does not say is asked for by name: nothing is assumed that would move the result by more
than its noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from pydantic import JsonValue, ValidationError

from estimator.errors import InputError
from estimator.hardware.calibration import Calibration, Spread
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.training.calibrate import batch, predict
from estimator.training.published import Measurement
from estimator.training.recalibrate import recalibrate
from estimator.training.recipe import TrainingRecipe
from estimator.validation.logs import RunLog

P90_SDS = 1.2816
"""Standard deviations from the median to the P90 of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run was configured; None: not said."""

    method: str | None = None
    seq_len: int | None = None
    micro_batch: int | None = None
    accumulation: int | None = None
    checkpointing: str | None = None
    sharding: str | None = None
    precision: str | None = None
    stack: str | None = None
    lora_rank: int | None = None
    tensor_parallel: int | None = None
    pipeline_parallel: int | None = None
    context_parallel: int | None = None

    @property
    def model_parallel(self) -> int:
        """GPUs that share one copy of the model and one batch."""
        degrees = (self.tensor_parallel, self.pipeline_parallel, self.context_parallel)
        return int(np.prod([degree or 1 for degree in degrees]))


NEEDED: Mapping[str, str] = {
    "method": "the method",
    "seq_len": "the sequence length",
    "micro_batch": "the micro-batch",
    "accumulation": "the steps of gradient accumulation",
    "checkpointing": "whether activations are checkpointed",
    "sharding": "what the GPUs share (sharding)",
}
RECIPE_FIELDS = {"seq_len": "sequence_length", "accumulation": "gradient_accumulation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRun:
    """One measured run."""

    name: str
    measurement: Measurement
    relative_error: float
    """Standard error of the measured speed, as a share; 0 where a single figure was given."""
    about: tuple[str, ...]
    evidence: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A run's measured speed and its prediction before and after; tokens per second and GPU."""

    name: str
    measured: float
    before: tuple[float, float, float]
    """p10, p50, p90 by the calibration started from."""
    after: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCalibration:
    """A calibration shifted by own runs, and what that did to them."""

    calibration: Calibration
    compared: tuple[Compared, ...]


def settled(log: RunLog, given: Settings, gpus: int) -> Settings:
    """What is known of a run: what was given, completed by what its log says."""
    known = asdict(given)
    for name, said in log.settings.items():
        known[name] = _agreed(log, name, said, known[name], gpus)
    found = Settings(**known)
    ranks = max(gpus // found.model_parallel, 1)
    if found.accumulation is None and log.sequences_per_step and found.micro_batch:
        steps = log.sequences_per_step / (found.micro_batch * ranks)
        if steps >= 1 and steps == int(steps):
            found = replace(found, accumulation=int(steps))
    length = _mean_length(log, found, ranks)
    return replace(found, seq_len=length) if length else found


def missing(settings: Settings, gpus: int) -> dict[str, str]:
    """What must still be said of a run: name of the setting and its meaning."""
    needed = {name: meaning for name, meaning in NEEDED.items() if name != "sharding" or gpus > 1}
    return {name: text for name, text in needed.items() if getattr(settings, name) is None}


def own_run(
    log: RunLog, settings: Settings, architecture: Architecture, cluster: Cluster
) -> OwnRun:
    """The measurement in a log whose settings are all known."""
    recipe = recipe_of(settings, cluster, log.stack, log.path.name)
    measured = _tokens_per_second_per_gpu(log, recipe, cluster)
    steady = log.steady
    return OwnRun(
        name=log.path.name,
        measurement=measured_run(log.path.name, measured, recipe, architecture, cluster),
        relative_error=steady.relative_error,
        about=(steady.sentence, *log.notes),
        evidence={
            "log": log.path.name,
            "format": log.format,
            "steady": asdict(steady),
            "peak_memory_gib": log.peak_memory_gib,
        },
    )


def calibrated_by(runs: Sequence[OwnRun], base: Calibration) -> OwnCalibration:
    """The calibration shifted by own runs; noise of the runs widens its range for their like."""
    measurements = [run.measurement for run in runs]
    shifted = _widened(recalibrate(base, measurements), runs)
    before, after = predicted_range(measurements, base), predicted_range(measurements, shifted)
    compared = [
        Compared(name=run.name, measured=m.tokens_per_second_per_gpu, before=b, after=a)
        for run, m, b, a in zip(runs, measurements, before, after, strict=True)
    ]
    return OwnCalibration(calibration=shifted, compared=tuple(compared))


def _agreed(log: RunLog, name: str, said: int, given: int | None, gpus: int) -> int:
    """The log's number; another may not be given, but DataParallel logs the batch of all GPUs."""
    if given is None or given == said:
        return said
    if name == "micro_batch" and said == given * gpus:
        return given
    option = name.replace("_", "-")
    raise InputError(f"{log.path.name} says {said}, --{option} says {given}; leave the option out")


def _mean_length(log: RunLog, settings: Settings, ranks: int) -> int | None:
    """Mean positions of a sequence, where the log counted them."""
    if not (log.tokens_per_step and settings.micro_batch and settings.accumulation):
        return None
    if settings.seq_len and not log.padding_counted:
        return None
    return round(log.tokens_per_step / (settings.micro_batch * settings.accumulation * ranks))


def recipe_of(settings: Settings, cluster: Cluster, stack: str, place: str) -> TrainingRecipe:
    """The recipe of a run; what needs no saying has the usual value of its GPU and software."""
    usual = {
        "precision": "bf16" if "bf16" in cluster.gpu.dense_tflops else "fp16",
        "sharding": "none",
        "stack": stack,
    }
    said = {name: value for name, value in asdict(settings).items() if value is not None}
    named = {RECIPE_FIELDS.get(name, name): value for name, value in said.items()}
    try:
        return TrainingRecipe.model_validate(usual | named)
    except ValidationError as error:
        fault = error.errors()[0]
        at = ".".join(map(str, fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        raise InputError(f"{place}: {at}: {message} (got {fault['input']!r})") from None


def step_tokens(recipe: TrainingRecipe, cluster: Cluster) -> float:
    """Positions of one optimizer step over all GPUs."""
    sequences = recipe.micro_batch * recipe.gradient_accumulation
    return float(sequences * recipe.sequence_length * recipe.data_parallel(cluster.gpus))


def _tokens_per_second_per_gpu(log: RunLog, recipe: TrainingRecipe, cluster: Cluster) -> float:
    if log.counts == "token":
        return 1.0 / log.steady.mean
    counted = log.tokens_per_step if log.padding_counted else None
    tokens = counted or step_tokens(recipe, cluster)
    return tokens / (cluster.gpus * log.steady.mean)


def measured_run(
    name: str,
    tokens_per_second_per_gpu: float,
    recipe: TrainingRecipe,
    architecture: Architecture,
    cluster: Cluster,
) -> Measurement:
    """A run of one's own, in the form of a published measurement."""
    return Measurement(
        row_id=name,
        source="own",
        architecture=architecture,
        recipe=recipe,
        cluster=cluster,
        number_format=recipe.number_format,
        kernel=recipe.attention,
        virtual_stages=1,
        tokens_per_second_per_gpu=tokens_per_second_per_gpu,
    )


def predicted_range(
    measurements: Sequence[Measurement], calibration: Calibration
) -> Iterator[tuple[float, float, float]]:
    """P10, P50 and P90 of tokens per second and GPU of each measurement."""
    values = calibration.values
    speeds = predict(batch(measurements, values), values).tokens_per_second_per_gpu
    for m, speed in zip(measurements, np.atleast_1d(speeds), strict=True):
        factor = calibration.efficiency_factor(m.cluster.gpu.generation, m.recipe.stack)
        p10, p50, p90 = factor.p10_p50_p90()
        yield float(speed) * p10, float(speed) * p50, float(speed) * p90


def _widened(calibration: Calibration, runs: Sequence[OwnRun]) -> Calibration:
    """The range of what was measured, with the noise of the measurements added in quadrature."""
    noise = float(np.sqrt(np.mean([run.relative_error**2 for run in runs])))
    seen = calibration.spread["seen"]
    log_factor = float(np.hypot(np.log(seen.factor), P90_SDS * noise))
    if not noise:
        return calibration
    wider = Spread(
        factor=min(float(np.exp(log_factor)), 10.0),
        source=f"{seen.source}; standard error of own runs {noise:.1%} added",
    )
    return calibration.model_copy(update={"spread": {**calibration.spread, "seen": wider}})
