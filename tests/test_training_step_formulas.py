"""Counts and seconds of a step by hand, on a mixture whose every number differs (`toys.py`)."""

from dataclasses import replace
from math import hypot

import numpy as np
import pytest
from toys import MIXTURE, with_modules

from estimator.errors import InputError
from estimator.hardware.cluster import Cluster
from estimator.hardware.efficiency import Efficiency
from estimator.hardware.rates import Rates
from estimator.llm.parameters import count_parameters
from estimator.training.inventory import Inventory, Parameters
from estimator.training.passes import PassSet, PassWork
from estimator.training.recipe import TrainingRecipe
from estimator.training.software import Software
from estimator.training.throughput import pass_time, step_time, step_time_of
from estimator.training.work import Collectives, Launches, Offloaded, Shapes, StepWork, step_work
from pricing import gpu_spec

H100 = gpu_spec("h100-sxm5-80gb")
FULL = TrainingRecipe(
    method="full", sequence_length=8, micro_batch=2, gradient_accumulation=3, checkpointing="none",
    tensor_parallel=2, pipeline_parallel=2, context_parallel=2, expert_parallel=2,
)  # fmt: skip
GPUS = 16  # eight hold one copy of the model, so two copies; four ranks share a shard
SPLIT = 82432 / 4 + 184320 / 8  # a rank's matrices
OUTSIDE = 66800 / 4


def changed(**changes: object) -> TrainingRecipe:
    return FULL.model_copy(update=changes)


def work(architecture=MIXTURE, **changes: object) -> StepWork:
    return step_work(architecture, changed(**changes), Cluster.of(H100, GPUS))


def inventory(**changes: object) -> Inventory:
    return Inventory.of(MIXTURE, changed(**changes))


# --- the inventory


def test_matrices_and_what_surrounds_them() -> None:
    found = inventory()
    assert found.matrices == Parameters(shared=82432, experts=184320)
    # tables 32,000 + 1,280, head 32,000, norms 64 + 3 x 144 + 2 x 128, biases 2 x 48,
    # projection 650, others 7 + 3 x 5
    assert found.outside_parameters == 66800
    assert count_parameters(MIXTURE).total == 82432 + 184320 + 66800
    assert found.trained(FULL) == Parameters(shared=82432 + 66800, experts=184320)
    assert found.matrices.split(FULL) == SPLIT


def test_four_bits_reach_modules_only() -> None:
    routers = 3 * 512
    assert inventory().quantised == Parameters(shared=82432 - routers, experts=0)
    modules = Inventory.of(with_modules(), FULL).quantised
    assert modules == Parameters(shared=82432 - routers, experts=184320)


def test_values_that_pass_the_matrices() -> None:
    found = inventory(method="lora")
    attention, dense = 160 + 96 + 80 + 112, 112 + 112 + 88 + 88 + 2 * 164
    experts = 2 * (144 + 104)
    assert found.values_per_token == 3 * (attention + 72 + experts) + 2 * dense
    assert found.adapter_values_per_token == 3 * (attention + experts) + 2 * dense
    assert found.adapters == 3 * (4 + 8 + 8) + 2 * 6
    assert inventory().adapters == 0


def test_adapters_of_a_fused_expert_take_the_rank_of_each_of_its_matrices() -> None:
    """gate_up_proj holds two matrices, as `count_trainable` and `peft` count it."""
    recipe = changed(method="lora", lora_rank=4)
    found = Inventory.of(MIXTURE, recipe).trained(recipe)
    assert found.shared == 4 * (3 * 448 + 2 * 728)
    assert found.experts == 4 * 3 * 8 * (2 * 144 + 104)


