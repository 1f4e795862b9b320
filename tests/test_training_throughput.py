"""The step-time formula: by hand, by its properties, and against published measurements."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.hardware.efficiency import Efficiency
from estimator.hardware.rates import cluster_rates
from estimator.llm.architecture import Architecture, Attention, Embedding, Layer, Linear, Norm
from estimator.llm.scan import Scan
from estimator.training.calibrate import batch, fit, predict, spread_factor
from estimator.training.published import measurement
from estimator.training.recipe import TrainingRecipe
from estimator.training.throughput import soft_max, step_time, step_time_of
from estimator.training.work import step_work
from pricing import gpu_spec

PUBLISHED = Path(__file__).parent / "data" / "throughput_published.csv"
CALIBRATION = shipped_calibration()
H100 = gpu_spec("h100-sxm5-80gb")


def llama(layers=32, hidden=4096, ffn=14336, heads=32, kv_heads=8, vocab=128256):
    config = {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "tie_word_embeddings": False,
        "max_position_embeddings": 131072,
    }
    return Architecture.from_hf_config(config, "llama-like")


LLAMA_8B = llama()


def seconds(recipe=None, gpus=1, gpu=H100, architecture=LLAMA_8B, **changes):
    recipe = TrainingRecipe(**changes) if recipe is None else recipe
    return step_time(architecture, recipe, Cluster.of(gpu, gpus))


# --- by hand


def unit_efficiency(**changes):
    """Software that reaches every best rate, moves nothing twice and launches for free."""
    ones = ("matmul", "matmul_format", "grouped_matmul", "attention", "link", "network", "stack")
    ones += ("host_update_bytes_per_second",)
    values = {name: np.asarray(1.0 if name in ones else 0.0) for name in Efficiency.__slots__}
    return Efficiency(**{**values, **{k: np.asarray(v) for k, v in changes.items()}})


def one_square_layer(width=1024, vocab=2048):
    """One layer: a single square matrix and attention of one head; no norms, no MLP."""
    attention = Attention(heads=1, kv_heads=1, head_dim=64, value_head_dim=64)
    matrix = Linear(name="w", inputs=width, outputs=width, role="attention", reads="input")
    layer = Layer(
        kind="dense", indices=(0,), linears=(matrix,), norms=(), attention=attention, gated=False
    )
    return Architecture(
        id="square",
        family="made up",
        hidden_size=width,
        vocab_size=vocab,
        layers=(layer,),
        embeddings=(Embedding(name="embed", rows=vocab, width=width),),
        norms=(Norm(name="norm", width=width),),
        head=Linear(name="head", inputs=width, outputs=vocab, role="head", reads="final"),
        tied_embeddings=False,
    )


def by_hand(recipe, efficiency, gpus=1):
    gpu = replace(
        H100,
        dense_tflops={"bf16": 2.0},
        mamf_bf16_tflops=1.0,
        memory_bandwidth_gb_per_second=1000.0,
        interconnect_gb_per_second=100.0,
    )
    cluster = Cluster.of(gpu, gpus)
    work = step_work(one_square_layer(), recipe, cluster)
    rates = cluster_rates(cluster, "bf16", CALIBRATION.values)
    return step_time_of(work, rates, efficiency, peak_flops_per_second=np.asarray(2e12))


FULL = TrainingRecipe(
    method="full", sequence_length=128, micro_batch=2, gradient_accumulation=3, checkpointing="none"
)


def test_a_step_by_hand():
    """256 tokens x 3 micro-batches; every term worked out from the definitions."""
    tokens, d, vocab = 256, 1024, 2048
    step = by_hand(FULL, unit_efficiency())
    flops = 3 * 2 * tokens * (d * d + d * vocab)
    traffic = 3 * 2 * (tokens * 2 * d + d * d)  # inputs, outputs and the matrix, 2 bytes, 3 passes
    assert step.matmul_seconds == pytest.approx(3 * (flops / 1e12 + traffic / 1e12))
    pairs = 2 * 128 * 129 / 2
    attention = pairs * 4 * 64 * 3.5  # two products forward, five backward (FlashAttention-2)
    assert step.attention_seconds == pytest.approx(3 * attention / 2e12)
    others = [n for n in step.parts if n not in ("matmul_seconds", "attention_seconds")]
    assert all(step.parts[name] == 0 for name in others)
    assert step.tokens_per_step == 768
    assert step.mfu == pytest.approx(
        (flops + 3 * pairs * 4 * 64) * 3 / (float(step.step_seconds) * 2e12)
    )
    assert step.hfu == step.mfu


def test_traffic_terms_by_hand():
    tokens = 256
    step = by_hand(
        FULL,
        unit_efficiency(elementwise_passes=1.0, logits_bytes=10.0, optimizer_bytes=20.0),
    )
    assert step.elementwise_seconds == pytest.approx(3 * 3 * 2 * tokens * 3 * 1024 / 1e12)
    assert step.logits_seconds == pytest.approx(3 * tokens * 2048 * 10 / 1e12)
    parameters = 1024 * 1024 + 2 * 1024 * 2048 + 1024
    assert step.optimizer_seconds == pytest.approx(parameters * 20 / 1e12)


def test_fp32_weights_widen_the_stream_the_states_and_need_casts():
    """Autocast: 4-byte residuals, twice the optimizer's bytes, 6 bytes per weight and pass."""
    reached = unit_efficiency(elementwise_passes=1.0, optimizer_bytes=20.0)
    plain = by_hand(FULL, reached)
    mixed = by_hand(FULL.model_copy(update={"precision": "amp"}), reached)
    assert mixed.elementwise_seconds == pytest.approx(2 * float(plain.elementwise_seconds))
    assert mixed.optimizer_seconds == pytest.approx(2 * float(plain.optimizer_seconds))
    casts = 3 * 3 * 6 * 1024 * 1024 / 1e12
    assert mixed.matmul_seconds - plain.matmul_seconds == pytest.approx(casts)


