"""Which plans are listed and why others are not, on a market whose figures are made up."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_plan_formulas import P5, option

import estimator.training.planning.market as market_module
from estimator.errors import CatalogError, InputError
from estimator.quantity import Quantity
from estimator.training.planning.costs import Effort, Outlook
from estimator.training.planning.market import (
    Limits,
    Listing,
    Market,
    Plan,
    listing,
    missed,
    reasons_for,
    would_do,
)
from estimator.training.planning.offers import OfferWish, check_names, not_allowed
from estimator.training.planning.search import Found, Miss
from estimator.training.run import Range
from pricing.gpus import gpu_spec
from pricing.offers import GpuOffer, gpu_offers

EFFORT = Effort(epochs=Quantity(value=1.0))


def range_of(middle: float) -> Range:
    return Range(p10=middle, p50=middle, p90=middle, mean=middle)


def market(
    figures: Sequence[tuple[str, int, float, float]],
    monkeypatch: pytest.MonkeyPatch,
    actual: dict[int, tuple[float, float]] | None = None,
    **limits: Any,
) -> Market:
    """Offers by name with GPUs, dollars and hours; `actual`: what some take after all."""
    options = [option(replace(P5, id=name), gpus) for name, gpus, _, _ in figures]
    cost = np.array([x[2] for x in figures])
    hours = np.array([x[3] for x in figures])
    costs = {id(one): (cost[i], hours[i]) for i, one in enumerate(options)}
    costs |= {id(options[i]): pair for i, pair in (actual or {}).items()}

    def plan_cost(_: object, one: object, *__: object) -> SimpleNamespace:
        usd, time = costs[id(one)]
        peak = np.array([1.0, 2.0, 3.0]) * 2**30
        return SimpleNamespace(
            cost_usd=range_of(usd),
            wall_clock_hours=range_of(time),
            memory=SimpleNamespace(peak_bytes=peak),
        )

    monkeypatch.setattr(market_module, "plan_cost", plan_cost)
    return Market(
        architecture=None,  # type: ignore[arg-type]
        limits=Limits(**limits),
        effort=EFFORT,
        options=options,
        expected=Outlook(
            wall_clock_hours=hours, cost_usd=cost, sure_hours=hours * 1.5, sure_usd=cost * 1.5
        ),
        calibration_of=lambda _: None,
    )


FIGURES = [
    ("cheap", 1, 10.0, 40.0),
    ("middle", 2, 20.0, 20.0),
    ("hardly", 3, 30.0, 19.5),  # 2.5 % faster: not worth its price
    ("fast", 4, 80.0, 8.0),
    ("worse", 5, 90.0, 30.0),
    ("cheap", 6, 50.0, 30.0),
]


def shown(found: Listing) -> list[tuple[str, int, bool]]:
    return [(plan.offer.id, plan.gpus, plan.pareto) for plan in found.plans]


def test_the_front_is_listed_less_what_hardly_saves_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found = listing(market(FIGURES, monkeypatch), 0)
    assert shown(found) == [("cheap", 1, True), ("middle", 2, True), ("fast", 4, True)]
    assert found.beyond == frozenset()
    enough = [(*row[:3], 19.4 if row[0] == "hardly" else row[3]) for row in FIGURES]
    listed = shown(listing(market(enough, monkeypatch), 0))
    assert ("hardly", 3, True) in listed


def test_the_best_of_each_offer_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    found = listing(market(FIGURES, monkeypatch), 3)
    assert [row[0] for row in shown(found)] == ["cheap", "middle", "hardly", "fast"]
    assert "worse" not in [row[0] for row in shown(listing(market(FIGURES, monkeypatch), 4))]
    every = listing(market(FIGURES, monkeypatch), 9)
    assert shown(every) == [
        ("cheap", 1, True), ("middle", 2, True), ("hardly", 3, True), ("fast", 4, True),
        ("worse", 5, False),
    ]  # fmt: skip
    by_time = listing(market(FIGURES, monkeypatch, objective="time"), 0)
    assert [row[0] for row in shown(by_time)] == ["fast", "middle", "cheap"]
    both = listing(market(FIGURES, monkeypatch, objective="both"), 0)
    assert [row[0] for row in shown(both)] == ["cheap", "middle", "fast"]  # equal: the cheaper


def test_limits_hold_at_the_level_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The level lies at one and a half times the middle here; at the limit is within it."""
    late = market(FIGURES, monkeypatch, deadline_hours=30.0)
    assert late.within.tolist() == [False, True, True, True, False, False]
    dear = market(FIGURES, monkeypatch, budget_usd=45.0)
    assert dear.within.tolist() == [True, True, True, False, False, False]
    both = market(FIGURES, monkeypatch, deadline_hours=30.0, budget_usd=30.0)
    assert both.within.tolist() == [False, True, False, False, False, False]
    assert [row[0] for row in shown(listing(both, 9))] == ["middle"]
    assert market(FIGURES, monkeypatch).within.all()


