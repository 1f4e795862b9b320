"""The accounts of all alternatives: sums, common sense, and how costs follow prices and volume."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from estimator.alternatives import build_alternative
from estimator.alternatives.account import Account
from estimator.alternatives.items import present_value_usd
from estimator.alternatives.outcome import outcome
from estimator.alternatives.quality import (
    incident_count,
    resolution_rate,
)
from estimator.alternatives.world import Timeline, World
from estimator.decision.finance import discount_factors
from estimator.decision.simulate import draw_inputs
from estimator.scenario import ALTERNATIVES, Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

N = 64
BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 24
training: {gpu: h100-sxm5-80gb, gpus: 8, stack: torchtune}
pretrain: {gpus: 8}
""")
COMMITTED = tuple(name for name in ALTERNATIVES if name != "staged")  # a pilot may change course
TUNED = ("managed_finetune", "self_hosted_finetune", "finetune_rag", "pretrain")


STEADY = {
    "demand.growth_per_year": 0,
    "demand.seasonal_swing_share": 0,
    "team.wage_growth_per_year": 0,
}


def world_of(scenario: Scenario, n: int = N, seed: int = 5) -> World:
    discount = discount_factors(scenario.horizon_months, scenario.discount_rate_per_year)
    return World(scenario, draw_inputs(scenario, n=n, seed=seed), discount)


def accounts_of(scenario: Scenario) -> Mapping[str, Account]:
    world = world_of(scenario)
    return {name: build_alternative(name, world) for name in ALTERNATIVES}


def cost(account: Account, *categories: str) -> np.ndarray:
    chosen = [i for i in account.items if not categories or i.category in categories]
    return present_value_usd(chosen, "cost", N)


@pytest.fixture(scope="module")
def accounts() -> Mapping[str, Account]:
    return accounts_of(BASE)


def test_every_alternative_has_an_account_with_formulas_and_known_inputs(
    accounts: Mapping[str, Account],
) -> None:
    known = set(BASE.inputs()) | {"model"}
    for account in accounts.values():
        assert account.items
        for item in account.items:
            assert item.formula and item.inputs
            for path in item.inputs:
                assert path in known or any(k.startswith(f"{path}.") for k in known), path


def test_amounts_are_finite_and_never_negative(accounts: Mapping[str, Account]) -> None:
    for account in accounts.values():
        for item in account.items:
            value = item.present_value_usd()
            assert np.isfinite(value).all(), (account.id, item.name)
            assert (value >= -1e-9).all(), (account.id, item.name)


def test_cash_by_month_discounts_to_the_present_value(accounts: Mapping[str, Account]) -> None:
    factors = 1.1 ** (-np.arange(24) / 12)
    for account in accounts.values():
        for item in account.items:
            np.testing.assert_allclose(
                item.cash_usd() @ factors,
                np.broadcast_to(item.present_value_usd(), item.cash_usd().shape[:1]),
                rtol=1e-9,
                atol=1e-6,
            )


def test_doing_nothing_is_worth_exactly_nothing(accounts: Mapping[str, Account]) -> None:
    items = accounts["status_quo"].items
    net = present_value_usd(items, "benefit", N) - present_value_usd(items, "cost", N)
    assert (net == 0).all()


def test_doing_nothing_costs_what_the_arithmetic_says() -> None:
    scenario = parse_scenario("""
demand: {requests_per_month: 100, growth_per_year: 0, seasonal_swing_share: 0}
team: {wage_growth_per_year: 0}
value: {human_cost_usd_per_request: 8, error_cost_usd: 20}
quality: {error_rate: {people: 0.05}}
horizon_months: 3
discount_rate_per_year: 0
alternatives: [status_quo]
""")
    total = cost(build_alternative("status_quo", world_of(scenario)))
    np.testing.assert_allclose(total, 3 * 100 * (8 + 0.05 * 20))


