"""RAG on an API model: retrieve passages from the company's documents and answer from them."""

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labour import (
    cycle_people_usd,
    project,
    project_people,
    running_people,
)
from estimator.alternatives.outcome import WAGES, outcome
from estimator.alternatives.prompting import migration
from estimator.alternatives.quality import reindex_months
from estimator.alternatives.tokens import API_PRICES, api_tokens, retrieval
from estimator.alternatives.world import Timeline, World
from estimator.scenario import AlternativeId


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
        go_live_months=timeline.go_live_months,
        project=done,
    )


def reindexing(timeline: Timeline, alternative: AlternativeId) -> LineItem:
    """People who bring changed documents into the index whenever too much of it is outdated."""
    world = timeline.world
    return LineItem(
        name="Keeping the index up to date",
        category="running people",
        amount_usd=cycle_people_usd(world, alternative, "reindex"),
        profile=timeline.cycles(reindex_months(world.draws), WAGES),
        formula="person-days of a re-indexing x loaded day rate, once too much has changed",
        inputs=(
            f"project.cycle_days.{alternative}.reindex",
            "knowledge.changed_share_per_month",
            "knowledge.tolerated_stale_share",
            "team.wages_usd_per_year",
        ),
    )
