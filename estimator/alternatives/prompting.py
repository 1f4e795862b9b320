"""Prompt an API model: instructions and examples in the prompt, no retrieval, no tuning."""

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.labour import (
    SMALL_WORK_NOTE,
    cycle_people_usd,
    project,
    project_people,
    running_people,
)
from estimator.alternatives.outcome import WAGES, outcome
from estimator.alternatives.tokens import API_PRICES, api_tokens
from estimator.alternatives.world import Timeline, World
from estimator.scenario import AlternativeId


def account(world: World) -> Account:
    """Tokens and little else; what it does not know it cannot answer."""
    done = project(world, "prompting")
    timeline = Timeline(world, done.go_live_months)
    return Account(
        id="prompting",
        items=(
            project_people(timeline, done, "prompting"),
            running_people(timeline, "prompting"),
            api_tokens(timeline, prices=API_PRICES, tuned=False, retrieves=False),
            migration(timeline, "prompting"),
            *outcome(timeline, "prompting"),
        ),
        go_live_months=timeline.go_live_months,
        project=done,
        notes=(SMALL_WORK_NOTE,),
    )


def migration(timeline: Timeline, alternative: AlternativeId) -> LineItem:
    """Moving prompts and tests to the successor each time the API model is retired."""
    world = timeline.world
    return LineItem(
        name="Moving to the next model when this one is retired",
        category="running people",
        amount_usd=cycle_people_usd(world, alternative, "migrate"),
        profile=timeline.cycles(world.draws["api.model_life_months"], WAGES),
        formula="person-days of a migration x loaded day rate, once per life of the model",
        inputs=(
            f"project.cycle_days.{alternative}.migrate",
            "api.model_life_months",
            "team.wages_usd_per_year",
        ),
    )
