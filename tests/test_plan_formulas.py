"""Hours and dollars of a plan by hand: interruptions, levels, spreads, and what comes on top."""

from dataclasses import replace
from math import exp, sqrt

import numpy as np
import pytest
from toys import MIXTURE

import estimator.training.planning.costs as costs
import estimator.training.run as run_module
from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.energy import energy_use
from estimator.quantity import Quantity
from estimator.training.job import Filling
from estimator.training.planning.costs import (
    Effort,
    Option,
    check_level,
    level_of,
    outlook,
    plan_cost,
)
from estimator.training.planning.offers import (
    cluster_of,
    counts_of,
    machine_of,
    price_of,
    takes_nodes,
)
from estimator.training.planning.search import Candidate
from estimator.training.recipe import TrainingRecipe
from estimator.training.run import Range, median_start_up_hours, run_assumptions
from estimator.training.spot import (
    checkpoint_hours,
    egress_prices,
    interruption_figures,
    stretch,
    stretch_range,
    trained_gb,
)
from pricing.offers import gpu_offers

OFFERS = {offer.id: offer for offer in gpu_offers()}
P5 = OFFERS["aws-p5.48xlarge-on-demand"]
SPOT = OFFERS["aws-p5.48xlarge-spot"]
PARAMETERS = 333552
FIGURES = interruption_figures()
E2, E3 = exp(0.2), exp(0.3)


# --- interruptions


def test_what_a_checkpoint_holds() -> None:
    """16-bit weights and two moments, whole however they are shared; a master copy where kept."""
    speed = 1e9 * FIGURES.checkpoint_gb_per_second.median()
    plain = TrainingRecipe(method="full")
    hours = 6 * PARAMETERS / speed / 3600
    assert checkpoint_hours(MIXTURE, plain) == pytest.approx(hours)
    shared = {"sharding": "zero3", "offload": "optimizer", "tensor_parallel": 2,
              "pipeline_parallel": 2, "context_parallel": 2, "expert_parallel": 2}  # fmt: skip
    for name, value in shared.items():
        split = plain.model_copy(update={name: value})
        assert checkpoint_hours(MIXTURE, split) == pytest.approx(hours), name
    mixed = plain.model_copy(update={"precision": "amp", "stack": "deepspeed"})
    assert checkpoint_hours(MIXTURE, mixed) == pytest.approx(14 / 6 * hours)
    adapters = TrainingRecipe(lora_rank=4)
    assert trained_gb(MIXTURE, adapters) == pytest.approx(4 * (2800 + 9408) * 2 / 1e9)


def test_no_checkpoint_before_the_last_one_is_written() -> None:
    """Young's interval sqrt(2 x 8 x 1) = 4 is shorter than the eight hours of writing one."""
    found = stretch(100.0, mtbf_hours=1.0, checkpoint_hours=8.0, restart_hours=0.0)
    assert found.checkpoint_every_hours == 8.0
    assert float(found.paid) == pytest.approx((exp(16.0) - 1) / 8)


@pytest.mark.parametrize("spot", [False, True])
def test_a_range_of_interruptions(spot: bool) -> None:
    """Two machines of eight write a part each; who waits for a spot machine does not pay."""
    found = stretch_range(
        1000.0, gpus=16, nodes=2, spot=spot, checkpoint_hours=0.4, restart_hours=0.1
    )
    taken = FIGURES.spot_interruptions_per_node_hour.numbers[1] if spot else 0.0
    rate = 16 * FIGURES.failures_per_gpu_hour.numbers[1] + 2 * taken
    assert found.checkpoint_every_hours == pytest.approx(sqrt(2 * 0.2 / rate))
    assert found.interruptions == pytest.approx(1000 * found.paid.numbers[1] * rate)
    wait = FIGURES.replacement_wait_hours.median() if spot else 0.0
    assert found.waited.numbers[1] / found.paid.numbers[1] == pytest.approx(exp(wait * rate))
    for side in (found.paid, found.waited):
        low, mode, high = side.numbers
        assert 1.0 < low < mode < high


def test_egress_as_fixed_prices_and_ranges() -> None:
    assert egress_prices()["Nebius"].is_fixed
    assert egress_prices()["Vast.ai"].numbers == (0.0, 0.06)
    assert egress_prices()["Vast.ai"].unit == "USD/GB"
    assert egress_prices()["Vast.ai"].note == "differs by host"


