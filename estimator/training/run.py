"""A whole training run: steps, GPU hours, wall-clock hours and dollars, as ranges.

The step-time model gives tokens per second; a dataset gives tokens; a price gives dollars. Tokens,
epochs, efficiency and price may all be uncertain: they are drawn together from a fixed
low-discrepancy sequence, so that equal inputs always give equal ranges.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, ValidationError

from estimator.errors import CatalogError, InputError
from estimator.hardware.calibration import Calibration, Knowledge, shipped_calibration
from estimator.hardware.cluster import GB, Cluster
from estimator.llm.architecture import Architecture
from estimator.llm.parameters import count_parameters
from estimator.quantity import FloatArray, Quantity
from estimator.training.fits import fits
from estimator.training.inventory import Inventory
from estimator.training.memory import MemoryBreakdown, estimate_memory
from estimator.training.recipe import TrainingRecipe
from estimator.training.throughput import StepTime, step_time

ASSUMPTIONS_FILE = Path(__file__).parent / "data" / "run.json"
DRAWS = 4096
SECONDS_PER_HOUR = 3600.0
_START_UP = ("start_up_hours", "download_gb_per_second")
STORED_BYTES = 2.0  # weights are downloaded and checkpoints kept in 16 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number with its uncertainty."""

    p10: float
    p50: float
    p90: float
    mean: float

    @classmethod
    def of(cls, draws: ArrayLike) -> "Range":
        """The range of some draws."""
        values = np.asarray(draws, dtype=np.float64)
        p10, p50, p90 = np.quantile(values, [0.1, 0.5, 0.9])
        return cls(p10=float(p10), p50=float(p50), p90=float(p90), mean=float(np.mean(values)))


class RunAssumptions(BaseModel):
    """What a run takes besides its steps; every number is a sourced range."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    start_up_hours: Quantity
    """From renting the GPUs to the first step, download left out."""
    download_gb_per_second: Quantity
    """Speed at which the weights arrive."""
    storage_usd_per_gb_month: Quantity
    """Price of keeping checkpoints."""
    storage_months: Quantity
    """How long they are kept."""
    checkpoints_kept: Quantity
    """How many of them."""
    bare_size_factor: Quantity
    """Work of a real model over that of the typical one of its size: a bare size says no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """One training job: how long it takes and what it costs."""

    recipe: TrainingRecipe
    cluster: Cluster
    step: StepTime
    """One optimizer step, part by part, at the median efficiency."""
    steps: int
    """Optimizer steps at the median number of tokens."""
    step_seconds: Range
    tokens_per_second_per_gpu: Range
    """Tokens processed, padding included."""
    mfu: Range
    tokens: Range
    """Tokens processed in the run: useful tokens x epochs over the share that is useful."""
    gpu_hours: Range
    """GPU hours of one run's steps."""
    billed_gpu_hours: Range
    """GPU hours paid for: start-up, evaluation, search runs and failed runs too."""
    wall_clock_hours: Range
    """From renting the GPUs to the end of one run, evaluation included."""
    cost_usd: Range
    cost_parts_usd: Mapping[str, Range]
    """Parts of the cost; their means sum to the mean of `cost_usd`."""
    calibration: str
    """Where the efficiency came from."""
    memory: MemoryBreakdown
    """Peak memory of the fullest GPU, part by part."""
    fits: bool
    """Whether the median peak is within the card's memory."""
    knowledge: Knowledge
    """Whether its measurements include this GPU generation and this software stack."""

    def __repr__(self) -> str:
        from estimator.training.notebook import run_line

        return f"<{run_line(self)}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from estimator.training.notebook import run_html

        return run_html(self)


def gpu_hours(
    tokens: ArrayLike, tokens_per_second_per_gpu: ArrayLike, efficiency_factor: ArrayLike = 1.0
) -> FloatArray:
    """GPU hours to process `tokens`: tokens / (tokens/s/GPU x efficiency factor) / 3600.

    Arrays of draws broadcast. The factor is true over predicted throughput.
    """
    rate = np.asarray(tokens_per_second_per_gpu, np.float64) * np.asarray(efficiency_factor)
    return np.asarray(np.asarray(tokens, np.float64) / rate / SECONDS_PER_HOUR)