def test_sizes_of_a_mixture() -> None:
    found = inventory()
    assert (found.experts, found.experts_per_token, found.expert_share) == (24, 2, 0.25)
    assert (found.expert_width, found.heads, found.branches) == (64, 3 * 6 + 2 * 3, 10)
    assert found.cache_width == 3 * (2 * 16 + 2 * 8) + 2 * 3 * (16 + 8)
    dense = Inventory.of(replace(MIXTURE, layers=MIXTURE.layers[1:]), FULL)
    assert (dense.experts, dense.experts_per_token, dense.expert_share) == (0, 0, 1.0)
    assert (dense.expert_width, dense.inverse_width(1, expert=True)) == (0, 0.0)


def test_element_wise_values() -> None:
    found = inventory()
    norms = 3 * (64 + 64 + 96) + 2 * 2 * 64  # q_norm runs over 96 values
    assert found.stream_values == 2 * norms + 10 * 3 * 64
    # two active experts of width 40, gated; two copies in and out; queries and keys turned
    mixed = 3 * 2 * 40 + 4 * 2 * 64 + 2 * (6 + 2) * 16
    dense = 2 * 100 + 2 * (3 + 3) * 8
    assert found.inner_values == 3 * mixed + 2 * dense
    still = replace(MIXTURE.layers[1], attention=None)
    resting = Inventory.of(replace(MIXTURE, layers=(MIXTURE.layers[0], still)), FULL)
    assert resting.inner_values == 3 * mixed + 2 * 200
    assert (resting.heads, resting.cache_width) == (18, 144)


def test_narrower_sides_weighted_by_flops() -> None:
    """Weights over the narrower side are the wider side."""
    wider = 3 * (96 + 4 * 64) + 2 * (4 * 64 + 2 * 100)
    assert inventory().inverse_width(1, expert=False) == pytest.approx(wider / 82432)
    assert inventory().inverse_width(2, expert=False) == pytest.approx(2 * wider / 82432)
    experts = (80 + 64) / (64 * 80 + 40 * 64)
    assert inventory().inverse_width(1, expert=True) == pytest.approx(experts)


# --- the work of a step


def test_shapes_and_launches_of_a_rank() -> None:
    found = work()
    assert (found.shapes.tokens, found.shapes.expert_tokens) == (8, 8 * 2 * 0.25)
    assert found.shapes.inverse_width == inventory().inverse_width(2, expert=False)
    assert found.shapes.expert_inverse_width == inventory().inverse_width(1, expert=True)
    launches = found.launches
    assert launches.layers == pytest.approx(2.5 * 2.5 / 3.5)  # five layers on two stages
    assert (launches.adapters, launches.experts) == (0, 6)
    assert (launches.sharded_layers, launches.sharded_adapters) == (0, 0)
    adapted = work(method="lora", checkpointing="full", sharding="zero3").launches
    assert (adapted.layers, adapted.adapters) == (2.5, 36)
    assert (adapted.sharded_layers, adapted.sharded_adapters) == (2.5, 36)


@pytest.mark.parametrize(("checkpointing", "passes"), [("none", 2), ("selective", 2), ("full", 3)])
def test_collectives_of_a_micro_batch(checkpointing: str, passes: int) -> None:
    found = work(checkpointing=checkpointing)
    assert found.tensor == Collectives(count=passes * 5, bytes=8 * 64 * 2, ranks=2, inner=1)
    assert found.expert == Collectives(
        count=2 * passes * 1.5, bytes=8 * (2 / 2) * 64 * 2, ranks=2, inner=2
    )
    assert found.context == Collectives(count=3, bytes=16 * 288 * 2 / 4, ranks=2, inner=2)
    assert work(precision="fp32").tensor.bytes == 2 * found.tensor.bytes


def test_what_data_parallel_ranks_exchange() -> None:
    trained = SPLIT + OUTSIDE
    plain = work()
    assert plain.gradients == Collectives(count=1, bytes=2 * trained, ranks=4, inner=2)
    assert plain.gather.count == 0
    sharded = work(sharding="zero3")
    assert sharded.gradients.count == 0
    assert sharded.gather == Collectives(count=1, bytes=3 * 2 * trained, ranks=4, inner=2)
    alone = step_work(MIXTURE, changed(sharding="zero3", context_parallel=1), Cluster.of(H100, 4))
    assert (alone.gather.count, alone.gradients.count) == (0, 1)


