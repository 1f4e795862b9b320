"""Many candidates at once give what each gives alone, on any model, machine and recipe."""

from dataclasses import replace

import numpy as np
import pytest

from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.resolve import resolve_model
from estimator.training.grid import P50, P90, Form, Grid, evaluate
from estimator.training.memory import estimate_memory
from estimator.training.recipe import TrainingRecipe
from estimator.training.stacking import chosen, stacked
from estimator.training.throughput import step_time
from estimator.training.work import Collectives
from pricing import gpu_specs

MACHINES = [
    Cluster.of(gpu, 1) for gpu in gpu_specs().values() if {"bf16", "fp8"} <= set(gpu.dense_tflops)
]
MICRO_BATCHES = np.array([1, 2, 3, 8])
RNG = np.random.default_rng(20261123)


def some(options):
    return options[int(RNG.integers(len(options)))]


def random_form(experts: int) -> Form:
    """A recipe of any kind on GPUs that it divides."""
    method = some(("full", "lora", "qlora"))
    tensor, pipeline, context = some((1, 2)), some((1, 1, 2)), some((1, 1, 2))
    expert = some((1, 2)) if experts else 1
    recipe = TrainingRecipe(
        method=method,
        precision="bf16" if method != "full" else some(("bf16", "amp")),
        stack=some(("huggingface", "huggingface_fused", "torchtune", "deepspeed", "megatron")),
        checkpointing=some(("none", "selective", "full")),
        sharding=some(("none", "zero1", "zero2", "zero3")),
        attention=some(("sdpa", "flash", "eager")),
        optimizer=some(("adamw", "adamw_8bit", "adafactor")),
        offload=some(("none", "none", "optimizer")),
        compiled=some((False, True)),
        sequence_length=some((512, 2048, 3000)),
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        context_parallel=context,
        expert_parallel=expert,
    )
    return Form(recipe=recipe, gpus=tensor * pipeline * context * expert * some((1, 2, 8)))


def grid_of(model: str, forms: list[Form]) -> Grid:
    steps = RNG.integers(1, 40, (len(forms), len(MICRO_BATCHES), 3))
    return evaluate(
        resolve_model(model, offline=True).architecture,
        forms,
        MACHINES,
        micro_batches=MICRO_BATCHES,
        accumulation=steps,
    )


@pytest.mark.parametrize(
    "model", ["meta-llama/Llama-3.1-8B", "mistralai/Mixtral-8x7B-v0.1", "google/gemma-2-9b"]
)
def test_a_candidate_alone_gives_the_same_numbers(model: str) -> None:
    architecture = resolve_model(model, offline=True).architecture
    experts = max(layer.experts for layer in architecture.layers)
    forms = [random_form(experts) for _ in range(40)]
    grid = grid_of(model, forms)
    for _ in range(60):
        i, j, k, a = (int(RNG.integers(n)) for n in grid.step_seconds.shape)
        recipe, form = grid.recipe(i, k, a), forms[i]
        assert recipe.gradient_accumulation == grid.accumulation[i, k, a]
        step = step_time(architecture, recipe, replace(MACHINES[j], gpus=form.gpus))
        memory = estimate_memory(architecture, recipe, gpus=form.gpus)
        place = (i, j, k, a)
        assert grid.step_seconds[place] == pytest.approx(float(step.step_seconds), rel=1e-12)
        assert grid.tokens_per_second_per_gpu[place] == pytest.approx(
            float(step.tokens_per_second_per_gpu), rel=1e-12
        )
        assert grid.forward_share[place] == pytest.approx(float(step.forward_share), rel=1e-12)
        assert grid.peak_bytes[:, i, k, a] == pytest.approx(
            memory.peak_bytes[[P50, P90]], rel=1e-12
        )


def test_an_own_calibration_is_used() -> None:
    shipped = shipped_calibration()
    entries = {
        ("stack_factor", key): entry.model_copy(update={"value": 2 * entry.value})
        for key, entry in shipped.parameters["stack_factor"].entries.items()
    }
    architecture = resolve_model("meta-llama/Llama-3.1-8B", offline=True).architecture
    wanted = {
        "micro_batches": np.array([1]),
        "accumulation": np.array([[[4]]]),
    }
    form, machine = [Form(recipe=TrainingRecipe(), gpus=1)], MACHINES[:1]
    plain = evaluate(architecture, form, machine, **wanted)
    slower = evaluate(
        architecture, form, machine, **wanted, calibration=shipped.with_entries(entries)
    )
    assert slower.step_seconds.item() > 1.8 * plain.step_seconds.item()


def test_fp8_is_a_form_of_its_own() -> None:
    forms = [
        Form(recipe=TrainingRecipe(method="full", matmul_format=x), gpus=8) for x in (None, "fp8")
    ]
    grid = grid_of("meta-llama/Llama-3.1-8B", forms)
    assert (grid.step_seconds[1, :, :, 0] > 0).all()
    assert grid.step_seconds[1].min() < grid.step_seconds[0].min()


def test_parts_do_not_change_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    forms = [Form(recipe=TrainingRecipe(lora_rank=2**i), gpus=1) for i in range(6)]
    steps = np.full((6, len(MICRO_BATCHES), 1), 3)
    architecture = resolve_model("meta-llama/Llama-3.1-8B", offline=True).architecture

    def seconds() -> np.ndarray:
        return evaluate(
            architecture, forms, MACHINES, micro_batches=MICRO_BATCHES, accumulation=steps
        ).step_seconds

    whole = seconds()
    monkeypatch.setattr("estimator.training.grid.CANDIDATES_AT_ONCE", 1)
    assert (seconds() == whole).all()


def test_records_are_stacked_field_by_field() -> None:
    records = [Collectives(count=1.0, bytes=np.array([2.0 * i, 3.0]), ranks=8, inner=1)
               for i in range(3)]  # fmt: skip
    together = stacked(records, inner=2)
    assert together.count.shape == (1, 1, 1, 1)
    assert together.bytes.shape == (3, 1, 1, 2)
    assert together.bytes[2, 0, 0].tolist() == [4.0, 3.0]
    table = stacked(
        [Collectives(count=float(i), bytes=1.0, ranks=1, inner=1) for i in range(3)], inner=2
    )
    found = chosen(table, np.array([[2, 0], [1, 1]]))
    assert found.count[..., 0, 0].tolist() == [[2.0, 0.0], [1.0, 1.0]]
    assert found.bytes.shape == (1, 1, 1, 1)