def processed_tokens(
    tokens: ArrayLike, epochs: ArrayLike, useful_token_share: ArrayLike = 1.0
) -> FloatArray:
    """Tokens that a run processes: useful tokens per epoch x epochs / useful share.

    The share is useful over processed tokens: below 1 where batches are padded or packed with
    gaps. Arrays of draws broadcast.
    """
    useful = np.asarray(tokens, np.float64) * np.asarray(epochs, np.float64)
    return np.asarray(useful / np.asarray(useful_token_share))


def estimate_run(
    architecture: Architecture,
    recipe: TrainingRecipe,
    cluster: Cluster,
    *,
    tokens: Quantity | float,
    epochs: Quantity | float,
    price_usd_per_gpu_hour: Quantity | float,
    useful_token_share: float = 1.0,
    search_runs: Quantity | float = 0.0,
    failed_run_factor: Quantity | float = 1.0,
    evaluation_tokens: Quantity | float = 0.0,
    calibration: Calibration | None = None,
    assumptions: RunAssumptions | None = None,
) -> TrainingRun:
    """Time and cost of fine-tuning on `tokens` useful tokens per epoch, as ranges.

    `search_runs`: further runs of the same length before the final one. `failed_run_factor`: GPU
    hours paid over GPU hours of runs that finished. `evaluation_tokens`: tokens put through a
    forward pass in each run. A recipe that does not fit is estimated all the same, and `fits` says
    so. Left out: an engineer's time, data preparation, the network's and the disks' bill.
    """
    _check(useful_token_share=useful_token_share)
    calibration = calibration or shipped_calibration()
    assumed = assumptions or run_assumptions()
    factor = calibration.efficiency_factor(cluster.gpu.generation, recipe.stack)
    draws = _draws(
        {
            "tokens": Quantity.of(tokens),
            "epochs": Quantity.of(epochs),
            "price": Quantity.of(price_usd_per_gpu_hour),
            "efficiency": factor,
            "search_runs": Quantity.of(search_runs),
            "failed_run_factor": Quantity.of(failed_run_factor),
            "evaluation_tokens": Quantity.of(evaluation_tokens),
            **{
                name: getattr(assumed, name)
                for name in RunAssumptions.model_fields
                if name != "bare_size_factor" or architecture.typical
            },
        }
    )
    if architecture.typical:
        draws["efficiency"] = draws["efficiency"] / draws["bare_size_factor"]
    plan = _Plan(
        architecture=architecture,
        recipe=recipe,
        cluster=cluster,
        calibration=calibration,
        step=step_time(architecture, recipe, cluster, calibration),
    )
    return _summary(plan, draws, useful_token_share)


