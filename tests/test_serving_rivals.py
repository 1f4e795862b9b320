"""Hosted ways beside rented GPUs: whose prices apply, and what they come to."""

from datetime import date

import pytest

import pricing
from estimator.errors import CatalogError
from estimator.llm.catalogue import catalogue_architecture
from estimator.serving.need import ServingNeed
from estimator.serving.plan import ServingPlan, plan_serving
from estimator.serving.rivals import Rival, rivals, same_model

EIGHT = catalogue_architecture("meta-llama/Llama-3.1-8B")
TODAY = date(2026, 11, 23)
NEED = ServingNeed(
    requests_per_month=2e6, input_tokens=800, output_tokens=200, peak_to_mean=3.0, tpot_seconds=0.1
)


def planned(need: ServingNeed = NEED) -> ServingPlan:
    return plan_serving(EIGHT, need, pricing.offers_of("h100-sxm5-80gb", tier="on_demand"))


def ways(need: ServingNeed = NEED, **kwargs: object) -> tuple[Rival, ...]:
    return rivals(planned(need), EIGHT, on=TODAY, **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hosted", "same"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", True),
        ("meta.llama3-1-8b-instruct-v1:0", True),
        ("meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", True),
        ("@cf/meta/llama-3.1-8b-instruct-fp8-fast", True),
        ("llama-3.1-8b-instant", True),
        ("llama3.1-8b", True),
        ("meta-llama/llama-3.1-8b-instruct:free", False),
        ("aion-labs/aion-rp-llama-3.1-8b", False),
        ("meta-llama/Llama-3.1-70B-Instruct", False),
        ("meta-llama/Llama-3.2-3B", False),
        ("Qwen/Qwen2.5-7B-Instruct", False),
    ],
)
def test_whose_model_it_is(hosted: str, same: bool) -> None:
    assert same_model(hosted, "meta-llama/Llama-3.1-8B") is same


def test_token_prices_are_those_of_the_book_times_the_tokens() -> None:
    found = {r.provider: r for r in ways() if r.kind == "token_price"}
    assert len(found) > 5
    price = pricing.token_price("groq", "llama-3.1-8b-instant", on=TODAY)
    monthly = 2 * (800 * price.input_usd_per_mtok + 200 * price.output_usd_per_mtok)
    groq = found["groq"]
    assert groq.usd_per_month.p50 == pytest.approx(monthly)
    assert groq.usd_per_request.p50 * 2e6 == pytest.approx(monthly)
    assert groq.usd_per_million_tokens.p50 * 2e3 == pytest.approx(monthly)
    assert groq.grows_with_use and groq.source and groq.as_of


def test_cached_input_takes_its_own_price() -> None:
    also = [("openai", "gpt-4.1-mini")]
    price = pricing.token_price("openai", "gpt-4.1-mini", on=TODAY)
    assert price.cached_input_usd_per_mtok is not None
    need = ServingNeed(
        requests_per_month=1e6, input_tokens=1000, output_tokens=1, peak_to_mean=2, cached_share=0.5
    )
    found = next(r for r in ways(need, also=also) if r.provider == "openai")
    wanted = 500 * (price.input_usd_per_mtok + price.cached_input_usd_per_mtok)
    assert found.usd_per_month.p50 == pytest.approx(wanted + price.output_usd_per_mtok)


def test_hosted_tuned_models_pay_their_hours() -> None:
    found = {(r.provider, r.name): r for r in ways() if r.kind == "hosted_tuned"}
    offer = pricing.managed_offer("azure-llama-3.3-70b")
    assert offer.hosting_usd_per_hour is not None
    azure = found[offer.provider, offer.model]
    tokens = 2 * (800 * 0.71 + 200 * 0.71)
    assert azure.usd_per_month.p50 == pytest.approx(0.3 * 730 + tokens)
    assert not azure.grows_with_use
    tinker = found["Thinking Machines Tinker", "Qwen3-8B"]
    assert tinker.usd_per_month.p50 == pytest.approx(2 * (800 * 0.195 + 200 * 0.6))
    closed = {o.provider for o in pricing.managed_offers().values() if not o.open_to_new_buyers}
    assert not closed & {r.provider for r in ways() if r.kind == "hosted_tuned"} - {"OpenAI"}
    assert ("OpenAI", "gpt-4.1-2025-04-14") not in found


def test_hosting_by_the_hour_takes_the_counted_gpus() -> None:
    plan = planned()
    gpus = plan.options[0].replicas_mean * plan.options[0].gpus
    found = {r.provider: r for r in ways() if r.kind == "hosted_by_the_hour"}
    assert set(found) == {"Fireworks", "Together", "Crusoe"}  # their classes with 8B
    assert {found["Fireworks"].name, found["Together"].name} == {"up to 16B"}
    assert found["Fireworks"].usd_per_month.p50 == pytest.approx(8.0 * gpus * 730)
    together = found["Together"].usd_per_month
    assert 3.99 * gpus * 730 < together.p10 < together.p90 < 6.49 * gpus * 730


def test_cheapest_first_and_mistakes_named() -> None:
    costs = [r.usd_per_month.p50 for r in ways()]
    assert costs == sorted(costs)
    with pytest.raises(CatalogError, match="gpt-4"):
        ways(also=[("openai", "gpt-4.1-minny")])