def test_what_its_own_range_puts_beyond_a_limit_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = market(FIGURES, monkeypatch, {1: (20.0, 31.0)}, deadline_hours=30.0)
    listed = listing(found, 0)
    assert shown(listed) == [("hardly", 3, True), ("fast", 4, True)]
    assert listed.beyond == frozenset({1})
    kept = market(FIGURES, monkeypatch, {1: (20.0, 30.0)}, deadline_hours=30.0)
    assert listing(kept, 0).beyond == frozenset()
    dear = market(FIGURES, monkeypatch, {1: (31.0, 20.0)}, budget_usd=30.0)
    assert listing(dear, 0).beyond == frozenset({1})
    no_more = market(FIGURES, monkeypatch, {1: (30.0, 20.0)}, budget_usd=30.0)
    assert listing(no_more, 0).beyond == frozenset()


def test_what_would_do_is_the_best_of_each_offer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = market(FIGURES, monkeypatch, deadline_hours=45.0)
    done = Listing(plans=tuple(found.estimated(i) for i in (1,)), beyond=frozenset({3}))
    said = would_do(found, done)
    assert set(said) == {"hardly", "worse", "cheap"}
    assert said["cheap"].endswith("$50.00 and 30.0 h on 6 GPUs")
    assert said["hardly"].endswith("$30.00 and 19.5 h on 3 GPUs")
    free = market(FIGURES, monkeypatch)
    first = would_do(free, Listing(plans=(), beyond=frozenset()))
    assert first["cheap"].endswith("$10.00 and 40.0 h on 1 GPU")


def test_why_an_offer_gives_no_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = [("slow", 1, 10.0, 40.0), ("slow", 4, 20.0, 20.0), ("other", 1, 1.0, 1.0)]
    slow = replace(P5, id="slow")
    nothing = Found(candidates={}, misses={}, searched=0)

    def why(**limits: float) -> str:
        return missed(market(figures, monkeypatch, **limits), slow, nothing)

    late = "misses the deadline by 20.0 h: 30.0 h (P80) on 4 GPUs, its fastest"
    dear = "over budget by $5.00: $15.00 (P80) on 1 GPUs, its cheapest"
    assert why(deadline_hours=10.0) == late
    assert why(budget_usd=10.0) == dear
    assert why(deadline_hours=10.0, budget_usd=10.0) == f"{late}; {dear}"
    assert why(deadline_hours=30.0, budget_usd=15.0) == (
        "keeps deadline or budget, not both: its cheapest (1 GPUs) takes 60.0 days, its fastest "
        "(4 GPUs) costs $30.00 (P80)"
    ).replace("60.0 days", "2.5 days")
    assert why(deadline_hours=30.0).startswith("too close to a limit")


def test_why_an_offer_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = market([("other", 1, 1.0, 1.0)], monkeypatch)
    offer = replace(P5, id="tight")
    machine = market_module.machine_of(offer)
    small = replace(machine, gpu=replace(machine.gpu, memory_gib=1.0))
    assert machine.gpus == 1

    def why(misses: dict[Any, Miss]) -> str:
        return missed(found, offer, Found(candidates={}, misses=misses, searched=0))

    needs = {
        (machine, 2, "lora"): Miss(gpus=2, needed_gib=90.0),
        (machine, 1, "qlora"): Miss(gpus=1, needed_gib=95.5),
        (small, 1, "qlora"): Miss(gpus=1, needed_gib=1.0),
    }
    assert why(needs).startswith("does not fit: LoRA on 2 GPUs needs 90.0 GiB on each")
    batch = {(machine, 1, "lora"): Miss(gpus=1, needed_gib=None)}
    assert "global batch" in why(batch)
    assert why(batch | {(machine, 1, "full"): Miss(gpus=1, needed_gib=99.0)}).endswith("GiB")
    assert why({}).startswith("not usable: no number of GPUs")