def test_four_bit_weights_travel_as_such() -> None:
    """4 bits and an 8-bit scale per 64 weights; routers, tables and norms in 16 bits."""
    quantised = 80896 / 4 + 184320 / 8
    stored = 2 * (SPLIT - quantised + OUTSIDE) + quantised * (0.5 + 1 / 64)
    adapters = 4 * (2800 / 4 + 9408 / 8)
    found = work(with_modules(), method="qlora", lora_rank=4, sharding="zero3")
    assert found.gather.bytes == pytest.approx(2 * stored + 2 * adapters)


def test_updates_are_shared_from_zero_1_on() -> None:
    trained = SPLIT + OUTSIDE
    assert work().optimizer_parameters == trained
    for level in ("zero1", "zero2", "zero3"):
        assert work(sharding=level).optimizer_parameters == trained / 4
    assert work(precision="amp").optimizer_parameters == 2 * trained
    assert work(precision="fp32").optimizer_parameters == 2 * trained


def test_offloaded_bytes() -> None:
    trained = SPLIT + OUTSIDE
    assert work().offload == Offloaded(bytes_per_micro_batch=0, bytes_per_step=0, parameters=0)
    states = work(offload="optimizer", sharding="zero1")
    assert states.optimizer_parameters == 0
    assert states.offload == Offloaded(
        bytes_per_micro_batch=0, bytes_per_step=4 * trained / 4, parameters=trained / 4
    )
    weights = work(offload="parameters", sharding="zero3").offload
    assert weights.bytes_per_micro_batch == 2 * 2 * trained / 4
    assert work(offload="parameters").offload.bytes_per_micro_batch == 2 * 2 * trained


def test_bubble_and_tokens() -> None:
    found = work()
    assert (found.bubble_share, found.tokens_per_step) == (1 / 3, 2 * 8 * 3 / 8)
    interleaved = step_work(MIXTURE, FULL, Cluster.of(H100, GPUS), virtual_stages=2)
    assert interleaved.bubble_share == 1 / 6
    many = step_work(
        MIXTURE,
        FULL,
        Cluster.of(H100, GPUS),
        micro_batch=[1, 4],
        gradient_accumulation=[5, 6],
    )
    assert np.asarray(many.tokens_per_step).tolist() == [5, 24]
    assert np.asarray(many.micro_batches).tolist() == [5, 6]
    times = [
        step_time(MIXTURE, FULL, Cluster.of(H100, GPUS), micro_batch=b, gradient_accumulation=n)
        for b, n in ((2, 3), (4, 3), (2, 6))
    ]
    assert [float(x.tokens_per_step) for x in times] == [6, 12, 12]


def test_gpus_that_cannot_be_divided_are_refused() -> None:
    with pytest.raises(InputError, match="12 GPUs cannot be divided into groups of 8"):
        step_work(MIXTURE, FULL, Cluster.of(H100, 12))
    with pytest.raises(InputError, match="expert_parallel = 3 does not divide the 8 GPUs"):
        work(expert_parallel=3)


# --- the passes of a micro-batch: 16 tokens, 72 causal pairs, on eight GPUs

LAYERS, EXPERTS, HEAD = 2 * 16 * (82432 + 640), 2 * 16 * 46080, 2 * 16 * 32000
SCORES, VALUES = 3 * 2 * 6 * 16 + 2 * 2 * 3 * 16, 3 * 2 * 6 * 8 + 2 * 2 * 3 * 8  # per pair