# --- levels and spreads


def test_levels_of_a_lognormal_range() -> None:
    """z of 80 % is 0.841621 and of 90 % 1.281552 (tables of the normal distribution)."""
    found = Range(p10=50.0, p50=100.0, p90=200.0, mean=110.0)
    assert level_of(found, 0.5) == pytest.approx(100.0)
    assert level_of(found, 0.9) == pytest.approx(200.0)
    assert level_of(found, 0.8) == pytest.approx(100 * 2 ** (0.841621 / 1.281552), rel=1e-6)
    assert level_of(Range(p10=0.0, p50=0.0, p90=0.0, mean=0.0), 0.8) == 0.0
    for level in (0.5, 0.8, 0.9):
        check_level(level)
    for level in (0.49, 0.91):
        with pytest.raises(InputError, match=r"sure = 0\.\d+: allowed is 0\.5 to 0\.9"):
            check_level(level)


def test_spreads_add_up_in_squares() -> None:
    """Two independent lognormal factors with logarithms of 3 and 4 at their P90 make 5."""
    found = Range(p10=10 * exp(-0.3), p50=10.0, p90=10 * exp(0.3), mean=11.0)
    by = Quantity(p10=2 * exp(-0.4), p50=2.0, p90=2 * exp(0.4))
    joined = costs._stretched(found, by)
    assert joined.p50 == pytest.approx(20.0)
    assert (joined.p10, joined.p90) == pytest.approx((20 * exp(-0.5), 20 * exp(0.5)), rel=1e-3)
    assert joined.mean == pytest.approx(11 * by.mean())
    plain = costs._stretched(found, Quantity(value=3.0))
    assert (plain.p10, plain.p50, plain.p90) == pytest.approx((30 * exp(-0.3), 30, 30 * exp(0.3)))
    assert costs._log_sd(Quantity(p10=exp(-1.281552), p90=exp(1.281552))) == pytest.approx(
        1.0, rel=1e-5
    )
    assert costs._log_sd(Quantity(value=7.0)) == 0.0
    assert costs._log_sd(Quantity(low=-1.0, high=1.0)) == 0.0
    assert costs._log_sd(Quantity(p10=0.5, p90=0.8)) == pytest.approx(np.log(1.6) / 2 / 1.281552)
    shifted = costs._shifted(Range(p10=1.0, p50=2.0, p90=4.0, mean=3.0), 10.0)
    assert shifted == Range(p10=11.0, p50=12.0, p90=14.0, mean=13.0)
    half = costs._partly(Quantity.of({"min": 1.0, "mode": 2.0, "max": 4.0}), 0.5)
    assert half.numbers == (1.0, 1.5, 2.5)


# --- a plan

RECIPE = TrainingRecipe(method="full", checkpointing="none", gradient_accumulation=1)

LARGE = replace(MIXTURE, other_parameters=70 * 10**9)
EFFORT = Effort(epochs=Quantity(value=2.0))


def option(offer=P5, gpus: int = 8, rate: float = 1000.0, **changes: object) -> Option:
    filling = Filling(
        tokens=Quantity.of(changes.pop("tokens", 3.6e8)),
        useful_token_share=0.5, positions_per_sequence=1024, fit=None,
    )  # fmt: skip
    recipe = RECIPE.model_copy(update=changes)
    machine = cluster_of(offer, gpus)
    return Option(
        offer=offer,
        candidate=Candidate(
            machine=machine, gpus=gpus, recipe=recipe, filling=filling,
            tokens_per_second_per_gpu=rate, forward_share=0.25,
        ),
    )  # fmt: skip


def outlooks(*options: Option, level: float = 0.5, **effort: object):
    given = {"epochs": Quantity(value=2.0), **effort}
    return outlook(MIXTURE, options, Effort(**given), level, lambda _: None)


def test_machines_are_rented_whole_or_in_part() -> None:
    assert [option(gpus=n).nodes for n in (1, 8, 9, 16)] == [1, 1, 2, 2]