def test_no_benefit_is_earned_before_go_live(accounts: Mapping[str, Account]) -> None:
    for name, account in accounts.items():
        if name == "status_quo":
            continue
        whole_months_before = np.floor(account.go_live_months).astype(int)
        for item in account.items:
            if item.name in ("Wrong answers given", "People who keep it running"):
                cash = item.cash_usd()
                for draw, months in enumerate(whole_months_before):
                    assert (cash[draw, :months] == 0).all()


def prices_times(scenario: Scenario, factor: float) -> Scenario:
    changes = {
        path: quantity.scaled(factor)
        for path, quantity in scenario.inputs().items()
        if (quantity.unit or "").startswith("USD")
    }
    return with_inputs(scenario, changes)


def test_doubling_every_price_doubles_every_cost(accounts: Mapping[str, Account]) -> None:
    doubled = accounts_of(prices_times(BASE, 2.0))
    for name, account in accounts.items():
        np.testing.assert_allclose(cost(doubled[name]), 2 * cost(account), rtol=1e-9)


@settings(max_examples=8)
@given(
    st.sampled_from(
        [
            "data.examples",
            "data.tokens_per_example",
            "training.epochs",
            "training.gpu_usd_per_hour",
            "training.failed_run_factor",
            "training.search_runs",
            "data.label_usd_per_example",
            "managed.training_usd_per_mtok",
        ]
    ),
    st.floats(1.0, 20.0),
)
def test_more_tokens_runs_or_higher_prices_never_make_training_cheaper(
    path: str, factor: float
) -> None:
    dearer = with_inputs(BASE, {path: BASE.inputs()[path].scaled(factor)})
    world, dear_world = world_of(BASE), world_of(dearer)
    rose = False
    for name in ("managed_finetune", "self_hosted_finetune", "finetune_rag"):
        before, after = training_amounts(name, world), training_amounts(name, dear_world)
        assert before.keys() == after.keys()
        for item, usd in before.items():
            assert (after[item] >= usd * (1 - 1e-12)).all(), (name, item)
            rose |= bool((after[item] > usd).any())
    assert rose or factor < 1.001


def training_amounts(name: str, world: World) -> Mapping[str, np.ndarray]:
    """Money of each training item before its rhythm: a longer run also moves the dates."""
    items = build_alternative(name, world).items
    chosen = [i for i in items if i.category in ("GPUs for training", "data", "fees")]
    chosen += [i for i in items if i.name == "Retraining"]
    return {item.name: np.broadcast_to(item.amount_usd, (N,)) for item in chosen}


@given(st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=8)
def test_a_longer_horizon_never_costs_less(a: int, b: int) -> None:
    short, long = (world_of(with_inputs(BASE, {"horizon_months": h})) for h in sorted((a, b)))
    for name in COMMITTED:
        brief, lasting = own_costs(name, short), own_costs(name, long)
        for item, usd in brief.items():
            assert (lasting[item] >= usd * (1 - 1e-12)).all(), (name, item)


def own_costs(name: str, world: World) -> Mapping[str, np.ndarray]:
    """Present value of each cost; whole incidents are left out: the same one, spread over more
    months, is discounted more."""
    return {
        item.name: np.broadcast_to(item.present_value_usd(), (N,))
        for item in build_alternative(name, world).items
        if item.kind == "cost" and item.name != "Public or regulated incidents"
    }


def test_more_requests_never_cost_less(accounts: Mapping[str, Account]) -> None:
    more = accounts_of(
        with_inputs(BASE, {"demand.requests_per_month": {"p10": 30_000, "p90": 52_000}})
    )
    for name in COMMITTED:
        assert (cost(more[name]) >= cost(accounts[name])).all()


def test_tuning_and_pretraining_cost_ever_more_people_and_gpus(
    accounts: Mapping[str, Account],
) -> None:
    gpus = {name: cost(accounts[name], "GPUs for training").mean() for name in TUNED}
    assert gpus["managed_finetune"] == 0
    assert 0 < gpus["self_hosted_finetune"] < gpus["pretrain"]
    people = {n: cost(a, "project people").mean() for n, a in accounts.items()}
    assert people["status_quo"] == 0
    assert people["saas"] < people["rag"] < people["finetune_rag"] < people["pretrain"]


