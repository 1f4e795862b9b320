"""The people of an alternative: its project until go-live, and who keeps it running after."""

from collections.abc import Mapping

import numpy as np

from estimator.alternatives.items import LineItem
from estimator.alternatives.world import Timeline, World
from estimator.project.plan import ProjectDraws, project_draws
from estimator.project.staffing import blended_day_rate_usd, loaded_day_rate_usd
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId
from pricing.activities import activities, cycle_rows, operate_row

SMALL_WORK: frozenset[AlternativeId] = frozenset({"prompting", "saas"})
SPECIALISTS = ("ml_engineer", "mlops_engineer", "research_scientist")
RATE_INPUTS = ("team.load_factor", "team.overhead_factor", "team.productive_days_per_year")


def day_rates_usd(world: World) -> dict[str, FloatArray]:
    """Loaded cost of one productive day by role, shape (n,) or ()."""
    d = world.draws
    return {
        role: loaded_day_rate_usd(
            d[f"team.wages_usd_per_year.{role}"],
            load_factor=d["team.load_factor"],
            overhead_factor=d["team.overhead_factor"],
            productive_days_per_year=d["team.productive_days_per_year"],
        )
        for role in world.scenario.team.wages_usd_per_year
    }


def overrun(world: World, alternative: AlternativeId) -> FloatArray:
    """Actual over planned work: short, cancellable work suffers a power below one of it."""
    factor = world.draws["project.overrun_factor"]
    if alternative in SMALL_WORK:
        return np.asarray(factor ** world.draws["project.small_work_overrun_share"])
    return factor


def project(
    world: World, alternative: AlternativeId, *, training_hours: FloatArray | float = 0.0
) -> ProjectDraws:
    """The project of `alternative` in every draw; `training_hours` is one run's wall-clock."""
    rows = activities(alternative)
    d = world.draws
    return project_draws(
        rows,
        effort_days={row.id: d[f"project.effort_days.{alternative}.{row.id}"] for row in rows},
        wait_days={row.id: d[f"project.wait_days.{alternative}.{row.id}"] for row in rows},
        iterations=d[f"project.iterations.{alternative}"],
        overrun=overrun(world, alternative),
        availability_share=d["team.availability_share"],
        day_rate_usd=day_rates_usd(world),
        training_hours=training_hours,
        role_ready_days=_hiring(world),
    )


def _hiring(world: World) -> Mapping[str, FloatArray]:
    """Days until specialists are there: none if nobody must be hired; hiring runs in parallel."""
    d = world.draws
    wait = np.where(d["team.specialists_to_hire"] > 0, d["team.hiring_days"], 0.0)
    return dict.fromkeys(SPECIALISTS, np.asarray(wait))


def project_people(timeline: Timeline, done: ProjectDraws, alternative: AlternativeId) -> LineItem:
    """Cost of everybody who works on the project, in the months in which they do."""
    monthly = done.cost_by_month_usd(timeline.world.months)
    return LineItem(
        name="People of the project",
        category="project people",
        amount_usd=np.asarray(1.0),
        profile=timeline.world.profile(monthly),
        formula="person-days x overrun x loaded day rate, activity by activity",
        inputs=(
            f"project.effort_days.{alternative}",
            f"project.iterations.{alternative}",
            "project.overrun_factor",
            "team.wages_usd_per_year",
            *RATE_INPUTS,
        ),
    )


def recruiting(timeline: Timeline) -> LineItem:
    """Finding and hiring the specialists that are missing."""
    d = timeline.world.draws
    return LineItem(
        name="Recruiting specialists",
        category="project people",
        amount_usd=np.asarray(
            d["team.specialists_to_hire"]
            * d["team.recruiting_share_of_wage"]
            * d["team.wages_usd_per_year.mlops_engineer"]
        ),
        profile=timeline.at_start,
        formula="people to hire x recruiting share x yearly wage",
        inputs=(
            "team.specialists_to_hire",
            "team.recruiting_share_of_wage",
            "team.wages_usd_per_year.mlops_engineer",
        ),
    )


def running_people(timeline: Timeline, alternative: AlternativeId) -> LineItem:
    """Those who keep it running: monitoring, on-call, upkeep of content and prompts."""
    world = timeline.world
    d = world.draws
    rate = blended_day_rate_usd(operate_row(alternative).roles, day_rates_usd(world))
    return LineItem(
        name="People who keep it running",
        category="running people",
        amount_usd=np.asarray(
            d[f"project.operate_fte.{alternative}"] * rate * d["team.productive_days_per_year"] / 12
        ),
        profile=timeline.operating,
        formula="full-time equivalents x loaded yearly cost / 12, every month in operation",
        inputs=(
            f"project.operate_fte.{alternative}",
            "team.wages_usd_per_year",
            *RATE_INPUTS[:2],
        ),
    )


def cycle_people_usd(world: World, alternative: AlternativeId, cycle: str) -> FloatArray:
    """Cost of the people of one `retrain`, `migrate` or `reindex` of an alternative, shape (n,)."""
    rows = [row for row in cycle_rows(alternative) if row.id == cycle]
    if not rows:
        return np.asarray(0.0)
    days = world.draws[f"project.cycle_days.{alternative}.{cycle}"]
    rate = blended_day_rate_usd(rows[0].roles, day_rates_usd(world))
    return np.asarray(days * rate)