def test_central_hours_and_dollars_of_an_option() -> None:
    """1.44 billion positions at 8,000 a second are 50 h; evaluation runs forward alone."""
    found = outlooks(option())
    start_up = median_start_up_hours(MIXTURE)
    work = 3.6e8 * 2 / 0.5 / (1000 * 8 * 3600)
    assert work == 50.0
    lost = stretch(
        work + start_up,
        mtbf_hours=1 / (8 * FIGURES.failures_per_gpu_hour.numbers[1]),
        checkpoint_hours=checkpoint_hours(MIXTURE, RECIPE),
        restart_hours=start_up,
    )
    hours = (50 + start_up) * float(lost.waited)
    assert found.wall_clock_hours == pytest.approx([hours])
    assumed = run_assumptions()
    gb = 2 * PARAMETERS / 1e9
    kept = assumed.checkpoints_kept.median() * assumed.storage_months.median()
    beside = gb * (kept * assumed.storage_usd_per_gb_month.median() + 0.09)  # AWS's egress
    rent = hours * 8 * P5.price_usd_per_gpu_hour
    assert found.cost_usd == pytest.approx([rent + beside])
    longer = outlooks(option(), evaluation_tokens=Quantity(value=1.152e9))
    assert longer.wall_clock_hours - found.wall_clock_hours == pytest.approx([10.0], rel=1e-3)
    more = outlooks(
        option(), search_runs=Quantity(value=3.0), failed_run_factor=Quantity(value=1.5)
    )
    assert more.wall_clock_hours == pytest.approx(found.wall_clock_hours)
    assert more.cost_usd == pytest.approx([6 * rent + beside])
    assert outlooks().cost_usd.shape == (0,)


def test_options_side_by_side_equal_options_alone() -> None:
    some = (option(), option(SPOT, 16, 700.0), option(gpus=16, rate=900.0, method="lora"))
    together = outlooks(*some, level=0.8)
    for place, one in enumerate(some):
        alone = outlooks(one, level=0.8)
        for name in ("wall_clock_hours", "cost_usd", "sure_hours", "sure_usd"):
            assert getattr(together, name)[place] == pytest.approx(getattr(alone, name)[0])


def test_spot_waits_without_paying() -> None:
    """On demand nothing is waited for: paid and passed hours are the same."""
    demand, spot = outlooks(option()), outlooks(option(SPOT))
    price = SPOT.price_usd_per_gpu_hour / P5.price_usd_per_gpu_hour
    paid = float(spot.cost_usd[0] / demand.cost_usd[0]) / price
    passed = float(spot.wall_clock_hours[0] / demand.wall_clock_hours[0])
    assert 1.0 < paid < passed
    rate = FIGURES.spot_interruptions_per_node_hour.numbers[1]
    rate += 8 * FIGURES.failures_per_gpu_hour.numbers[1]
    wait = FIGURES.replacement_wait_hours.median()
    assert passed / paid == pytest.approx(exp(rate * wait), rel=2e-3)


def test_a_level_lies_above_by_the_spread_of_the_factors() -> None:
    """P90: hours by tokens, epochs and speed; dollars by price and failed runs as well."""

    def factor(size: float) -> Quantity:
        return Quantity(p10=exp(-size), p50=1.0, p90=exp(size))

    speed = shipped_calibration().efficiency_factor(P5_GENERATION, "huggingface")
    p10, _, p90 = speed.p10_p50_p90()
    of_speed = np.log(p90 / p10) / 2
    tokens = Quantity(p10=3.6e8 / E3, p50=3.6e8, p90=3.6e8 * E3)
    epochs = Quantity(p10=2 / E2, p50=2.0, p90=2 * E2)
    found = outlooks(option(tokens=tokens), level=0.9, epochs=epochs, failed_run_factor=factor(0.4))
    time = sqrt(0.3**2 + 0.2**2 + of_speed**2)
    ratio = float(found.sure_hours[0] / found.wall_clock_hours[0])
    assert np.log(ratio) == pytest.approx(time, rel=2e-3)
    ratio = float(found.sure_usd[0] / found.cost_usd[0])
    assert np.log(ratio) == pytest.approx(sqrt(time**2 + 0.4**2), rel=2e-3)
    moving = replace(P5, low_usd_per_gpu_hour=2.0, high_usd_per_gpu_hour=20.0)
    low, _, high = price_of(moving).p10_p50_p90()
    wider = outlooks(option(moving), level=0.9)
    spread = sqrt((np.log(high / low) / 2) ** 2 + of_speed**2)
    assert np.log(float(wider.sure_usd[0] / wider.cost_usd[0])) == pytest.approx(spread, rel=2e-3)
    same = outlooks(option(tokens=tokens), level=0.5, epochs=epochs)
    assert same.sure_hours == pytest.approx(same.wall_clock_hours)


