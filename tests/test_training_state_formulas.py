"""Bytes of weights, gradients and states by hand, on a mixture whose every number differs."""

import numpy as np
import pytest
from toys import MIXED, MIXTURE, with_modules

import estimator.training.memory as memory_module
from estimator.llm.adapters import AdapterSpec, count_trainable
from estimator.llm.quantised import nf4_bytes, nf4_constants_bytes
from estimator.training.footprint import Stage
from estimator.training.memory import estimate_memory
from estimator.training.overheads import Range
from estimator.training.recipe import TrainingRecipe
from estimator.training.states import StateBytes, state_bytes

PARAMETERS = 82432 + 184320 + 66800
LAYER = 12288 + 512 + 61440 + 64 + 64 + 16 + 5  # a mixed one
RANK = (82432 + 66800 + 184320 / 2) / 4  # parameters of one of eight GPUs
ADAPTERS = 4 * (2800 + 9408 + 64 + 10)
FULL = TrainingRecipe(
    method="full", gradient_accumulation=1, tensor_parallel=2, pipeline_parallel=2,
    context_parallel=2, expert_parallel=2,
)  # fmt: skip


def states(architecture=MIXTURE, gpus: int = 16, **changes: object) -> StateBytes:
    return state_bytes(architecture, FULL.model_copy(update=changes), gpus=gpus)


def test_the_mixture_is_what_the_figures_say() -> None:
    assert MIXED.parameters == LAYER
    spec = AdapterSpec(rank=4)
    assert count_trainable(MIXTURE, spec) == count_trainable(with_modules(), spec) == ADAPTERS


def test_zero_divides_one_kind_after_the_other() -> None:
    """Two copies of the model times two context ranks share; a step moves 16-bit gradients."""
    plain = states()
    assert plain == StateBytes(
        weights=2 * RANK, master_weights=0, gradients=2 * RANK, optimizer_states=4 * RANK,
        optimizer_temporaries=0, gathered_weights=0, gradient_buffers=2 * RANK,
    )  # fmt: skip
    kinds = ("optimizer_states", "gradients", "weights")
    for level, divided in (("zero1", 1), ("zero2", 2), ("zero3", 3)):
        found = states(sharding=level)
        for place, kind in enumerate(kinds):
            share = 4 if place < divided else 1
            assert getattr(found, kind) == getattr(plain, kind) / share, (level, kind)
    pair = states(gpus=8, context_parallel=1, sharding="zero3")
    assert pair.gathered_weights > 0 and pair.gradient_buffers > 0
    single = states(gpus=4, context_parallel=1, sharding="zero3")
    assert (single.gathered_weights, single.gradient_buffers) == (0, 0)


def test_fsdp_gathers_a_layer_and_keeps_the_tables() -> None:
    found = states(sharding="zero3")
    assert found.gathered_weights == (2 * LAYER + 2 * (32000 + 32000)) / 2
    assert found.gradient_buffers == pytest.approx(2 * RANK * LAYER / PARAMETERS)
    # `no_sync` keeps all gradients until the last micro-batch
    assert states(sharding="zero3", gradient_accumulation=2).gradient_buffers == 2 * RANK
    other = states(sharding="zero3", gradient_accumulation=2, stack="torchtune")
    assert other.gradient_buffers == pytest.approx(2 * RANK * LAYER / PARAMETERS)
    adapted = states(sharding="zero3", gradient_accumulation=2, method="lora", lora_rank=4)
    assert adapted.gradient_buffers == 0
    mixed = states(sharding="zero3", precision="amp")
    assert mixed.gathered_weights == found.gathered_weights
    assert mixed.gradient_buffers == pytest.approx(found.gradient_buffers)


@pytest.mark.parametrize(
    ("changes", "weights", "master", "gradients", "moments"),
    [
        ({"precision": "fp32"}, 4, 0, 4, 8),
        ({"precision": "amp"}, 4, 0, 4, 8),  # autocast on fp32 weights
        ({"precision": "amp", "stack": "deepspeed"}, 2, 4, 2, 8),  # ZeRO, section 3.1: 2 + 2 + 12
        ({"precision": "amp", "stack": "megatron"}, 2, 4, 4, 8),  # sums gradients in fp32
        ({"precision": "fp16", "stack": "deepspeed"}, 2, 0, 2, 4),
        ({"optimizer": "adamw_8bit"}, 2, 0, 2, 2 * (1 + 4 / 256)),
        ({"optimizer": "lion"}, 2, 0, 2, 2),
        ({"optimizer": "sgd"}, 2, 0, 2, 0),
        ({"optimizer": "paged_adamw_8bit"}, 2, 0, 2, 0),
        ({"offload": "optimizer", "precision": "amp", "stack": "deepspeed"}, 2, 0, 2, 0),
        ({"offload": "parameters"}, 0, 0, 0, 0),
    ],
)
def test_bytes_per_parameter(
    changes: dict[str, object], weights: float, master: float, gradients: float, moments: float
) -> None:
    found = states(**changes)
    assert found.weights == pytest.approx(weights * RANK)
    assert found.master_weights == pytest.approx(master * RANK)
    assert found.gradients == pytest.approx(gradients * RANK)
    assert found.optimizer_states == pytest.approx(moments * RANK)
    shared = states(**changes, sharding="zero1")
    assert shared.master_weights == pytest.approx(master * RANK / 4)


