"""The whole project in every draw: dates, person-days, cost, by activity, stage, role and month."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from estimator.errors import InputError
from estimator.project.schedule import Schedule, schedule
from estimator.project.staffing import (
    CALENDAR_PER_WORKING_DAY,
    DAYS_PER_MONTH,
    blended_day_rate_usd,
    duration_days,
    share_done,
)
from estimator.quantity import FloatArray
from pricing.activities import STAGES, ActivityRow, Stage

HOURS_PER_DAY = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHours:
    """Wall-clock of machines that the project waits for; more GPUs shorten this, nothing else."""

    training: ArrayLike = 0.0
    """One training run, in every round."""
    evaluation: ArrayLike = 0.0
    """Tokenising and evaluating around a run, in every round."""
    search: ArrayLike = 0.0
    """All runs that settle the settings, once."""

    def days(self, stage: Stage, rounds: FloatArray) -> FloatArray:
        """Calendar days of machines in a stage: search while configuring, then round by round."""
        hours = {
            "configuration": np.asarray(self.search),
            "training": rounds * np.asarray(self.training),
            "evaluation": rounds * np.asarray(self.evaluation),
        }.get(stage, np.asarray(0.0))
        return np.asarray(hours / HOURS_PER_DAY)


NO_RUNS = RunHours()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDraws:
    """One of the nine stages, from its first start to its last finish."""

    stage: Stage
    start_days: FloatArray
    finish_days: FloatArray
    person_days: FloatArray
    cost_usd: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDates:
    """When a stage runs, in days from the start of the project, and what it takes."""

    stage: Stage
    start_days_p50: float
    finish_days_p50: float
    finish_days_p80: float
    criticality: float
    """Share of draws in which something in the stage decides the date of go-live."""
    person_days_mean: float
    cost_usd_mean: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GanttBar:
    """One bar of a Gantt chart, at the median and the 80th percentile of its dates."""

    id: str
    name: str
    stage: Stage
    start_days_p50: float
    finish_days_p50: float
    finish_days_p80: float
    criticality: float
    """Share of draws in which the activity decides the date of go-live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectDraws:
    """A project of k activities in n draws."""

    activities: tuple[ActivityRow, ...]
    schedule: Schedule
    person_days: FloatArray
    """Days worked on each activity, shape (k, n)."""
    activity_cost_usd: FloatArray
    """Cost of the people on each activity, shape (k, n)."""
    person_days_by_role: Mapping[str, FloatArray]
    """Days worked by each role, shape (n,)."""
    cost_by_role_usd: Mapping[str, FloatArray]
    """Cost of each role, shape (n,)."""

    @property
    def total_days(self) -> FloatArray:
        """Calendar days to go-live, shape (n,)."""
        return self.schedule.total_days

    @property
    def go_live_months(self) -> FloatArray:
        """Months to go-live, shape (n,)."""
        return self.total_days / DAYS_PER_MONTH

    @property
    def cost_usd(self) -> FloatArray:
        """Cost of the people before go-live, shape (n,)."""
        return np.asarray(self.activity_cost_usd.sum(axis=0))

    @property
    def criticality(self) -> Mapping[str, float]:
        """Share of draws in which each activity is on a critical path."""
        shares = self.schedule.criticality
        return {row.id: float(s) for row, s in zip(self.activities, shares, strict=True)}

    def stages(self) -> tuple[StageDraws, ...]:
        """The stages that have activities, in the order of a project."""
        return tuple(
            self._stage(stage)
            for stage in STAGES
            if any(row.stage == stage for row in self.activities)
        )

    def stage_dates(self) -> tuple[StageDates, ...]:
        """Dates at the median and the 80th percentile, criticality and cost of every stage."""
        critical = self.schedule.critical
        dates = []
        for part in self.stages():
            rows = [i for i, row in enumerate(self.activities) if row.stage == part.stage]
            finish_p50, finish_p80 = np.quantile(part.finish_days, [0.5, 0.8])
            dates.append(
                StageDates(
                    stage=part.stage,
                    start_days_p50=float(np.median(part.start_days)),
                    finish_days_p50=float(finish_p50),
                    finish_days_p80=float(finish_p80),
                    criticality=float(critical[rows].any(axis=0).mean()),
                    person_days_mean=float(part.person_days.mean()),
                    cost_usd_mean=float(part.cost_usd.mean()),
                )
            )
        return tuple(dates)

    def _stage(self, stage: Stage) -> StageDraws:
        rows = [i for i, row in enumerate(self.activities) if row.stage == stage]
        return StageDraws(
            stage=stage,
            start_days=self.schedule.start_days[rows].min(axis=0),
            finish_days=self.schedule.finish_days[rows].max(axis=0),
            person_days=self.person_days[rows].sum(axis=0),
            cost_usd=self.activity_cost_usd[rows].sum(axis=0),
        )

    def cost_by_month_usd(self, months: int, *, start_months: ArrayLike = 0.0) -> FloatArray:
        """Cost of the people in each month from now, shape (n, months).

        Each activity's cost accrues evenly while it runs, its waiting included; the project starts
        `start_months` from now. What falls after the last month is not in the result.
        """
        shift = np.asarray(start_months, np.float64) * DAYS_PER_MONTH
        starts, finishes = self.schedule.start_days + shift, self.schedule.finish_days + shift
        ends = np.arange(months + 1) * DAYS_PER_MONTH
        spent = np.zeros((months + 1, starts.shape[1]))
        for cost, start, finish in zip(self.activity_cost_usd, starts, finishes, strict=True):
            first = int(np.searchsorted(ends, start.min()))
            last = int(np.searchsorted(ends, finish.max(), side="right"))
            done = share_done(ends[first:last, None], start_days=start, finish_days=finish)
            spent[first:last] += cost * done
            spent[last:] += cost
        return np.diff(spent, axis=0).T

    def people_by_month(self, months: int) -> Mapping[str, FloatArray]:
        """Mean number of full-time people of each role in each month, shape (months,)."""
        ends = [np.asarray(float(month)) for month in range(months + 1)]
        worked = [(self.person_days * self._done(end)).mean(axis=1) for end in ends]
        people = np.diff(np.array(worked), axis=0) * CALENDAR_PER_WORKING_DAY / DAYS_PER_MONTH
        return {role: people @ role_shares(self.activities, role) for role in self.cost_by_role_usd}

    def _done(self, month: FloatArray) -> FloatArray | float:
        """Share of each activity done after so many months, shape (k, n); 1.0 after the end."""
        day = month * DAYS_PER_MONTH
        if np.all(day >= self.total_days):
            return 1.0
        return share_done(
            day, start_days=self.schedule.start_days, finish_days=self.schedule.finish_days
        )

    def gantt(self) -> tuple[GanttBar, ...]:
        """One bar per activity, in the order of their median starts."""
        start = np.median(self.schedule.start_days, axis=1)
        finish_p50, finish_p80 = np.quantile(self.schedule.finish_days, [0.5, 0.8], axis=1)
        share = self.schedule.criticality
        return tuple(
            GanttBar(
                id=self.activities[i].id,
                name=self.activities[i].name,
                stage=self.activities[i].stage,
                start_days_p50=float(start[i]),
                finish_days_p50=float(finish_p50[i]),
                finish_days_p80=float(finish_p80[i]),
                criticality=float(share[i]),
            )
            for i in np.argsort(start, kind="stable")
        )