def test_narrow_products_cast_inputs_and_gradients():
    """6 bytes for each of 1024 inputs and 1024 outputs of a token, forward and backward."""
    narrow = FULL.model_copy(update={"matmul_format": "fp8"})
    more = (
        by_hand(narrow, unit_efficiency()).matmul_seconds
        - by_hand(FULL, unit_efficiency()).matmul_seconds
    )
    assert more == pytest.approx(3 * 6 * 256 * 2048 / 1e12)


def test_a_scan_by_hand():
    """Mamba 2 of 2 heads: chunks of 128 tokens, 16 states, inner width 128, shared 32."""
    scan = Scan(inner=128, state=16, shared=32, chunk=128)
    assert scan.flops_per_token == 2 * 128 * (16 + 128) + 4 * 128 * 16
    assert scan.values_per_token == 3 * (128 + 32) + 4 * 128 + 4 * 128 * 16 / 128
    model = one_square_layer()
    layer = replace(model.layers[0], scan=scan)
    recipe, cluster = FULL, Cluster.of(H100, 1)
    plain = step_work(model, recipe, cluster).passes.training
    work = step_work(replace(model, layers=(layer,)), recipe, cluster).passes.training
    flops = work.attention_flops - plain.attention_flops
    assert flops == pytest.approx(3 * 256 * scan.flops_per_token)
    assert work.scan_bytes == pytest.approx(3 * 2 * 256 * scan.values_per_token)
    assert plain.scan_bytes == 0


def test_gradients_of_two_ranks_by_hand():
    step = by_hand(FULL, unit_efficiency(exposed_data=0.5), gpus=2)
    parameters = 1024 * 1024 + 2 * 1024 * 2048 + 1024
    assert step.gradient_seconds == pytest.approx(0.5 * 2 * 0.5 * parameters * 2 / 100e9)


def test_offloaded_states_by_hand():
    """Gradients down and weights up at 63 GB/s (PCIe 5.0 x16), the update at 1e9 bytes/s."""
    recipe = FULL.model_copy(update={"offload": "optimizer"})
    reached = unit_efficiency(optimizer_bytes=20.0, host_update_bytes_per_second=1e9)
    step = by_hand(recipe, reached)
    parameters = 1024 * 1024 + 2 * 1024 * 2048 + 1024
    assert step.optimizer_seconds == 0
    assert step.offload_seconds == pytest.approx(parameters * (4 / 63e9 + 20 / 1e9))
    everything = by_hand(recipe.model_copy(update={"offload": "parameters"}), reached)
    weights = 3 * 2 * 2 * parameters / 63e9  # three micro-batches, twice each, 2 bytes
    assert everything.offload_seconds - step.offload_seconds == pytest.approx(weights)