P5_GENERATION = option().candidate.machine.gpu.generation


def test_a_typical_model_is_less_certain() -> None:
    sure = outlooks(option(), level=0.9)
    bare = outlook(
        replace(MIXTURE, typical=True), [option()], Effort(epochs=Quantity(value=2.0)), 0.9,
        lambda _: None,
    )  # fmt: skip
    assert bare.sure_hours > sure.sure_hours


def test_one_plan_in_full() -> None:
    one = option(sequence_length=4096)
    effort = Effort(epochs=Quantity(value=2.0))
    found = plan_cost(MIXTURE, one, effort, lambda _: None)
    assert found.run.recipe == one.candidate.recipe  # not the mean length of a sequence
    middle = found.stretch.paid.p10_p50_p90()[1]
    assert found.billed_gpu_hours.p50 == pytest.approx(found.run.billed_gpu_hours.p50 * middle)
    waited = found.stretch.waited.p10_p50_p90()[1]
    assert found.wall_clock_hours.p50 == pytest.approx(found.run.wall_clock_hours.p50 * waited)
    parts = found.cost_parts_usd
    assert sum(part.mean for part in parts.values()) == pytest.approx(found.cost_usd.mean)
    gb = 2 * PARAMETERS / 1e9
    assert parts["egress"] == Range(p10=gb * 0.09, p50=gb * 0.09, p90=gb * 0.09, mean=gb * 0.09)
    assert found.egress_known
    storage = found.run.cost_parts_usd["checkpoint_storage"]
    rent = found.run.cost_usd.mean - storage.mean
    assert parts["interruptions"].mean == pytest.approx(rent * (found.stretch.paid.mean() - 1))
    rented = sum(part.p50 for part in found.run.cost_parts_usd.values()) - storage.p50
    assert parts["interruptions"].p50 == pytest.approx(rented * (middle - 1))
    assert found.memory.peak_bytes[1] > 0


def test_an_unknown_egress_price_is_said_and_not_guessed() -> None:
    offer = replace(P5, provider="Somebody")
    found = plan_cost(MIXTURE, option(offer), Effort(epochs=Quantity(value=2.0)), lambda _: None)
    assert not found.egress_known
    assert found.cost_parts_usd["egress"] == Range(p10=0.0, p50=0.0, p90=0.0, mean=0.0)


def test_energy_counts_the_hours_paid_and_the_idle_ones() -> None:
    one = option(SPOT, 16)
    found = plan_cost(MIXTURE, one, EFFORT, lambda _: None)
    parts, whole = found.run.step.parts, float(found.run.step.step_seconds)
    busy = ("matmul", "attention", "elementwise", "logits", "adapter", "dequantisation",
            "recompute", "optimizer")  # fmt: skip
    share = sum(float(parts[f"{name}_seconds"]) for name in busy) / whole
    assert 0.0 < share < 0.9
    spec, paid = one.candidate.machine.gpu, found.billed_gpu_hours
    hours = Quantity(p10=paid.p10, p50=paid.p50, p90=paid.p90)
    expected = energy_use(
        spec, hours, utilisation=share, provider=SPOT.provider, region=SPOT.region
    )
    assert found.energy is not None
    assert found.energy.kwh == expected.kwh and found.energy.grid == expected.grid
    assert found.energy.kg_co2e.p50 == pytest.approx(expected.kg_co2e.p50)
    dark = replace(spec, tdp_watts=None)
    machine = replace(one.candidate.machine, gpu=dark)
    unknown = replace(one, candidate=replace(one.candidate, machine=machine))
    assert plan_cost(MIXTURE, unknown, EFFORT, lambda _: None).energy is None