def test_reasons_for_the_first_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    found = market(FIGURES, monkeypatch, deadline_hours=30.0, budget_usd=200.0)
    plans = listing(found, 0).plans
    said = list(reasons_for(found, plans))
    assert said[0] == (
        "the cheapest of 3 offers that keep every limit: $20.00 and 20.0 h on 2 GPUs"
    )
    assert said[1] == "ends after 20.0 h at the P80, 10.0 h before the deadline"
    assert said[2] == "costs $20.00 at the P80, of a budget of $200"
    assert said[3] == "the fastest listed is fast: $80.00 and 8.0 h on 4 GPUs"
    assert "2.0 of " in said[4] and "P90 3.0" in said[4]
    assert not list(reasons_for(found, []))
    free = market(FIGURES, monkeypatch, objective="time")
    said = list(reasons_for(free, listing(free, 0).plans))
    assert said[0].startswith("the fastest of 5 offers")
    assert said[1] == "the cheapest listed is cheap: $10.00 and 40.0 h on 1 GPU"
    assert len(said) == 3
    one = market(FIGURES[:1], monkeypatch)
    assert len(list(reasons_for(one, listing(one, 0).plans))) == 2


@pytest.mark.parametrize(
    ("usd", "hours", "words"),
    [
        (99.994, 0.5, "$99.99 and 30 min on 8 GPUs"),
        (100.0, 1.0, "$100 and 1.0 h on 8 GPUs"),
        (12345.0, 47.9, "$12,345 and 47.9 h on 8 GPUs"),
        (12345.0, 48.0, "$12,345 and 2.0 days on 8 GPUs"),
    ],
)
def test_dollars_and_hours_in_words(usd: float, hours: float, words: str) -> None:
    cost: Any = SimpleNamespace(cost_usd=range_of(usd), wall_clock_hours=range_of(hours))
    assert Plan(option=option(), cost=cost).takes == words


def test_limits_that_cannot_be_kept_are_refused() -> None:
    assert Limits().sure == 0.8 and Limits(sure=0.9).level == "P90"
    for name in ("deadline_hours", "budget_usd"):
        with pytest.raises(InputError, match=f"{name} = 0: must be above 0"):
            Limits(**{name: 0.0})
        assert getattr(Limits(**{name: 0.5}), name) == 0.5
    with pytest.raises(InputError, match=r"sure = 0\.4"):
        Limits(sure=0.4)


# --- what of the market is allowed


def test_names_that_no_offer_has_are_refused() -> None:
    every = gpu_offers()
    check_names(OfferWish(providers=("aws",), regions=("US-EAST",), gpus=(P5.gpu,)), every)
    for wish, said in (
        ({"providers": ("AWSS",)}, "AWSS"),
        ({"regions": ("atlantis",)}, "atlantis"),
        ({"gpus": ("h100",)}, "h100"),
    ):
        with pytest.raises(CatalogError, match=said):
            check_names(OfferWish(**wish), every)
    with pytest.raises(CatalogError, match="weekly"):
        OfferWish(tiers=("weekly",))
    for most in (1, 2**20):
        assert OfferWish(max_gpus=most).max_gpus == most
    for most in (0, 2**20 + 1):
        with pytest.raises(InputError, match="at least 1, at most 1,048,576"):
            OfferWish(max_gpus=most)


def refusal(offer: GpuOffer, **wish: Any) -> str | None:
    return not_allowed(offer, OfferWish(**wish))


def test_each_refusal_names_its_reason() -> None:
    assert refusal(P5, gpus=("a100-sxm4-80gb",)) == (
        f"not allowed: {P5.gpu} (allowed: a100-sxm4-80gb)"
    )
    assert refusal(P5, gpus=(P5.gpu,), providers=("aws",)) is None
    two = replace(P5, region="us-east-1; eu-west-1")
    assert refusal(two, regions=("eu",)) is None
    assert refusal(replace(P5, region=None), regions=("eu",)) == ("not allowed: region not stated")
    assert refusal(P5, max_gpus=8) is None
    spot = replace(P5, tier="spot")
    assert refusal(spot) == "not allowed: spot may be taken away (allow it with --spot)"
    year = replace(P5, tier="reserved_1y")
    assert refusal(year) == ("not allowed: a commitment of 1y (allow it with --tier reserved_1y)")
    other = replace(P5, tier="capacity_block")
    assert refusal(other) == (
        "not allowed: tier capacity_block (allow it with --tier capacity_block)"
    )
    assert refusal(year, tiers=("reserved_1y",)) is None


def test_cards_without_16_bit_units_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    t4 = replace(P5, gpu="t4-16gb")  # fp16 alone
    assert refusal(t4) is None
    old = replace(gpu_spec("t4-16gb"), dense_tflops={"fp32": 9.3})
    monkeypatch.setattr("estimator.training.planning.offers.gpu_spec", lambda _: old)
    assert refusal(t4) == "not usable: t4-16gb has no 16-bit matrix units"