def test_the_longer_of_cpu_and_gpu_counts():
    slow_host = by_hand(FULL, unit_efficiency(host_seconds_per_layer=10.0))
    half_a_layer = 3 * 10.0 * 2.5 / 3.5 / 2  # a branch alone counts half
    assert slow_host.step_seconds == pytest.approx(half_a_layer, rel=1e-3)
    fast_host = by_hand(FULL, unit_efficiency(host_seconds_per_layer=1e-6))
    assert fast_host.launch_seconds == pytest.approx(0.0, abs=1e-9)


def test_the_bubble_of_a_pipeline_is_stages_less_one_over_micro_batches():
    step = seconds(pipeline_parallel=4, gradient_accumulation=8, gpus=4)
    busy = step.step_seconds - step.bubble_seconds - step.optimizer_seconds - step.gradient_seconds
    assert step.bubble_seconds == pytest.approx(busy * 3 / 8)


def test_soft_max_lies_between_maximum_and_sum():
    assert soft_max(3.0, 0.0, 6.0) == 3.0
    assert 3.0 < soft_max(3.0, 2.0, 3.0) < 5.0


# --- properties

recipes = st.builds(
    TrainingRecipe,
    method=st.sampled_from(["full", "lora", "qlora"]),
    optimizer=st.sampled_from(["adamw", "adamw_8bit", "sgd"]),
    sequence_length=st.sampled_from([128, 2048, 16384]),
    micro_batch=st.integers(1, 64),
    gradient_accumulation=st.integers(1, 64),
    checkpointing=st.sampled_from(["none", "selective", "full"]),
    attention=st.sampled_from(["flash", "sdpa", "eager"]),
    sharding=st.sampled_from(["none", "zero1", "zero2", "zero3"]),
    tensor_parallel=st.sampled_from([1, 2]),
    pipeline_parallel=st.sampled_from([1, 2]),
    context_parallel=st.sampled_from([1, 2]),
    compiled=st.booleans(),
    stack=st.sampled_from(["huggingface", "torchtune", "megatron"]),
)
SMALL = llama(layers=4, hidden=512, ffn=1024, heads=8, vocab=4096)


@given(recipes, st.sampled_from([8, 16]))
@settings(deadline=None, max_examples=60)
def test_parts_sum_to_the_step_and_none_is_negative(recipe, gpus):
    step = seconds(recipe, gpus=gpus, architecture=SMALL)
    assert sum(step.parts.values()) == pytest.approx(float(step.step_seconds))
    assert min(step.parts.values()) >= 0
    assert 0 < step.mfu <= step.hfu < 1


@given(recipes)
@settings(deadline=None, max_examples=40)
def test_more_tokens_never_make_a_step_shorter(recipe):
    one = seconds(recipe, gpus=8, architecture=SMALL)
    for change in ({"micro_batch": 2 * recipe.micro_batch}, {"sequence_length": 32768}):
        bigger = seconds(recipe.model_copy(update=change), gpus=8, architecture=SMALL)
        assert bigger.step_seconds > one.step_seconds


@given(recipes)
@settings(deadline=None, max_examples=40)
def test_a_larger_micro_batch_is_never_slower_per_token(recipe):
    one = seconds(recipe, gpus=8, architecture=SMALL)
    doubled = recipe.model_copy(update={"micro_batch": 2 * recipe.micro_batch})
    two = seconds(doubled, gpus=8, architecture=SMALL)
    assert two.tokens_per_second_per_gpu >= one.tokens_per_second_per_gpu * (1 - 1e-9)


@given(recipes, st.floats(1.0, 4.0), st.floats(1.0, 4.0))
@settings(deadline=None, max_examples=40)
def test_a_faster_gpu_is_never_slower(recipe, compute, memory):
    faster = replace(
        H100,
        dense_tflops={name: x * compute for name, x in H100.dense_tflops.items()},
        mamf_bf16_tflops=H100.mamf_bf16_tflops * compute,
        memory_bandwidth_gb_per_second=H100.memory_bandwidth_gb_per_second * memory,
    )
    slow = seconds(recipe, gpus=8, architecture=SMALL)
    fast = seconds(recipe, gpus=8, architecture=SMALL, gpu=faster)
    assert fast.step_seconds <= slow.step_seconds * (1 + 1e-9)


