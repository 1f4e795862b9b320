"""A fine-tuning job from what a user names: does it fit, how long does it take, what does it cost?

Joins the parts that stand by themselves: dataset and packing, recipe, memory, run, price.
"""

from dataclasses import dataclass, replace

from estimator.dataset import DatasetProfile, SequenceFit
from estimator.errors import InputError
from estimator.hardware.calibration import Calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.quantity import Quantity
from estimator.training.choose import METHOD_NAMES
from estimator.training.fits import Change, fits, peak_gib, what_would_fit
from estimator.training.memory import MemoryBreakdown, estimate_memory
from estimator.training.recipe import TrainingRecipe
from estimator.training.run import TrainingRun, estimate_run
from estimator.training.wish import RecipeWish, complete_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to be run, on what, at which price."""

    architecture: Architecture
    dataset: DatasetProfile
    epochs: Quantity
    recipe: TrainingRecipe
    cluster: Cluster
    price_usd_per_gpu_hour: Quantity
    calibration: Calibration | None = None
    """Of the machine; None: the shipped one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """How the dataset fills the sequences of one epoch."""

    tokens: Quantity
    """Tokens of one epoch, what is cut off left out."""
    useful_token_share: float
    """Tokens over positions processed."""
    positions_per_sequence: int
    """Mean length of a sequence as processed, padding included; the longest decides the memory."""
    fit: SequenceFit | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEstimate:
    """A job with its memory, and its time and cost when it fits."""

    job: Job
    filling: Filling
    memory: MemoryBreakdown
    run: TrainingRun | None
    """None when it does not fit."""
    would_fit: tuple[Change, ...]
    """What would fit instead, when it does not."""

    @property
    def fits(self) -> bool:
        """Whether the median peak is within the GPU's memory."""
        return self.run is not None

    @property
    def refusal(self) -> str:
        """One line: what does not fit, what it needs, what there is, what would fit."""
        recipe, cluster = self.job.recipe, self.job.cluster
        ways = "; ".join(f"{way.sentence} ({way.peak_gib:.1f} GiB)" for way in self.would_fit)
        return (
            f"{METHOD_NAMES[recipe.method]} of {self.job.architecture.id} does not fit on "
            f"{cluster.gpus} x {cluster.gpu.id}: with a micro-batch of {recipe.micro_batch} x "
            f"{recipe.sequence_length} tokens and checkpointing {recipe.checkpointing} it "
            f"needs about {peak_gib(self.memory):.1f} GiB per GPU, the card has "
            f"{cluster.gpu.memory_gib:.1f} GiB; "
            f"what would fit: {ways or 'nothing in the catalogue'}"
        )


def plan_job(
    architecture: Architecture,
    dataset: DatasetProfile,
    cluster: Cluster,
    wish: RecipeWish,
    *,
    epochs: Quantity,
    price_usd_per_gpu_hour: Quantity,
    calibration: Calibration | None = None,
) -> JobEstimate:
    """The estimate of the fastest recipe that fits and is as wished, or what would fit instead."""
    job = Job(
        architecture=architecture,
        dataset=dataset,
        epochs=epochs,
        recipe=complete_recipe(architecture, cluster, wish, dataset, calibration),
        cluster=cluster,
        price_usd_per_gpu_hour=price_usd_per_gpu_hour,
        calibration=calibration,
    )
    return estimate_job(job)


def estimate_job(job: Job) -> JobEstimate:
    """Memory, time and cost of a job; when it does not fit, what would."""
    filling = fill(job.dataset, job.recipe)
    architecture, cluster = job.architecture, job.cluster
    memory = estimate_memory(architecture, job.recipe, gpus=cluster.gpus)
    if not fits(memory, cluster.gpu.memory_gib):
        changes = what_would_fit(architecture, job.recipe, cluster.gpu, gpus=cluster.gpus)
        return JobEstimate(job=job, filling=filling, memory=memory, run=None, would_fit=changes)
    usual = job.recipe.model_copy(update={"sequence_length": filling.positions_per_sequence})
    run = estimate_run(
        architecture,
        usual,
        cluster,
        tokens=filling.tokens,
        epochs=job.epochs,
        price_usd_per_gpu_hour=job.price_usd_per_gpu_hour,
        useful_token_share=filling.useful_token_share,
        calibration=job.calibration,
    )
    return JobEstimate(
        job=job,
        filling=filling,
        memory=memory,
        run=replace(run, recipe=job.recipe),
        would_fit=(),
    )


def fill(dataset: DatasetProfile, recipe: TrainingRecipe) -> Filling:
    """How a dataset fills the sequences of a recipe, packed or padded to the longest of a batch.

    Padded: tokens / (examples x share) positions per example, where the share is the expected
    one of random micro-batches. A total without lengths is taken to fill its sequences.
    """
    length = recipe.sequence_length
    fit = dataset.fit_at(length, recipe.micro_batch)
    if fit is None or dataset.lengths is None:
        if not recipe.packing:
            raise InputError(
                "without packing the lengths of the examples must be known: "
                "give a dataset, or its examples and mean tokens"
            )
        return Filling(
            tokens=dataset.total_tokens,
            useful_token_share=1.0,
            positions_per_sequence=length,
            fit=None,
        )
    lengths = dataset.lengths
    kept = dataset.total_tokens.scaled(fit.kept_tokens / lengths.total)
    if recipe.packing:
        return Filling(
            tokens=kept,
            useful_token_share=fit.packing_efficiency,
            positions_per_sequence=length,
            fit=fit,
        )
    padded = fit.kept_tokens / (lengths.examples * fit.padding_efficiency)
    return Filling(
        tokens=kept,
        useful_token_share=fit.padding_efficiency,
        positions_per_sequence=round(padded),
        fit=fit,
    )
