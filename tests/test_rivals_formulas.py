"""Hosted ways at offers made by hand: tokens, hourly fees, storage, sizes, what is open."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

import pricing
from estimator.llm.catalogue import catalogue_architecture
from estimator.quantity import Quantity
from estimator.serving.need import ServingNeed
from estimator.serving.plan import plan_serving
from estimator.serving.rivals import Rival, rivals
from pricing.managed import ManagedOffer

EIGHT = catalogue_architecture("meta-llama/Llama-3.1-8B")
NEED = ServingNeed(requests_per_month=1e6, input_tokens=800, output_tokens=200, peak_to_mean=2.0)
PLAN = plan_serving(EIGHT, NEED, pricing.offers_of("h100-sxm5-80gb", tier="on_demand")[:1])
TODAY = date(2026, 11, 23)
PLAIN = replace(
    next(iter(pricing.managed_offers().values())),
    provider="Somebody",
    model="tuned",
    hosting="shared",
    hosting_usd_per_hour=None,
    storage_usd_per_month=None,
    inference_input_usd_per_mtok=1.0,
    inference_output_usd_per_mtok=2.0,
    token_price_provider=None,
    token_price_model=None,
    open_to_new_buyers=True,
    ends_on=None,
    source="a list",
    as_of="2026-11",
    evidence="seen",
)
TOKENS_USD = 800 * 1.0 + 200 * 2.0  # of a million requests
Ways = Callable[..., tuple[Rival, ...]]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Ways:
    """What offers come to where nobody sells the model by the token."""

    def found(*offers: ManagedOffer, **given: Any) -> tuple[Rival, ...]:
        monkeypatch.setattr(pricing, "managed_offers", lambda: dict(enumerate(offers)))
        monkeypatch.setattr("estimator.serving.rivals.token_models", lambda book: {})
        return rivals(PLAN, EIGHT, on=TODAY, **given)

    return found


def test_tokens_alone(ways: Ways) -> None:
    (way,) = ways(PLAIN)
    assert (way.kind, way.provider, way.name) == ("hosted_tuned", "Somebody", "tuned")
    assert (way.source, way.as_of, way.evidence) == ("a list", "2026-11", "seen")
    month = way.usd_per_month
    assert month.p10 == month.p50 == month.p90 == pytest.approx(TOKENS_USD)
    assert way.usd_per_request.p50 == pytest.approx(TOKENS_USD / 1e6)
    assert way.usd_per_million_tokens.p50 == pytest.approx(TOKENS_USD / 1000, rel=1e-9)
    assert way.grows_with_use
    assert "billed by the token" in way.note


def test_fees_come_on_top_whatever_is_asked(ways: Ways) -> None:
    hourly = Quantity.of({"p10": 1.0, "p50": 2.0, "p90": 5.0})
    (way,) = ways(replace(PLAIN, hosting_usd_per_hour=hourly, storage_usd_per_month=30.0))
    for usd, end in zip((1.0, 2.0, 5.0), ("p10", "p50", "p90"), strict=True):
        assert getattr(way.usd_per_month, end) == pytest.approx(TOKENS_USD + 730 * usd + 30)
    assert not way.grows_with_use
    (stored,) = ways(replace(PLAIN, storage_usd_per_month=30.0))
    ends = stored.usd_per_month
    assert ends.p10 == ends.p50 == ends.p90 == pytest.approx(TOKENS_USD + 30)


def test_only_what_a_new_buyer_can_have_and_only_once(ways: Ways) -> None:
    assert ways(replace(PLAIN, open_to_new_buyers=False)) == ()
    assert ways(replace(PLAIN, ends_on=TODAY)) == ()
    assert len(ways(replace(PLAIN, ends_on=date(2026, 11, 24)))) == 1
    assert len(ways(PLAIN, replace(PLAIN, hosting_usd_per_hour=Quantity.of(3.0)))) == 1
    assert len(ways(PLAIN, replace(PLAIN, model="another"))) == 2


def test_without_a_price_of_its_own_the_price_of_the_model_it_was_tuned_of(ways: Ways) -> None:
    own = {"inference_input_usd_per_mtok": None}
    known = {"token_price_provider": "openai", "token_price_model": "gpt-4.1-mini"}
    price = pricing.token_price("openai", "gpt-4.1-mini", on=TODAY)
    (way,) = ways(replace(PLAIN, **own, **known))  # type: ignore[arg-type]
    expected = 800 * price.input_usd_per_mtok + 200 * price.output_usd_per_mtok
    assert way.usd_per_month.p50 == pytest.approx(expected)
    assert ways(replace(PLAIN, **own)) == ()  # type: ignore[arg-type]
    unknown = {**known, "token_price_model": "gpt-nobody-knows"}
    assert ways(replace(PLAIN, **own, **unknown)) == ()  # type: ignore[arg-type]
    half = {"token_price_provider": "openai"}
    assert ways(replace(PLAIN, **own, **half)) == ()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("up to 16B", True),
        ("up to 8B", False),  # it has 8.03
        ("over 8B", True),
        ("over 16B", False),
        ("4B to 16B", True),
        ("1B to 8B", False),
        ("9B to 16B", False),
        ("meta-llama/Llama-3.1-8B-Instruct", True),
        ("some other model", False),
    ],
)
def test_hosting_by_the_hour_is_listed_for_the_models_of_its_class(
    ways: Ways, name: str, listed: bool
) -> None:
    usd = Quantity.of({"p10": 2.0, "p50": 3.0, "p90": 4.0})
    found = ways(replace(PLAIN, model=name, hosting="dedicated", hosting_usd_per_hour=usd))
    assert [way.kind for way in found] == ["hosted_by_the_hour"] * listed
    gpus = PLAN.options[0].replicas_mean * PLAN.options[0].gpus
    for way in found:
        assert way.usd_per_month.p10 == pytest.approx(2 * gpus * 730)
        assert way.usd_per_month.p90 == pytest.approx(4 * gpus * 730)
        assert not way.grows_with_use
    assert ways(replace(PLAIN, model=name, hosting="dedicated")) == ()  # no price for the hour
