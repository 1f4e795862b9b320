"""Tune an open model and host it yourself: GPUs rented or bought, MLOps people, your own uptime."""

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labels import labelling
from estimator.alternatives.labour import (
    project,
    project_people,
    recruiting,
    running_people,
)
from estimator.alternatives.outcome import outcome
from estimator.alternatives.serving_gpus import Fleet, fleet, serving_gpus, serving_notes
from estimator.alternatives.training_gpus import retraining, run_wall_hours, training_gpus
from estimator.alternatives.world import Timeline, World
from estimator.scenario import AlternativeId


def account(world: World) -> Account:
    """Every cost is yours: people, examples, training runs that fail, replicas that idle."""
    done = project(world, "self_hosted_finetune", training_hours=run_wall_hours(world))
    timeline = Timeline(world, done.go_live_months)
    serving = fleet(world, retrieves=False)
    return Account(
        id="self_hosted_finetune",
        items=(
            project_people(timeline, done, "self_hosted_finetune"),
            *own_model(timeline, "self_hosted_finetune", serving),
            *outcome(timeline, "finetune"),
        ),
        go_live_months=done.go_live_months,
        project=done,
        notes=serving_notes(world, serving),
    )


def own_model(
    timeline: Timeline, alternative: AlternativeId, serving: Fleet
) -> tuple[LineItem, ...]:
    """What it takes to tune, serve and keep a model of your own, besides the project's people."""
    every = timeline.world.draws["training.retrain_months"]
    return (
        recruiting(timeline),
        running_people(timeline, alternative),
        *labelling(timeline, every),
        *training_gpus(timeline, alternative),
        *retraining(timeline, alternative, every),
        serving_gpus(timeline, serving),
    )
