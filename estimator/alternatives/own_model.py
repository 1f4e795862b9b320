"""What a model of one's own takes, whichever way it came about: people, examples, GPUs, hosting."""

from dataclasses import replace

import numpy as np

from estimator.alternatives.items import LineItem
from estimator.alternatives.labels import labelling
from estimator.alternatives.labour import missing_specialists, running_people
from estimator.alternatives.quality import retraining_months
from estimator.alternatives.serving_gpus import Fleet, serving_gpus
from estimator.alternatives.training_gpus import (
    RUN_INPUTS,
    retraining,
    run_gpu_hours,
    run_wall_hours,
    training_gpus,
)
from estimator.alternatives.world import Timeline, World
from estimator.project.plan import ProjectDraws, RunHours
from estimator.scenario import AlternativeId

CLOUD_FACTOR = "serving.cloud_bill_factor"


def run_hours(world: World) -> RunHours:
    """Wall-clock of the project's runs: each round's run and what surrounds it, and the search.

    Failed runs take their time too.
    """
    d = world.draws
    run = run_wall_hours(world) * d["training.failed_run_factor"]
    return RunHours(
        training=run,
        evaluation=run * d["training.around_run_share"],
        search=run * d["training.search_runs"],
    )


def own_model(
    timeline: Timeline, alternative: AlternativeId, done: ProjectDraws, serving: Fleet
) -> tuple[LineItem, ...]:
    """What it takes to tune, serve and keep a model of your own, besides the project's people."""
    every = retraining_months(timeline.world.draws)
    hosted = serving_gpus(timeline, serving)
    return (
        *missing_specialists(timeline, done),
        running_people(timeline, alternative),
        on_call(timeline),
        *labelling(timeline, every),
        *training_gpus(timeline, alternative),
        *evaluation_gpus(timeline, alternative),
        *retraining(timeline, alternative, every),
        hosted,
        around_the_gpus(timeline, hosted),
    )


def evaluation_gpus(timeline: Timeline, alternative: AlternativeId) -> tuple[LineItem, ...]:
    """GPUs that tokenise and evaluate around every round's run; none more where they are bought."""
    world = timeline.world
    if world.scenario.training.acquisition == "buy":
        return ()
    d = world.draws
    rounds = d[f"project.iterations.{alternative}"]
    share, price = d["training.around_run_share"], d["training.gpu_usd_per_hour"]
    return (
        LineItem(
            name="GPUs for evaluation runs",
            category="GPUs for training",
            amount_usd=np.asarray(rounds * run_gpu_hours(world) * share * price),
            profile=timeline.building,
            formula="evaluation rounds x GPU hours of a run x share around it x price",
            inputs=(
                *RUN_INPUTS,
                f"project.iterations.{alternative}",
                "training.around_run_share",
                "training.gpu_usd_per_hour",
            ),
        ),
    )


def on_call(timeline: Timeline) -> LineItem:
    """Engineers on call for a service of one's own."""
    path = "serving.on_call_usd_per_month"
    return LineItem(
        name="Engineers on call",
        category="running people",
        amount_usd=timeline.world.draws[path],
        profile=timeline.staffed,
        formula="allowance per month in operation, at wages that grow",
        inputs=(path, "team.wage_growth_per_year"),
    )


def around_the_gpus(timeline: Timeline, hosted: LineItem) -> LineItem:
    """Storage, network and services that a cloud bills beside the GPUs that serve."""
    more = np.maximum(timeline.world.draws[CLOUD_FACTOR] - 1, 0.0)
    return replace(
        hosted,
        name="Storage, network and services around them",
        amount_usd=np.asarray(hosted.amount_usd * more),
        formula="rent of the GPUs that serve x (whole cloud bill / its GPU part - 1)",
        inputs=(*hosted.inputs, CLOUD_FACTOR),
    )