def test_what_serves_is_whole_replicas_with_a_spare(accounts: Mapping[str, Account]) -> None:
    item = next(
        i for i in accounts["self_hosted_finetune"].items if i.category == "GPUs for serving"
    )
    world = world_of(with_inputs(BASE, {"serving.price_change_per_year": 0}))
    item = next(
        i
        for i in build_alternative("self_hosted_finetune", world).items
        if i.category == "GPUs for serving"
    )
    hours = item.profile.monthly[:, -1] / 730.5
    np.testing.assert_allclose(hours, np.round(hours), atol=1e-9)
    live = build_alternative("self_hosted_finetune", world).go_live_months < 23
    assert hours[live].min() >= 2 and (hours[~live] <= 2).all()


def test_bought_gpus_cost_their_price_less_resale_and_upkeep() -> None:
    scenario = with_inputs(
        BASE,
        {
            "training.acquisition": "buy",
            "training.gpus": 1,
            "training.purchase_usd_per_gpu": 30_000,
            "owning.server_overhead_factor": 1,
            "owning.useful_life_years": 4,
            "owning.residual_share": 0.2,
            "owning.electricity_usd_per_kwh": 0,
            "owning.colocation_usd_per_kw_month": 0,
            "owning.ops_share": 0,
            "discount_rate_per_year": 0,
        },
    )
    account = build_alternative("self_hosted_finetune", world_of(scenario))
    # After 2 of 4 years the value is half-way from 1 to 0.2 of the price.
    np.testing.assert_allclose(cost(account, "GPUs for training"), 30_000 * (1 - 0.6))


def test_saas_bills_resolutions_conversations_messages_and_seats() -> None:
    fixed = {
        "demand.requests_per_month": 1000,
        **STEADY,
        "demand.in_scope_share": 0.5,
        "quality.skill": 0.6,
        "quality.knowledge_share": 0,
        "quality.saas_skill_ratio": 1,
        "saas.messages_per_request": 3,
        "saas.seats": 10,
        "saas.price_change_per_year": 0,
        "saas.price_usd_per_unit": 2,
        "discount_rate_per_year": 0,
    }
    monthly = {
        "intercom-fin": (500 * 0.6 - 50) * 2,
        "salesforce-agentforce-conversation": 500 * 2,
        "salesforce-agentforce-action": 500 * 3 * 2,
        "openai-chatgpt-business": 10 * 2,
    }
    for plan, usd in monthly.items():
        scenario = with_inputs(BASE, {**fixed, "saas.plan": plan})
        account = build_alternative("saas", world_of(scenario))
        item = next(i for i in account.items if i.name.startswith(("Fee per", "Seats")))
        np.testing.assert_allclose(item.cash_usd()[:, -1], usd, err_msg=plan)


def test_resolution_needs_skill_and_knowledge() -> None:
    scenario = with_inputs(
        BASE,
        {
            "quality.skill": 0.8,
            "quality.knowledge_share": 0.5,
            "quality.retrieval_recall": 0.9,
            "quality.prompt_knowledge_share": 0.2,
            "quality.memorised_share": 0.1,
            "quality.tuning_gain": 0.1,
            "quality.tuning_gain_kept": 0.5,
            "quality.saas_skill_ratio": 1.1,
            "knowledge.tolerated_stale_share": 0,
            "knowledge.changed_share_per_month": 0,
            "data.examples": 5000,
            "data.reference_examples": 5000,
        },
    )
    draws = world_of(scenario).draws
    assert resolution_rate(draws, "prompting") == pytest.approx(0.8 * (0.5 + 0.5 * 0.2))
    assert resolution_rate(draws, "rag") == pytest.approx(0.8 * (0.5 + 0.5 * 0.9))
    assert resolution_rate(draws, "finetune") == pytest.approx(0.85 * (0.5 + 0.5 * 0.27))
    assert resolution_rate(draws, "finetune_rag") == pytest.approx(0.85 * (0.5 + 0.5 * 0.9))
    assert resolution_rate(draws, "saas") == pytest.approx(1.1 * 0.8 * (0.5 + 0.5 * 0.9))


