"""Tune an open model, host it yourself, and let it answer from retrieved passages too."""

from estimator.alternatives.account import Account
from estimator.alternatives.labels import labelling_days
from estimator.alternatives.labour import project, project_people
from estimator.alternatives.outcome import outcome
from estimator.alternatives.own_model import own_model, run_hours
from estimator.alternatives.rag import reindexing
from estimator.alternatives.serving_gpus import fleet, serving_notes
from estimator.alternatives.tokens import retrieval
from estimator.alternatives.world import Timeline, World


def account(world: World) -> Account:
    """The skill of tuning with the knowledge of retrieval, and the bill for both."""
    done = project(
        world, "finetune_rag", runs=run_hours(world), label_days=labelling_days(world.draws)
    )
    timeline = Timeline(world, done.go_live_months)
    serving = fleet(world, retrieves=True)
    return Account(
        id="finetune_rag",
        items=(
            project_people(timeline, done, "finetune_rag"),
            *own_model(timeline, "finetune_rag", done, serving),
            *retrieval(timeline),
            reindexing(timeline, "finetune_rag"),
            *outcome(timeline, "finetune_rag"),
        ),
        go_live_months=timeline.go_live_months,
        project=done,
        notes=serving_notes(world, serving),
    )