def test_factored_and_orthogonal_optimizers() -> None:
    """Adafactor: a sum per row and column; Muon: one moment for matrices, two for the rest."""
    rows_and_columns = 3 * (520 + 8 * 248) + 2 * 728 + 74 + (500 + 64) + (20 + 64)
    entries = 82432 + 184320 + 640 + 32000 + 1280
    adafactor = states(optimizer="adafactor")
    assert adafactor.optimizer_states == pytest.approx(4 * RANK * rows_and_columns / entries)
    assert adafactor.optimizer_temporaries == 2 * 4 * 32000  # the token table, twice in fp32
    muon = states(optimizer="muon")
    one = 82432 + 184320 + 640
    assert muon.optimizer_states == pytest.approx(
        2 * RANK * (one + 2 * (PARAMETERS - one)) / PARAMETERS
    )
    assert muon.optimizer_temporaries == 4 * 2 * 32000
    adapted = {"method": "lora", "lora_rank": 4}
    share = RANK / PARAMETERS
    assert states(optimizer="muon", **adapted).optimizer_states == pytest.approx(
        4 * ADAPTERS * share
    )
    # largest pair of factors: 4 x (64 + 100) of the dense layer's MLP
    assert states(optimizer="adafactor", **adapted).optimizer_temporaries == 2 * 4 * 4 * 164


def test_the_step_has_temporaries_of_its_own() -> None:
    assert states(optimizer_kernel="foreach").optimizer_temporaries == 2 * RANK
    assert states(optimizer_kernel="foreach", sharding="zero1").optimizer_temporaries == RANK / 2
    assert states(optimizer_kernel="foreach", offload="optimizer").optimizer_temporaries == 0
    assert states(optimizer_kernel="foreach", optimizer="sgd").optimizer_temporaries == 0
    backward = states(optimizer_kernel="foreach", optimizer_in_backward=True)
    assert backward.optimizer_temporaries == 0
    assert backward.gradients == pytest.approx(2 * RANK * LAYER / PARAMETERS)


def test_adapters_in_fp32_on_a_16_bit_base() -> None:
    share = RANK / PARAMETERS
    found = states(method="lora", lora_rank=4)
    assert found.weights == pytest.approx(2 * RANK + 4 * ADAPTERS * share)
    assert found.gradients == pytest.approx(4 * ADAPTERS * share)
    assert found.optimizer_states == pytest.approx(8 * ADAPTERS * share)
    assert found.gradient_buffers == pytest.approx(4 * ADAPTERS * share)
    for plain in ({"adapter_precision": "base"}, {"stack": "torchtune"}):
        assert states(method="lora", lora_rank=4, **plain).gradients == pytest.approx(
            2 * ADAPTERS * share
        )
    wide = states(method="lora", lora_rank=4, stack="torchtune", adapter_precision="fp32")
    assert wide.gradients == found.gradients


def test_four_bit_weights() -> None:
    """4 bits a weight; per matrix a byte per 64 weights, 4 + 4 bytes, two code books."""
    quantised = 3 * 12288 + 2 * 22016 + 640
    constants = quantised / 64 + (3 * 4 + 2 * 6 + 1) * (4 + 4 + 16 * 4 + 256 * 4)
    found = nf4_bytes(MIXTURE)
    assert (found.codes, found.constants) == (quantised / 2, constants)
    assert found.unquantised == 2 * (PARAMETERS - quantised)
    assert found.total == found.codes + found.constants + found.unquantised
    plain = nf4_bytes(MIXTURE, double_quantisation=False)
    assert plain.constants == 4 * quantised / 64 + 25 * 64
    assert nf4_constants_bytes(64 * 256 + 1) == 257 + 2 * 4 + 4 + 64 + 1024
    share = RANK / PARAMETERS
    adapters = {"method": "qlora", "lora_rank": 4}
    bare = states(stack="huggingface_fused", **adapters)
    assert bare.weights == pytest.approx((found.total + 4 * ADAPTERS) * share)
    prepared = states(**adapters)  # norms, tables and experts are cast to fp32
    assert prepared.weights - bare.weights == pytest.approx(found.unquantised * share)
    gathered = states(sharding="zero3", **adapters).gathered_weights
    assert gathered == pytest.approx(((found.codes + found.constants) / 5 + 2 * 64000) / 2)