def test_what_answers_lead_to_is_the_arithmetic() -> None:
    fixed = {
        "demand.requests_per_month": 1000,
        **STEADY,
        "demand.in_scope_share": 0.5,
        "value.human_cost_usd_per_request": 8,
        "value.handover_cost_usd_per_request": 2,
        "value.error_cost_usd": 20,
        "value.gain_usd_per_resolved_request": 3,
        "value.incident_cost_usd": 1e5,
        "quality.skill": 0.6,
        "quality.knowledge_share": 0,
        "quality.error_rate.people": 0.02,
        "quality.error_rate.rag": 0.1,
        "quality.incidents_per_million_answers": 0,
        "quality.reviewed_answers_per_month": 60,
        "quality.review_finds_share": 0.5,
        "quality.monitoring_usd_per_month": 100,
        "value.review_share": 0.25,
        "value.found_error_share": 0.2,
        "knowledge.tolerated_stale_share": 0,
        "discount_rate_per_year": 0,
        "horizon_months": 3,
        "correlations": [],
    }
    items = outcome(Timeline(world_of(with_inputs(BASE, fixed)), np.zeros(N)), "rag")
    # 500 of 1,000 requests are tried, 300 resolved (30 of them wrongly), 200 handed over; of the
    # 300 answers 60 are reviewed, which finds half of their 6 errors.
    monthly = {
        "People handle what is left": 700 * 8,
        "People's wrong answers": 700 * 0.02 * 20,
        "Failed attempts handed to people": 200 * 2,
        "Wrong answers given": 27 * 20,
        "Wrong answers found by review": 3 * 4,
        "Review of answers by people": 60 * 2,
        "Monitoring tools": 100,
        "Public or regulated incidents": 0,
        "Extra worth of requests resolved at once": 270 * 3,
        "Avoided: people handle what is left": 1000 * 8,
        "Avoided: people's wrong answers": 1000 * 0.02 * 20,
    }
    assert {item.name for item in items} == set(monthly)
    for item in items:
        np.testing.assert_allclose(item.present_value_usd(), 3 * monthly[item.name], atol=1e-9)


def test_incidents_are_poisson_and_rise_with_the_rate() -> None:
    u = (np.arange(20_000) + 0.5) / 20_000
    for rate in (1e-4, 0.3, 4.0, 60.0):
        counts = incident_count(np.full(u.size, rate), u)
        np.testing.assert_array_equal(counts, stats.poisson.ppf(u, rate))
    assert (incident_count(np.zeros(u.size), u) == 0).all()


@given(st.floats(0, 40), st.floats(0.3, 15))
def test_cycles_count_whole_periods_after_go_live(go_live: float, every: float) -> None:
    world = world_of(with_inputs(BASE, {"discount_rate_per_year": 0}))
    cycles = Timeline(world, np.full(N, go_live)).cycles(np.asarray(every)).monthly
    periods = max(24 - go_live, 0.0) / every
    assert cycles.sum(axis=1)[0] in {np.floor(periods - 1e-9), np.floor(periods + 1e-9), 0.0}
    if periods >= 1 + 1e-9:
        assert cycles.sum() > 0


@given(st.floats(0.1, 80))
def test_the_project_is_paid_once_whatever_its_length(go_live: float) -> None:
    world = world_of(with_inputs(BASE, {"discount_rate_per_year": 0}))
    paid = Timeline(world, np.full(N, go_live)).building.monthly.sum(axis=1)[0]
    assert paid == pytest.approx(min(1.0, 24 / go_live))
