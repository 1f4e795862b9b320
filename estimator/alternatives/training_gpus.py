"""GPUs for training: hours of runs, rented or bought, retraining, and training from scratch.

The physics is computed once per scenario; draws enter as tokens, speed factors and prices, all of
which scale its results.
"""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

import pricing
from estimator.alternatives.items import LineItem
from estimator.alternatives.labels import training_tokens
from estimator.alternatives.labour import cycle_people_usd
from estimator.alternatives.world import HOURS_PER_MONTH, Timeline, World
from estimator.errors import InputError
from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.parameters import count_parameters
from estimator.llm.resolve import resolve_model
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId, Scenario
from estimator.training.choose import choose_recipe
from estimator.training.recipe import Method, Stack
from estimator.training.run import gpu_hours, median_start_up_hours
from estimator.training.throughput import step_time

RUN_INPUTS = (
    "data.examples",
    "data.tokens_per_example",
    "training.epochs",
    "data.padding_factor",
    "training.speed_factor",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedOn:
    """A model, how it is trained, and on which GPUs."""

    model: str
    method: Method
    gpu: str
    gpus: int
    sequence_length: int
    lora_rank: int
    stack: Stack


def fine_tuning(scenario: Scenario) -> TrainedOn:
    """What the fine-tuning run of a scenario is."""
    t = scenario.training
    return TrainedOn(
        model=scenario.model,
        method=t.method,
        gpu=t.gpu,
        gpus=t.gpus,
        sequence_length=t.sequence_length,
        lora_rank=t.lora_rank,
        stack=t.stack,
    )


def training_speed(run: TrainedOn, calibration: Calibration | None = None) -> float:
    """Tokens per second and GPU of the fastest recipe that fits; InfeasiblePlan if none does."""
    if calibration is None:
        return _shipped_speed(run)
    architecture = resolve_model(run.model).architecture
    cluster = Cluster.of(pricing.gpu_spec(run.gpu), run.gpus)
    recipe = choose_recipe(
        architecture,
        method=run.method,
        cluster=cluster,
        sequence_length=run.sequence_length,
        lora_rank=run.lora_rank,
        stack=run.stack,
        calibration=calibration,
    )
    step = step_time(architecture, recipe, cluster, calibration)
    return float(step.tokens_per_second_per_gpu)


@cache
def _shipped_speed(run: TrainedOn) -> float:
    return training_speed(run, shipped_calibration())


def calibrated(scenario: Scenario, calibration: Calibration | None) -> Scenario:
    """The scenario with the range of training speed that a calibration knows.

    A range that the user gave stays; what came from the shipped calibration is replaced.
    """
    if calibration is None:
        return scenario
    t = scenario.training
    generation = pricing.gpu_spec(t.gpu).generation
    if t.speed_factor != shipped_calibration().efficiency_factor(generation, t.stack):
        return scenario
    factor = calibration.efficiency_factor(generation, t.stack)
    training = t.model_copy(update={"speed_factor": factor})
    return scenario.model_copy(update={"training": training})


def run_gpu_hours(world: World) -> FloatArray:
    """GPU hours of one training run: start-up, and tokens / (speed x factor), shape (n,)."""
    run = fine_tuning(world.scenario)
    speed = training_speed(run, world.calibration)
    steps = gpu_hours(training_tokens(world.draws), speed, world.draws["training.speed_factor"])
    return steps + run.gpus * median_start_up_hours(resolve_model(run.model).architecture)


def run_wall_hours(world: World) -> FloatArray:
    """Hours from start to end of one training run, shape (n,)."""
    return run_gpu_hours(world) / world.scenario.training.gpus


def training_gpus(timeline: Timeline, alternative: AlternativeId) -> tuple[LineItem, ...]:
    """GPUs for the project's runs: rented by the hour, or bought at the start."""
    world = timeline.world
    if world.scenario.training.acquisition == "buy":
        return bought_gpus(timeline)
    d = world.draws
    runs = 1 + d["training.search_runs"] + d[f"project.iterations.{alternative}"]
    return (
        LineItem(
            name="GPUs for training runs",
            category="GPUs for training",
            amount_usd=np.asarray(
                runs
                * run_gpu_hours(world)
                * d["training.failed_run_factor"]
                * d["training.gpu_usd_per_hour"]
            ),
            profile=timeline.building,
            formula="(final + search + evaluation rounds) x GPU hours of a run x failures x price",
            inputs=(
                *RUN_INPUTS,
                "training.search_runs",
                f"project.iterations.{alternative}",
                "training.failed_run_factor",
                "training.gpu_usd_per_hour",
            ),
        ),
    )


def bought_gpus(timeline: Timeline) -> tuple[LineItem, ...]:
    """GPUs bought when the project starts, sold at the end of the horizon, powered in between.

    Their value falls in a straight line to the residual share at the end of their useful life.
    """
    world = timeline.world
    d, gpus = world.draws, world.scenario.training.gpus
    life_months = d["owning.useful_life_years"] * 12
    start = np.floor(np.atleast_1d(world.delay_months))
    owned_months = np.maximum(world.months - start, 0.0)
    worn = np.minimum(owned_months / life_months, 1.0)
    left = 1 - (1 - d["owning.residual_share"]) * worn
    month = np.arange(world.months)
    bought = np.where(month == start[:, None], 1.0, 0.0) * np.ones((np.size(left), 1))
    bought[:, -1] -= np.where(owned_months > 0, left, 0.0)
    owned = np.where(month >= start[:, None], 1.0, 0.0)
    price = gpus * d["training.purchase_usd_per_gpu"] * d["owning.server_overhead_factor"]
    kilowatts = gpus * _watts(world.scenario.training.gpu) / 1000
    electricity = d["owning.pue"] * HOURS_PER_MONTH * d["owning.electricity_usd_per_kwh"]
    housing = kilowatts * (electricity + d["owning.colocation_usd_per_kw_month"])
    upkeep = price * d["owning.ops_share"] / 12
    return (
        LineItem(
            name="GPUs bought, less what they fetch at the end",
            category="GPUs for training",
            amount_usd=np.asarray(price),
            profile=world.profile(bought),
            formula="GPUs x price x server around them, less their value after the horizon",
            inputs=(
                "training.purchase_usd_per_gpu",
                "owning.server_overhead_factor",
                "owning.residual_share",
                "owning.useful_life_years",
            ),
        ),
        LineItem(
            name="Power, rack and upkeep of the GPUs",
            category="GPUs for training",
            amount_usd=np.asarray(housing + upkeep),
            profile=world.profile(owned),
            formula="kW x (PUE x hours x electricity + rack) + upkeep, every month, busy or idle",
            inputs=(
                "owning.pue",
                "owning.electricity_usd_per_kwh",
                "owning.colocation_usd_per_kw_month",
                "owning.ops_share",
            ),
        ),
    )


def _watts(gpu: str) -> float:
    watts = pricing.gpu_spec(gpu).tdp_watts
    if watts is None:
        raise InputError(f"training.acquisition: the power of {gpu} is unknown; rent it instead")
    return watts


def retraining(
    timeline: Timeline, alternative: AlternativeId, every_months: FloatArray
) -> tuple[LineItem, ...]:
    """People and GPUs of every retraining after go-live."""
    world = timeline.world
    d = world.draws
    profile = timeline.cycles(every_months)
    people = LineItem(
        name="People who retrain",
        category="running people",
        amount_usd=cycle_people_usd(world, alternative, "retrain"),
        profile=profile,
        formula="person-days of a retraining x loaded day rate, each time",
        inputs=(f"project.cycle_days.{alternative}.retrain", "training.retrain_months"),
    )
    if world.scenario.training.acquisition == "buy":
        return (people,)
    gpus = LineItem(
        name="GPUs for retraining",
        category="GPUs for training",
        amount_usd=np.asarray(
            run_gpu_hours(world) * d["training.failed_run_factor"] * d["training.gpu_usd_per_hour"]
        ),
        profile=profile,
        formula="GPU hours of a run x failures x price, each time",
        inputs=(*RUN_INPUTS, "training.retrain_months", "training.gpu_usd_per_hour"),
    )
    return (people, gpus)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pretraining:
    """A run from scratch, per draw."""

    parameters: int
    gpus: int
    tokens: FloatArray
    gpu_hours: FloatArray

    @property
    def wall_hours(self) -> FloatArray:
        """Hours from start to end, shape (n,)."""
        return self.gpu_hours / self.gpus


def pretraining(world: World) -> Pretraining:
    """Training the scenario's model from scratch on tokens-per-parameter times its size."""
    gpus = world.scenario.pretrain.gpus
    run = replace(fine_tuning(world.scenario), method="full", gpus=gpus)
    parameters = count_parameters(resolve_model(run.model).architecture).active
    speed = training_speed(run, world.calibration)
    tokens = np.asarray(parameters * world.draws["pretrain.tokens_per_parameter"])
    hours = gpu_hours(tokens, speed, world.draws["training.speed_factor"])
    return Pretraining(parameters=parameters, gpus=gpus, tokens=tokens, gpu_hours=hours)
