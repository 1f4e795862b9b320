"""Tune through somebody's API: they own the GPUs, the recipe and the end of life."""

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.alternatives.cadence import cadence_note
from estimator.alternatives.items import LineItem
from estimator.alternatives.labels import labelling, labelling_days, training_tokens
from estimator.alternatives.labour import (
    cycle_people_usd,
    project,
    project_people,
    running_people,
)
from estimator.alternatives.outcome import WAGES, outcome
from estimator.alternatives.quality import retraining_months
from estimator.alternatives.tokens import MANAGED_PRICES, api_tokens
from estimator.alternatives.world import HOURS_PER_MONTH, Timeline, World
from estimator.project.plan import ProjectDraws
from estimator.quantity import FloatArray


def account(world: World) -> Account:
    """Training by the token, hosting by the hour if the provider asks it, tokens when used."""
    done = project(world, "managed_finetune", label_days=labelling_days(world.draws))
    timeline = Timeline(world, done.go_live_months)
    d = world.draws
    every = np.minimum(retraining_months(d), d["managed.model_life_months"])
    written, renewed = labelling(timeline, every)
    training, retraining = _training(timeline, every)
    return Account(
        id="managed_finetune",
        items=(
            project_people(timeline, done, "managed_finetune"),
            running_people(timeline, "managed_finetune"),
            written,
            renewed,
            training,
            retraining,
            _moving(timeline, done),
            _hosting(timeline),
            api_tokens(timeline, prices=MANAGED_PRICES, tuned=True, retrieves=False),
            *outcome(timeline, "finetune"),
        ),
        go_live_months=timeline.go_live_months,
        project=done,
        notes=(*_notes(world), cadence_note(world, retraining, renewed)),
    )


def run_usd(world: World) -> FloatArray:
    """Price of one training job: tokens x epochs x price, padding not billed, shape (n,)."""
    d = world.draws
    tokens = training_tokens(d) / d["data.padding_factor"]
    return np.asarray(tokens / 1e6 * d["managed.training_usd_per_mtok"])


def _training(timeline: Timeline, every: FloatArray) -> tuple[LineItem, LineItem]:
    world = timeline.world
    d = world.draws
    inputs = (
        "data.examples",
        "data.tokens_per_example",
        "training.epochs",
        "managed.training_usd_per_mtok",
    )
    runs = d["managed.search_runs"] + np.maximum(d["project.iterations.managed_finetune"], 1.0)
    retraining = run_usd(world) + cycle_people_usd(world, "managed_finetune", "retrain")
    return (
        LineItem(
            name="Training jobs",
            category="fees",
            amount_usd=np.asarray(runs * run_usd(world)),
            profile=timeline.building,
            formula="(search runs + evaluation rounds) x tokens x epochs x price",
            inputs=(*inputs, "managed.search_runs", "project.iterations.managed_finetune"),
        ),
        LineItem(
            name="Retraining",
            category="running people",
            amount_usd=retraining,
            profile=timeline.cycles(every, WAGES),
            formula="a training job and its people, each time knowledge or the base model expires",
            inputs=(*inputs, "training.retrain_months", "managed.model_life_months"),
        ),
    )


def _moving(timeline: Timeline, done: ProjectDraws) -> LineItem:
    """Moving to another tuning service when the provider ends this one; at go-live at the latest.

    Tuned weights stay with the provider, so the work starts again from the data and the tests.
    """
    world = timeline.world
    d = world.draws
    iterations = np.maximum(d["project.iterations.managed_finetune"], 1.0)
    return LineItem(
        name="Moving to another service when this one ends",
        category="running people",
        amount_usd=np.asarray(
            d["managed.move_share"] * done.cost_usd + iterations * run_usd(world)
        ),
        profile=timeline.once(np.maximum(d["managed.service_end_months"], timeline.go_live_months)),
        formula="share of the project's work that is done again + its training jobs, once",
        inputs=(
            "managed.service_end_months",
            "managed.move_share",
            "project.effort_days.managed_finetune",
            "managed.training_usd_per_mtok",
        ),
    )


def _hosting(timeline: Timeline) -> LineItem:
    d = timeline.world.draws
    return LineItem(
        name="Hosting the tuned model",
        category="fees",
        amount_usd=np.asarray(
            d["managed.hosting_usd_per_hour"] * d["managed.hosting_units"] * HOURS_PER_MONTH
        ),
        profile=timeline.operating,
        formula="fee per hour x hours of the month, busy or idle",
        inputs=("managed.hosting_usd_per_hour", "managed.hosting_units"),
    )


def _notes(world: World) -> tuple[str, ...]:
    offer = pricing.managed_offer(world.scenario.managed.offer)
    notes = [f"{offer.provider} {offer.model}: prices as of {offer.as_of}"]
    if not offer.open_to_new_buyers:
        notes.append("this service is closed to new buyers: it is here for those who have it")
    if offer.ends_on is not None:
        notes.append(f"this service ends on {offer.ends_on.isoformat()}")
    return tuple(notes)
