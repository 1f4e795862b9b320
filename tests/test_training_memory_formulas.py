"""What a breakdown adds to PyTorch's tensors, and which sequences take which form."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import DENSE, MIXTURE

import estimator.training.memory as memory_module
from estimator.errors import InputError
from estimator.llm.architecture import Architecture
from estimator.llm.resolve import resolve_model
from estimator.training.footprint import Stage
from estimator.training.memory import MemoryBreakdown, estimate_memory, form_error
from estimator.training.overheads import NAMES, Range, overheads
from estimator.training.recipe import TrainingRecipe

LLAMA = resolve_model("meta-llama/Llama-3.2-1B", offline=True).architecture
GEMMA = resolve_model("google/gemma-2-2b", offline=True).architecture  # windows of 4096
SHORT = {"sequence_length": 64, "gradient_accumulation": 1, "method": "full"}


def estimate(model: Architecture = MIXTURE, gpus: int = 1, **changes: Any) -> MemoryBreakdown:
    return estimate_memory(model, TrainingRecipe(**{**SHORT, **changes}), gpus=gpus)


def test_reserve_and_context_on_top_of_what_is_allocated() -> None:
    held = overheads()
    for gpus in (1, 2):
        found = estimate(gpus=gpus)
        library = held["communication_library"].p50 if gpus > 1 else 0.0
        assert found.cuda_context == held["cuda_context"].p50 + library
        allocated = float(found.allocated_bytes)
        assert found.allocator_reserve == pytest.approx(allocated * held["allocator_reserve"].p50)
        outside = float(found.allocator_reserve + found.cuda_context)
        tensors = float(sum(float(part) for part in found.parts().values())) - outside
        assert allocated == pytest.approx(tensors, abs=0.01)
        assert found.peak_bytes[1] == pytest.approx(allocated + outside)


def test_states_by_hand_in_an_optimizer_step() -> None:
    """Weights, gradients, two moments and the temporaries of a foreach step: 2 + 2 + 4 + 2."""
    found = estimate(optimizer_kernel="foreach", sequence_length=1)
    assert found.peak_at == "optimizer"
    assert found.allocated_bytes == pytest.approx(10 * 333552, abs=0.01)


def test_parts_that_only_some_moments_have() -> None:
    step = estimate(gpus=4, optimizer_kernel="foreach", sequence_length=1)
    assert step.peak_at == "optimizer" and step.optimizer_temporaries == 2 * 333552
    assert step.gathered_weights == step.gradient_buffers == 0
    busy = estimate(
        gpus=4, optimizer_kernel="foreach", sharding="zero3", sequence_length=4096,
        checkpointing="none",
    )  # fmt: skip
    assert busy.peak_at in ("forward", "backward") and busy.optimizer_temporaries == 0
    assert busy.gathered_weights > 0 and busy.gradient_buffers > 0


def test_what_the_form_is_measured_on() -> None:
    held = overheads()
    plain = TrainingRecipe()
    assert form_error(LLAMA, plain) is held["form_error_derived"]
    assert form_error(MIXTURE, plain) is held["form_error_assumed"]
    for changes in ({"stack": "torchtune"}, {"compiled": True}):
        recipe = plain.model_copy(update=changes)
        assert form_error(LLAMA, recipe) is held["form_error_stack"]
    liger = plain.model_copy(update={"stack": "huggingface_fused"})
    assert form_error(LLAMA, liger) is held["form_error_derived"]
    bare = replace(LLAMA, typical=True)
    assert form_error(bare, plain) is held["form_error_typical"]


def test_notes_say_what_is_less_certain() -> None:
    def notes(model: Architecture = LLAMA, **changes: Any) -> str:
        return " ".join(estimate(model, **changes).notes)

    assert notes() == notes(stack="huggingface_fused") == ""
    assert "were not checked against a trace" in notes(MIXTURE)
    assert "paged out to CPU memory" in notes(optimizer="paged_adamw_8bit")
    assert "of the torchtune stack are an approximation" in notes(stack="torchtune")
    assert "approximation" in notes(compiled=True)


def test_sequences_are_grouped_by_the_windows_that_reach_them() -> None:
    """A mask is made from the length on at which a window hides something: that of the window."""
    lengths = np.array([100.0, 4095.0, 4096.0, 8192.0])
    groups = memory_module._by_narrow_windows(GEMMA, TrainingRecipe(), lengths)
    assert [(sorted(narrow), chosen.tolist()) for narrow, chosen in groups] == [
        ([], [True, True, False, False]),
        ([4096], [False, False, True, True]),
    ]
    for model, recipe in (
        (GEMMA, TrainingRecipe(attention="flash")),
        (LLAMA, TrainingRecipe()),
    ):
        [(narrow, chosen)] = memory_module._by_narrow_windows(model, recipe, lengths)
        assert not narrow and chosen.all()
    [(narrow, chosen)] = memory_module._by_narrow_windows(GEMMA, TrainingRecipe(), np.zeros(0))
    assert chosen.size == 0
    attention = DENSE.attention
    assert attention is not None
    layers = [
        replace(DENSE, indices=(i,), attention=replace(attention, window=window))
        for i, window in enumerate((30, 10, None, 20))
    ]
    model = replace(MIXTURE, layers=(*layers, replace(DENSE, indices=(4,), attention=None)))
    groups = memory_module._by_narrow_windows(model, TrainingRecipe(), np.array([25.0]))
    assert [sorted(narrow) for narrow, _ in groups] == [[10, 20]]


def test_a_masked_window_costs_its_mask() -> None:
    """Falling back to a mask: a byte per pair, and 16 bits more in each masked layer."""
    at, below = (
        estimate(GEMMA, sequence_length=n, attention="sdpa", checkpointing="none")
        for n in (4096, 4095)
    )
    assert float(at.attention - below.attention) > 4096**2
    flash = [
        estimate(GEMMA, sequence_length=n, attention="flash", checkpointing="none")
        for n in (4096, 4095)
    ]
    assert float(flash[0].attention - flash[1].attention) < 0.05 * 4096**2


def test_one_layer_on_two_stages() -> None:
    single = replace(MIXTURE, layers=(replace(DENSE, indices=(0,)),))
    stages = memory_module._stages(single, TrainingRecipe(pipeline_parallel=2))
    assert stages == [Stage(first=0, last=0, in_flight=2.0), Stage(first=0, last=1)]


def test_experts_that_cannot_be_split_further() -> None:
    for gpus, expert in ((8, 4), (4, 2)):
        recipe = {"tensor_parallel": 2, "expert_parallel": expert}
        assert estimate(gpus=gpus, **recipe).weights > 0
    with pytest.raises(InputError, match="12 GPUs cannot be divided into groups of 8"):
        estimate(gpus=12, tensor_parallel=2, pipeline_parallel=2, expert_parallel=2)
    assert estimate(gpus=12, tensor_parallel=2, pipeline_parallel=2).weights > 0


def test_ranges_may_be_points(tmp_path: Path) -> None:
    """Zero and equal ends are allowed, so that a certain overhead can be stated."""
    path = tmp_path / "overheads.csv"
    ranges = ("0,0,0", "0,0,1", "0,2,2", "1,1,1", "1,2,3", "0,0.5,1")
    lines = [f"{name},{text}" for name, text in zip(NAMES, ranges, strict=True)]
    path.write_text("\n".join(["name,p10,p50,p90", *lines]) + "\n", encoding="utf-8")
    found = overheads(path)
    assert [found[name] for name in NAMES[:3]] == [
        Range(0.0, 0.0, 0.0),
        Range(0.0, 0.0, 1.0),
        Range(0.0, 2.0, 2.0),
    ]
    assert found[NAMES[3]] == Range(1.0, 1.0, 1.0)