def test_passes_of_full_tuning() -> None:
    found = work(attention="flash").passes
    forward, training = found.forward, found.training
    for part, times in ((forward, 1), (training, 3)):
        assert part.matmul_flops == pytest.approx(times * LAYERS / 8)
        assert part.expert_flops == pytest.approx(times * EXPERTS / 8)
        assert part.head_flops == pytest.approx(times * HEAD / 8)
        assert part.matmul_bytes == pytest.approx(times * 2 * (16 * 4504 / 8 + SPLIT))
        assert part.elementwise_bytes == pytest.approx(times * 2 * 16 * (3776 + 3616) / 8)
        assert (part.adapter_flops, part.adapter_values, part.score_bytes) == (0, 0, 0)
        assert (part.dequantised_weights, part.scan_bytes) == (0, 0)
    assert (forward.logits, training.logits) == (16 * 500 / 8 / 2, 16 * 500 / 8)
    assert forward.attention_flops == 72 * (SCORES + VALUES) / 8
    # FlashAttention-2: five products backward, three of them over the width of keys
    assert training.attention_flops == 72 * (4 * SCORES + 3 * VALUES) / 8
    again = found.recompute
    assert again.matmul_flops == again.attention_flops == again.matmul_bytes == 0
    assert again.logits == again.elementwise_bytes == again.score_bytes == 0


def test_full_checkpointing_repeats_all_but_the_last_product_of_a_layer() -> None:
    again = work(checkpointing="full", attention="eager").passes.recompute
    repeated = LAYERS - 2 * 16 * (640 + 2 * 6400) + EXPERTS
    assert again.matmul_flops + again.expert_flops == pytest.approx(repeated / 8)
    assert again.expert_flops / again.matmul_flops == pytest.approx(EXPERTS / LAYERS)
    assert again.matmul_bytes == pytest.approx(2 * (16 * 4504 / 8 + SPLIT))
    assert again.elementwise_bytes == pytest.approx(2 * 16 * (3776 + 3616) / 8)
    assert again.attention_flops == 128 * (SCORES + VALUES) / 8
    assert again.score_bytes == 8 * 16 * 8 * 24 / 8
    assert again.logits == again.head_flops == 0


def test_selective_checkpointing_repeats_attention_alone() -> None:
    found = work(checkpointing="selective", attention="eager").passes
    again = found.recompute
    assert again.attention_flops == 128 * (SCORES + VALUES) / 8
    assert again.score_bytes == 8 * 16 * 8 * 24 / 8
    assert (found.forward.score_bytes, found.training.score_bytes) == (3072, 3 * 3072)
    assert again.matmul_flops == again.matmul_bytes == again.elementwise_bytes == 0


def test_passes_of_adapters() -> None:
    """Rank 4 beside five q_proj; checkpointing lets the gradient through every layer."""
    recipe = {"method": "lora", "lora_rank": 4, "lora_targets": ("q_proj",)}
    found = work(checkpointing="full", **recipe).passes
    down_and_up = 2 * 16 * 4 * (3 * 160 + 2 * 112)
    assert found.forward.adapter_flops == down_and_up / 8
    assert found.training.adapter_flops == 3 * down_and_up / 8
    assert found.recompute.adapter_flops == down_and_up / 8
    values = 16 * (3 * 160 + 2 * 112) / 8
    for part, times in ((found.forward, 0.5), (found.training, 1.0), (found.recompute, 0.5)):
        assert part.adapter_values == times * values
    assert found.training.matmul_flops + found.training.expert_flops == pytest.approx(
        (2 * (LAYERS + EXPERTS)) / 8
    )
    assert found.training.head_flops == 2 * HEAD / 8
    assert found.training.dequantised_weights == 0


def test_four_bit_matrices_are_unpacked_for_each_pass() -> None:
    """Experts are then multiplied one by one, not grouped."""
    found = work(with_modules(), method="qlora", checkpointing="full").passes
    quantised = 80896 / 4 + 184320 / 8
    assert found.forward.dequantised_weights == quantised
    assert found.training.dequantised_weights == 2 * quantised
    assert found.recompute.dequantised_weights == quantised
    assert found.forward.expert_flops == 0
    assert found.forward.matmul_flops == pytest.approx((LAYERS + EXPERTS) / 8)


