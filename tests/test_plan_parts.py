"""The pieces of a plan: offers and counts, forms, the front, interruptions, what was typed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.cli.plan_options import batch_range, choices, hours
from estimator.errors import InputError
from estimator.llm.resolve import resolve_model
from estimator.training.planning.forms import FormWish, forms_of, stack_support
from estimator.training.planning.front import pareto, scores
from estimator.training.planning.offers import (
    OfferWish,
    cluster_of,
    counts_of,
    not_allowed,
    price_of,
    takes_nodes,
)
from estimator.training.planning.search import BatchRange
from estimator.training.recipe import TrainingRecipe
from estimator.training.spot import (
    best_interval_hours,
    checkpoint_hours,
    egress_prices,
    interruption_figures,
    interruptions_per_hour,
    stretch,
    stretch_range,
    trained_gb,
)
from estimator.training.work import check_layout
from pricing.offers import gpu_offers

OFFERS = {offer.id: offer for offer in gpu_offers()}
P5 = OFFERS["aws-p5.48xlarge-on-demand"]
LLAMA = resolve_model("meta-llama/Llama-3.1-8B", offline=True).architecture


def test_whole_nodes_where_nodes_are_sold() -> None:
    assert counts_of(P5, 64) == (8, 16, 24, 32, 48, 64)
    assert counts_of(P5, 7) == ()
    assert counts_of(replace(P5, minimum_gpus=1), 20) == (1, 2, 4, 8, 16)
    alone = replace(P5, network_gbit_per_second=None, interconnect="NVSwitch")
    assert not takes_nodes(alone) and counts_of(alone, 64) == (8,)
    assert counts_of(replace(P5, gpus_per_node=36, minimum_gpus=36), 100) == (36, 72)


@given(node=st.sampled_from([1, 2, 4, 8, 36, 72]), part=st.booleans(), most=st.integers(1, 300))
def test_counts_are_in_bounds(node: int, part: bool, most: int) -> None:
    fewest = 1 if part else node
    offer = replace(P5, gpus_per_node=node, minimum_gpus=fewest)
    counts = counts_of(offer, most)
    assert all(fewest <= count <= most for count in counts)
    assert all(count % node == 0 for count in counts if count > node or not part)
    assert list(counts) == sorted(set(counts)) and (counts or most < fewest)


def test_the_network_of_an_offer_is_its_own() -> None:
    cluster = cluster_of(P5, 16)
    assert cluster.nodes == 2 and cluster.network_gb_per_second == 400.0
    assert P5.network_gbit_per_second == 3200.0


def test_prices_that_move_are_ranges() -> None:
    assert price_of(P5).is_fixed and price_of(P5).median() == P5.price_usd_per_gpu_hour
    moving = price_of(replace(P5, low_usd_per_gpu_hour=2.0, high_usd_per_gpu_hour=20.0))
    assert moving.numbers == (2.0, P5.price_usd_per_gpu_hour, 20.0)


def test_what_is_not_allowed_says_so() -> None:
    assert not_allowed(P5, OfferWish()) is None
    assert "provider AWS (allowed: GCP)" in str(not_allowed(P5, OfferWish(providers=("GCP",))))
    assert "region us-east-1" in str(not_allowed(P5, OfferWish(regions=("eu",))))
    assert not_allowed(P5, OfferWish(regions=("US-",))) is None
    assert "by 8 GPUs at the least" in str(not_allowed(P5, OfferWish(max_gpus=4)))
    spot = OFFERS["aws-p5.48xlarge-spot"]
    assert not_allowed(spot, OfferWish()) and not_allowed(spot, OfferWish(spot=True)) is None
    with pytest.raises(InputError, match="max_gpus = 0"):
        OfferWish(max_gpus=0)


@pytest.mark.parametrize("stack", ["huggingface", "torchtune", "deepspeed", "megatron"])
@pytest.mark.parametrize("gpus", [1, 8, 24])
def test_forms_divide_their_gpus_and_suit_their_software(stack, gpus) -> None:
    wish = FormWish(methods=("full", "lora", "qlora"), stacks=(stack,), offload=True, fp8=True)
    forms = forms_of(LLAMA, wish, gpus=gpus, precision="bf16", fp8=True)
    can = stack_support()[stack]
    assert len(set(forms)) == len(forms) > 0
    for form in forms:
        recipe = form.recipe
        check_layout(recipe, cluster_of(P5, gpus))
        TrainingRecipe.model_validate(recipe.model_dump())
        assert recipe.sharding in can.sharding or recipe.sharding == "none"
        assert recipe.checkpointing in can.checkpointing
        assert can.fp8 or recipe.matmul_format is None
        assert can.splits or recipe.model_parallel == 1
    if gpus == 1:
        assert {form.recipe.sharding for form in forms} == {"none"}


def test_software_with_a_master_copy_keeps_it_in_full_tuning() -> None:
    wish = FormWish(methods=("full", "lora"), stacks=("deepspeed",))
    forms = forms_of(LLAMA, wish, gpus=8, precision="bf16", fp8=False)
    assert {(f.recipe.method, f.recipe.precision) for f in forms} == {
        ("full", "amp"),
        ("lora", "bf16"),
    }


points = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=0, max_size=30)


@given(points)
def test_the_front_by_brute_force(found: list[tuple[int, int]]) -> None:
    cost, time = (np.array([p[i] for p in found], float) for i in (0, 1))
    expected = [not any(x <= a and y <= b and (x, y) != (a, b) for x, y in found) for a, b in found]
    assert pareto(cost, time).tolist() == expected


def test_objectives() -> None:
    cost, time = np.array([1.0, 2.0, 3.0]), np.array([9.0, 3.0, 2.5])
    assert [int(scores(cost, time, goal).argmin()) for goal in ("cost", "time", "both")] == [
        0,
        2,
        1,
    ]


def test_youngs_interval() -> None:
    """Five minutes a checkpoint, one failure a day: a checkpoint every two hours."""
    assert best_interval_hours(5 / 60, 24.0) == pytest.approx(2.0)


@pytest.mark.parametrize(("mtbf", "restart", "wait"), [(3.0, 0.2, 0.0), (8.0, 0.1, 0.5)])
def test_dalys_time_is_that_of_a_simulation(mtbf: float, restart: float, wait: float) -> None:
    work, writing = 6.0, 0.05
    found = stretch(
        work, mtbf_hours=mtbf, checkpoint_hours=writing, restart_hours=restart, wait_hours=wait
    )
    segment = float(found.checkpoint_every_hours) + writing
    segments = work / float(found.checkpoint_every_hours)
    rng = np.random.default_rng(7)
    spent = []
    for _ in range(20_000):
        total, down = 0.0, 0.0
        while True:
            fails = rng.exponential(mtbf)
            if fails >= down + segment:
                total += down + segment
                break
            total += fails
            down = restart + wait
        spent.append(total)
    assert np.mean(spent) * segments / work == pytest.approx(float(found.waited), rel=0.03)


def test_interruptions_grow_with_machines_and_on_spot() -> None:
    figures = interruption_figures()
    per_gpu = figures.failures_per_gpu_hour.numbers[1]
    assert interruptions_per_hour(gpus=100, nodes=13, spot=False) == pytest.approx(100 * per_gpu)
    rates = interruptions_per_hour(
        gpus=np.array([1, 8, 8]), nodes=np.array([1, 1, 8]), spot=np.array([True] * 3)
    )
    assert (np.diff(rates) > 0).all()


def test_a_large_run_fails_as_often_as_llama_3_did() -> None:
    """419 unplanned interruptions in 54 days on 16,384 GPUs (arXiv 2407.21783)."""
    found = stretch_range(
        54 * 24.0 / 1.08, gpus=16_384, nodes=2048, spot=False, checkpoint_hours=0.2,
        restart_hours=0.1,
    )  # fmt: skip
    assert 300 < found.interruptions < 550
    assert 1.0 < found.paid.numbers[0] < found.paid.numbers[1] < found.paid.numbers[2]


def test_a_short_run_writes_one_checkpoint() -> None:
    found = stretch(0.5, mtbf_hours=1e9, checkpoint_hours=0.01, restart_hours=0.1)
    assert float(found.checkpoint_every_hours) == 0.5
    assert float(found.paid) == pytest.approx(1.02, rel=1e-6)


def test_sizes_of_what_is_kept() -> None:
    """LoRA of rank 16 on all linear layers of Llama-3.1-8B trains 41.9 million parameters."""
    assert trained_gb(LLAMA, TrainingRecipe()) == pytest.approx(0.0839, rel=1e-3)
    full = TrainingRecipe(method="full", sharding="zero3")
    assert trained_gb(LLAMA, full) == pytest.approx(16.06, rel=1e-3)
    assert checkpoint_hours(LLAMA, full) > 100 * checkpoint_hours(LLAMA, TrainingRecipe())


def test_egress_has_sources() -> None:
    assert egress_prices()["AWS"].median() == 0.09
    assert all(price.source and price.as_of for price in egress_prices().values())
    assert set(egress_prices()) <= {offer.provider for offer in gpu_offers()}


def test_times_that_people_type() -> None:
    assert hours("--deadline", "24h") == 24.0 and hours("--deadline", "2d") == 48.0
    assert hours("--deadline", "90m") == 1.5 and hours("--deadline", " 1.5D ") == 36.0
    for wrong in ("", "24", "h", "-3h", "0h", "3 years"):
        with pytest.raises(InputError, match="--deadline"):
            hours("--deadline", wrong)


def test_batches_that_people_type() -> None:
    assert batch_range("32:128", 2048) == BatchRange(least=32, most=128)
    assert batch_range("64", 2048) == BatchRange(least=64, most=64)
    assert batch_range("65536t:262144t", 2048) == BatchRange(least=32, most=128)
    for wrong in ("", "a:b", "1:2:3", "128:32", "0:4"):
        with pytest.raises(InputError, match="batch"):
            batch_range(wrong, 2048)
    assert BatchRange(least=32, most=200).targets.tolist() == [32, 64, 128]


def test_choices_that_people_type() -> None:
    from estimator.cli.arguments import Method

    assert choices("--method", ["qlora", "lora", "qlora"], Method) == ("qlora", "lora")
    with pytest.raises(InputError, match=r"--method 'loro': choose from full, lora, qlora"):
        choices("--method", ["loro"], Method)


def test_broken_figures_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from estimator.errors import CatalogError
    from estimator.training import spot

    broken = tmp_path / "egress.csv"
    broken.write_text(spot.EGRESS_FILE.read_text("utf-8").replace("0.09,", "cheap,", 1), "utf-8")
    monkeypatch.setattr(spot, "EGRESS_FILE", broken)
    with pytest.raises(CatalogError, match=r"egress.csv:2: .*'cheap'"):
        spot.egress_prices.__wrapped__()


def test_experts_are_not_split_over_more_gpus_than_there_are() -> None:
    mixtral = resolve_model("mistralai/Mixtral-8x7B-v0.1", offline=True).architecture
    wish = FormWish(stacks=("megatron",))
    forms = forms_of(mixtral, wish, gpus=8, precision="bf16", fp8=False)
    split = [
        (f.recipe.expert_parallel, f.recipe.tensor_parallel, f.recipe.pipeline_parallel)
        for f in forms
    ]
    assert (8, 1, 1) in split and (2, 2, 2) in split
    assert all(np.prod(degrees) <= 8 for degrees in split)
