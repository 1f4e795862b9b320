"""FLOPs against recorded totals of PyTorch's counter, and what a counter does not see by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import DENSE, MIXED, MIXTURE

from estimator.llm.architecture import Architecture, Layer
from estimator.llm.flops import FlopCount, count_flops
from estimator.llm.parameters import count_parameters
from estimator.llm.products import Span
from estimator.llm.scan import Scan

DATA = Path(__file__).parent / "data"
CONFIGS = json.loads((DATA / "traced_configs.json").read_text("utf-8"))
RECORDED = json.loads((DATA / "traced_flops.json").read_text("utf-8"))


def small(name: str) -> dict[str, Any]:
    """Few layers and no dropout, as recorded."""
    config = CONFIGS[name]
    changes = {key: value for key, value in RECORDED["changes"].items() if key in config}
    dropouts = ("attn_pdrop", "resid_pdrop", "embd_pdrop", "dropout", "hidden_dropout",
                "attention_dropout")  # fmt: skip
    return {**config, **changes, **dict.fromkeys(dropouts, 0.0)}


@pytest.mark.parametrize("name", list(RECORDED["flops"]))
def test_the_count_equals_the_recorded_one(name: str) -> None:
    model = Architecture.from_hf_config(small(name), name)
    shape = {key: RECORDED[key] for key in ("micro_batch", "sequence_length")}
    for way, counted in RECORDED["flops"][name].items():
        method, _, again = way.partition(" ")
        found = count_flops(
            model,
            **shape,
            method=method,
            checkpointing="full" if again else "none",
            attention="eager",
        )
        assert float(found.total) == pytest.approx(counted, rel=1e-4), way
        assert float(found.hardware_total) == float(found.total)


def test_pairs_under_a_mask_by_counting() -> None:
    length = 7
    for causal in (False, True):
        for window in (None, 1, 3, 7, 9):
            near = length if window is None else window
            seen = [
                (q, k)
                for q in range(length)
                for k in range(length)
                if abs(q - k) < near and (k <= q or not causal)
            ]
            found = Span(causal, window).pairs(np.asarray(float(length)))
            assert float(found) == len(seen), (causal, window)


# --- the mixture: 12 tokens of two sequences


def counted(model: Architecture = MIXTURE, **changes: Any) -> FlopCount:
    return count_flops(model, sequence_length=6, micro_batch=2, **changes)


SCORES, VALUES = 3 * 2 * 6 * 16 + 2 * 2 * 3 * 16, 3 * 2 * 6 * 8 + 2 * 2 * 3 * 8  # per pair
MATRICES = 82432 + 3 * 2 * (5120 + 2560)


def test_parts_of_full_tuning() -> None:
    found = counted(attention="flash")
    assert sum(found.forward_matmul.values()) == 2 * 12 * (MATRICES + 640)
    assert found.forward_matmul["expert"] == 2 * 12 * 3 * 2 * (5120 + 2560)
    assert found.forward_matmul["projection"] == 2 * 12 * 640
    assert found.forward_head == 2 * 12 * 32000
    assert found.backward_weight_gradient == 2 * 12 * (MATRICES + 640 + 32000)
    assert found.backward_input_gradient == 2 * 12 * (MATRICES + 640 + 32000)
    square, seen = 2 * 36, 2 * 21
    assert found.forward_attention == square * (SCORES + VALUES)
    assert found.backward_attention == square * (3 * SCORES + 2 * VALUES)
    assert found.hardware_forward_attention == seen * (SCORES + VALUES)
    assert found.hardware_backward_attention == seen * (3 * SCORES + 2 * VALUES)
    again = counted(attention="flash", checkpointing="selective")
    assert again.recompute_attention == square * (SCORES + VALUES)
    assert again.hardware_recompute_attention == seen * (SCORES + VALUES)
    assert again.recompute == again.recompute_attention
    for part in (found, again):
        attention = part.forward_attention + part.backward_attention + part.recompute_attention
        executed = seen * (4 * SCORES + 3 * VALUES + (SCORES + VALUES) * (part is again))
        assert part.attention == attention
        assert part.hardware_attention == executed
        assert part.hardware_total == part.total - attention + executed


def test_a_decomposed_kernel_is_counted_without_its_recomputation() -> None:
    """A counter sees four products backward; the fused kernel runs five."""
    found = counted(attention="sdpa")
    assert found.backward_attention == 2 * 36 * 2 * (SCORES + VALUES)
    assert found.hardware_backward_attention == 2 * 21 * (3 * SCORES + 2 * VALUES)


def test_six_nd_of_the_mixture() -> None:
    found = counted()
    assert found.parameters == count_parameters(MIXTURE).total == 333552
    assert found.six_nd == 6 * 333552 * 12
    assert found.six_nd_error == pytest.approx(float(found.six_nd / found.total) - 1)
    count = count_parameters(MIXTURE)
    assert count.active == 333552 - 3 * 6 * (5120 + 2560)
    assert (count.embedding, count.by_kind["position"]) == (32000, 1280)
    assert count.by_kind["norm"] == 64 + 3 * 144 + 2 * 128
    assert count.by_kind["other"] == 7 + 3 * 5
    assert count.by_kind["head"] == 32000
    assert count.by_kind["projection"] == 650
    assert sum(count.by_kind.values()) == count.total


def test_a_pooler_reads_one_token_of_each_sequence() -> None:
    pooled = replace(MIXTURE.projections[0], name="pooler", reads="final")
    found = counted(replace(MIXTURE, projections=(pooled,)))
    assert found.forward_matmul["projection"] == 2 * 2 * 640


# --- adapters: where the backward pass stops


def lora(*targets: str, model: Architecture = MIXTURE, **changes: Any) -> FlopCount:
    return counted(
        model, method="lora", lora_rank=4, lora_targets=targets, attention="eager", **changes
    )


def deep(*layers: Layer) -> Architecture:
    """Dense layers alone, each at the places it names."""
    return replace(MIXTURE, layers=layers, projections=())


def test_the_backward_pass_goes_no_further_than_the_first_adapter() -> None:
    """Two dense layers; beside an MLP's first matrix nothing of attention needs a gradient."""
    model = deep(replace(DENSE, indices=(0, 1)))
    whole, mlp = 9216 + 12800, 6400
    found = lora("fc1", model=model)
    # the upper layer whole; below it fc2 alone, whose input an adapter made; the head
    assert found.backward_input_gradient == 2 * 12 * (whole + mlp + 32000)
    assert found.backward_weight_gradient == 0
    upper = 2 * 36 * 2 * (2 * 3 * 16 + 2 * 3 * 8)
    assert found.backward_attention == upper
    down, up = 2 * 12 * 4 * 64, 2 * 12 * 4 * 100
    assert found.forward_adapters == 2 * (down + up)
    assert found.backward_adapters == 2 * (down + 2 * up) + down