def test_bytes_follow_the_precision() -> None:
    def forward(**changes: object) -> PassWork:
        return work(**changes).passes.forward

    stream, inner, weights = 16 * 3776 / 8, 16 * 3616 / 8, 16 * 4504 / 8 + SPLIT
    assert forward(precision="fp32").elementwise_bytes == pytest.approx(4 * (stream + inner))
    assert forward(precision="amp").elementwise_bytes == pytest.approx(4 * stream + 2 * inner)
    assert forward(precision="fp32").matmul_bytes == pytest.approx(4 * weights)
    assert forward(precision="amp").matmul_bytes == pytest.approx(2 * weights + 6 * SPLIT)
    gathered = forward(precision="amp", sharding="zero3")
    assert gathered.matmul_bytes == pytest.approx(2 * weights)
    narrow = work(matmul_format="fp8", checkpointing="full").passes
    cast = 6 * 16 * 4504 / 8  # 6 bytes per input and output value
    assert narrow.forward.matmul_bytes == pytest.approx(2 * weights + cast / 2)
    assert narrow.training.matmul_bytes == pytest.approx(3 * 2 * weights + cast)
    assert narrow.recompute.matmul_bytes == pytest.approx(2 * weights + cast / 2)


def test_what_mfu_and_hfu_count() -> None:
    """PaLM, appendix B: matrices three times and causal attention three times."""
    forward, pairs = LAYERS + EXPERTS + HEAD, 72 * (SCORES + VALUES)
    found = work(attention="flash").passes
    assert found.model_flops == found.hardware_flops == 3 * (forward + pairs) / 8
    half = 64 * (SCORES + VALUES)  # half of the square of 2 x 8 x 8
    assert work(attention="eager").passes.model_flops == 3 * (forward + half) / 8
    whole = replace(MIXTURE, kind="encoder")
    assert work(whole, attention="eager").passes.model_flops == 3 * (forward + 2 * half) / 8
    assert work(method="lora").passes.model_flops == (2 * forward + 3 * pairs) / 8
    again = work(checkpointing="full", attention="flash").passes
    assert again.hardware_flops - again.model_flops == (forward + pairs) / 8
    less = work(checkpointing="selective", attention="eager").passes
    assert less.hardware_flops - less.model_flops == pytest.approx(0.1 * (forward + half) / 8)


def test_a_model_without_head_makes_no_logits() -> None:
    found = work(replace(MIXTURE, head=None)).passes
    assert found.training.logits == found.training.head_flops == 0


# --- seconds from counts

PASS = PassWork(
    matmul_flops=600.0, expert_flops=200.0, head_flops=300.0, adapter_flops=100.0,
    attention_flops=400.0, matmul_bytes=50.0, elementwise_bytes=30.0, scan_bytes=20.0,
    score_bytes=10.0, logits=7.0, adapter_values=6.0, dequantised_weights=9.0,
)  # fmt: skip
SHAPES = Shapes(inverse_width=0.125, expert_inverse_width=0.25, tokens=6.0, expert_tokens=3.0)
RATES = Rates(
    matmul_flops_per_second=100.0, wide_matmul_flops_per_second=50.0,
    attention_flops_per_second=80.0, memory_bytes_per_second=5.0, link_bytes_per_second=10.0,
    network_bytes_per_second=16.0, host_bytes_per_second=4.0, gpus_per_node=4.0,
)  # fmt: skip
REACHED = Efficiency(**{
    name: np.asarray(value) for name, value in {
        "matmul": 0.5, "matmul_format": 2.0, "grouped_matmul": 0.25, "narrow_width": 4.0,
        "few_tokens": 3.0, "attention": 0.5, "elementwise_passes": 2.0, "scan_passes": 3.0,
        "logits_bytes": 10.0, "adapter_bytes": 4.0, "dequantisation_bytes": 5.0,
        "optimizer_bytes": 20.0, "host_update_bytes_per_second": 8.0, "link": 0.5,
        "network": 0.25, "link_latency_seconds": 1.0, "network_latency_seconds": 2.0,
        "exposed_tensor": 0.25, "exposed_expert": 0.5, "exposed_context": 0.75,
        "exposed_data": 0.125, "host_seconds_per_layer": 3.0, "host_seconds_per_adapter": 0.5,
        "host_seconds_per_expert": 0.25, "host_seconds_per_sharded_layer": 2.0,
        "host_seconds_per_sharded_adapter": 0.75, "stack": 1.5,
    }.items()
})  # fmt: skip


