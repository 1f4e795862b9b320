"""Tune an open model and host it yourself: GPUs rented or bought, MLOps people, your own uptime."""

from estimator.alternatives.account import Account
from estimator.alternatives.cadence import RETRAINING_ITEMS, cadence_note
from estimator.alternatives.labels import labelling_days
from estimator.alternatives.labour import project, project_people
from estimator.alternatives.outcome import outcome
from estimator.alternatives.own_model import own_model, run_hours
from estimator.alternatives.serving_gpus import fleet, serving_notes
from estimator.alternatives.world import Timeline, World


def account(world: World) -> Account:
    """Every cost is yours: people, examples, training runs that fail, replicas that idle."""
    done = project(
        world,
        "self_hosted_finetune",
        runs=run_hours(world),
        label_days=labelling_days(world.draws),
    )
    timeline = Timeline(world, done.go_live_months)
    serving = fleet(world, retrieves=False)
    own = own_model(timeline, "self_hosted_finetune", done, serving)
    renewing = (item for item in own if item.name in RETRAINING_ITEMS)
    return Account(
        id="self_hosted_finetune",
        items=(
            project_people(timeline, done, "self_hosted_finetune"),
            *own,
            *outcome(timeline, "finetune"),
        ),
        go_live_months=timeline.go_live_months,
        project=done,
        notes=(*serving_notes(world, serving), cadence_note(world, *renewing)),
    )