@cache
def run_assumptions() -> RunAssumptions:
    """What a run takes besides its steps, from `data/run.json`."""
    try:
        return RunAssumptions.model_validate_json(ASSUMPTIONS_FILE.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"{ASSUMPTIONS_FILE.name}: {place}: {first['msg']}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    architecture: Architecture
    recipe: TrainingRecipe
    cluster: Cluster
    calibration: Calibration
    step: StepTime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hours:
    """GPU hours of one run, per draw."""

    run: FloatArray
    evaluation: FloatArray
    start_up: FloatArray

    @property
    def one_run(self) -> FloatArray:
        return self.run + self.evaluation + self.start_up


def _summary(
    plan: _Plan, draws: Mapping[str, FloatArray], useful_token_share: float
) -> TrainingRun:
    """The ranges of a run from its draws."""
    step, cluster, factor = plan.step, plan.cluster, draws["efficiency"]
    processed = processed_tokens(draws["tokens"], draws["epochs"], useful_token_share)
    hours = _hours(plan, draws, processed)
    parts = _cost_parts(hours, draws, _checkpoint_gb(plan.architecture, plan.recipe))
    memory = estimate_memory(plan.architecture, plan.recipe, gpus=cluster.gpus)
    tokens_per_step = float(step.tokens_per_step) * cluster.gpus
    return TrainingRun(
        recipe=plan.recipe,
        cluster=cluster,
        step=step,
        steps=int(np.ceil(np.median(processed) / tokens_per_step)),
        step_seconds=Range.of(step.step_seconds / factor),
        tokens_per_second_per_gpu=Range.of(step.tokens_per_second_per_gpu * factor),
        mfu=Range.of(step.mfu * factor),
        tokens=Range.of(processed),
        gpu_hours=Range.of(hours.run),
        billed_gpu_hours=Range.of(_billed_hours(hours, draws)),
        wall_clock_hours=Range.of(hours.one_run / cluster.gpus),
        cost_usd=Range.of(sum(parts.values())),
        cost_parts_usd={name: Range.of(part) for name, part in parts.items()},
        memory=memory,
        fits=bool(fits(memory, cluster.gpu.memory_gib)),
        calibration=f"{plan.calibration.name}, {plan.calibration.as_of}",
        knowledge=plan.calibration.knowledge(cluster.gpu.generation, plan.recipe.stack),
    )


def _hours(plan: _Plan, draws: Mapping[str, FloatArray], processed: FloatArray) -> _Hours:
    rate, factor = plan.step.tokens_per_second_per_gpu, draws["efficiency"]
    forward_rate = rate / plan.step.forward_share
    return _Hours(
        run=gpu_hours(processed, rate, factor),
        evaluation=gpu_hours(draws["evaluation_tokens"], forward_rate, factor),
        start_up=_start_up_hours(plan.architecture, draws) * plan.cluster.gpus,
    )


def _check(*, useful_token_share: float) -> None:
    if not 0.0 < useful_token_share <= 1.0:
        raise InputError(
            f"useful_token_share = {useful_token_share:g}: useful over processed tokens lies "
            "above 0 and at most 1"
        )


def _draws(quantities: Mapping[str, Quantity]) -> dict[str, FloatArray]:
    """Joint draws of independent quantities; fixed ones stay single numbers.

    Additive recurrence on the generalised golden ratio (Roberts 2018), a fixed low-discrepancy
    sequence: no seed, and no import of scipy.stats.
    """
    uncertain = [name for name, quantity in quantities.items() if not quantity.is_fixed]
    phi = 2.0
    for _ in range(40):
        phi = (1.0 + phi) ** (1.0 / (len(uncertain) + 1.0))
    index = np.arange(1, DRAWS + 1)
    columns = {
        name: (0.5 + index * phi ** -(position + 1.0)) % 1.0
        for position, name in enumerate(uncertain)
    }
    return {
        name: quantity.ppf(columns[name]) if name in columns else quantity.ppf(0.5)
        for name, quantity in quantities.items()
    }


def median_start_up_hours(architecture: Architecture) -> float:
    """Hours from renting GPUs to the first step at central assumptions: boot and download."""
    assumed = run_assumptions()
    medians = {name: np.asarray(getattr(assumed, name).median()) for name in _START_UP}
    return float(_start_up_hours(architecture, medians))


def _start_up_hours(architecture: Architecture, draws: Mapping[str, FloatArray]) -> FloatArray:
    weights_gb = count_parameters(architecture).total * STORED_BYTES / GB
    download = weights_gb / draws["download_gb_per_second"] / SECONDS_PER_HOUR
    return draws["start_up_hours"] + download


def _checkpoint_gb(architecture: Architecture, recipe: TrainingRecipe) -> float:
    trained = Inventory.of(architecture, recipe).trained(recipe)
    return (trained.shared + trained.experts) * STORED_BYTES / GB


def _billed_hours(hours: _Hours, draws: Mapping[str, FloatArray]) -> FloatArray:
    """(search runs + 1) x hours of one run x failed-run factor."""
    return (1.0 + draws["search_runs"]) * hours.one_run * draws["failed_run_factor"]


def _cost_parts(
    hours: _Hours, draws: Mapping[str, FloatArray], checkpoint_gb: float
) -> dict[str, FloatArray]:
    """Dollars per draw by part: the final run, what comes with it, and what came before it."""
    price = draws["price"]
    final = hours.one_run * price
    failed = (draws["failed_run_factor"] - 1.0) * (1.0 + draws["search_runs"]) * final
    kept_gb_months = checkpoint_gb * draws["checkpoints_kept"] * draws["storage_months"]
    return {
        "final_run": hours.run * price,
        "start_up": hours.start_up * price,
        "evaluation": hours.evaluation * price,
        "search_runs": draws["search_runs"] * final,
        "failed_runs": failed,
        "checkpoint_storage": kept_gb_months * draws["storage_usd_per_gb_month"],
    }
