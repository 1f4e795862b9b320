"""RAG on an API model: retrieve passages from the company's documents and answer from them."""

import numpy as np

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labour import (
    cycle_people_usd,
    project,
    project_people,
    running_people,
)
from estimator.alternatives.outcome import outcome
from estimator.alternatives.prompting import migration
from estimator.alternatives.tokens import API_PRICES, api_tokens, retrieval
from estimator.alternatives.world import Timeline, World
from estimator.scenario import AlternativeId

REINDEX_MONTHS = 1.0  # the rate of change is per month, and so is the upkeep that follows it


def account(world: World) -> Account:
    """Knowledge stays in an index, as fresh as its upkeep; every answer pays for passages."""
    done = project(world, "rag")
    timeline = Timeline(world, done.go_live_months)
    return Account(
        id="rag",
        items=(
            project_people(timeline, done, "rag"),
            running_people(timeline, "rag"),
            api_tokens(timeline, prices=API_PRICES, tuned=False, retrieves=True),
            *retrieval(timeline),
            reindexing(timeline, "rag"),
            migration(timeline, "rag"),
            *outcome(timeline, "rag"),
        ),
        go_live_months=done.go_live_months,
        project=done,
    )


def reindexing(timeline: Timeline, alternative: AlternativeId) -> LineItem:
    """People who bring changed documents into the index, every month."""
    world = timeline.world
    return LineItem(
        name="Keeping the index up to date",
        category="running people",
        amount_usd=cycle_people_usd(world, alternative, "reindex"),
        profile=timeline.cycles(np.asarray(REINDEX_MONTHS)),
        formula="person-days of a re-indexing x loaded day rate, every month",
        inputs=(f"project.cycle_days.{alternative}.reindex", "team.wages_usd_per_year"),
    )
