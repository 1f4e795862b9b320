"""Plans: nothing that does not fit, numbers as of one run alone, choices that move as expected."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from estimator.dataset import typed_profile
from estimator.errors import CatalogError, InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.llm.resolve import resolve_model
from estimator.quantity import Quantity
from estimator.training.fits import GIB, fits
from estimator.training.memory import estimate_memory
from estimator.training.planning.costs import Effort, level_of
from estimator.training.planning.forms import FormWish, stack_support
from estimator.training.planning.market import Limits, Plan
from estimator.training.planning.offers import OfferWish, cluster_of, counts_of, price_of
from estimator.training.planning.plan import Plans, PlanWish, plan
from estimator.training.planning.search import BatchRange
from estimator.training.run import estimate_run
from estimator.training.throughput import step_time
from pricing.offers import GpuOffer, gpu_offers

LLAMA = resolve_model("meta-llama/Llama-3.1-8B", offline=True).architecture
EFFORT = Effort(epochs=Quantity(value=3.0))
GPUS = ("l4-24gb", "h100-sxm5-80gb", "b200-sxm-180gb", "t4-16gb")
FEW = tuple(offer for offer in gpu_offers() if offer.gpu in GPUS)


def plans_of(
    offers: tuple[GpuOffer, ...] = FEW,
    *,
    tokens: float = 5e7,
    limits: Limits | None = None,
    effort: Effort = EFFORT,
    market: OfferWish | None = None,
    **wish: object,
) -> Plans:
    return plan(
        LLAMA,
        typed_profile(total_tokens=tokens),
        PlanWish(
            effort=effort, limits=limits or Limits(), offers=market or OfferWish(), **wish
        ),
        offers=offers,
    )  # fmt: skip


@cache
def usual() -> Plans:
    return plans_of(limits=Limits(deadline_hours=24.0, budget_usd=500.0))


def cost_of(found: Plan) -> float:
    return found.cost.cost_usd.p50


def hours_of(found: Plan) -> float:
    return found.cost.wall_clock_hours.p50


def test_what_is_listed_fits_and_keeps_every_limit() -> None:
    found = usual()
    assert len(found.plans) > 5
    for one in found.plans:
        memory = estimate_memory(LLAMA, one.recipe, gpus=one.gpus)
        capacity = one.option.candidate.machine.gpu.memory_gib
        assert fits(memory, capacity, safely=True)
        assert float(memory.peak_bytes[1]) <= 0.95 * capacity * GIB
        assert level_of(one.cost.wall_clock_hours, 0.8) <= 24.0
        assert level_of(one.cost.cost_usd, 0.8) <= 500.0
        assert one.gpus in counts_of(one.offer, 64)
    assert sorted(map(cost_of, found.plans)) == list(map(cost_of, found.plans))
    places = [(one.offer.id, one.gpus) for one in found.plans]
    assert len(set(places)) == len(places)


def test_the_front_is_that_of_brute_force() -> None:
    found = usual().plans
    for one in found:
        ahead = [
            x
            for x in found
            if cost_of(x) <= cost_of(one)
            and hours_of(x) <= hours_of(one)
            and (cost_of(x) < cost_of(one) or hours_of(x) < hours_of(one))
        ]
        assert one.pareto == (not ahead)
    assert usual().front[0] is usual().best
    assert sorted(map(hours_of, usual().front), reverse=True) == list(map(hours_of, usual().front))


def test_nothing_cheaper_was_overlooked() -> None:
    """Every offer and number of GPUs, estimated one by one with the recipe that was found."""
    best = usual().best
    assert best is not None
    for offer in [x for x in FEW if x.tier == "on_demand"][::4]:
        for one in plans_of((offer,), limits=Limits(deadline_hours=24.0, budget_usd=500.0)).plans:
            assert cost_of(one) >= cost_of(best)


def test_a_plan_costed_alone_gives_the_same_numbers() -> None:
    for one in usual().plans:
        found = one.option.candidate
        cluster = cluster_of(one.offer, one.gpus)
        alone = estimate_run(
            LLAMA,
            one.recipe,
            cluster,
            tokens=found.filling.tokens,
            epochs=EFFORT.epochs,
            price_usd_per_gpu_hour=price_of(one.offer),
            useful_token_share=found.filling.useful_token_share,
        )
        run = one.cost.run
        assert alone.fits
        assert run.gpu_hours == alone.gpu_hours
        assert run.step_seconds == alone.step_seconds
        assert run.wall_clock_hours == alone.wall_clock_hours
        assert np.allclose(run.memory.peak_bytes, alone.memory.peak_bytes)
        assert run.cost_usd == alone.cost_usd
        beside = sum(one.cost.cost_parts_usd[x].mean for x in ("egress", "interruptions"))
        assert one.cost.cost_usd.mean == pytest.approx(alone.cost_usd.mean + beside, rel=1e-9)
        assert one.cost.cost_usd.p50 == pytest.approx(alone.cost_usd.p50, rel=0.01)
        assert one.cost.wall_clock_hours.p50 == pytest.approx(alone.wall_clock_hours.p50, rel=0.01)
        speed = step_time(LLAMA, one.recipe, cluster).tokens_per_second_per_gpu
        assert found.tokens_per_second_per_gpu == pytest.approx(float(speed), rel=1e-12)


def test_the_parts_sum_to_the_cost() -> None:
    effort = Effort(
        epochs=Quantity(value=3.0),
        search_runs=Quantity(value=2.0),
        failed_run_factor=Quantity.of({"min": 1.0, "mode": 1.3, "max": 2.0}),
        evaluation_tokens=Quantity(value=1e6),
    )
    for one in plans_of(effort=effort).plans:
        parts = one.cost.cost_parts_usd
        assert sum(part.mean for part in parts.values()) == pytest.approx(
            one.cost.cost_usd.mean, rel=1e-9
        )
        assert set(parts) >= {"final_run", "start_up", "evaluation", "search_runs", "failed_runs",
                              "interruptions", "checkpoint_storage", "egress"}  # fmt: skip
        assert parts["evaluation"].mean > 0 and parts["failed_runs"].mean > 0


def test_a_tighter_deadline_is_faster_and_never_cheaper() -> None:
    last_cost, last_hours = 0.0, np.inf
    for deadline in (100.0, 8.0, 1.5, 1.0):
        best = plans_of(limits=Limits(deadline_hours=deadline)).best
        assert best is not None
        assert cost_of(best) >= last_cost and hours_of(best) <= last_hours
        assert level_of(best.cost.wall_clock_hours, 0.8) <= deadline
        last_cost, last_hours = cost_of(best), hours_of(best)
    assert plans_of(limits=Limits(deadline_hours=0.05)).best is None


def test_a_larger_budget_buys_time() -> None:
    last = np.inf
    for budget in (25.0, 60.0, 500.0):
        best = plans_of(limits=Limits(objective="time", budget_usd=budget)).best
        assert best is not None
        assert level_of(best.cost.cost_usd, 0.8) <= budget
        assert hours_of(best) <= last
        last = hours_of(best)
    assert plans_of(limits=Limits(budget_usd=0.5)).best is None


def test_to_be_surer_is_dearer() -> None:
    cheapest = plans_of().best
    assert cheapest is not None
    hours = cheapest.cost.wall_clock_hours
    deadline = (hours.p50 + hours.p90) / 2
    even = plans_of(limits=Limits(deadline_hours=deadline, sure=0.5)).best
    sure = plans_of(limits=Limits(deadline_hours=deadline, sure=0.9)).best
    assert even is not None and sure is not None
    assert (even.offer.id, even.gpus) == (cheapest.offer.id, cheapest.gpus)
    assert hours_of(sure) < hours_of(even) and cost_of(sure) > cost_of(even)
    with pytest.raises(InputError, match=r"sure = 0.99: allowed is 0.5 to 0.9"):
        Limits(sure=0.99)


def test_doubling_every_price_doubles_every_rent() -> None:
    double = tuple(
        replace(
            offer,
            price_usd_per_gpu_hour=2 * offer.price_usd_per_gpu_hour,
            low_usd_per_gpu_hour=2 * offer.low_usd_per_gpu_hour,
            high_usd_per_gpu_hour=2 * offer.high_usd_per_gpu_hour,
        )
        for offer in FEW
    )
    once = {(x.offer.id, x.gpus): x for x in plans_of(FEW).plans}
    twice = {(x.offer.id, x.gpus): x for x in plans_of(double).plans}
    shared = once.keys() & twice.keys()
    assert len(shared) > 5
    for place in shared:
        for name in ("final_run", "start_up"):
            before, after = (x[place].cost.cost_parts_usd[name] for x in (once, twice))
            assert after.p50 == pytest.approx(2 * before.p50)
            assert after.mean == pytest.approx(2 * before.mean)


def test_more_tokens_are_never_cheaper_nor_faster() -> None:
    cheapest, fastest = 0.0, 0.0
    for tokens in (1e6, 1e8, 3e9):
        cost = plans_of(tokens=tokens).best
        time = plans_of(tokens=tokens, limits=Limits(objective="time")).best
        assert cost is not None and time is not None
        assert cost_of(cost) > cheapest and hours_of(time) > fastest
        cheapest, fastest = cost_of(cost), hours_of(time)


def test_spot_pays_for_interruptions() -> None:
    h100 = next(o for o in FEW if o.id == "coreweave-hgx-h100-on-demand")
    spot = replace(h100, id="the-same-as-spot", tier="spot")
    found = plans_of((h100, spot), tokens=2e9, market=OfferWish(spot=True)).plans
    by_place = {(x.offer.tier, x.gpus): x for x in found}
    for (tier, gpus), safe in by_place.items():
        risky = by_place.get(("spot", gpus))
        if tier == "spot" or risky is None:
            continue
        assert cost_of(risky) > cost_of(safe)
        assert hours_of(risky) > hours_of(safe)
        assert risky.cost.stretch.interruptions > 20 * safe.cost.stretch.interruptions
        parts = risky.cost.cost_parts_usd
        assert parts["interruptions"].mean > safe.cost.cost_parts_usd["interruptions"].mean
    assert {"spot", "on_demand"} <= {tier for tier, _ in by_place}


def reason_of(found: Plans, offer: str) -> str:
    return next(x.reason for x in found.refused if x.offer.id == offer)


def test_every_refusal_says_why() -> None:
    found = plans_of()
    ids = {x.offer.id for x in (*found.refused, *found.also_feasible)}
    assert ids | {x.offer.id for x in found.plans} == {offer.id for offer in FEW}
    t4 = reason_of(found, "azure-standard-nc4as-t4-v3-on-demand")
    assert t4.startswith("does not fit: LoRA on 1 GPU needs ") and t4.endswith(
        "on each with headroom, t4-16gb has 14.6 GiB"
    )
    assert "allow it with --spot" in reason_of(found, "aws-p5.48xlarge-spot")
    assert "a commitment of 3y" in reason_of(found, "aws-p5.48xlarge-reserved-3y")
    late = plans_of(limits=Limits(deadline_hours=1.0))
    assert reason_of(late, "gcp-g2-standard-48-on-demand").startswith("misses the deadline by ")
    dear = plans_of(limits=Limits(budget_usd=20.0))
    assert reason_of(dear, "gcp-a3-megagpu-8g-on-demand").startswith("over budget by $")
    torn = plans_of(limits=Limits(deadline_hours=0.6, budget_usd=45.0))
    assert any("keeps deadline or budget, not both" in x.reason for x in torn.refused)


def test_why_not_knows_every_offer() -> None:
    found = usual()
    assert found.best is not None
    assert found.why_not(found.best.offer.id).startswith("it is listed: $")
    for other in (*found.refused, *found.also_feasible):
        assert found.why_not(other.offer.id) == other.reason
    with pytest.raises(InputError, match="unknown offer 'aws-p5'; nearest: aws-p"):
        found.why_not("aws-p5")


def test_wishes_are_kept() -> None:
    gcp = plans_of(market=OfferWish(providers=("gcp",), regions=("us-",), max_gpus=8)).plans
    assert gcp and all(x.offer.provider == "GCP" and x.gpus <= 8 for x in gcp)
    assert all(x.offer.tier == "on_demand" for x in gcp)
    h100 = plans_of(market=OfferWish(gpus=("h100-sxm5-80gb",))).plans
    assert h100 and {x.offer.gpu for x in h100} == {"h100-sxm5-80gb"}
    batch = plans_of(batch=BatchRange(least=8, most=16)).plans
    assert batch
    for x in batch:
        copies = x.recipe.data_parallel(x.gpus)
        assert 8 <= x.recipe.micro_batch * x.recipe.gradient_accumulation * copies <= 16
    with pytest.raises(CatalogError, match="unknown provider 'gpc'; nearest known: GCP"):
        plans_of(market=OfferWish(providers=("gpc",)))
    with pytest.raises(CatalogError, match="unknown price tier 'sport'; nearest known: spot"):
        OfferWish(tiers=("sport",))


def test_more_headroom_leaves_more_free() -> None:
    for one in plans_of(headroom=0.3).plans:
        capacity = one.option.candidate.machine.gpu.memory_gib * GIB
        assert float(one.cost.memory.peak_bytes[1]) <= 0.7 * capacity


def test_methods_and_software_are_searched() -> None:
    form = FormWish(methods=("lora", "qlora"), stacks=("huggingface", "huggingface_fused"))
    found = plans_of(form=form)
    best = found.best
    assert best is not None and best.recipe.stack == "huggingface_fused"
    assert cost_of(best) <= cost_of(usual().best)  # type: ignore[arg-type]
    assert found.searched > 3 * usual().searched
    for one in found.plans:
        can = stack_support()[one.recipe.stack]
        assert one.recipe.checkpointing in can.checkpointing
        assert one.recipe.sharding in can.sharding


def test_padded_batches_cost_more_than_packed_ones() -> None:
    data = typed_profile(examples=20_000, mean_tokens=300.0)
    wish = PlanWish(effort=EFFORT)
    packed = plan(LLAMA, data, wish, offers=FEW).best
    padded = plan(LLAMA, data, replace(wish, form=FormWish(packing=False)), offers=FEW).best
    assert packed is not None and padded is not None
    assert not padded.recipe.packing
    assert cost_of(padded) > cost_of(packed)


def test_the_whole_market_is_searched() -> None:
    found = plan(LLAMA, typed_profile(total_tokens=1e6), PlanWish(effort=EFFORT))
    assert found.offers == len(gpu_offers())
    assert found.best is not None and found.reasons[0].startswith("the cheapest of ")


def test_an_own_calibration_holds_for_its_gpu_alone() -> None:
    shipped = shipped_calibration()
    slower = shipped.with_entries(
        {
            ("stack_factor", key): entry.model_copy(update={"value": 2 * entry.value})
            for key, entry in shipped.parameters["stack_factor"].entries.items()
        }
    )
    data, wish = typed_profile(total_tokens=5e7), PlanWish(effort=EFFORT)
    own = {"h100-sxm5-80gb": slower}
    before = {(x.offer.id, x.gpus): x for x in plan(LLAMA, data, wish, offers=FEW).plans}
    after = plan(LLAMA, data, wish, offers=FEW, calibrations=own, listed=30).plans
    changed = set()
    for one in after:
        if (place := (one.offer.id, one.gpus)) in before:
            ratio = one.cost.run.gpu_hours.p50 / before[place].cost.run.gpu_hours.p50
            assert ratio > 1.7 if one.offer.gpu in own else ratio == 1.0
            changed.add(one.offer.gpu in own)
    assert changed == {True, False}
