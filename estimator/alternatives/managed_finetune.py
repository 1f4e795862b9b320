"""Tune through somebody's API: they own the GPUs, the recipe and the end of life."""

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labels import labelling, training_tokens
from estimator.alternatives.labour import (
    cycle_people_usd,
    project,
    project_people,
    running_people,
)
from estimator.alternatives.outcome import outcome
from estimator.alternatives.tokens import MANAGED_PRICES, api_tokens
from estimator.alternatives.world import HOURS_PER_MONTH, Timeline, World
from estimator.quantity import FloatArray


def account(world: World) -> Account:
    """Training by the token, hosting by the hour if the provider asks it, tokens when used."""
    done = project(world, "managed_finetune")
    timeline = Timeline(world, done.go_live_months)
    d = world.draws
    every = np.minimum(d["training.retrain_months"], d["managed.model_life_months"])
    return Account(
        id="managed_finetune",
        items=(
            project_people(timeline, done, "managed_finetune"),
            running_people(timeline, "managed_finetune"),
            *labelling(timeline, every),
            *_training(timeline, every),
            _hosting(timeline),
            api_tokens(timeline, prices=MANAGED_PRICES, tuned=True, retrieves=False),
            *outcome(timeline, "finetune"),
        ),
        go_live_months=done.go_live_months,
        project=done,
        notes=_notes(world),
    )


def run_usd(world: World) -> FloatArray:
    """Price of one training job: tokens x epochs x price, padding not billed, shape (n,)."""
    d = world.draws
    tokens = training_tokens(d) / d["data.padding_factor"]
    return np.asarray(tokens / 1e6 * d["managed.training_usd_per_mtok"])


def _training(timeline: Timeline, every: FloatArray) -> tuple[LineItem, ...]:
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
            profile=timeline.cycles(every),
            formula="a training job and its people, each time knowledge or the base model expires",
            inputs=(*inputs, "training.retrain_months", "managed.model_life_months"),
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
        notes.append("this service is closed to new buyers")
    if offer.ends_on is not None:
        notes.append(f"this service ends on {offer.ends_on.isoformat()}")
    return tuple(notes)
