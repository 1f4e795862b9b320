"""Demand, tokens, retrieval, fees and review, each against arithmetic by hand or a property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from worlds import BASE, STEADY, N, item, world

import pricing
from estimator.alternatives import build_alternative
from estimator.alternatives.account import Account
from estimator.alternatives.quality import (
    mean_stale_share,
    reindex_months,
    resolution_rate,
    reviewed_share,
)
from estimator.alternatives.tokens import cached_tokens
from estimator.decision.simulate import compare
from estimator.scenario import ALTERNATIVES
from estimator.scenario.edit import with_inputs


@pytest.mark.parametrize("peak", [1, 6, 12])
def test_a_season_moves_requests_within_the_year_and_adds_none(peak: int) -> None:
    here = world(STEADY | {"demand.seasonal_swing_share": 0.3, "demand.peak_month": peak})
    season = np.broadcast_to(here.growth, (1, 36))[0]
    assert season.argmax() == peak - 1
    assert season.max() == pytest.approx(1.3)
    for year in range(3):
        assert season[12 * year : 12 * year + 12].mean() == pytest.approx(1)
    np.testing.assert_allclose(season[:12], season[12:24])


def test_growth_compounds_and_wages_rise_for_people_and_not_for_errors() -> None:
    here = world(
        STEADY
        | {
            "demand.growth_per_year": 0.2,
            "team.wage_growth_per_year": 0.05,
            "value.human_cost_usd_per_request": 8,
            "value.error_cost_usd": 10,
            "quality.error_rate.people": 0.1,
        }
    )
    people, errors = (i.cash_usd()[0] for i in build_alternative("status_quo", here).items[:2])
    assert people[0] == pytest.approx(8000)
    assert people[24] == pytest.approx(8000 * 1.2**2 * 1.05**2)
    assert errors[24] == pytest.approx(1000 * 1.2**2)


def test_long_instructions_are_read_from_the_cache_and_short_ones_are_not() -> None:
    fixed = STEADY | {
        "api.cached_share": 0.5,
        "api.input_usd_per_mtok": 2,
        "api.cached_usd_per_mtok": 0.5,
        "api.output_usd_per_mtok": 0,
        "api.price_change_per_year": 0,
        "demand.input_tokens_per_request": 100,
    }
    usd = {}
    for tokens in (1000, 2000):
        here = world(fixed | {"knowledge.instruction_tokens_per_request": tokens})
        cached = float(cached_tokens(here.draws))
        assert cached == (1000 if tokens == 2000 else 0)
        monthly = item(build_alternative("prompting", here), "Tokens of the model's API")
        usd[tokens] = float(monthly.cash_usd()[0, -1])
    assert usd[1000] == pytest.approx(500 * 1100 * 2 / 1e6)
    assert usd[2000] == pytest.approx(500 * (1100 * 2 + 1000 * 0.5) / 1e6)


def test_what_retrieval_costs_by_the_month() -> None:
    here = world(
        STEADY
        | {
            "knowledge.corpus_tokens": 1e9,
            "knowledge.chunk_overhead": 1.2,
            "knowledge.changed_share_per_month": 0.1,
            "knowledge.stored_bytes_per_token": 20,
            "knowledge.storage_usd_per_gb_month": 0.25,
            "knowledge.vector_store_usd_per_month": 50,
            "knowledge.read_usd_per_million_queries": 16,
            "knowledge.rerank_usd_per_thousand_requests": 2,
            "api.embedding_usd_per_mtok": 0.02,
            "demand.input_tokens_per_request": 100,
        }
    )
    account = build_alternative("rag", here)
    last = {i.name: i.cash_usd()[0, -1] for i in account.items if i.category == "retrieval"}
    assert last["Embedding what changes"] == pytest.approx(1200 * 0.02 * 0.1)
    assert last["Vector store"] == pytest.approx(50 + 24 * 0.25)
    assert last["Looking up passages"] == pytest.approx(500 * (100 * 0.02 + 16) / 1e6)
    assert last["Reranking"] == pytest.approx(1)
    assert item(account, "Embedding the documents once").cash_usd()[0, 0] == pytest.approx(24)


@given(st.floats(0, 0.5), st.floats(0.25, 24))
def test_mean_staleness_is_the_integral(changed: float, every: float) -> None:
    area, _ = quad(
        lambda t: min(1.0, changed * t), 0, every, points=[min(1 / max(changed, 1e-9), every)]
    )
    found = mean_stale_share(np.asarray(changed), np.asarray(every))
    assert float(found) == pytest.approx(area / every, abs=1e-9)


def test_the_index_is_rebuilt_as_fast_as_the_knowledge_changes() -> None:
    rates = (0.01, 0.05, 0.2)
    months = [
        float(
            reindex_months(
                world(
                    {
                        "knowledge.changed_share_per_month": rate,
                        "knowledge.tolerated_stale_share": 0.1,
                    }
                ).draws
            )
        )
        for rate in rates
    ]
    assert months == pytest.approx([10, 2, 0.5])
    spent = []
    for rate in rates:
        here = world({"knowledge.changed_share_per_month": rate})
        spent.append(item(build_alternative("rag", here), "Keeping the index up to date"))
    usd = [float(np.mean(i.present_value_usd())) for i in spent]
    assert usd[0] < usd[1] < usd[2]


def test_outdated_knowledge_helps_no_way_that_stores_it() -> None:
    fresh, stale = (
        world(
            {
                "knowledge.changed_share_per_month": rate,
                "knowledge.tolerated_stale_share": rate,
            }
        ).draws
        for rate in (0.0, 0.15)
    )
    for way in ("rag", "finetune", "finetune_rag", "saas"):
        assert (resolution_rate(stale, way) <= resolution_rate(fresh, way)).all()
        assert (resolution_rate(stale, way) < resolution_rate(fresh, way)).any()
    np.testing.assert_array_equal(
        resolution_rate(stale, "prompting"), resolution_rate(fresh, "prompting")
    )


def test_review_finds_some_errors_and_no_more_than_all_answers_are_reviewed() -> None:
    draws = world({"quality.reviewed_answers_per_month": 300}).draws
    assert float(reviewed_share(draws, np.asarray(6000.0))) == pytest.approx(0.05)
    assert float(reviewed_share(draws, np.asarray(20.0))) == 1


def test_a_contract_fixes_prices_until_it_is_renewed() -> None:
    here = world(
        STEADY
        | {
            "saas.plan": "openai-chatgpt-business",
            "saas.seats": 10,
            "saas.price_usd_per_unit": 20,
            "saas.price_change_per_year": 0.5,
            "saas.contract_months": 12,
        }
    )
    seats = item(build_alternative("saas", here), "Seats").cash_usd()
    live = build_alternative("saas", here).go_live_months < 20
    np.testing.assert_allclose(seats[live, 23], 200 * 1.5)
    np.testing.assert_allclose(seats[live, 24], 200 * 1.5**2)
    np.testing.assert_allclose(seats[live, 35], 200 * 1.5**2)


def test_a_minimum_is_due_however_little_is_used() -> None:
    fixed = STEADY | {
        "saas.plan": "ada-resolution",
        "saas.price_usd_per_unit": 1,
        "saas.price_change_per_year": 0,
    }
    account = build_alternative("saas", world(fixed))
    fees = [i for i in account.items if i.category == "fees" and i.name != "Onboarding fee"]
    assert "Up to the contract's minimum" in {i.name for i in fees}
    monthly = sum(i.cash_usd() for i in fees)[:, -1]
    np.testing.assert_allclose(monthly, 30_000 / 12)  # below 500 resolutions of a dollar
    busy = build_alternative("saas", world(fixed | {"demand.requests_per_month": 1e6}))
    assert (item(busy, "Up to the contract's minimum").cash_usd()[:, -1] == 0).all()
    free = build_alternative("saas", world())
    assert "Up to the contract's minimum" not in {i.name for i in free.items}


def test_the_cloud_bill_holds_more_than_gpus() -> None:
    here = world({"serving.cloud_bill_factor": 1.4})
    account = build_alternative("self_hosted_finetune", here)
    around = item(account, "Storage, network and services around them").present_value_usd()
    rent = item(account, "GPUs that serve").present_value_usd()
    np.testing.assert_allclose(around, 0.4 * rent)


@settings(max_examples=6)
@given(st.floats(1.1, 5.0))
def test_more_requests_never_make_the_use_cheaper(factor: float) -> None:
    """Tokens, passages, fees and replicas of a month in operation."""
    requests = BASE.demand.requests_per_month.scaled(factor)
    few, many = world(), world({"demand.requests_per_month": requests})
    for name in ("prompting", "rag", "managed_finetune", "self_hosted_finetune", "saas"):
        for category in ("tokens", "retrieval", "GPUs for serving", "fees"):
            monthly = [
                sum(
                    i.cash_usd()[:, -1]
                    for i in build_alternative(name, w).items
                    if i.category == category
                )
                for w in (few, many)
            ]
            assert (np.asarray(monthly[1]) >= np.asarray(monthly[0]) * (1 - 1e-12)).all()


def test_adding_an_alternative_changes_no_other() -> None:
    everything = world()
    few = world({"alternatives": ["rag", "saas"]})
    for name in ("status_quo", "rag", "saas"):
        a, b = (build_alternative(name, w) for w in (everything, few))
        for x, y in zip(a.items, b.items, strict=True):
            np.testing.assert_array_equal(x.present_value_usd(), y.present_value_usd())


def test_every_alternative_names_what_stands_behind_each_line() -> None:
    here = world()
    known = set(here.scenario.inputs()) | {"model"}
    for name in ALTERNATIVES:
        for line in build_alternative(name, here).items:
            assert line.formula
            for path in line.inputs:
                assert path in known or any(k.startswith(f"{path}.") for k in known), path


def test_a_huge_volume_of_a_narrow_task_is_served_by_a_small_model_of_ones_own() -> None:
    scenario = with_inputs(
        BASE,
        {
            "alternatives": ["prompting", "rag", "self_hosted_finetune", "saas"],
            "demand.requests_per_month": 5e7,
            "demand.input_tokens_per_request": 300,
            "demand.output_tokens_per_request": 20,
            "knowledge.instruction_tokens_per_request": 900,
            "knowledge.rerank_usd_per_thousand_requests": 0,
            "value.human_cost_usd_per_request": 0.01,
            "value.handover_cost_usd_per_request": 0,
            "value.error_cost_usd": 0.01,
            "value.incident_cost_usd": 1000,
            "quality.task_family": "classic_nlp",
            "quality.skill": 0.85,
            "quality.knowledge_share": 0,
            "quality.error_rate.prompting": 0.08,
            "quality.error_rate.rag": 0.08,
            "quality.error_rate.finetune": 0.03,
            "quality.incidents_per_million_answers": 0,
            "model": "Qwen/Qwen2.5-1.5B",
            "saas.plan": "market-per-resolution",
            "saas.price_usd_per_unit": 0.01,
        },
    )
    result = compare(scenario, n=N)
    assert result.verdict.alternative == "self_hosted_finetune"
    few = compare(with_inputs(scenario, {"demand.requests_per_month": 50_000}), n=N)
    assert few.verdict.alternative == "status_quo"


def check(account: Account) -> None:
    for line in account.items:
        value = line.present_value_usd()
        assert np.isfinite(value).all() and (value >= -1e-9).all(), (account.id, line.name)


@pytest.mark.parametrize("offer", pricing.managed_offers())
def test_every_tuning_service_can_be_compared(offer: str) -> None:
    here = world({"managed.offer": offer, "alternatives": ["managed_finetune"]}, n=16)
    account = build_alternative("managed_finetune", here)
    check(account)
    ended = pricing.managed_offer(offer).ends_on is not None
    assert any("ends on" in note for note in account.notes) == ended


@pytest.mark.parametrize("plan", [p for p in pricing.saas_plans() if pricing.saas_plan(p).price])
def test_every_plan_can_be_compared(plan: str) -> None:
    here = world({"saas.plan": plan, "saas.seats": 5, "alternatives": ["saas"]}, n=16)
    check(build_alternative("saas", here))