def project_draws(
    rows: Sequence[ActivityRow],
    *,
    effort_days: Mapping[str, ArrayLike],
    wait_days: Mapping[str, ArrayLike],
    iterations: ArrayLike,
    overrun: ArrayLike,
    availability_share: ArrayLike,
    day_rate_usd: Mapping[str, ArrayLike],
    runs: RunHours = NO_RUNS,
    role_ready_days: Mapping[str, ArrayLike] | None = None,
) -> ProjectDraws:
    """A project in every draw, from draws of its inputs (numbers or arrays of shape (n,)).

    Person-days of an activity = effort x overrun, times iterations where it recurs. Its duration
    adds the wait and the machines' hours (`runs`). Rounds of training and evaluation are laid end
    to end, all training before all evaluation; the total is the same. An activity starts once all
    its roles are there (`role_ready_days`: hiring and notice).
    """
    _check_inputs(rows, effort_days, wait_days, day_rate_usd)
    rounds = np.asarray(iterations, dtype=np.float64)
    machine_days = {stage: runs.days(stage, rounds) for stage in STAGES}
    worked: list[FloatArray] = []
    durations: list[FloatArray] = []
    ready: list[FloatArray] = []
    for row in rows:
        repeats = rounds if row.per_iteration else np.asarray(1.0)
        days = np.asarray(effort_days[row.id]) * np.asarray(overrun) * repeats
        wait = np.asarray(wait_days[row.id]) * repeats
        length = duration_days(
            days, people=row.people, availability_share=availability_share, wait_days=wait
        )
        worked.append(days)
        durations.append(length + machine_days.pop(row.stage, 0.0))
        ready.append(_ready_days(row, role_ready_days or {}))
    rates = [blended_day_rate_usd(row.roles, day_rate_usd) for row in rows]
    n = np.broadcast_shapes((1,), *(x.shape for x in (*worked, *durations, *ready, *rates)))
    person_days = _stack(worked, n)
    return ProjectDraws(
        activities=tuple(rows),
        schedule=schedule(rows, _stack(durations, n), _stack(ready, n)),
        person_days=person_days,
        activity_cost_usd=person_days * _stack(rates, n),
        **_by_role(rows, person_days, day_rate_usd),
    )


