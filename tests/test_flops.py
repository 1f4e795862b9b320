"""FLOPs: by hand for a Llama layer, and equal to PyTorch's counter on the real model classes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.llm.architecture import Architecture
from estimator.llm.flops import count_flops, flops_per_token

CONFIGS = json.loads((Path(__file__).parent / "data" / "traced_configs.json").read_text("utf-8"))
COUNTED = (
    "llama-3.2-1b", "gemma-2-2b", "gpt2-xl", "pythia-410m", "falcon-40b", "olmo-2-7b",
    "mixtral-8x7b", "gpt-oss-20b",
)  # fmt: skip
WAYS = (("full", False), ("full", True), ("lora", False), ("lora", True))


def architecture(name: str, **changes: object) -> Architecture:
    return Architecture.from_hf_config({**CONFIGS[name], **changes}, name)


LLAMA = architecture("llama-3.1-8b")


def test_forward_by_hand() -> None:
    count = count_flops(LLAMA, sequence_length=1024, micro_batch=2)
    tokens, layers = 2 * 1024, 32
    attention_weights = 4096 * 4096 * 2 + 4096 * 1024 * 2
    mlp_weights = 3 * 4096 * 14336
    assert count.tokens == tokens
    assert count.forward_matmul["attention"] == 2 * tokens * layers * attention_weights
    assert count.forward_matmul["mlp"] == 2 * tokens * layers * mlp_weights
    assert count.forward_attention == 4 * tokens * 1024 * 4096 * layers
    assert count.forward_head == 2 * tokens * 4096 * 128256


def test_backward_is_twice_the_forward_pass_when_everything_is_trained() -> None:
    count = count_flops(LLAMA, sequence_length=512, attention="eager")
    assert count.backward == 2 * count.forward
    assert count.recompute == 0


def test_a_frozen_base_has_no_weight_gradients() -> None:
    full = count_flops(LLAMA, sequence_length=512)
    lora = count_flops(LLAMA, sequence_length=512, method="lora", lora_rank=16)
    assert lora.backward_weight_gradient == 0
    # r x (in + out), forward once and backward twice but for the first layer's inputs
    assert lora.forward_adapters == 2 * 512 * 41_943_040
    assert full.forward < lora.forward < 1.03 * full.forward


def test_checkpointing_repeats_all_but_the_last_product_of_a_layer() -> None:
    count = count_flops(LLAMA, sequence_length=512, checkpointing="full")
    down = 2 * 512 * 32 * 14336 * 4096
    assert count.recompute_matmul == sum(count.forward_matmul.values()) - down
    assert count.recompute_attention == count.forward_attention
    selective = count_flops(LLAMA, sequence_length=512, checkpointing="selective")
    assert selective.recompute == selective.forward_attention


def test_hardware_skips_what_the_mask_hides_and_recomputes_scores() -> None:
    count = count_flops(LLAMA, sequence_length=4096, attention="flash")
    seen = (4096 + 1) / 2 / 4096
    assert count.hardware_forward_attention == pytest.approx(seen * count.forward_attention)
    ratio = count.hardware_backward_attention / count.hardware_forward_attention
    assert ratio == pytest.approx(2.5)  # Dao, arXiv 2307.08691: five products against two
    eager = count_flops(LLAMA, sequence_length=4096, attention="eager")
    assert eager.hardware_total == eager.total


def test_a_window_bounds_the_pairs() -> None:
    model = architecture("mistral-7b-v0.1")
    one, two = (
        count_flops(model, sequence_length=n, attention="flash").hardware_forward_attention
        for n in (8192, 16384)
    )
    pairs = [sum(min(i + 1, 4096) for i in range(n)) for n in (8192, 16384)]
    assert two / one == pytest.approx(pairs[1] / pairs[0])


def test_six_nd_and_per_token() -> None:
    per_token = flops_per_token(LLAMA, sequence_length=2048)
    count = count_flops(LLAMA, sequence_length=2048)
    assert per_token.train == pytest.approx(float(count.total) / 2048)
    assert per_token.six_n == 6 * 8_030_261_248
    assert per_token.six_n_error == pytest.approx(per_token.six_n / per_token.train - 1)


def test_arrays_broadcast() -> None:
    lengths, batches = np.array([128, 4096]), np.array([[1], [2], [3]])
    grid = count_flops(LLAMA, sequence_length=lengths, micro_batch=batches, method="lora")
    assert grid.total.shape == (3, 2)
    one = count_flops(LLAMA, sequence_length=4096, micro_batch=3, method="lora")
    assert grid.total[2, 1] == one.total
    assert grid.hardware_total[2, 1] == one.hardware_total


@given(length=st.integers(1, 100_000), batch=st.integers(1, 512))
def test_more_tokens_never_cost_less(length: int, batch: int) -> None:
    count = count_flops(LLAMA, sequence_length=[length, length + 1], micro_batch=batch)
    assert count.total[1] > count.total[0]
    assert count.hardware_total[0] <= 1.2 * count.total[0]


def shrunk(name: str) -> dict[str, object]:
    """The family's code at a small size: three layers, 16 experts at most."""
    small = {
        "num_hidden_layers": 3, "n_layer": 3, "vocab_size": 500, "num_local_experts": 4,
        "attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "dropout": 0.0,
        "hidden_dropout": 0.0, "attention_dropout": 0.0,
    }  # fmt: skip
    config = CONFIGS[name]
    changed = {key: value for key, value in small.items() if key in config or "drop" in key}
    return {**config, **changed, "pad_token_id": 0}


@pytest.mark.parametrize("name", COUNTED)
def test_equal_to_the_counter_of_pytorch(name: str) -> None:
    for module in ("torch", "transformers", "peft"):
        pytest.importorskip(module)
    from estimator.training.trace import TraceCase, trace_flops

    config = shrunk(name)
    model = Architecture.from_hf_config(config, name)
    for method, checkpointing in WAYS:
        case = TraceCase(
            method=method,
            checkpointing=checkpointing,
            attention="eager",
            micro_batch=2,
            sequence_length=64,
        )
        counted = count_flops(
            model,
            sequence_length=64,
            micro_batch=2,
            method=method,
            checkpointing="full" if checkpointing else "none",
            attention="eager",
        )
        traced = trace_flops(config, case)
        assert float(counted.total) == pytest.approx(traced, rel=1e-4), (method, checkpointing)