def test_seconds_of_a_pass() -> None:
    found = pass_time(PASS, SHAPES, RATES, REACHED)
    layers = 600 * (1 + 4 / 8 + 3 / 6)
    experts = 200 * (1 + 4 / 4 + 3 / 3) / 0.25
    assert found.matmul_seconds == (layers + experts) / 100 + 300 / 25 + 50 / 5
    assert found.attention_seconds == 400 / 40 + 10 / 5
    assert found.elementwise_seconds == (2 * 30 + 3 * 20) / 5
    assert found.logits_seconds == 7 * 10 / 5
    assert found.adapter_seconds == pytest.approx(100 / 25 + 6 * 4 / 5)
    assert found.dequantisation_seconds == 9 * 5 / 5
    assert found.total == pytest.approx(58 + 12 + 24 + 14 + 8.8 + 9)


def made_up(**changes: object) -> StepWork:
    """Every pass as long as `PASS`; ranks 4 to a node, eight data-parallel ones on two nodes."""
    none = Collectives(count=0.0, bytes=0.0, ranks=1.0, inner=1.0)
    parts: dict[str, object] = {
        "passes": PassSet(
            forward=PASS, training=PASS, recompute=PASS,
            model_flops=np.asarray(11.0), hardware_flops=np.asarray(13.0),
        ),
        "shapes": SHAPES,
        "launches": Launches(layers=0.0, adapters=0.0, experts=0.0, sharded_layers=0.0,
                             sharded_adapters=0.0),
        "gather": none, "tensor": none, "expert": none, "context": none, "gradients": none,
        "bubble_share": 0.5, "micro_batches": 2.0, "optimizer_parameters": 4.0,
        "offload": Offloaded(bytes_per_micro_batch=0.0, bytes_per_step=0.0, parameters=0.0),
        "tokens_per_step": 96.0,
        **changes,
    }  # fmt: skip
    return StepWork(**parts)  # type: ignore[arg-type]


def timed(**changes: object):
    found = step_time_of(
        made_up(**changes), RATES, REACHED, peak_flops_per_second=np.asarray(1000.0)
    )
    assert found.step_seconds == pytest.approx(float(sum(found.parts.values())))
    return found


BUSY = 2 * 125.8  # forward with backward, and recomputation
PER_STEP = 2 * 1.5


def test_a_step_without_communication() -> None:
    found = timed()
    assert found.matmul_seconds == pytest.approx(58 * PER_STEP)
    assert found.recompute_seconds == pytest.approx(125.8 * PER_STEP)
    assert found.bubble_seconds == pytest.approx(BUSY * PER_STEP / 2)
    assert found.optimizer_seconds == 20 * 4 / 5
    assert found.communication_seconds == pytest.approx(0.0)
    assert found.launch_seconds == found.gradient_seconds == found.offload_seconds == 0
    total = BUSY * PER_STEP * 1.5 + 16
    assert found.step_seconds == pytest.approx(total)
    assert found.tokens_per_second_per_gpu == pytest.approx(96 / total)
    assert found.mfu == pytest.approx(2 * 11 / (1000 * total))
    assert found.hfu == pytest.approx(2 * 13 / (1000 * total))
    assert found.forward_share == pytest.approx(0.5)