def test_a_short_run_is_mostly_its_start() -> None:
    """Three minutes of work: no checkpoint before the end, which the start-up puts off."""
    short, start_up = option(SPOT, 16, tokens=7.2e5), median_start_up_hours(LARGE)
    work = 7.2e5 * 2 / 0.5 / (1000 * 16 * 3600)
    assert work == pytest.approx(0.05)
    found = plan_cost(LARGE, short, EFFORT, lambda _: None)
    assert found.stretch.checkpoint_every_hours == pytest.approx(work + start_up)
    rate = 2 * FIGURES.spot_interruptions_per_node_hour.numbers[1]
    rate += 16 * FIGURES.failures_per_gpu_hour.numbers[1]
    wait = FIGURES.replacement_wait_hours.median()
    ratio = found.stretch.waited.numbers[1] / found.stretch.paid.numbers[1]
    assert ratio == pytest.approx(exp(rate * wait))
    lost = stretch(
        work + start_up, mtbf_hours=1 / rate, restart_hours=start_up, wait_hours=wait,
        checkpoint_hours=checkpoint_hours(LARGE, RECIPE) / 2,
    )  # fmt: skip
    expected = (work + start_up) * float(lost.waited)
    central = outlook(LARGE, [short], EFFORT, 0.5, lambda _: None)
    assert central.wall_clock_hours == pytest.approx([expected], rel=1e-9)
    demand = plan_cost(LARGE, option(tokens=7.2e5), EFFORT, lambda _: None).stretch
    assert demand.waited.numbers == demand.paid.numbers


def test_many_checkpoints_written_by_two_machines() -> None:
    """A model of 70 billion: Young's interval depends on how long writing takes."""
    one = option(SPOT, 16)
    start_up = median_start_up_hours(LARGE)
    rate = 2 * FIGURES.spot_interruptions_per_node_hour.numbers[1]
    rate += 16 * FIGURES.failures_per_gpu_hour.numbers[1]
    lost = stretch(
        25 + start_up, mtbf_hours=1 / rate, restart_hours=start_up,
        wait_hours=FIGURES.replacement_wait_hours.median(),
        checkpoint_hours=checkpoint_hours(LARGE, RECIPE) / 2,
    )  # fmt: skip
    found = outlook(LARGE, [one], EFFORT, 0.5, lambda _: None)
    assert found.wall_clock_hours == pytest.approx([(25 + start_up) * float(lost.waited)])


def test_kept_checkpoints_do_not_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four checkpoints for three months at a price that makes them dearer than the GPUs."""
    dear = run_assumptions().model_copy(
        update={
            "checkpoints_kept": Quantity(value=4.0),
            "storage_months": Quantity(value=3.0),
            "storage_usd_per_gb_month": Quantity(value=1e7),
        }
    )
    usual = outlooks(option())
    for module in (costs, run_module):
        monkeypatch.setattr(module, "run_assumptions", lambda: dear)
    storage = 2 * PARAMETERS / 1e9 * 4 * 3 * 1e7
    assert outlooks(option()).cost_usd == pytest.approx(usual.cost_usd + storage, rel=1e-6)
    found = plan_cost(MIXTURE, option(), EFFORT, lambda _: None)
    parts = found.cost_parts_usd
    assert parts["checkpoint_storage"].mean == pytest.approx(storage)
    rent = found.run.cost_usd.mean - storage
    paid = found.stretch.paid
    assert parts["interruptions"].mean == pytest.approx(rent * (paid.mean() - 1))
    assert parts["interruptions"].p10 == pytest.approx(
        found.run.cost_parts_usd["final_run"].p50 * (paid.p10_p50_p90()[0] - 1), rel=0.2
    )
    assert parts["interruptions"].p10 < parts["interruptions"].p50 < parts["interruptions"].p90
    assert found.cost_usd.mean == pytest.approx(sum(part.mean for part in parts.values()))


def test_egress_is_added_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching a gigabyte at a made-up price of a million dollars."""
    plain = outlooks(option())
    dear = {"AWS": Quantity(value=1e6)}
    monkeypatch.setattr(costs, "egress_prices", lambda: dear)
    egress = 2 * PARAMETERS / 1e9 * (1e6 - 0.09)
    assert outlooks(option()).cost_usd == pytest.approx(plain.cost_usd + egress, rel=1e-9)