@given(recipes)
@settings(deadline=None, max_examples=30)
def test_an_array_of_micro_batches_equals_one_by_one(recipe):
    batches = np.array([1, 3, 16])
    cluster = Cluster.of(H100, 8)
    together = step_time(SMALL, recipe, cluster, micro_batch=batches)
    alone = [
        step_time(SMALL, recipe.model_copy(update={"micro_batch": int(b)}), cluster)
        for b in batches
    ]
    assert together.step_seconds == pytest.approx([float(x.step_seconds) for x in alone])


def test_what_costs_time_does():
    base = {"micro_batch": 4, "checkpointing": "none"}
    lora = seconds(method="lora", **base).step_seconds
    assert seconds(method="full", **base).step_seconds > lora
    assert seconds(method="qlora", **base).step_seconds > lora
    assert seconds(method="lora", **base | {"checkpointing": "full"}).step_seconds > lora
    assert seconds(method="lora", attention="eager", **base).step_seconds > lora
    assert seconds(method="lora", stack="huggingface_fused", **base).step_seconds < lora
    assert seconds(method="lora", loss="fused", **base).step_seconds < lora
    assert seconds(method="lora", offload="optimizer", **base).step_seconds > lora


def test_sharded_weights_cost_communication_over_slow_links():
    base = {"method": "full", "micro_batch": 1, "sharding": "zero3", "stack": "torchtune"}
    nvlink = seconds(gpus=4, **base)
    pcie = seconds(gpus=4, gpu=replace(H100, interconnect_gb_per_second=31.0), **base)
    assert nvlink.communication_seconds < 0.2 * nvlink.step_seconds
    assert pcie.communication_seconds > 3 * nvlink.communication_seconds


def test_expert_parallelism_pays_for_its_all_to_all():
    config = {
        "model_type": "mixtral",
        "hidden_size": 1024,
        "intermediate_size": 2048,
        "num_hidden_layers": 4,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
        "vocab_size": 32000,
    }
    model = Architecture.from_hf_config(config, "mixtral-like")
    whole = seconds(method="full", architecture=model, gpus=8)
    split = seconds(method="full", architecture=model, gpus=8, expert_parallel=8)
    assert whole.communication_seconds == 0
    assert split.communication_seconds > 0


def test_fp8_products_are_faster_but_not_twice():
    recipe = TrainingRecipe(method="full", stack="megatron", micro_batch=2, sequence_length=4096)
    cluster = Cluster.of(H100, 1)
    wide = step_time(LLAMA_8B, recipe, cluster)
    narrow = step_time(LLAMA_8B, recipe.model_copy(update={"matmul_format": "fp8"}), cluster)
    assert 1.2 < wide.step_seconds / narrow.step_seconds < 2.0
    assert narrow.attention_seconds == wide.attention_seconds


def test_layouts_that_do_not_divide_the_gpus_are_refused():
    with pytest.raises(InputError, match="6 GPUs cannot be divided into groups of 4"):
        seconds(tensor_parallel=4, gpus=6)
    with pytest.raises(InputError, match="expert_parallel = 3 does not divide the 8 GPUs"):
        seconds(expert_parallel=3, gpus=8)


def test_a_card_without_bf16_says_so():
    with pytest.raises(InputError, match="t4-16gb has no bf16 matrix units"):
        seconds(gpu=gpu_spec("t4-16gb"))
    assert seconds(gpu=gpu_spec("t4-16gb"), precision="fp16").step_seconds > 0


# --- published measurements


@pytest.fixture(scope="module")
def rows():
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def published(rows):
    return [measurement(row) for row in rows]


def test_published_rows_name_their_source(rows):
    assert len({row["source_key"] for row in rows}) >= 10
    assert all("@" in row["source"] or "via" in row["source"] for row in rows)


def test_published_rows_chosen_at_random_are_met(published):
    """30 rows, drawn at random from the ones behind the fit: an in-sample check of the code."""
    measured = batch(published, CALIBRATION.values)
    step = predict(measured, CALIBRATION.values)
    ratio = step.tokens_per_second_per_gpu / measured.measured
    error = np.abs(ratio - 1)
    assert np.median(error) < 0.12
    assert np.quantile(error, 0.9) < 0.40
    factors = [
        CALIBRATION.efficiency_factor(m.cluster.gpu.generation, m.recipe.stack) for m in published
    ]
    inside = [f.p10 <= 1 / r <= f.p90 for f, r in zip(factors, ratio, strict=True)]
    assert np.mean(inside) > 0.75