def _stack(arrays: Sequence[FloatArray], shape: tuple[int, ...]) -> FloatArray:
    return np.stack([np.broadcast_to(array, shape) for array in arrays])


def _ready_days(row: ActivityRow, role_ready_days: Mapping[str, ArrayLike]) -> FloatArray:
    ready = np.asarray(0.0)
    for role in row.roles:
        ready = np.maximum(ready, np.asarray(role_ready_days.get(role, 0.0)))
    return ready


def role_shares(rows: Sequence[ActivityRow], role: str) -> FloatArray:
    """Share of the effort of each activity that falls to `role`, shape (k,)."""
    return np.array([row.roles.get(role, 0.0) for row in rows])


def _by_role(
    rows: Sequence[ActivityRow], person_days: FloatArray, day_rate_usd: Mapping[str, ArrayLike]
) -> dict[str, Mapping[str, FloatArray]]:
    roles = sorted({role for row in rows for role in row.roles})
    days = {role: np.asarray(role_shares(rows, role) @ person_days) for role in roles}
    cost = {role: days[role] * np.asarray(day_rate_usd[role]) for role in roles}
    return {
        "person_days_by_role": MappingProxyType(days),
        "cost_by_role_usd": MappingProxyType(cost),
    }


def _check_inputs(
    rows: Sequence[ActivityRow],
    effort_days: Mapping[str, ArrayLike],
    wait_days: Mapping[str, ArrayLike],
    day_rate_usd: Mapping[str, ArrayLike],
) -> None:
    for row in rows:
        for what, given in (("effort_days", effort_days), ("wait_days", wait_days)):
            if row.id not in given:
                raise InputError(f"{what} has no entry for activity {row.id!r}; give its draws")
        for role in row.roles:
            if role not in day_rate_usd:
                raise InputError(
                    f"no day rate for role {role!r} of activity {row.id!r}; "
                    f"known: {', '.join(sorted(day_rate_usd))}"
                )
