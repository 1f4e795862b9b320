"""Capacity of a replica: published measurements, identities, and what must never happen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.llm.architecture import Architecture
from estimator.serving.capacity import (
    ReplicaCapacity,
    replica_capacity,
    serving_memory,
    steady_state,
)
from estimator.serving.constants import serving_stack, throughput_spread
from estimator.serving.hardware import (
    Machine,
    arithmetic_on,
    machine,
    reached,
    replica_hardware,
    together,
    vector_flops,
)
from estimator.serving.model import ServedModel, served_model
from estimator.serving.steps import (
    all_reduce_seconds,
    decode_step_seconds,
    prefill_seconds,
    static_batch_seconds,
)
from pricing.gpus import gpu_spec

LLAMA: dict[str, Any] = {"model_type": "llama", "num_key_value_heads": 8}
SIZES: dict[str, dict[str, Any]] = {
    "llama-3.1-8b": LLAMA
    | {
        "vocab_size": 128256,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
    },
    "llama-3.3-70b": LLAMA
    | {
        "vocab_size": 128256,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_hidden_layers": 80,
        "num_attention_heads": 64,
    },
    "llama-2-7b": LLAMA
    | {
        "vocab_size": 32000,
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
    },
    "qwen2.5-7b": {
        "model_type": "qwen2",
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
    },
}
VLLM = serving_stack("vllm")


def model_of(name: str, weights: str = "bf16") -> ServedModel:
    cache = 1.0 if weights in ("fp8", "fp4") else 2.0
    made = Architecture.from_hf_config(SIZES[name], name)
    return served_model(made, weights=weights, cache_bytes_per_value=cache)


EIGHT = model_of("llama-3.1-8b")
H100 = replica_hardware(gpu_spec("h100-sxm5-80gb"), VLLM)


def capacity(**changes: Any) -> ReplicaCapacity:
    given: dict[str, Any] = {"input_tokens": 800, "output_tokens": 200}
    model, hardware = changes.pop("model", EIGHT), changes.pop("hardware", H100)
    return replica_capacity(model, hardware, VLLM, **(given | changes))


# Published: NVIDIA/TensorRT-LLM docs/source/performance/perf-overview.md@00f37686aa85, output
# tokens per second at an unlimited request rate.
@pytest.mark.parametrize(
    ("name", "weights", "gpu", "gpus", "tokens_in", "tokens_out", "published"),
    [
        ("llama-3.1-8b", "fp8", "h100-sxm5-80gb", 1, 128, 2048, 22714),
        ("llama-3.1-8b", "fp8", "h100-sxm5-80gb", 1, 1000, 1000, 15220),
        ("llama-3.1-8b", "fp8", "h200-sxm-141gb", 1, 20000, 2000, 1804),
        ("llama-3.3-70b", "fp8", "h200-sxm-141gb", 1, 1000, 2000, 2994),
        ("llama-3.3-70b", "fp8", "h100-sxm5-80gb", 2, 500, 2000, 5222),
        ("llama-3.3-70b", "fp4", "b200-sxm-180gb", 1, 2048, 128, 1339),
    ],
)
def test_published_offline_throughput(
    name: str,
    weights: str,
    gpu: str,
    gpus: int,
    tokens_in: int,
    tokens_out: int,
    published: float,
) -> None:
    stack, model = serving_stack("tensorrt-llm"), model_of(name, weights)
    hardware = replica_hardware(gpu_spec(gpu), stack, gpus=gpus, arithmetic=model.arithmetic)
    found = replica_capacity(
        model, hardware, stack, input_tokens=tokens_in, output_tokens=tokens_out
    )
    assert float(found.output_tokens_per_second) == pytest.approx(published, rel=0.25)
    p10, _, p90 = throughput_spread("batched").p10_p50_p90()
    assert p10 < published / float(found.output_tokens_per_second) < p90


# Published: pytorch-labs/gpt-fast README.md@32971d312954 and the Qwen2.5 speed benchmark,
# QwenLM/Qwen3 docs/source/benchmark/speed_benchmark.rst@a912d239c2d0: one sequence, A100 80 GB.
@pytest.mark.parametrize(
    ("name", "program", "weights", "gpus", "tokens_in", "published"),
    [
        ("llama-2-7b", "gpt-fast", "bf16", 1, 5, 104.9),
        ("llama-2-7b", "gpt-fast", "int8", 1, 5, 155.58),
        ("llama-3.1-8b", "gpt-fast", "bf16", 4, 5, 217.21),
        ("qwen2.5-7b", "vllm", "bf16", 1, 1, 84.28),
        ("qwen2.5-7b", "vllm", "int4", 1, 14336, 129.35),
        ("qwen2.5-7b", "transformers", "bf16", 1, 6144, 38.76),
    ],
)
def test_published_single_sequence_speed(
    name: str, program: str, weights: str, gpus: int, tokens_in: int, published: float
) -> None:
    stack = serving_stack(program)
    hardware = replica_hardware(gpu_spec("a100-sxm4-80gb"), stack, gpus=gpus)
    seconds = static_batch_seconds(
        model_of(name, weights), hardware, stack, input_tokens=tokens_in, output_tokens=2048
    )
    assert 2048 / float(seconds) == pytest.approx(published, rel=0.25)


def test_memory_parts_fill_the_card() -> None:
    found = capacity()
    memory = found.memory
    parts = (
        memory.weights_bytes
        + memory.adapters_bytes
        + memory.workspace_bytes
        + memory.kv_cache_bytes
        + memory.reserve_bytes
        + memory.free_bytes
    )
    assert float(parts) == pytest.approx(gpu_spec("h100-sxm5-80gb").memory_gib * 2**30)
    assert float(memory.free_bytes) >= 0
    one_more = serving_memory(
        EIGHT, H100, VLLM, batch=found.batch + 1, context_tokens=900
    ).free_bytes
    assert float(one_more) < 0 or float(found.batch) == VLLM.max_batch


def test_little_s_law_and_latency_add_up() -> None:
    load = steady_state(EIGHT, H100, VLLM, batch=64, input_tokens=800, output_tokens=200)
    in_service = float(load.requests_per_second) * 200 * float(load.tpot_seconds)
    assert in_service == pytest.approx(64)
    step = decode_step_seconds(EIGHT, H100, VLLM, batch=64, context_tokens=900)
    prefill = prefill_seconds(EIGHT, H100, VLLM, 800)
    busy = float(load.requests_per_second) * (float(prefill) + 200 * float(step) / 64)
    assert busy == pytest.approx(1)  # the GPU is always busy, and never twice


@given(st.floats(1, 20_000), st.floats(1, 4_000), st.floats(0.02, 5.0), st.floats(0.01, 0.5))
def test_limits_hold_and_the_next_batch_breaks_one(
    tokens_in: float, tokens_out: float, ttft: float, tpot: float
) -> None:
    found = capacity(
        input_tokens=tokens_in, output_tokens=tokens_out, ttft_seconds=ttft, tpot_seconds=tpot
    )
    if str(found.refusal):
        assert float(found.requests_per_second) == 0
        return
    assert float(found.ttft_seconds) <= ttft
    assert float(found.tpot_seconds) <= tpot
    assert float(found.memory.free_bytes) >= 0
    if float(found.batch) < VLLM.max_batch:
        shape: dict[str, Any] = {"batch": found.batch + 1}
        load = steady_state(
            EIGHT, H100, VLLM, input_tokens=tokens_in, output_tokens=tokens_out, **shape
        )
        memory = serving_memory(
            EIGHT, H100, VLLM, context_tokens=tokens_in + tokens_out / 2, **shape
        )
        assert (
            float(load.tpot_seconds) > tpot
            or float(load.ttft_seconds) > ttft
            or float(memory.free_bytes) < 0
        )


@given(st.floats(1.1, 3.0))
def test_better_hardware_never_serves_less(factor: float) -> None:
    base = float(capacity().requests_per_second)
    for name in (
        "memory_bytes",
        "weights_bytes_per_second",
        "cache_bytes_per_second",
        "matmul_flops_per_second",
        "attention_flops_per_second",
    ):
        better = replace(H100, **{name: getattr(H100, name) * factor})
        assert float(capacity(hardware=better).requests_per_second) >= base * (1 - 1e-9)


def test_candidates_and_draws_at_once_equal_one_by_one() -> None:
    gpus = ["l4-24gb", "a100-sxm4-80gb", "h100-sxm5-80gb"]
    machines = [machine(gpu_spec(gpu)) for gpu in gpus]
    table = together(machines)
    columns = reached(
        Machine(**{name: getattr(table, name)[:, None] for name in Machine.__slots__}), VLLM
    )
    tokens = np.array([100.0, 400.0, 3000.0, 1e6])
    many = capacity(hardware=columns, input_tokens=tokens, tpot_seconds=0.08)
    assert many.requests_per_second.shape == (3, 4)
    for i, hardware in enumerate(reached(one, VLLM) for one in machines):
        for j, length in enumerate(tokens):
            one = capacity(hardware=hardware, input_tokens=length, tpot_seconds=0.08)
            assert many.requests_per_second[i, j] == pytest.approx(float(one.requests_per_second))
            assert many.refusal[i, j] == str(one.refusal)
    assert set(many.refusal[:, 3]) == {"memory"}


def test_refusals_name_the_limit() -> None:
    small = replica_hardware(gpu_spec("l4-24gb"), VLLM)
    assert str(capacity(model=model_of("llama-3.3-70b"), hardware=small).refusal) == "memory"
    assert str(capacity(tpot_seconds=1e-4).refusal) == "tpot"
    assert str(capacity(ttft_seconds=1e-4).refusal) == "ttft"
    assert str(capacity(adapters_bytes=1e12).refusal) == "memory"
    assert str(capacity().refusal) == ""


def test_more_gpus_split_the_weights_but_pay_for_talking() -> None:
    two = replica_hardware(gpu_spec("h100-sxm5-80gb"), VLLM, gpus=2)
    assert float(all_reduce_seconds(EIGHT, H100, VLLM, 64)) == 0
    assert float(all_reduce_seconds(EIGHT, two, VLLM, 64)) > 0
    one_step = float(decode_step_seconds(EIGHT, H100, VLLM, batch=64, context_tokens=900))
    two_step = float(decode_step_seconds(EIGHT, two, VLLM, batch=64, context_tokens=900))
    assert one_step / 2 < two_step < one_step


def test_cards_without_the_type_multiply_in_half_precision() -> None:
    assert arithmetic_on(gpu_spec("h100-sxm5-80gb"), "fp8") == "fp8"
    assert arithmetic_on(gpu_spec("a100-sxm4-80gb"), "fp8") == "bf16"
    assert arithmetic_on(gpu_spec("t4-16gb"), "fp4") == "fp16"
    slow = replica_hardware(gpu_spec("a100-sxm4-80gb"), VLLM, arithmetic="fp8")
    half = replica_hardware(gpu_spec("a100-sxm4-80gb"), VLLM, arithmetic="bf16")
    assert slow == replace(half, unpacks=np.asarray(1.0))
    model = model_of("llama-3.1-8b", "fp8")
    unpacked, native = (
        float(decode_step_seconds(model, hardware, VLLM, batch=1, context_tokens=100))
        for hardware in (slow, half)
    )
    assert unpacked > native


def test_experts_are_slower_to_multiply() -> None:
    moe = replica_hardware(gpu_spec("h100-sxm5-80gb"), VLLM, moe=True)
    ratio = float(moe.matmul_flops_per_second / H100.matmul_flops_per_second)
    assert ratio == pytest.approx(float(VLLM.expert_matmul_factor))


def test_cached_prompts_cost_no_products_but_are_attended_to() -> None:
    whole = float(prefill_seconds(EIGHT, H100, VLLM, 4000))
    half = float(prefill_seconds(EIGHT, H100, VLLM, 4000, cached_share=0.5))
    first = float(prefill_seconds(EIGHT, H100, VLLM, 2000))
    head = float(prefill_seconds(EIGHT, H100, VLLM, 0))
    assert half == pytest.approx(whole - first + head)
    assert half > first  # the second half sees all of the first
    busy = {"input_tokens": 4000, "output_tokens": 50}
    assert capacity(**busy, cached_share=0.9).requests_per_second > 2 * (
        capacity(**busy).requests_per_second
    )


def test_a_static_batch_shares_the_steps() -> None:
    def rate(batch: int) -> float:
        seconds = static_batch_seconds(
            EIGHT, H100, VLLM, batch=batch, input_tokens=512, output_tokens=512
        )
        return batch * 512 / float(seconds)

    assert rate(1) < rate(8) < 8 * rate(1)
    assert rate(64) < rate(128) < 2 * rate(64)


def test_unpacking_weights_takes_time_that_reading_saves() -> None:
    a100 = replica_hardware(gpu_spec("a100-sxm4-80gb"), VLLM)

    def step(weights: str) -> float:
        model = model_of("llama-3.1-8b", weights)
        return float(decode_step_seconds(model, a100, VLLM, batch=1, context_tokens=100))

    assert step("bf16") / 4 < step("int4") < step("int8") < step("bf16")
    free = replace(VLLM, unpack_flops_per_weight=np.asarray(0.0))
    model = model_of("llama-3.1-8b", "int4")
    saved = step("int4") - float(
        decode_step_seconds(model, a100, free, batch=1, context_tokens=100)
    )
    weights = 6_979_321_856  # 32 layers of q, k, v, o and the three matrices of the MLP
    assert model.quantised_shared_weights == weights
    wanted = (
        weights * float(VLLM.unpack_flops_per_weight) / vector_flops(gpu_spec("a100-sxm4-80gb"))
    )
    assert saved == pytest.approx(wanted)