# --- from parts to the peak


def peak(gpus: int = 1, **changes: object):
    recipe = TrainingRecipe(
        **{"sequence_length": 512, "gradient_accumulation": 1, "method": "full", **changes}
    )
    return estimate_memory(MIXTURE, recipe, gpus=gpus)


def test_gradients_as_they_are_kept_between_micro_batches() -> None:
    """Small batches, so that the optimizer step is the peak and all gradients stand."""
    small = {"sequence_length": 1, "checkpointing": "full", "optimizer_kernel": "foreach"}
    for precision, each in (("bf16", 2.0), ("amp", 4.0)):
        found = peak(2, **small, precision=precision)
        assert found.peak_at == "optimizer"
        assert found.gradients == found.optimizer_temporaries == each * PARAMETERS
        assert found.gathered_weights == found.gradient_buffers == 0


def test_accumulated_gradients_stand_in_every_pass() -> None:
    wide = {"sequence_length": 4096, "checkpointing": "none"}
    first = peak(**wide)
    assert first.peak_at in ("forward", "backward") and first.gradients < 2 * PARAMETERS
    assert peak(**wide, gradient_accumulation=2).gradients == 2 * PARAMETERS
    assert peak(4, **wide, gradient_accumulation=2, sharding="zero2").gradients == PARAMETERS / 2
    assert peak(4, **wide, gradient_accumulation=2, sharding="zero3").gradients == 0
    unsharded = peak(4, **wide, gradient_accumulation=2, sharding="zero3")
    assert unsharded.gradient_buffers == 2 * PARAMETERS
    assert peak(**wide, offload="parameters").gradients == 0
    assert peak(**wide, optimizer_in_backward=True).gradients == pytest.approx(2 * LAYER)


def test_pipeline_stages_hold_the_micro_batches_in_flight() -> None:
    """The first stage holds as many as there are stages, or fewer where fewer are made."""
    stages = memory_module._stages

    def recipe(pipeline: int, micro_batches: int) -> TrainingRecipe:
        return TrainingRecipe(pipeline_parallel=pipeline, gradient_accumulation=micro_batches)

    assert stages(MIXTURE, recipe(1, 8)) == [None]
    assert stages(MIXTURE, recipe(2, 8)) == [
        Stage(first=0, last=2, in_flight=2.0),
        Stage(first=3, last=5),
    ]
    assert stages(MIXTURE, recipe(4, 3))[0] == Stage(first=0, last=1, in_flight=3.0)
    assert stages(MIXTURE, recipe(8, 1)) == [
        Stage(first=0, last=1, in_flight=1.0),
        Stage(first=4, last=5),
    ]
    few = peak(2, sequence_length=8192, pipeline_parallel=2, checkpointing="none")
    many = peak(
        2, sequence_length=8192, pipeline_parallel=2, checkpointing="none", gradient_accumulation=9
    )
    kept = float(few.activations + few.attention)
    assert many.allocated_bytes > few.allocated_bytes + 0.9 * kept


def test_context_ranks_see_all_keys() -> None:
    """Eager scores: a half of the queries times all keys, not a quarter of the square."""
    wide = {"sequence_length": 8192, "attention": "eager", "checkpointing": "none"}
    whole, half = peak(**wide), peak(2, **wide, context_parallel=2)
    assert float(half.attention / whole.attention) == pytest.approx(0.5, rel=0.01)


def test_the_range_adds_independent_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """3, 4 and 12 make 13: errors add in squares, below and above the middle each with its own."""
    made = {
        "allocator_reserve": Range(0.0, 0.0, 0.0),
        "cuda_context": Range(100.0 - 4.0, 100.0, 100.0 + 40.0),
        "communication_library": Range(50.0 - 12.0, 50.0, 50.0 + 120.0),
    }
    monkeypatch.setattr(memory_module, "overheads", lambda: made)
    found = memory_module._range(np.asarray(1000.0), 2, Range(-0.003, 0.0, 0.03))
    assert found == pytest.approx([1150 - 13, 1150, 1150 + 130])
    alone = memory_module._range(np.asarray(1000.0), 1, Range(-0.003, 0.0, 0.03))
    assert alone == pytest.approx([1100 - 5, 1100, 1100 + 50])
    made["allocator_reserve"] = Range(0.25 - 0.012, 0.25, 0.25 + 0.12)
    made["cuda_context"] = Range(100.0, 100.0, 100.0)
    tight = memory_module._range(np.asarray(1000.0), 1, Range(-0.004, 0.0, 0.04))
    assert tight == pytest.approx([1350 - 13, 1350, 1350 + 130])
