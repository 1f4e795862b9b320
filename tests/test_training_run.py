"""Time and cost of whole runs: by hand, by their properties, against published totals."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.llm.resolve import resolve_model
from estimator.quantity import Quantity
from estimator.training.recipe import TrainingRecipe
from estimator.training.run import (
    Range,
    RunAssumptions,
    estimate_run,
    gpu_hours,
    processed_tokens,
    run_assumptions,
)
from pricing import gpu_spec

H100 = gpu_spec("h100-sxm5-80gb")
CERTAIN = shipped_calibration().model_copy(
    update={
        "spread": {
            level: spread.model_copy(update={"factor": 1.0})
            for level, spread in shipped_calibration().spread.items()
        }
    }
)
NOTHING_ELSE = RunAssumptions.model_validate(
    {
        "start_up_hours": 0.0,
        "download_gb_per_second": 1e12,
        "storage_usd_per_gb_month": 0.0,
        "storage_months": 0.0,
        "checkpoints_kept": 0.0,
        "bare_size_factor": 1.0,
    }
)


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
RECIPE = TrainingRecipe(micro_batch=4, gradient_accumulation=4)
TOKENS = Quantity(p10=1e6, p90=2e6, unit="tokens")
PRICE = Quantity.of({"min": 1.5, "mode": 2.5, "max": 5.0})


def run(gpus=1, gpu=H100, architecture=LLAMA_8B, recipe=RECIPE, **changes):
    given = {"tokens": TOKENS, "epochs": 3, "price_usd_per_gpu_hour": PRICE} | changes
    return estimate_run(architecture, recipe, Cluster.of(gpu, gpus), **given)


# --- by hand


def test_gpu_hours_of_a_thousand_tokens_a_second():
    assert gpu_hours(3.6e6, 1000.0) == pytest.approx(1.0)
    assert gpu_hours(3.6e6, 1000.0, 0.5) == pytest.approx(2.0)


def test_gpu_hours_takes_arrays_of_draws():
    hours = gpu_hours(np.array([3.6e6, 7.2e6]), 1000.0, np.array([[1.0], [2.0]]))
    assert hours == pytest.approx(np.array([[1.0, 2.0], [0.5, 1.0]]))


def test_padding_makes_processed_tokens_of_useful_ones():
    assert processed_tokens(1000, 3, 0.75) == pytest.approx(4000)


def test_a_certain_run_by_hand():
    plan = run(
        gpus=2,
        tokens=1e6,
        epochs=2,
        price_usd_per_gpu_hour=2.0,
        useful_token_share=0.8,
        search_runs=3,
        failed_run_factor=1.5,
        calibration=CERTAIN,
        assumptions=NOTHING_ELSE,
    )
    hours = 2.5e6 / float(plan.step.tokens_per_second_per_gpu) / 3600
    assert plan.tokens.p50 == pytest.approx(2.5e6)
    assert plan.steps == math.ceil(2.5e6 / (4 * 4 * 2048 * 2))
    assert plan.gpu_hours.p50 == pytest.approx(hours)
    assert plan.wall_clock_hours.p50 == pytest.approx(hours / 2)
    assert plan.billed_gpu_hours.p50 == pytest.approx(hours * 4 * 1.5)
    assert plan.cost_usd.p50 == pytest.approx(hours * 4 * 1.5 * 2.0)
    parts = {name: part.mean / (hours * 2.0) for name, part in plan.cost_parts_usd.items()}
    expected = {"final_run": 1, "search_runs": 3, "failed_runs": 2}
    assert {name: x for name, x in parts.items() if x > 1e-9} == pytest.approx(expected)


def test_start_up_evaluation_and_storage_by_hand():
    assumed = RunAssumptions.model_validate(
        {
            "start_up_hours": 0.1,
            "download_gb_per_second": 0.5,
            "storage_usd_per_gb_month": 0.02,
            "storage_months": 3,
            "checkpoints_kept": 2,
            "bare_size_factor": 1.0,
        }
    )
    plan = run(
        gpus=4,
        price_usd_per_gpu_hour=2.0,
        evaluation_tokens=1e6,
        calibration=CERTAIN,
        assumptions=assumed,
    )
    parts = {name: part.mean for name, part in plan.cost_parts_usd.items()}
    weights_gb = 8_030_261_248 * 2 / 1e9  # Llama-3.1-8B, its published parameter count
    start_up_hours = 0.1 + weights_gb / 0.5 / 3600
    assert parts["start_up"] == pytest.approx(4 * 2.0 * start_up_hours)
    adapters_gb = 41_943_040 * 2 / 1e9  # peft's count for rank 16 on every linear layer
    assert parts["checkpoint_storage"] == pytest.approx(adapters_gb * 2 * 3 * 0.02)
    forward = float(plan.step.forward_share) / float(plan.step.tokens_per_second_per_gpu)
    assert parts["evaluation"] == pytest.approx(1e6 * forward / 3600 * 2.0)
    assert 0.2 < plan.step.forward_share < 0.5


def test_a_range_orders_its_percentiles():
    assert Range.of(np.arange(101)) == Range(p10=10.0, p50=50.0, p90=90.0, mean=50.0)


# --- properties


@given(st.floats(1e4, 1e9), st.floats(1.0, 10.0))
@settings(deadline=None, max_examples=25)
def test_more_tokens_never_cost_less(tokens, more):
    less, more_tokens = run(tokens=tokens), run(tokens=tokens * more)
    for name in ("cost_usd", "gpu_hours", "wall_clock_hours", "tokens"):
        small, large = getattr(less, name), getattr(more_tokens, name)
        for percentile in ("p10", "p50", "p90", "mean"):
            assert getattr(large, percentile) >= getattr(small, percentile) * (1 - 1e-12)


@given(st.floats(0.1, 20.0))
@settings(deadline=None, max_examples=20)
def test_doubling_every_price_doubles_every_cost(price):
    assumed = run_assumptions()
    doubled = assumed.model_copy(
        update={"storage_usd_per_gb_month": assumed.storage_usd_per_gb_month.scaled(2.0)}
    )
    once = run(price_usd_per_gpu_hour=price, search_runs=2)
    twice = run(price_usd_per_gpu_hour=2 * price, search_runs=2, assumptions=doubled)
    assert twice.cost_usd.p50 == pytest.approx(2 * once.cost_usd.p50)
    for name, part in once.cost_parts_usd.items():
        assert twice.cost_parts_usd[name].mean == pytest.approx(2 * part.mean)
    assert twice.gpu_hours == once.gpu_hours


@given(st.integers(0, 5), st.floats(1.0, 4.0), st.floats(0.0, 1e7))
@settings(deadline=None, max_examples=25)
def test_parts_sum_to_the_cost(search_runs, failed, evaluation_tokens):
    plan = run(
        search_runs=search_runs, failed_run_factor=failed, evaluation_tokens=evaluation_tokens
    )
    total = sum(part.mean for part in plan.cost_parts_usd.values())
    assert total == pytest.approx(plan.cost_usd.mean)
    assert all(part.p10 >= 0 for part in plan.cost_parts_usd.values())


def test_equal_inputs_give_equal_ranges():
    assert run().cost_usd == run().cost_usd


def test_ranges_widen_with_doubt():
    certain = run(tokens=1e6, price_usd_per_gpu_hour=2.0, calibration=CERTAIN)
    doubtful = run(tokens=1e6, price_usd_per_gpu_hour=2.0)
    assert certain.gpu_hours.p10 == certain.gpu_hours.p90
    width = shipped_calibration().spread["seen"].factor
    assert doubtful.gpu_hours.p90 / doubtful.gpu_hours.p50 == pytest.approx(width, rel=0.01)
    assert doubtful.gpu_hours.p50 == pytest.approx(certain.gpu_hours.p50, rel=0.01)


def test_an_unseen_generation_is_less_certain_or_as_certain():
    turing = gpu_spec("t4-16gb")
    half = TrainingRecipe(method="qlora", precision="fp16")
    plan = run(gpu=turing, recipe=half)
    assert plan.knowledge == "one_unseen"
    assert run().knowledge == "seen"


def test_more_gpus_shorten_the_wait_but_not_the_bill():
    fixed = {"price_usd_per_gpu_hour": 2.0, "assumptions": NOTHING_ELSE}
    one, eight = run(gpus=1, **fixed), run(gpus=8, **fixed)
    assert eight.wall_clock_hours.p50 < one.wall_clock_hours.p50 / 4
    assert eight.cost_usd.p50 >= one.cost_usd.p50


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5])
def test_an_impossible_useful_share_is_refused(share):
    with pytest.raises(InputError, match="useful_token_share"):
        run(useful_token_share=share)


def test_assumptions_name_their_sources():
    for name in RunAssumptions.model_fields:
        quantity = getattr(run_assumptions(), name)
        assert quantity.source
        assert quantity.unit
        assert quantity.as_of
        assert quantity.evidence


# --- published totals


def test_gsm8k_on_an_h100_takes_minutes():
    """1.2 M tokens an epoch, 3 epochs, LoRA: 3.6 M tokens at some 10,000 a second."""
    plan = run(tokens=1.2e6)
    assert 4_000 < plan.tokens_per_second_per_gpu.p50 < 20_000
    assert plan.gpu_hours.p90 < 1.0


def test_qlora_on_a_desktop_card_is_several_times_slower():
    recipe = TrainingRecipe(method="qlora", micro_batch=1)
    desktop = run(gpu=gpu_spec("rtx-4090-24gb"), recipe=recipe)
    assert 3 < desktop.gpu_hours.p50 / run().gpu_hours.p50 < 12


PUBLISHED_RUNS = [
    # MLPerf Training v4.0, ASUSTeK ESC_N8A-E12: mean of 10 runs to the target, tokens by samples
    # (mlcommons/training_results_v4.0@6fe954378efe)
    (
        "Llama-2-70B LoRA, 8 x H100",
        llama(80, 8192, 28672, 64, 8, 32000),
        {
            "sequence_length": 8192,
            "gradient_accumulation": 4,
            "tensor_parallel": 4,
            "checkpointing": "none",
            "lora_targets": ("q_proj", "k_proj", "v_proj", "o_proj"),
            "stack": "vendor_tuned",
        },
        ("h100-sxm5-80gb", 8, "fp8"),
        25.48e6,
        3.9729,
    ),
    # Touvron et al., arXiv 2307.09288, table 2: 184,320 GPU hours for 2 trillion tokens
    (
        "Llama-2-7B from scratch, A100",
        llama(32, 4096, 11008, 32, 32, 32000),
        {
            "method": "full",
            "sequence_length": 4096,
            "micro_batch": 4,
            "gradient_accumulation": 1,
            "checkpointing": "none",
            "sharding": "zero3",
            "stack": "torchtune",
        },
        ("a100-sxm4-80gb", 256, None),
        2e12,
        184_320,
    ),
    # Zhang et al., TinyLlama, arXiv 2401.02385: 3,456 GPU hours for 300 billion tokens
    (
        "TinyLlama-1.1B from scratch, A100-40GB",
        llama(22, 2048, 5632, 32, 4, 32000),
        {
            "method": "full",
            "sequence_length": 2048,
            "micro_batch": 8,
            "gradient_accumulation": 8,
            "checkpointing": "none",
            "sharding": "zero3",
            "stack": "torchtune",
        },
        ("a100-sxm4-40gb", 16, None),
        300e9,
        3_456,
    ),
]


@pytest.mark.parametrize(("name", "model", "recipe", "machine", "tokens", "hours"), PUBLISHED_RUNS)
def test_published_totals_lie_near(name, model, recipe, machine, tokens, hours):
    gpu, gpus, matmul_format = machine
    plan = estimate_run(
        model,
        TrainingRecipe.model_validate({**recipe, "matmul_format": matmul_format}),
        Cluster.of(gpu_spec(gpu), gpus),
        tokens=tokens,
        epochs=1,
        price_usd_per_gpu_hour=1.0,
    )
    assert 0.6 < plan.gpu_hours.p50 / hours < 1.6


def test_a_gpu_twice_as_fast_halves_the_hours():
    faster = replace(
        H100,
        dense_tflops={name: 2 * x for name, x in H100.dense_tflops.items()},
        mamf_bf16_tflops=2 * H100.mamf_bf16_tflops,
        memory_bandwidth_gb_per_second=2 * H100.memory_bandwidth_gb_per_second,
    )
    ratio = run(gpu=faster).gpu_hours.p50 / run().gpu_hours.p50
    assert 0.49 < ratio < 0.7


def test_a_bare_size_is_known_less_well_than_a_model() -> None:
    cluster = Cluster.of(gpu_spec("h100-sxm5-80gb"))
    widths = []
    for name in ("meta-llama/Llama-3.1-8B", "8B"):
        architecture = resolve_model(name).architecture
        run = estimate_run(
            architecture,
            TrainingRecipe(),
            cluster,
            tokens=1e6,
            epochs=1,
            price_usd_per_gpu_hour=2.0,
        )
        memory = run.memory.peak_bytes
        widths.append((run.gpu_hours.p90 / run.gpu_hours.p10, float(memory[2] / memory[0])))
    known, bare = widths
    assert bare[0] > 1.02 * known[0] and bare[1] > 1.1 * known[1]
