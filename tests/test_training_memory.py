"""Training memory: its parts, its properties, and published measurements."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.llm.architecture import Architecture
from estimator.llm.parameters import count_parameters
from estimator.training.fits import fits, largest_micro_batch, what_would_fit
from estimator.training.footprint import undominated
from estimator.training.memory import estimate_memory
from estimator.training.overheads import overheads
from estimator.training.recipe import TrainingRecipe
from estimator.training.tape import NOTHING, Tape, basis_values, replay, tokens
from pricing.gpus import gpu_spec

GIB = 2**30
CONFIGS = json.loads((Path(__file__).parent / "data" / "traced_configs.json").read_text("utf-8"))
PARTS = ("activations", "working", "gradients")


def model(name: str) -> Architecture:
    return Architecture.from_hf_config(CONFIGS[name], name)


LLAMA = model("llama-3.1-8b")
MISTRAL = model("mistral-7b-v0.1")
N = count_parameters(LLAMA).total


def recipe(**changes: object) -> TrainingRecipe:
    return TrainingRecipe.model_validate({"gradient_accumulation": 1, **changes})


def allocated_gib(name: str, gpus: int = 1, **changes: object) -> float:
    memory = estimate_memory(model(name), recipe(**changes), gpus=gpus)
    return float(memory.allocated_bytes) / GIB


RECIPES = st.builds(
    recipe,
    method=st.sampled_from(["full", "lora", "qlora"]),
    optimizer=st.sampled_from(["adamw", "adamw_8bit", "adafactor", "sgd", "lion", "muon"]),
    checkpointing=st.sampled_from(["none", "selective", "full"]),
    attention=st.sampled_from(["flash", "sdpa", "eager"]),
    sharding=st.sampled_from(["none", "zero1", "zero2", "zero3"]),
    stack=st.sampled_from(["huggingface", "huggingface_fused", "torchtune", "megatron"]),
    tensor_parallel=st.sampled_from([1, 2]),
    pipeline_parallel=st.sampled_from([1, 2]),
    gradient_accumulation=st.sampled_from([1, 4]),
    sequence_length=st.sampled_from([512, 2048]),
    micro_batch=st.integers(1, 4),
)
MODELS = st.sampled_from(["llama-3.1-8b", "gpt2", "gemma-3-1b", "mixtral-8x7b", "falcon-7b"])


@settings(max_examples=60)
@given(name=MODELS, wish=RECIPES, gpus=st.sampled_from([8, 16]))
def test_parts_sum_to_the_peak_and_grow_with_the_batch(
    name: str, wish: TrainingRecipe, gpus: int
) -> None:
    memory = estimate_memory(model(name), wish, gpus=gpus, micro_batch=[1, 2, 3])
    total = sum(memory.parts().values())
    assert total == pytest.approx(memory.peak_bytes[1])
    assert all((part >= 0).all() for part in memory.parts().values())
    assert (np.diff(memory.allocated_bytes) >= 0).all()
    assert (np.diff(memory.peak_bytes, axis=0) > 0).all()


@settings(max_examples=20)
@given(name=MODELS, wish=RECIPES)
def test_sharing_over_more_gpus_never_needs_more(name: str, wish: TrainingRecipe) -> None:
    shared = wish.model_copy(update={"sharding": "zero3"})
    few, many = (estimate_memory(model(name), shared, gpus=n).allocated_bytes for n in (16, 64))
    assert many <= few


def test_arrays_equal_scalars_across_the_window() -> None:
    lengths = np.array([1024, 4095, 4096, 8192])
    wish = recipe(method="lora", checkpointing="none")
    together = estimate_memory(MISTRAL, wish, micro_batch=[[1], [3]], sequence_length=lengths)
    assert together.weights.shape == (2, 4)
    assert together.peak_bytes.shape == (3, 2, 4)
    for i, batch in enumerate((1, 3)):
        for j, length in enumerate(lengths):
            alone = estimate_memory(MISTRAL, wish, micro_batch=batch, sequence_length=int(length))
            assert alone.allocated_bytes == together.allocated_bytes[i, j]
            assert alone.peak_at == together.peak_at[i, j]


def test_no_candidates_are_no_mistake() -> None:
    memory = estimate_memory(MISTRAL, recipe(), micro_batch=np.array([], dtype=int))
    assert memory.peak_bytes.shape == (3, 0)


@pytest.mark.parametrize(
    ("changes", "bytes_per_parameter"),
    [
        ({"precision": "bf16"}, 2 + 2 + 4),
        ({"precision": "fp32"}, 16),
        ({"precision": "amp", "stack": "megatron"}, 2 + 4 + 12),  # ZeRO, section 3.1, fp32 sums
        ({"precision": "amp", "stack": "deepspeed"}, 16),  # ZeRO, section 3.1
        ({"precision": "bf16", "optimizer": "adamw_8bit"}, 2 + 2 + 2 * (1 + 4 / 256)),
        ({"precision": "bf16", "optimizer": "sgd"}, 4),
        ({"precision": "bf16", "optimizer": "lion"}, 6),
        ({"precision": "bf16", "optimizer_kernel": "foreach"}, 10),
    ],
)
def test_states_per_parameter(changes: dict[str, object], bytes_per_parameter: float) -> None:
    wish = recipe(method="full", sequence_length=1, loss="fused", **changes)
    memory = estimate_memory(LLAMA, wish)
    states = memory.weights + memory.gradients + memory.optimizer_states + memory.master_weights
    states = states + memory.optimizer_temporaries
    assert float(states) == pytest.approx(bytes_per_parameter * N, rel=1e-6)


def test_zero_divides_states_by_the_ranks() -> None:
    """Figure 1 of ZeRO: 16 bytes per parameter fall to 4 + 12/d, 2 + 14/d and 16/d."""
    wish = {"method": "full", "precision": "amp", "stack": "deepspeed", "sequence_length": 1}
    expected = {"none": 16, "zero1": 4 + 12 / 64, "zero2": 2 + 14 / 64, "zero3": 16 / 64}
    for sharding, per_parameter in expected.items():
        memory = estimate_memory(LLAMA, recipe(sharding=sharding, **wish), gpus=64)
        states = memory.weights + memory.optimizer_states + memory.master_weights
        whole = recipe(sharding=sharding, **wish, micro_batch=1)
        gradients = 2 / 64 if sharding in ("zero2", "zero3") else 2
        assert whole.sharding == sharding
        assert float(states) / N + gradients == pytest.approx(per_parameter, rel=1e-6)


@pytest.mark.parametrize(
    ("name", "gpus", "changes", "measured_gib"),
    [
        # foundation-model-stack/fms-acceleration scripts/benchmarks/refs/a100_80gb*.csv
        # @876e2ed6fc4e: torch max_memory_allocated, packed to 4096 tokens, flash attention.
        ("mistral-7b-v0.1", 1, {"method": "full", "optimizer_kernel": "foreach"}, 67.460),
        ("mistral-7b-v0.1", 2, {"method": "full", "optimizer_kernel": "foreach",
                                "sharding": "zero3"}, 33.738),
        ("llama-3.1-8b", 1, {"method": "lora", "loss": "fused"}, 23.195),
        ("llama-3.1-8b", 1, {"method": "qlora", "loss": "fused"}, 13.422),
        ("llama-3.1-8b", 1, {"method": "qlora", "loss": "fused", "micro_batch": 32}, 69.001),
        ("llama-3.1-8b", 1, {"method": "lora", "loss": "kernel", "micro_batch": 8}, 54.964),
        ("llama-3.1-8b", 2, {"method": "lora", "loss": "fused", "sharding": "zero3",
                             "micro_batch": 16}, 57.228),
        ("llama-3.1-8b", 4, {"method": "full", "precision": "amp", "loss": "fused",
                             "sharding": "zero3", "micro_batch": 16}, 56.165),
        ("mistral-7b-v0.1", 4, {"method": "qlora", "loss": "kernel", "sharding": "zero3",
                                "micro_batch": 16}, 49.306),
    ],
)  # fmt: skip
def test_published_measurements(
    name: str, gpus: int, changes: dict[str, object], measured_gib: float
) -> None:
    attention = ("q_proj", "k_proj", "v_proj", "o_proj")
    wish = {
        "sequence_length": 4096,
        "micro_batch": 4,
        "attention": "flash",
        "stack": "huggingface_fused",
        "lora_targets": attention,
        **changes,
    }
    assert allocated_gib(name, gpus, **wish) == pytest.approx(measured_gib, rel=0.05)


def test_adapters_can_hold_more_activations_than_full_tuning() -> None:
    """`peft` keeps every adapter input again in fp32."""
    full, lora = (
        estimate_memory(LLAMA, recipe(method=method, checkpointing="none"))
        for method in ("full", "lora")
    )
    kept = lora.activations + lora.attention + lora.adapter_inputs
    assert kept > full.activations + full.attention


def test_selective_checkpointing_forgets_scores_only() -> None:
    eager = {"method": "full", "attention": "eager", "sequence_length": 4096}
    none, selective, whole = (
        allocated_gib("llama-3.1-8b", checkpointing=kind, **eager)
        for kind in ("none", "selective", "full")
    )
    assert whole < selective < none
    flash = {**eager, "attention": "flash"}
    same = {allocated_gib("llama-3.1-8b", checkpointing=c, **flash) for c in ("none", "selective")}
    assert len(same) == 1


def test_parallelism_and_offload_divide() -> None:
    wish = {"method": "full", "checkpointing": "none", "loss": "fused", "stack": "megatron"}
    whole = allocated_gib("llama-3.1-8b", gpus=8, **wish)
    for split in ("tensor_parallel", "pipeline_parallel"):
        assert allocated_gib("llama-3.1-8b", gpus=8, **wish, **{split: 2}) < 0.75 * whole
    moe = {**wish, "sequence_length": 128}
    apart = allocated_gib("mixtral-8x7b", gpus=8, **moe, expert_parallel=8)
    assert apart < 0.3 * allocated_gib("mixtral-8x7b", gpus=8, **moe)
    assert allocated_gib("llama-3.1-8b", gpus=8, **wish, offload="optimizer") < whole - 25


def test_experts_split_more_often_than_there_are_gpus_are_refused() -> None:
    split = {"method": "full", "stack": "megatron", "tensor_parallel": 8, "expert_parallel": 8}
    with pytest.raises(InputError, match="8 GPUs cannot be divided into groups of 64"):
        allocated_gib("mixtral-8x7b", gpus=8, **split)
    assert allocated_gib("mixtral-8x7b", gpus=64, **split) > 0


def test_an_underived_family_says_so_and_is_less_certain() -> None:
    llama = CONFIGS["llama-3.2-1b"]
    known, other = (
        estimate_memory(Architecture.from_hf_config({**llama, "model_type": kind}), recipe())
        for kind in ("llama", "internlm3")
    )
    assert not known.notes
    assert "internlm3" in other.notes[0]
    spread = [float(m.peak_bytes[2] / m.peak_bytes[0]) for m in (known, other)]
    assert spread[1] > spread[0]


def test_a_tape_by_hand() -> None:
    """Two matrices with a function between them, as `torch.nn.Sequential` would run."""
    tape = Tape()
    x = tape.tensor(tokens(10), 2)
    weight = tape.parameter(30, 2, grad=True)
    hidden = tape.tensor(tokens(30), 2)
    tape.record([x, weight], [hidden], saves=[x, weight])
    bent = tape.tensor(tokens(30), 2)
    tape.record([hidden], [bent], saves=[hidden])
    result = replay(tape, x, bent, PARTS, merges_in_place=True, keeps_source=True)
    per_token = tokens(1)
    assert result.held.sum(axis=0) == pytest.approx((10 + 30) * 2 * per_token)
    assert result.weight_gradients[0] == 60
    # at the function's derivative: both kept tensors, its incoming and its outgoing gradient
    assert result.backward[0].sum(axis=0) == pytest.approx((10 + 30 + 30 + 30) * 2 * per_token)
    assert result.backward[-1][PARTS.index("gradients")][0] == 60


def test_dominated_states_are_dropped() -> None:
    rows = np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 1.0], [0.0, 0.0]])
    assert sorted(undominated(rows)) == [1, 2]
    assert basis_values(2, 3).tolist() == [1, 3, 6, 9, 18]
    assert not NOTHING.any()


@pytest.mark.parametrize(("method", "gib"), [("full", 80), ("lora", 24), ("qlora", 16)])
def test_largest_micro_batch_fits_and_the_next_does_not(method: str, gib: float) -> None:
    wish = recipe(method=method)
    largest = largest_micro_batch(LLAMA, wish, gib)
    assert largest >= 1
    next_one = estimate_memory(LLAMA, wish, micro_batch=[largest, 2 * largest])
    assert fits(next_one, gib).tolist() == [True, False]
    assert (fits(next_one, gib, safely=True) <= fits(next_one, gib)).all()


def test_every_change_fits_and_the_gentlest_comes_first() -> None:
    gpu = gpu_spec("rtx-4090-24gb")
    wish = recipe(method="full", micro_batch=8, gradient_accumulation=2, checkpointing="none")
    changes = what_would_fit(LLAMA, wish, gpu)
    assert [change.sentence.split()[0] for change in changes[:2]] == ["LoRA", "QLoRA"]
    assert any("ZeRO-3" in change.sentence for change in changes)
    assert changes[-1].gpu != gpu.id
    for change in changes:
        memory = estimate_memory(LLAMA, change.recipe, gpus=change.gpus)
        assert fits(memory, gpu_spec(change.gpu).memory_gib)
        sequences = change.recipe.micro_batch * change.recipe.gradient_accumulation
        assert sequences * change.recipe.data_parallel(change.gpus) >= 16


def test_a_smaller_micro_batch_is_offered_first() -> None:
    wish = recipe(method="lora", micro_batch=64, gradient_accumulation=1)
    first = what_would_fit(LLAMA, wish, gpu_spec("a100-sxm4-80gb"))[0]
    assert first.sentence.startswith("a micro-batch of")
    assert first.recipe.micro_batch * first.recipe.gradient_accumulation == 64


def test_nothing_in_the_catalogue_holds_a_giant() -> None:
    wish = recipe(method="full", precision="fp32", sequence_length=1_000_000)
    assert not what_would_fit(model("llama-3.1-70b"), wish, gpu_spec("b200-sxm-180gb"), gpus=128)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("0.06,0.12", "x,0.12"), "line 2, p50: 'x' is no number"),
        (
            lambda text: text.replace("0.06,0.12", "0.2,0.12"),
            "line 2: p10 0.02, p50 0.2, p90 0.12; allowed",
        ),
        (lambda text: "\n".join(text.splitlines()[:2]), "rows cuda_context, .* are missing"),
    ],
)
def test_bad_overheads_are_named(tmp_path: Path, change: object, message: str) -> None:
    from estimator.training.overheads import DATA

    path = tmp_path / "overheads.csv"
    path.write_text(change(DATA.read_text("utf-8")), "utf-8")  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        overheads(path)