def test_mfu_is_that_of_the_published_rows(rows, published):
    """`mfu_computed` was worked out from the sources apart from this code."""
    checked = 0
    for row, m in zip(rows, published, strict=True):
        if not row["mfu_computed"] or row["n_experts"]:
            continue
        step = step_time(m.architecture, m.recipe, m.cluster)
        at_measured = step.mfu * m.tokens_per_second_per_gpu / step.tokens_per_second_per_gpu
        assert at_measured == pytest.approx(float(row["mfu_computed"]), rel=0.02), row["row_id"]
        at_measured = step.hfu * m.tokens_per_second_per_gpu / step.tokens_per_second_per_gpu
        assert at_measured == pytest.approx(float(row["hfu_computed"]), rel=0.02), row["row_id"]
        checked += 1
    assert checked >= 20


def test_arrays_of_rows_equal_single_estimates(published):
    together = predict(batch(published, CALIBRATION.values), CALIBRATION.values)
    for m, expected in zip(published, together.step_seconds, strict=True):
        if m.kernel == m.recipe.attention:
            alone = step_time(
                m.architecture,
                m.recipe,
                m.cluster,
                virtual_stages=m.virtual_stages,
            )
            assert alone.step_seconds == pytest.approx(expected)


def row_like(rows, **changes):
    """A row of the sample with other cells."""
    return {**rows[0], **changes}


@pytest.mark.parametrize(
    ("notes", "stages"), [("VP=5; x", 5), ("VPP 4", 4), ("pp8, vpp3", 3), ("interleaving 3", 3)]
)
def test_interleaved_stages_are_read_from_notes(rows, notes, stages):
    assert measurement(row_like(rows, notes=notes)).virtual_stages == stages


def test_weights_that_no_card_holds_were_sharded(rows):
    silent = {"sharding": "", "activation_checkpointing": "", "framework": "DeepSpeed"}
    large = {"layers": "80", "hidden": "8192", "ffn": "28672", "heads": "64", "head_dim": "128"}
    whole = {"kv_heads": "8", "tp": "", "pp": "", "cp": "", "ep": "", "n_gpus": "8"}
    batch_size = {"micro_batch": "1", "grad_accum": "1", "global_batch": "8", "n_experts": ""}
    row = row_like(rows, **silent, **large, **whole, **batch_size, method="lora")
    recipe = measurement(row).recipe
    assert (recipe.sharding, recipe.checkpointing) == ("zero3", "full")
    small = measurement({**row, "layers": "8"}).recipe
    assert (small.sharding, small.checkpointing) == ("zero1", "none")


def test_accumulation_alone_does_not_split_a_model(rows):
    cells = {"tp": "", "pp": "", "global_batch": "", "grad_accum": "4", "n_gpus": "8"}
    recipe = measurement(row_like(rows, **cells, n_experts="", ep="", cp="")).recipe
    assert (recipe.tensor_parallel, recipe.pipeline_parallel) == (1, 1)
    assert recipe.gradient_accumulation == 4


def test_a_row_that_does_not_say_enough_is_refused(rows):
    with pytest.raises(InputError, match="layers is not stated"):
        measurement({**rows[0], "layers": ""})


# --- the fit


def test_a_fit_finds_the_parameters_that_made_the_data(published):
    """Data from a machine that reaches 80 % of the shipped matmul rate and 1.5 x the traffic."""
    truth = {name: dict(held) for name, held in CALIBRATION.values.items()}
    for key in truth["matmul_efficiency"]:
        truth["matmul_efficiency"][key] *= 0.8
    measured = batch(published, CALIBRATION.values)
    made = replace(measured, measured=predict(measured, truth).tokens_per_second_per_gpu)
    found = fit(made, CALIBRATION)
    before = np.abs(
        np.log(predict(made, CALIBRATION.values).tokens_per_second_per_gpu / made.measured)
    )
    after = np.abs(np.log(predict(made, found.values).tokens_per_second_per_gpu / made.measured))
    assert np.median(after) < 0.35 * np.median(before)
    assert found.rows == len(published)


def test_spread_factor_covers_the_share_asked_for():
    residuals = np.random.default_rng(0).normal(0, 0.2, 20_000)
    factor = spread_factor(residuals, np.ones_like(residuals))
    assert np.log(factor) == pytest.approx(0.2 * 1.2816, rel=0.03)
    assert np.mean(np.abs(residuals) <= np.log(factor)) == pytest.approx(0.8, abs=0.001)