def test_gathers_and_launches_run_beside_the_work() -> None:
    """Two times that overlap take sqrt(a^2 + b^2): the longer one, rounded where they are close."""
    gather = Collectives(count=2.0, bytes=400.0, ranks=4.0, inner=1.0)
    each = 1 + 3 / 4 * 400 / 5  # latency, three quarters over half of 10 bytes/s
    gathered = hypot(BUSY, 2 * each)
    found = timed(gather=gather)
    assert found.communication_seconds == pytest.approx((gathered - BUSY) * PER_STEP)
    assert found.bubble_seconds == pytest.approx(gathered * PER_STEP / 2)
    launches = Launches(
        layers=20.0, adapters=8.0, experts=12.0, sharded_layers=10.0, sharded_adapters=16.0
    )
    host = 3 * 20 + 0.5 * 8 + 0.25 * 12 + 2 * 10 + 0.75 * 16
    both = timed(gather=gather, launches=launches)
    launched = hypot(gathered, host)
    assert both.launch_seconds == pytest.approx((launched - gathered) * PER_STEP)
    assert both.communication_seconds == pytest.approx(float(found.communication_seconds))
    assert both.bubble_seconds == pytest.approx(launched * PER_STEP / 2)


def test_exposed_collectives() -> None:
    """Ring all-reduce and all-gather of four; all-to-all of two ranks two GPUs apart."""
    tensor = Collectives(count=3.0, bytes=40.0, ranks=4.0, inner=1.0)
    expert = Collectives(count=5.0, bytes=20.0, ranks=2.0, inner=2.0)
    context = Collectives(count=7.0, bytes=10.0, ranks=4.0, inner=1.0)
    reduce = 0.25 * 3 * 2 * (1 + 3 / 4 * 40 / 5)
    to_all = 0.5 * 5 * (1 + 10 / 5)
    ring = 0.75 * 7 * (1 + 3 / 4 * 10 / 5)
    found = timed(tensor=tensor, expert=expert, context=context)
    exposed = reduce + to_all + ring
    assert found.communication_seconds == pytest.approx(exposed * PER_STEP)
    assert found.bubble_seconds == pytest.approx((BUSY + exposed) * PER_STEP / 2)


def test_gradients_over_two_nodes() -> None:
    """Eight ranks, four to a node: the node's quarter of 16 bytes/s is slower than the link."""
    gradients = Collectives(count=1.0, bytes=80.0, ranks=8.0, inner=1.0)
    found = timed(gradients=gradients)
    assert found.gradient_seconds == pytest.approx(0.125 * 2 * (2 + 7 / 8 * 80 / 4))


def test_offload_shares_the_link_and_the_cpus() -> None:
    offload = Offloaded(bytes_per_micro_batch=6.0, bytes_per_step=10.0, parameters=4.0)
    gradients = Collectives(count=0.0, bytes=0.0, ranks=8.0, inner=1.0)
    transfer = (6 * 2 + 10) / (4 * 0.5)
    many = timed(offload=offload, gradients=gradients)
    assert many.offload_seconds == pytest.approx(transfer + 4 * 20 * 4 / 8)
    few = timed(offload=offload, gradients=replace(gradients, ranks=2.0))
    assert few.offload_seconds == pytest.approx(transfer + 4 * 20 * 2 / 8)


def test_who_keeps_logits_how() -> None:
    def kind(**changes: object) -> str:
        return Software.of(TrainingRecipe(**changes)).loss  # type: ignore[arg-type]

    assert kind(stack="megatron") == kind(stack="vendor_tuned") == "kernel"
    assert kind(stack="megatron", loss="plain") == "plain"
    assert (kind(), kind(stack="torchtune")) == ("plain", "chunked")
    assert kind(stack="huggingface_fused") == "fused"
