"""The project in every draw: durations, people, money and months."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.project.plan import ProjectDraws, RunHours, project_draws
from estimator.project.staffing import (
    DAYS_PER_MONTH,
    blended_day_rate_usd,
    duration_days,
    loaded_day_rate_usd,
    share_done,
)
from pricing.activities import ActivityRow, activities, alternatives, iterations

N = 256
WAY = "self_hosted_finetune"


def draw_of(seed: int) -> Callable[[Any], Any]:
    u = np.random.default_rng(seed).random(N)
    return lambda quantity: quantity.ppf(u)


def plan_of(rows: tuple[ActivityRow, ...], **changes: Any) -> ProjectDraws:
    roles = {role for row in rows for role in row.roles}
    given: dict[str, Any] = {
        "effort_days": {row.id: draw_of(i)(row.effort) for i, row in enumerate(rows)},
        "wait_days": {row.id: draw_of(i + 50)(row.wait) for i, row in enumerate(rows)},
        "iterations": draw_of(99)(iterations()[rows[0].alternative]),
        "overrun": np.random.default_rng(7).lognormal(0.1, 0.3, N),
        "availability_share": 0.7,
        "day_rate_usd": dict.fromkeys(roles, 900.0),
    }
    return project_draws(rows, **(given | changes))


def test_duration_is_effort_over_people_in_calendar_days_plus_waiting() -> None:
    # 20 person-days, 2 people at half time: 20 working days = 4 weeks = 28 days; and a week's wait
    days = duration_days(20, people=2, availability_share=0.5, wait_days=7)
    assert float(days) == pytest.approx(35)


def test_loaded_day_rate_of_the_published_factors() -> None:
    # BLS load 1.43, overhead 1.15, 220 days: 133,080 a year is 994.8 a day
    rate = loaded_day_rate_usd(
        133_080, load_factor=1.43, overhead_factor=1.15, productive_days_per_year=220
    )
    assert float(rate) == pytest.approx(133_080 * 1.6445 / 220)
    assert float(rate) == pytest.approx(994.77, abs=0.01)
    blend = blended_day_rate_usd(
        {"a": 0.25, "b": 0.75}, {"a": 400.0, "b": np.array([800.0, 1200.0])}
    )
    np.testing.assert_allclose(blend, [700.0, 1000.0])


@pytest.mark.parametrize("way", alternatives())
def test_parts_sum_to_the_whole(way: str) -> None:
    plan = plan_of(activities(way))
    np.testing.assert_allclose(sum(plan.cost_by_role_usd.values()), plan.cost_usd)
    np.testing.assert_allclose(sum(s.cost_usd for s in plan.stages()), plan.cost_usd)
    np.testing.assert_allclose(plan.cost_by_month_usd(240).sum(axis=1), plan.cost_usd)
    np.testing.assert_allclose(sum(plan.person_days_by_role.values()), plan.person_days.sum(axis=0))
    np.testing.assert_allclose(plan.cost_usd, 900 * plan.person_days.sum(axis=0))
    ends = np.max([s.finish_days for s in plan.stages()], axis=0)
    np.testing.assert_allclose(ends, plan.total_days)
    people_months = sum(float(x.sum()) for x in plan.people_by_month(240).values())
    worked = plan.person_days.sum(axis=0).mean()
    assert people_months * DAYS_PER_MONTH * 5 / 7 == pytest.approx(worked)


def test_iterations_repeat_only_what_recurs() -> None:
    rows = activities(WAY)
    once, thrice = plan_of(rows, iterations=1.0), plan_of(rows, iterations=3.0)
    for i, row in enumerate(rows):
        factor = 3.0 if row.per_iteration else 1.0
        np.testing.assert_allclose(thrice.person_days[i], factor * once.person_days[i])


@pytest.mark.parametrize(
    ("runs", "activity", "days"),
    [
        (RunHours(training=48.0), "train", 8.0),  # 4 rounds of 2 days
        (RunHours(evaluation=6.0), "evaluate", 1.0),  # 4 rounds of a quarter of a day
        (RunHours(search=240.0), "configure", 10.0),  # once
    ],
)
def test_machines_lengthen_only_what_waits_for_them(
    runs: RunHours, activity: str, days: float
) -> None:
    rows = activities(WAY)
    waits = [row.id for row in rows].index(activity)
    slow, fast = plan_of(rows, iterations=4.0, runs=runs), plan_of(rows, iterations=4.0)
    longer = (slow.schedule.finish_days - slow.schedule.start_days) - (
        fast.schedule.finish_days - fast.schedule.start_days
    )
    np.testing.assert_allclose(longer[waits], days)
    np.testing.assert_allclose(np.delete(longer, waits, axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(slow.cost_usd, fast.cost_usd)  # nobody waits beside the GPUs
    assert (slow.total_days - fast.total_days <= days + 1e-9).all()


def test_more_gpus_shorten_runs_and_nothing_else() -> None:
    rows = activities(WAY)
    runs = [RunHours(training=h, evaluation=h / 5, search=5 * h) for h in (400.0, 50.0, 0.0)]
    one, eight, none = (plan_of(rows, runs=r).total_days for r in runs)
    assert (eight < one).all()
    assert (eight > none).all()  # the people's days stay
    assert np.median(one - none) > 7.9 * np.median(eight - none)


def test_dates_and_criticality_of_the_stages() -> None:
    plan = plan_of(activities(WAY))
    dates = plan.stage_dates()
    assert [d.stage for d in dates] == [s.stage for s in plan.stages()]
    assert all(d.start_days_p50 <= d.finish_days_p50 <= d.finish_days_p80 for d in dates)
    assert dates[-1].finish_days_p80 == pytest.approx(np.quantile(plan.total_days, 0.8))
    by_stage = {d.stage: d.criticality for d in dates}
    assert by_stage["deployment"] == by_stage["task_and_data"] == 1.0
    assert 0 < by_stage["data_preparation"] < 1
    assert sum(d.cost_usd_mean for d in dates) == pytest.approx(plan.cost_usd.mean())


def test_a_later_start_moves_the_money_and_leaves_it_as_it_is() -> None:
    plan = plan_of(activities("rag"))
    now, later = plan.cost_by_month_usd(60), plan.cost_by_month_usd(60, start_months=3)
    np.testing.assert_allclose(later[:, 3:], now[:, :57])
    assert (later[:, :3] == 0).all()
    np.testing.assert_allclose(later.sum(axis=1), plan.cost_usd)


@pytest.mark.parametrize("start", [0.0, 2.5, np.linspace(0, 9, N)])
def test_money_of_each_month_is_what_is_done_by_its_end_less_what_was_before(start: Any) -> None:
    rows = activities("rag")
    no_work = {row.id: 0.0 if row.after == () else 12.0 for row in rows}  # done at once, on day 0
    no_wait = dict.fromkeys(no_work, 0.0)
    for plan in (plan_of(rows), plan_of(rows, effort_days=no_work, wait_days=no_wait)):
        starts, finishes = plan.schedule.start_days, plan.schedule.finish_days
        done = [
            share_done((end - start) * DAYS_PER_MONTH, start_days=starts, finish_days=finishes)
            for end in range(19)
        ]
        spent = [(plan.activity_cost_usd * share).sum(axis=0) for share in done]
        expected = np.diff(np.array(spent), axis=0).T
        found = plan.cost_by_month_usd(18, start_months=start)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-6)


@given(st.integers(0, 8), st.floats(1.0, 5.0))
def test_more_people_never_take_longer(which: int, factor: float) -> None:
    rows = activities(WAY)
    crowd = list(rows)
    crowd[which] = replace(rows[which], people=rows[which].people * factor)
    few, many = plan_of(rows), plan_of(tuple(crowd))
    assert (many.total_days <= few.total_days + 1e-9).all()
    np.testing.assert_allclose(many.cost_usd, few.cost_usd)


@given(st.floats(0.0, 200.0))
def test_hiring_holds_up_those_who_need_the_role(days: float) -> None:
    rows = activities(WAY)
    base, hiring = plan_of(rows), plan_of(rows, role_ready_days={"mlops_engineer": days})
    assert (hiring.total_days >= base.total_days - 1e-9).all()
    start = dict(zip([r.id for r in rows], hiring.schedule.start_days, strict=True))
    assert (start["set_up_environment"] >= days).all()
    np.testing.assert_allclose(start["define_task"], 0.0)


def test_plain_numbers_are_one_draw() -> None:
    rows = activities("prompting")
    plan = plan_of(
        rows,
        effort_days={row.id: row.effort.median() for row in rows},
        wait_days={row.id: 0.0 for row in rows},
        iterations=2.0,
        overrun=1.0,
    )
    assert plan.total_days.shape == (1,)
    assert plan.go_live_months[0] == pytest.approx(plan.total_days[0] / 30.4375)


def test_gantt_shows_every_activity_in_order() -> None:
    plan = plan_of(activities("finetune_rag"))
    bars = plan.gantt()
    assert {bar.id for bar in bars} == set(plan.criticality)
    assert [bar.start_days_p50 for bar in bars] == sorted(bar.start_days_p50 for bar in bars)
    assert bars[-1].finish_days_p80 == pytest.approx(np.quantile(plan.total_days, 0.8))
    assert plan.criticality["deploy"] == 1.0
    assert all(bar.finish_days_p50 <= bar.finish_days_p80 for bar in bars)


def test_an_activity_goes_on_evenly() -> None:
    start, finish = np.array([0.0, 10.0, 20.0]), np.array([40.0, 10.0, 60.0])
    at = {day: share_done(day, start_days=start, finish_days=finish) for day in (0.0, 10.0, 30.0)}
    np.testing.assert_allclose(at[0.0], [0, 0, 0])
    np.testing.assert_allclose(at[10.0], [0.25, 0, 0])
    np.testing.assert_allclose(at[30.0], [0.75, 1, 0.25])


def test_spending_stops_at_the_horizon() -> None:
    plan = plan_of(activities("pretrain"))
    short, long = plan.cost_by_month_usd(6), plan.cost_by_month_usd(400)
    np.testing.assert_allclose(short, long[:, :6])
    assert (short >= 0).all()
    assert (short.sum(axis=1) < plan.cost_usd).all()


def test_missing_inputs_are_named() -> None:
    rows = activities("saas")
    with pytest.raises(InputError, match="wait_days has no entry for activity 'choose_vendor'"):
        plan_of(rows, wait_days={})
    with pytest.raises(InputError, match=r"no day rate for role 'product_manager'.*known: a"):
        plan_of(rows, day_rate_usd={"a": 1.0})