def test_interruptions_as_ranges() -> None:
    found = plan_cost(MIXTURE, option(SPOT), EFFORT, lambda _: None)
    usual = sum(
        part.p50 for name, part in found.run.cost_parts_usd.items() if name != "checkpoint_storage"
    )
    lost = found.cost_parts_usd["interruptions"]
    for part, factor in zip(
        (lost.p10, lost.p50, lost.p90), found.stretch.paid.p10_p50_p90(), strict=True
    ):
        assert part == pytest.approx(usual * (factor - 1))


def test_a_plan_passes_on_what_was_asked() -> None:
    effort = Effort(
        epochs=Quantity(value=2.0), search_runs=Quantity(value=3.0),
        failed_run_factor=Quantity(value=1.5), evaluation_tokens=Quantity(value=1e9),
    )  # fmt: skip
    own = shipped_calibration().model_copy(update={"name": "own"})
    found = plan_cost(MIXTURE, option(sharding="zero3"), effort, lambda _: own)
    assert found.run.tokens.p50 == pytest.approx(3.6e8 * 2 / 0.5)
    assert found.run.calibration.startswith("own, ")
    means = {name: part.mean for name, part in found.run.cost_parts_usd.items()}
    assert means["evaluation"] > 0
    final = means["final_run"] + means["start_up"] + means["evaluation"]
    assert means["search_runs"] == pytest.approx(3 * final)
    assert means["failed_runs"] == pytest.approx(0.5 * 4 * final)
    assert found.memory.weights == pytest.approx(2 * PARAMETERS / 8)


# --- offers


def test_numbers_of_gpus() -> None:
    """Whole nodes 1, 2, 3, 4, 6, 8, 12 ...; parts of a node in powers of two."""
    nodes = [n // 8 for n in counts_of(P5, 8 * 100)]
    assert nodes == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96]
    parts = replace(P5, minimum_gpus=2)
    assert counts_of(parts, 30) == (2, 4, 8, 16, 24)
    six = replace(P5, gpus_per_node=6, minimum_gpus=1)
    assert counts_of(six, 20) == (1, 2, 4, 6, 12, 18)


def test_only_a_named_network_joins_machines() -> None:
    bare = replace(P5, network_gbit_per_second=None, interconnect=None)
    assert not takes_nodes(bare)
    assert takes_nodes(replace(bare, network_gbit_per_second=100.0))
    assert takes_nodes(replace(bare, interconnect="NVLink; RoCE 400G"))
    assert cluster_of(replace(bare, network_gbit_per_second=100.0), 8).network_gb_per_second == 12.5


def test_parts_of_machines_and_whole_ones() -> None:
    alone = replace(P5, network_gbit_per_second=None, interconnect=None, minimum_gpus=1)
    assert counts_of(alone, 64) == (1, 2, 4, 8)
    assert counts_of(alone, 5) == (1, 2, 4)
    assert counts_of(replace(alone, gpus_per_node=1), 64) == (1,)
    assert counts_of(replace(alone, gpus_per_node=7), 64) == (1, 2, 4, 7)
    assert counts_of(P5, 8) == (8,)
    assert machine_of(P5) == cluster_of(P5, 1) and machine_of(P5).gpus == 1


def test_clusters_take_nodes_and_network_of_their_offer() -> None:
    four = cluster_of(replace(P5, gpus_per_node=4, network_gbit_per_second=800.0), 8)
    assert (four.gpus_per_node, four.nodes, four.network_gb_per_second) == (4, 2, 100.0)
    usual = cluster_of(replace(P5, network_gbit_per_second=None), 16)
    assert usual.network_gb_per_second > 0


def test_prices_say_where_they_are_from() -> None:
    noted = price_of(replace(P5, note="contract of May"))
    assert (noted.note, noted.unit) == ("contract of May", price_of(P5).unit)
    assert price_of(replace(P5, note=None)).note == f"AWS {P5.instance}, on_demand"
    one = replace(P5, low_usd_per_gpu_hour=3.0, high_usd_per_gpu_hour=3.0)
    assert price_of(one).is_fixed and price_of(one).mean() == P5.price_usd_per_gpu_hour
