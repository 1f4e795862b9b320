"""Tuning's labels, runs and renewals, and the people of every way: by hand, and by property."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats
from worlds import BASE, STEADY, item, world

from estimator.alternatives import build_alternative
from estimator.alternatives.cadence import ageing_usd_per_month2, best_interval_months
from estimator.alternatives.labels import labelling_days
from estimator.alternatives.labour import overrun
from estimator.alternatives.more_labels import worth_of_labels_usd
from estimator.alternatives.quality import (
    learning_curve,
    retraining_months,
)
from estimator.scenario.edit import with_inputs


def curve(**changes: float) -> float:
    fixed = {
        "data.examples": 5000,
        "data.reference_examples": 5000,
        "data.curve_exponent": 0.5,
        "data.irreducible_error_share": 0.4,
    } | {f"data.{name}": value for name, value in changes.items()}
    return float(learning_curve(world(fixed).draws))


def test_the_learning_curve_is_a_power_law_above_a_floor() -> None:
    """errors = a + b m ** -c: at 5,000 examples 0.10 = 0.04 + 0.06; at 20,000 0.04 + 0.03."""
    assert curve() == pytest.approx(1)
    assert curve(examples=20_000) == pytest.approx(0.07 / 0.10)
    assert curve(examples=1250) == pytest.approx(0.16 / 0.10)
    assert curve(examples=5e12) == pytest.approx(0.4, abs=1e-4)
    a, b, c = 0.04, 0.06 * 5000**0.5, 0.5
    for m in (500, 3000, 40_000):
        assert curve(examples=m) * 0.10 == pytest.approx(a + b * m**-c)


def test_a_thousand_labels_are_worth_less_the_more_there_are() -> None:
    worth = []
    for examples in (500, 5000, 50_000):
        here = world(
            {
                "data.examples": examples,
                "data.label_usd_per_example": 0,
                "data.labels_per_day": 1e9,
                "value.error_cost_usd": 0,
                "alternatives": ["managed_finetune"],
            }
        )
        worth.append(float(worth_of_labels_usd(here, "managed_finetune").mean()))
    assert worth[0] > worth[1] > worth[2]
    assert worth[0] > 0
    dear = world({"data.label_usd_per_example": 1e4, "alternatives": ["managed_finetune"]})
    assert worth_of_labels_usd(dear, "managed_finetune").mean() < 0


def test_labels_take_their_time_before_data_is_prepared() -> None:
    slow = {
        "data.examples": 5600,
        "data.ready_share": 0.5,
        "data.rework_factor": 1.25,
        "data.labels_per_day": 100,
    }
    here, quick = world(slow), world(slow | {"data.labels_per_day": 1e9})
    assert float(labelling_days(here.draws)) == pytest.approx(35 * 7 / 5)
    for name in ("managed_finetune", "self_hosted_finetune", "finetune_rag"):
        late, early = (build_alternative(name, w).go_live_months for w in (here, quick))
        assert (late >= early).all() and (late > early).any()
    for name in ("prompting", "rag", "saas"):
        late, early = (build_alternative(name, w).go_live_months for w in (here, quick))
        np.testing.assert_array_equal(late, early)


def test_a_tuning_service_that_ends_must_be_left() -> None:
    name = "Moving to another service when this one ends"
    fixed = STEADY | {"managed.move_share": 0.5}
    ends = {
        months: item(
            build_alternative(
                "managed_finetune", world(fixed | {"managed.service_end_months": months})
            ),
            name,
        ).cash_usd()
        for months in (0, 30, 50)
    }
    assert (ends[50] == 0).all()  # behind the horizon
    assert (ends[30][:, 30] > 0).all() and (np.delete(ends[30], 30, axis=1) == 0).all()
    now = world(fixed | {"managed.service_end_months": 0})
    account = build_alternative("managed_finetune", now)
    live = np.floor(account.go_live_months).astype(int)
    for draw in np.flatnonzero(live < 36):
        assert ends[0][draw].argmax() == live[draw]
    announced = with_inputs(BASE, {"managed.offer": "openai-gpt-4.1-mini"})
    assert announced.managed.service_end_months.value == pytest.approx(2.4, abs=0.1)
    assert not BASE.managed.service_end_months.is_fixed


def test_bad_retrainings_are_repeated() -> None:
    draws = world({"training.retrain_months": 10, "quality.tuning_worse_than_base": 0.2}).draws
    assert float(retraining_months(draws)) == pytest.approx(8)  # 1 / (1 - 0.2) times as many


def test_the_interval_that_pays_best() -> None:
    """A retraining of 6,000 USD against a loss growing by 120 USD a month each month: 10 months."""
    assert float(best_interval_months(6000, 120)) == pytest.approx(10)
    months = np.linspace(1, 40, 3901)
    assert months[(6000 / months + 120 * months / 2).argmin()] == pytest.approx(10)
    assert float(best_interval_months(6000, 0)) == np.inf


def test_faster_change_asks_for_retraining_sooner_and_the_notes_say_so() -> None:
    slow, fast = (world({"knowledge.changed_share_per_month": x}) for x in (0.01, 0.1))
    assert (ageing_usd_per_month2(fast) > ageing_usd_per_month2(slow)).all()
    for name in ("managed_finetune", "self_hosted_finetune"):
        notes = build_alternative(name, fast).notes
        assert any(note.startswith("retraining every") for note in notes)


def test_contractors_come_sooner_and_cost_their_rate() -> None:
    missing = {"team.specialists_to_hire": 1}
    fee = "Finding specialists"
    hired = build_alternative("self_hosted_finetune", world(missing))
    contracted = build_alternative(
        "self_hosted_finetune", world(missing | {"team.specialists": "contract"})
    )
    nobody = build_alternative("self_hosted_finetune", world())
    assert np.median(contracted.go_live_months) < np.median(hired.go_live_months)
    assert (nobody.go_live_months <= contracted.go_live_months + 1e-9).all()
    assert (item(nobody, fee).present_value_usd() == 0).all()
    assert (item(hired, fee).present_value_usd() > 0).all()
    rate = world(missing | {"team.specialists": "contract", "team.contractor_usd_per_hour": 1e-9})
    cheap = build_alternative("self_hosted_finetune", rate)
    assert (item(cheap, fee).present_value_usd() == 0).all()
    ramp = item(hired, "Specialists finding their feet")
    assert (ramp.present_value_usd() > 0).all()


def test_overruns_have_a_fat_tail_that_is_cut_and_small_work_has_less_of_it() -> None:
    here = world({"project.kill_factor": 8}, n=4096)
    factor = np.sort(overrun(here, "rag"))
    body = stats.lognorm(s=0.35, scale=1.05)
    tail = stats.truncpareto(b=1.5, c=8 / 1.5, scale=1.5)
    assert factor.max() <= 8
    expected = 0.82 * body.mean() + 0.18 * tail.mean()
    assert factor.mean() == pytest.approx(expected, rel=0.03)
    share_above_3 = 0.82 * body.sf(3) + 0.18 * tail.sf(3)
    assert (factor > 3).mean() == pytest.approx(share_above_3, abs=0.01)
    small = overrun(here, "saas")
    assert small.mean() < factor.mean()
    assert np.quantile(small, 0.95) < np.quantile(factor, 0.95)
    assert any("scaled down" in note for note in build_alternative("saas", world()).notes)


def test_overruns_move_every_alternative_together() -> None:
    here = world(n=512)
    first = overrun(here, "rag")
    for name in ("managed_finetune", "self_hosted_finetune", "finetune_rag", "pretrain"):
        np.testing.assert_array_equal(overrun(here, name), first)
    assert stats.spearmanr(first, overrun(here, "saas")).statistic > 0.8


def test_wages_of_all_roles_share_one_level() -> None:
    draws = world(n=512).draws
    wages = [x for path, x in draws.items() if path.startswith("team.wages_usd_per_year.")]
    assert len(wages) > 10
    for wage in wages[1:]:
        assert stats.spearmanr(wages[0], wage).statistic == pytest.approx(1)


def test_with_free_people_and_gpus_tuning_costs_data_and_the_running_of_it() -> None:
    roles = BASE.team.wages_usd_per_year
    free: dict[str, Any] = {f"team.wages_usd_per_year.{role}": 0 for role in roles}
    free |= {
        "training.gpu_usd_per_hour": 0,
        "serving.gpu_usd_per_hour": 0,
        "serving.on_call_usd_per_month": 0,
    }
    account = build_alternative("self_hosted_finetune", world(free))
    aside = ("people handling requests", "errors")
    left = {
        i.name
        for i in account.items
        if i.kind == "cost" and i.category not in aside and np.any(i.present_value_usd() > 0)
    }
    assert left == {
        "Writing and checking examples",
        "Renewing examples at each retraining",
        "Review of answers by people",
        "Monitoring tools",
    }


def test_wages_of_one_country_and_requests_of_another_are_pointed_out() -> None:
    def notes(changes: Mapping[str, Any]) -> tuple[str, ...]:
        return build_alternative("status_quo", world(changes, n=16)).notes

    assert notes({}) == ()
    (note,) = notes({"team.country": "IN"})
    assert "not of India" in note and "value.human_cost_usd_per_request" in note
    assert notes({"team.country": "IN", "value.human_cost_usd_per_request": 1}) == ()
