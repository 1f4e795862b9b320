"""The people of an alternative: its project until go-live, and who keeps it running after."""

from collections.abc import Mapping

import numpy as np

from estimator.alternatives.items import LineItem
from estimator.alternatives.world import Timeline, World
from estimator.project.plan import NO_RUNS, ProjectDraws, RunHours, project_draws
from estimator.project.staffing import (
    DAYS_PER_MONTH,
    blended_day_rate_usd,
    loaded_day_rate_usd,
)
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId
from pricing.activities import activities, cycle_rows, operate_row

SMALL_WORK: frozenset[AlternativeId] = frozenset({"prompting", "saas", "staged"})
SMALL_WORK_NOTE = "overruns are scaled down here: the work is short and can be stopped"
SPECIALISTS = ("ml_engineer", "mlops_engineer", "research_scientist")
HOURS_PER_WORKING_DAY = 8
LABELLED = "prepare_data"
WAGE = "team.wages_usd_per_year"
OVERRUN = (
    "project.overrun_factor",
    "project.black_swan",
    "project.black_swan_factor",
    "project.kill_factor",
)
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
    """Actual over planned work, from the outside; the same draw for every alternative.

    Most projects take the ordinary factor, some (black swans) one from the fat tail; nothing goes
    beyond the factor at which a project is cut down. Short, cancellable work suffers a power below
    one of it. Source: Flyvbjerg et al., JMIS 2022, arXiv 2210.01573.
    """
    d = world.draws
    ordinary, tail = d["project.overrun_factor"], d["project.black_swan_factor"]
    factor = np.where(d["project.black_swan"] > 0, tail, ordinary)
    factor = np.minimum(factor, d["project.kill_factor"])
    if alternative in SMALL_WORK:
        return np.asarray(factor ** d["project.small_work_overrun_share"])
    return np.asarray(factor)


def project(
    world: World,
    alternative: AlternativeId,
    *,
    runs: RunHours = NO_RUNS,
    label_days: FloatArray | float = 0.0,
) -> ProjectDraws:
    """The project of `alternative` in every draw; data is prepared once the labels are there."""
    rows = activities(alternative)
    d = world.draws
    waits = {row.id: d[f"project.wait_days.{alternative}.{row.id}"] for row in rows}
    if LABELLED in waits:
        waits[LABELLED] = np.asarray(waits[LABELLED] + label_days)
    return project_draws(
        rows,
        effort_days={row.id: d[f"project.effort_days.{alternative}.{row.id}"] for row in rows},
        wait_days=waits,
        iterations=d[f"project.iterations.{alternative}"],
        overrun=overrun(world, alternative),
        availability_share=d["team.availability_share"],
        day_rate_usd=day_rates_usd(world),
        runs=runs,
        role_ready_days=_specialists_ready(world),
    )


def _specialists_ready(world: World) -> Mapping[str, FloatArray]:
    """Days until specialists work: found (none if nobody is missing), and half their ramp-up.

    At half speed, the ramp-up costs half its length; several are found at the same time.
    """
    d = world.draws
    found = d[f"team.{'hiring' if _hires(world) else 'contracting'}_days"]
    ready = found + d["team.ramp_up_months"] * DAYS_PER_MONTH / 2
    wait = np.where(d["team.specialists_to_hire"] > 0, ready, 0.0)
    return dict.fromkeys(SPECIALISTS, np.asarray(wait))


def _hires(world: World) -> bool:
    return world.scenario.team.specialists == "hire"


def project_people(timeline: Timeline, done: ProjectDraws, alternative: AlternativeId) -> LineItem:
    """Cost of everybody who works on the project, in the months in which they do."""
    monthly = done.cost_by_month_usd(
        timeline.world.months, start_months=timeline.world.delay_months
    )
    return LineItem(
        name="People of the project",
        category="project people",
        amount_usd=np.asarray(1.0),
        profile=timeline.world.profile(monthly),
        formula="person-days x overrun x loaded day rate, activity by activity",
        inputs=(
            f"project.effort_days.{alternative}",
            f"project.iterations.{alternative}",
            *OVERRUN,
            "team.wages_usd_per_year",
            *RATE_INPUTS,
        ),
    )


def missing_specialists(timeline: Timeline, done: ProjectDraws) -> tuple[LineItem, LineItem]:
    """Finding the specialists that are missing, and their months at half speed.

    Hired ones cost a recruiting fee; contractors the difference between their rate and a loaded
    wage for as long as the project needs them.
    """
    world = timeline.world
    d = world.draws
    missing, role = d["team.specialists_to_hire"], SPECIALISTS[1]
    own_day = day_rates_usd(world)[role]
    if _hires(world):
        day, fee = own_day, d["team.recruiting_share_of_wage"] * d[f"{WAGE}.{role}"]
        formula, inputs = "people x recruiting share x yearly wage", ("recruiting_share_of_wage",)
    else:
        day = d["team.contractor_usd_per_hour"] * HOURS_PER_WORKING_DAY
        worked = sum(done.person_days_by_role.get(name, 0.0) for name in SPECIALISTS)
        fee = np.maximum(day - own_day, 0.0) * worked / np.maximum(missing, 1.0)
        formula, inputs = "days worked x (rate - own day rate)", ("contractor_usd_per_hour",)
    half_speed = d["team.ramp_up_months"] * d["team.productive_days_per_year"] / 12 / 2
    shared = ("team.specialists_to_hire", f"{WAGE}.{role}")
    return (
        LineItem(
            name="Finding specialists",
            category="project people",
            amount_usd=np.asarray(np.where(missing > 0, missing * fee, 0.0)),
            profile=timeline.at_start,
            formula=formula,
            inputs=(*shared, *(f"team.{name}" for name in inputs)),
        ),
        LineItem(
            name="Specialists finding their feet",
            category="project people",
            amount_usd=np.asarray(missing * half_speed * day),
            profile=timeline.at_start,
            formula="people x months of ramp-up / 2 x day rate",
            inputs=(*shared, "team.ramp_up_months", *RATE_INPUTS),
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
        profile=timeline.staffed,
        formula="full-time equivalents x loaded yearly cost / 12, at wages that grow",
        inputs=(
            f"project.operate_fte.{alternative}",
            WAGE,
            "team.wage_growth_per_year",
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
