"""Plans of serving: identities, what must never happen, textbook waiting, curves."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import CatalogError, InputError
from estimator.llm.catalogue import catalogue_architecture
from estimator.serving.curves import cost_by_volume, day_curve
from estimator.serving.need import ServingNeed
from estimator.serving.plan import Range, ServingOption, ServingPlan, plan_serving
from estimator.serving.queueing import erlang_c
from estimator.serving.replicas import HOURS_PER_MONTH
from pricing.offers import GpuOffer, gpu_offers

EIGHT = catalogue_architecture("meta-llama/Llama-3.1-8B")
SEVENTY = catalogue_architecture("meta-llama/Llama-3.1-70B")
NEED = ServingNeed(
    requests_per_month=2e6,
    input_tokens=800,
    output_tokens=200,
    ttft_seconds=1.0,
    tpot_seconds=0.05,
    peak_to_mean=3.0,
)


def offer_of(gpu: str, *, node: int = 8, least: int = 1, usd: float = 2.0, **more: Any) -> GpuOffer:
    return replace(
        gpu_offers()[0],
        id=more.pop("id", f"{gpu}-{node}-{least}"),
        gpu=gpu,
        gpus_per_node=node,
        minimum_gpus=least,
        price_usd_per_gpu_hour=usd,
        low_usd_per_gpu_hour=more.pop("low", usd),
        high_usd_per_gpu_hour=more.pop("high", usd),
    )


H100 = offer_of("h100-sxm5-80gb")
L4 = offer_of("l4-24gb", usd=0.5)


def plan(*offers: GpuOffer, need: ServingNeed = NEED, **kwargs: Any) -> ServingPlan:
    return plan_serving(kwargs.pop("model", EIGHT), need, offers or (H100,), **kwargs)


def cheapest(*offers: GpuOffer, **kwargs: Any) -> ServingOption:
    return plan(*offers, **kwargs).options[0]


def test_the_bill_adds_up() -> None:
    option = cheapest(L4)
    assert option.gpu_hours_per_month == pytest.approx(
        option.replicas_mean * option.gpus * HOURS_PER_MONTH
    )
    assert option.usd_per_month.p50 == pytest.approx(option.gpu_hours_per_month * 0.5)
    assert option.usd_per_request.p50 * 2e6 == pytest.approx(option.usd_per_month.p50)
    assert option.usd_per_million_tokens.p50 * 2e3 == pytest.approx(option.usd_per_month.p50)
    served = option.utilisation * option.replicas_mean * option.requests_per_second
    assert served == pytest.approx(2e6 / (730 * 3600))


def test_energy_follows_the_hours() -> None:
    option, spare = cheapest(), cheapest(need=replace(NEED, redundancy=3))
    assert option.energy is not None and spare.energy is not None
    watts = option.energy.kwh.p50 / option.gpu_hours_per_month * 1000
    assert 100 < watts < 700 * 2  # an idle H100 to a busy one with its host and cooling
    assert spare.energy.kwh.p50 > 1.5 * option.energy.kwh.p50
    gaudi = offer_of("gaudi2-96gb")
    assert plan(gaudi).options[0].energy is not None


def test_limits_are_met_and_places_suffice() -> None:
    for option in plan(H100, L4).options:
        assert option.ttft_seconds <= 1.0 and option.tpot_seconds <= 0.05
        working = option.replicas - NEED.redundancy
        erlangs = NEED.load_by_hour.max() * option.batch / option.requests_per_second
        assert float(erlang_c(working * option.batch, erlangs)) <= NEED.wait_probability
        if working > 1:  # one fewer would let too many wait, but for the rounding of places
            fewer = float(erlang_c((working - 1) * option.batch, erlangs))
            assert fewer > NEED.wait_probability


@settings(max_examples=25, deadline=None)
@given(st.floats(1e3, 1e8), st.floats(1.01, 30.0))
def test_more_requests_are_never_cheaper(requests: float, times: float) -> None:
    few = cheapest(need=replace(NEED, requests_per_month=requests))
    many = cheapest(need=replace(NEED, requests_per_month=requests * times))
    for end in ("p10", "p50", "p90"):
        assert getattr(many.usd_per_month, end) >= getattr(few.usd_per_month, end) * (1 - 1e-9)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 3.0), st.floats(1.01, 10.0), st.sampled_from(["ttft", "tpot"]))
def test_looser_limits_are_never_dearer(limit: float, times: float, which: str) -> None:
    # at a load far above one replica's: a small fleet's places are whole, and so is the last one
    name = f"{which}_seconds"
    limit = limit if which == "ttft" else limit / 20
    base = replace(NEED, requests_per_month=1e9)
    strict: dict[str, Any] = {name: limit}
    lenient: dict[str, Any] = {name: limit * times}
    tight, loose = plan(need=replace(base, **strict)), plan(need=replace(base, **lenient))
    assert len(loose.options) >= len(tight.options)
    if tight.options:
        assert loose.options[0].usd_per_month.p50 <= tight.options[0].usd_per_month.p50 * 1.001


def test_double_prices_double_every_cost() -> None:
    wide = offer_of("h100-sxm5-80gb", usd=2.0, low=1.0, high=5.0)
    twice = offer_of("h100-sxm5-80gb", usd=4.0, low=2.0, high=10.0)
    for name in ("usd_per_month", "usd_per_million_tokens", "usd_per_request"):
        one, two = (getattr(cheapest(offer), name) for offer in (wide, twice))
        for end in fields(Range):
            assert getattr(two, end.name) == pytest.approx(2 * getattr(one, end.name))
    assert cheapest(wide).usd_per_month.p10 < cheapest(H100).usd_per_month.p10


def test_whole_instances_are_paid() -> None:
    single = cheapest(offer_of("h100-sxm5-80gb", least=1))
    whole = cheapest(offer_of("h100-sxm5-80gb", least=8))
    assert single.rented_gpus == single.replicas * single.gpus == 2
    assert whole.rented_gpus == 8
    assert whole.usd_per_month.p50 == pytest.approx(4 * single.usd_per_month.p50)
    assert whole.utilisation < single.utilisation


def test_a_large_model_is_split_and_a_small_card_refused() -> None:
    found = plan(H100, offer_of("t4-16gb"), offer_of("l4-24gb", node=1), model=SEVENTY)
    (split,) = found.options
    usable_gib = split.gpus * 79.2 * 0.9  # of an 80 GB card, by vLLM's default
    assert split.gpus > 1 and usable_gib > 70_553_706_496 * 2 / 2**30
    assert {refusal.limit for refusal in found.refused} == {"memory"}
    assert all("does not fit" in refusal.reason for refusal in found.refused)
    assert plan(H100, model=SEVENTY, weights="int4").options[0].gpus == 1


@pytest.mark.parametrize(("limit", "seconds"), [("ttft", 1e-4), ("tpot", 1e-4)])
def test_refusals_say_by_how_much(limit: str, seconds: float) -> None:
    changes: dict[str, Any] = {f"{limit}_seconds": seconds}
    found = plan(need=replace(NEED, **changes))
    assert not found.options
    assert found.refused[0].limit == limit
    assert f"cannot meet {limit.upper()}" in found.refused[0].reason
    assert "allowed 0.0001 s" in found.refused[0].reason


def test_every_offer_alone_gets_what_it_gets_among_others() -> None:
    offers = [o for o in gpu_offers() if o.tier == "on_demand"][::7]
    together = {o.offer.id: o for o in plan(*offers).options}
    assert len(together) > 5
    for offer in offers[:4]:
        alone = plan(offer).options
        assert (alone[0] if alone else None) == together.get(offer.id)
    costs = [option.usd_per_month.p50 for option in plan(*offers).options]
    assert costs == sorted(costs)


def test_what_saves_money() -> None:
    need = replace(NEED, requests_per_month=2e8)
    base = cheapest(need=need).usd_per_month.p50
    assert cheapest(need=replace(need, autoscale=True)).usd_per_month.p50 < base
    assert cheapest(need=replace(need, redundancy=0)).usd_per_month.p50 < base
    assert cheapest(need=replace(need, cached_share=0.9)).usd_per_month.p50 < base
    assert cheapest(need=replace(need, peak_to_mean=1.0)).usd_per_month.p50 < base
    assert cheapest(need=need, weights="fp8").usd_per_month.p50 < base
    rare = replace(NEED, requests_per_month=730.0)
    asleep = cheapest(need=replace(rare, idle_seconds_to_zero=300.0)).usd_per_month.p50
    assert asleep < 0.3 * cheapest(need=rare).usd_per_month.p50


def test_adapters_take_memory() -> None:
    tight = offer_of("rtx-4090-24gb")
    need = replace(NEED, tpot_seconds=10.0, ttft_seconds=60.0)
    few, many = (
        next(o for o in plan(tight, need=replace(need, adapters=n)).options) for n in (0, 20)
    )
    assert many.batch < few.batch
    # rank 16 on all linear layers of Llama-3.1-8B: 41,943,040 parameters (peft)
    assert plan(need=replace(need, adapters=20)).adapters_bytes == 20 * 2 * 41_943_040


def test_a_day_of_ones_own() -> None:
    day = tuple(float(h) for h in range(24))
    need = replace(NEED, day=day)
    assert need.load_by_hour.mean() == pytest.approx(2e6 / (730 * 3600))
    assert need.load_by_hour.max() / need.load_by_hour.mean() == pytest.approx(23 / 11.5)
    flat = replace(NEED, day=(1.0,) * 24)
    assert cheapest(need=flat) == cheapest(need=replace(NEED, peak_to_mean=1.0))


def test_cost_falls_with_volume_to_the_crossing() -> None:
    option = cheapest(L4)
    volumes = np.geomspace(1e4, 1e9, 200)
    curve = cost_by_volume(option, NEED, volumes, api_usd_per_request=0.002)
    assert curve.usd_per_request[0] > 10 * curve.usd_per_request[-1]
    assert (np.diff(curve.replicas) >= 0).all()
    assert (curve.utilisation > 0).all() and (curve.utilisation <= 1).all()
    crossing = curve.crossing_requests_per_month
    assert crossing is not None
    after = volumes >= crossing
    assert (curve.usd_per_request[after] <= 0.002).all()
    assert curve.usd_per_request[~after][-1] > 0.002
    at = cost_by_volume(option, NEED, [2e6])
    assert at.usd_per_request[0] == pytest.approx(option.usd_per_request.p50)
    assert at.utilisation[0] == pytest.approx(option.utilisation)
    never = cost_by_volume(option, NEED, volumes, api_usd_per_request=1e-9)
    assert never.crossing_requests_per_month is None


def test_a_day_sums_to_the_month() -> None:
    need = replace(NEED, requests_per_month=2e8, autoscale=True)
    option = cheapest(need=need)
    day = day_curve(option, need)
    assert day.load_per_second.mean() * 730 * 3600 == pytest.approx(2e8)
    assert day.replicas.mean() == pytest.approx(option.replicas_mean)
    assert day.replicas.max() == option.replicas
    assert (day.utilisation <= 1).all() and day.utilisation.max() > 0.3
    still = day_curve(option, replace(need, autoscale=False))
    assert len(set(still.replicas)) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"requests_per_month": 0.0}, "requests_per_month is 0.0"),
        ({"output_tokens": -1.0}, "output_tokens is -1.0"),
        ({"input_tokens": 0.0}, "input_tokens is 0.0"),
        ({"tpot_seconds": float("nan")}, "tpot_seconds is nan"),
        ({"peak_to_mean": 0.5}, "peak_to_mean is 0.5; allowed: 1 to 24"),
        ({"cached_share": 1.0}, "cached_share is 1.0"),
        ({"redundancy": -1}, "redundancy is -1"),
        ({"adapters": -1}, "adapters is -1"),
        ({"wait_probability": 0.0}, "wait_probability is 0.0"),
        ({"idle_seconds_to_zero": 0.0}, "idle_seconds_to_zero is 0.0"),
        ({"day": (1.0, 2.0)}, "loads of a day are 2 numbers"),
        ({"day": (0.0,) * 24}, "not all 0"),
    ],
)
def test_a_need_that_makes_no_sense(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(NEED, **changes)


def test_unknown_formats_and_programs_name_the_known() -> None:
    with pytest.raises(CatalogError, match=r"weight format 'fp9'.*fp8"):
        plan(weights="fp9")
    with pytest.raises(CatalogError, match=r"serving stack 'vlm'.*vllm"):
        plan(program="vlm")


def test_without_offers_there_is_nothing_to_plan() -> None:
    with pytest.raises(InputError, match="no offers"):
        plan_serving(EIGHT, NEED, ())