def test_an_adapter_on_values_leaves_queries_and_keys_alone() -> None:
    """Below: the mix of weights and values, the output matrix and the MLP need gradients."""
    model = deep(replace(DENSE, indices=(0,)))
    mix, score = 2 * 3 * 8, 2 * 3 * 16
    cases = {
        ("v_proj",): mix,  # of the values alone
        ("k_proj",): score + mix,  # of keys, and of the weights
        ("q_proj",): score + mix,
        ("q_proj", "k_proj"): 2 * score + mix,
        ("q_proj", "v_proj"): score + 2 * mix,
    }
    for targets, each in cases.items():
        found = lora(*targets, model=model)
        assert found.backward_attention == 2 * 36 * each, targets
        assert found.backward_input_gradient == 2 * 12 * (1536 + 12800 + 32000), targets
    out = lora("o_proj", model=model)
    assert out.backward_attention == 0
    assert out.backward_input_gradient == 2 * 12 * (12800 + 32000)
    last = lora("fc2", model=model)
    assert last.backward_input_gradient == 2 * 12 * 32000
    assert last.backward_adapters == 2 * 12 * 4 * (100 + 2 * 64)


def test_checkpointing_lets_the_gradient_through() -> None:
    model = deep(replace(DENSE, indices=(0, 1)))
    found = lora("fc1", model=model, checkpointing="full")
    assert found.backward_input_gradient == 2 * 12 * (2 * (9216 + 12800) + 32000)
    down, up = 2 * 12 * 4 * 64, 2 * 12 * 4 * 100
    assert found.backward_adapters == 2 * (2 * down + 2 * up)
    assert found.recompute_adapters == 2 * (down + up)
    assert found.recompute_matmul == 2 * 12 * 2 * (9216 + 6400)
    last = lora("fc2", model=model, checkpointing="full")
    assert last.recompute_adapters == 2 * 2 * 12 * 4 * 100  # up to the adapter's own last product
    assert last.recompute_matmul == 2 * 12 * 2 * (9216 + 12800)


def test_what_follows_the_last_matrix_keeps_it_in_the_recomputation() -> None:
    alone = replace(DENSE, indices=(0,))
    norm = replace(DENSE.norms[0], name="post_feedforward_layernorm")
    stops = 2 * 12 * (9216 + 6400)
    for layer, repeated in (
        (alone, stops),
        (replace(alone, dropout=0.1), stops + 2 * 12 * 6400),
        (replace(alone, stack="encoder"), stops + 2 * 12 * 6400),
        (replace(alone, norms=(*DENSE.norms, norm)), stops + 2 * 12 * 6400),
    ):
        found = counted(deep(layer), checkpointing="full", attention="eager")
        assert found.recompute_matmul == repeated


def test_layers_below_the_first_adapter_are_left_alone() -> None:
    model = deep(replace(MIXED, indices=(0, 1, 2)), replace(DENSE, indices=(3, 4)))
    found = lora("fc1", model=model)
    assert found.backward_input_gradient == 2 * 12 * (22016 + 6400 + 32000)
    swapped = deep(replace(MIXED, indices=(1, 2, 4)), replace(DENSE, indices=(0, 3)))
    found = lora("fc1", model=swapped)
    mixed = MATRICES - 2 * 22016
    assert found.backward_input_gradient == 2 * 12 * (mixed + 22016 + 6400 + 32000)


def test_adapters_of_fused_experts() -> None:
    """The product of the factors is added to all eight copies, twice forward and once per step."""
    found = lora("gate_proj", "up_proj", model=deep(replace(MIXED, indices=(0,))))
    weights = 8 * 5120
    factors = 2 * 4 * 2 * weights  # rank 4 for each of the two matrices
    assert found.forward_adapters == 2 * factors
    assert found.backward_adapters == 2 * factors + 2 * 12 * 2 * 5120
    again = lora(
        "gate_proj", "up_proj", model=deep(replace(MIXED, indices=(0,))), checkpointing="full"
    )
    assert again.recompute_adapters == 2 * factors


def test_a_scan_token_by_token_has_no_products() -> None:
    """Mamba 1: convolution of 40 values, 4 x 32 for scan and gate, no chunks."""
    scan = Scan(inner=32, state=16, shared=8, chunk=None)
    assert scan.flops_per_token == 0
    assert scan.values_per_token == 3 * 40 + 4 * 32
