"""Peak memory of a training step on one GPU, by part.

What PyTorch allocates is a closed form: weights, gradients and optimizer states (`states.py`) plus
the largest of a few states of the forward and backward pass (`footprint.py`), or the optimizer
step. What the allocator and CUDA add is a range (`overheads.py`).
Ref: Korthikanti et al., arXiv 2205.05198 (activations); Rajbhandari et al., ZeRO, arXiv 1910.02054;
Hu et al., LoRA, arXiv 2106.09685; Dettmers et al., QLoRA, arXiv 2305.14314.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.training.families import code_of
from estimator.training.footprint import PARTS, Stage, State, part, peaks
from estimator.training.operations import Dispatch, Numerics
from estimator.training.overheads import Range, overheads
from estimator.training.recipe import TrainingRecipe
from estimator.training.setup import Adapter, Setup
from estimator.training.states import (
    MASTER_STACKS,
    PEFT_STACKS,
    StateBytes,
    adapter_itemsize,
    state_bytes,
    upcasts_unquantised,
    weight_itemsize,
)
from estimator.training.tape import basis_values, per

PeakAt = Literal["forward", "backward", "optimizer"]
MOMENTS: tuple[PeakAt, ...] = ("forward", "backward", "optimizer")


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryBreakdown:
    """Bytes on the fullest GPU at the peak of a training step; the parts sum to the median peak.

    Each field is an array over the candidates (0-dimensional for one).
    """

    weights: FloatArray
    """Stored weights, adapters included."""
    gradients: FloatArray
    """Weight gradients alive at the peak."""
    optimizer_states: FloatArray
    master_weights: FloatArray
    """fp32 copies of 16-bit weights."""
    autocast_copies: FloatArray
    """16-bit copies of fp32 weights that autocast makes."""
    activations: FloatArray
    """Kept by norms, matrices and activation functions; with checkpointing the boundaries."""
    attention: FloatArray
    """Kept by attention: queries, keys, values, output, scores where the kernel keeps them."""
    routing: FloatArray
    """Kept by routers and the sorting of tokens by expert."""
    adapter_inputs: FloatArray
    """Copies of inputs that LoRA layers keep, and their low-rank values."""
    logits: FloatArray
    """Logits and what the loss keeps of them."""
    recomputed_layer: FloatArray
    """The layer that checkpointing runs again."""
    working: FloatArray
    """Gradients of activations and buffers that live for one operation."""
    optimizer_temporaries: FloatArray
    gathered_weights: FloatArray
    """Weights that ZeRO-3 (FSDP) has gathered."""
    gradient_buffers: FloatArray
    """Buckets of the gradient exchange."""
    allocator_reserve: FloatArray
    """Freed or unused blocks that PyTorch keeps (median)."""
    cuda_context: FloatArray
    """Context, kernels, workspaces and communication library (median)."""
    peak_bytes: FloatArray
    """p10, p50 and p90 of what the GPU reports as used: shape (3, candidates...)."""
    peak_at: NDArray[np.str_]
    """When the peak is: forward, backward or optimizer."""
    notes: tuple[str, ...] = ()

    @property
    def allocated_bytes(self) -> FloatArray:
        """What `torch.cuda.max_memory_allocated` would say."""
        outside = self.allocator_reserve + self.cuda_context
        return sum(self.parts().values(), start=np.zeros_like(self.weights)) - outside

    def parts(self) -> Mapping[str, FloatArray]:
        """The named parts, which sum to the median peak."""
        others = {"peak_bytes", "peak_at", "notes"}
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in others}


def estimate_memory(
    architecture: Architecture,
    recipe: TrainingRecipe,
    *,
    gpus: int = 1,
    micro_batch: ArrayLike | None = None,
    sequence_length: ArrayLike | None = None,
    dispatch: Dispatch = "cuda",
) -> MemoryBreakdown:
    """Peak memory in bytes of one optimizer step on the fullest of `gpus` GPUs.

    `micro_batch` and `sequence_length` override the recipe's and broadcast. `dispatch`: whose
    kernels; "cpu" is what a trace under fake tensors sees. Left out: memory of evaluation, of
    checkpoints being written, and of anything but the training process on the GPU.
    """
    batch = np.asarray(recipe.micro_batch if micro_batch is None else micro_batch, dtype=float)
    length = recipe.sequence_length if sequence_length is None else sequence_length
    batch, sequence = np.broadcast_arrays(batch, np.asarray(length, dtype=float))
    states = state_bytes(architecture, recipe, gpus=gpus)
    shape = batch.shape
    batch, sequence = np.atleast_1d(batch).ravel(), np.atleast_1d(sequence).ravel()
    tensors = np.zeros((batch.size, len(PARTS)))
    moments = np.zeros(batch.size, dtype=np.intp)
    for narrow, chosen in _by_narrow_windows(architecture, recipe, sequence):
        rows = _rows(_Key(architecture), recipe.model_copy(update=_FIXED), gpus, dispatch, narrow)
        values = basis_values(batch[chosen], sequence[chosen] / recipe.context_parallel)
        tensors[chosen], moments[chosen] = _largest(rows, values)
    return _breakdown(architecture, recipe, gpus, states, tensors, moments, shape)


EAGER_STACKS = ("huggingface", "torchtune")
"""Stacks whose norms, gates and rotations are plain operations unless they are compiled."""
_FIXED = {"micro_batch": 1, "sequence_length": 1}
"""Fields on which the form of the states does not depend."""


class _Key:
    """An architecture compared by identity, which spares hashing its whole inventory."""

    __slots__ = ("architecture",)

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture

    def __hash__(self) -> int:
        return id(self.architecture)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.architecture is self.architecture


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Candidate states: totals (states x basis), parts (states x parts x basis), moments."""

    totals: FloatArray
    parts: FloatArray
    moments: NDArray[np.intp]


def _largest(rows: _Rows, values: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Bytes by part of the largest state of each candidate, and its moment."""
    winner = (values @ rows.totals.T).argmax(axis=1)
    bytes_by_part = np.empty((len(values), len(PARTS)))
    for state in np.unique(winner):
        chosen = winner == state
        bytes_by_part[chosen] = values[chosen] @ rows.parts[state].T
    return bytes_by_part, rows.moments[winner]


def _by_narrow_windows(
    architecture: Architecture, recipe: TrainingRecipe, sequence: FloatArray
) -> list[tuple[frozenset[int], NDArray[np.bool_]]]:
    """Candidates grouped by which sliding windows are narrower than their sequence."""
    windows = {
        layer.attention.window
        for layer in architecture.layers
        if layer.attention is not None and layer.attention.window is not None
    }
    if recipe.attention != "sdpa" or not windows:
        return [(frozenset(), np.ones(sequence.size, dtype=bool))]
    ordered = np.array(sorted(windows))
    count = np.searchsorted(ordered, sequence)
    return [(frozenset(int(w) for w in ordered[:n]), count == n) for n in np.unique(count).tolist()]


@lru_cache(maxsize=1024)
def _rows(
    key: _Key, recipe: TrainingRecipe, gpus: int, dispatch: Dispatch, narrow: frozenset[int]
) -> _Rows:
    """The states of a recipe that can be the peak, gradients as they are kept on one GPU."""
    architecture = key.architecture
    setup = setup_of(architecture, recipe, dispatch=dispatch, narrow_windows=narrow)
    states = state_bytes(architecture, recipe, gpus=gpus)
    found = [
        State(moment=state.moment, bytes=_kept_gradients(state.bytes, recipe, states, gpus))
        for stage in _stages(architecture, recipe)
        for state in peaks(architecture, setup, stage)
    ]
    step = part("gradients", per("1", states.gradients))
    table = np.array([state.bytes for state in found] + [step])
    moments = [MOMENTS.index(state.moment) for state in found] + [MOMENTS.index("optimizer")]
    totals = table.sum(axis=1)
    totals[:, 0] += [_extra(states, m) for m in moments]
    return _Rows(totals=totals, parts=table, moments=np.array(moments))


def _extra(states: StateBytes, moment: int) -> float:
    """Bytes that only some moments have: gathered weights, or the optimizer's temporaries."""
    if MOMENTS[moment] == "optimizer":
        return states.optimizer_temporaries
    return states.gathered_weights + states.gradient_buffers


def _kept_gradients(
    state: FloatArray, recipe: TrainingRecipe, states: StateBytes, gpus: int
) -> FloatArray:
    """Gradients of a pass as they are kept: scattered under ZeRO-2 and 3, whole from the second
    micro-batch on where gradients accumulate."""
    row = PARTS.index("gradients")
    kept = state.copy()
    if recipe.sharding in ("zero2", "zero3"):
        kept[row] /= recipe.data_parallel(gpus) * recipe.context_parallel
    if recipe.gradient_accumulation > 1 or recipe.optimizer_in_backward:
        kept[row] = per("1", states.gradients)
    return kept


def _stages(architecture: Architecture, recipe: TrainingRecipe) -> list[Stage | None]:
    """The pipeline stages that may be the fullest: the first and the last."""
    if recipe.pipeline_parallel == 1:
        return [None]
    layers = architecture.num_layers
    size = max(layers // recipe.pipeline_parallel, 1)
    in_flight = float(min(recipe.pipeline_parallel, recipe.gradient_accumulation))
    return [
        Stage(first=0, last=min(size, layers - 1), in_flight=in_flight),
        Stage(first=layers - size, last=layers),
    ]


def setup_of(
    architecture: Architecture,
    recipe: TrainingRecipe,
    *,
    dispatch: Dispatch = "cuda",
    narrow_windows: frozenset[int] = frozenset(),
) -> Setup:
    """The operations that a recipe stands for.

    Mixed precision keeps 16-bit weights beside a master copy (Megatron, DeepSpeed) or casts each
    gathered unit (FSDP); elsewhere autocast casts each matrix.
    """
    casts_units = recipe.precision == "amp" and (
        recipe.stack in MASTER_STACKS or recipe.sharding == "zero3"
    )
    adapter = Adapter(
        rank=recipe.lora_rank,
        targets=recipe.lora_targets,
        itemsize=int(adapter_itemsize(recipe)),
    )
    return Setup(
        numerics=Numerics(
            weight_itemsize=2 if casts_units else int(weight_itemsize(recipe)),
            autocast=recipe.precision == "amp" and not casts_units,
            trained=not recipe.has_adapters,
            dispatch=dispatch,
        ),
        code=code_of(architecture),
        adapter=adapter if recipe.has_adapters else None,
        kernel=recipe.attention,
        fused=recipe.compiled or recipe.stack not in EAGER_STACKS,
        loss=recipe.loss_kernel,
        narrow_windows=narrow_windows,
        quantised=recipe.method == "qlora",
        checkpointed=recipe.checkpointing == "full",
        forgets_scores=recipe.checkpointing == "selective",
        wide_boundaries=upcasts_unquantised(recipe)
        or (recipe.has_adapters and recipe.sharding == "zero3" and recipe.stack in PEFT_STACKS),
        tensor_parallel=recipe.tensor_parallel,
        expert_parallel=recipe.expert_parallel,
    )


def _breakdown(
    architecture: Architecture,
    recipe: TrainingRecipe,
    gpus: int,
    states: StateBytes,
    tensors: FloatArray,
    moments: NDArray[np.intp],
    shape: tuple[int, ...],
) -> MemoryBreakdown:
    """Puts the states beside the tensors of the peak and adds what the GPU holds beside them."""
    step = (moments == MOMENTS.index("optimizer")).reshape(shape)
    by_part = dict(zip(PARTS, tensors.T.reshape(len(PARTS), *shape), strict=True))
    zero = np.zeros(shape)
    parts = {
        "weights": zero + states.weights,
        "gradients": by_part["gradients"],
        "optimizer_states": zero + states.optimizer_states,
        "master_weights": zero + states.master_weights,
        "autocast_copies": by_part["autocast_copies"],
        "activations": by_part["activations"],
        "attention": by_part["attention"],
        "routing": by_part["routing"],
        "adapter_inputs": by_part["adapter_inputs"],
        "logits": by_part["logits"],
        "recomputed_layer": by_part["recomputed"],
        "working": by_part["working"],
        "optimizer_temporaries": np.where(step, states.optimizer_temporaries, 0.0),
        "gathered_weights": np.where(step, 0.0, states.gathered_weights),
        "gradient_buffers": np.where(step, 0.0, states.gradient_buffers),
    }
    allocated = sum(parts.values(), start=zero)
    reserve, context = overheads()["allocator_reserve"], overheads()["cuda_context"]
    library = overheads()["communication_library"]
    outside = context.p50 + (library.p50 if gpus > 1 else 0.0)
    return MemoryBreakdown(
        **parts,
        allocator_reserve=allocated * reserve.p50,
        cuda_context=zero + outside,
        peak_bytes=_range(allocated, gpus, _form_error(architecture, recipe)),
        peak_at=np.array(MOMENTS)[moments].reshape(shape),
        notes=_notes(architecture, recipe),
    )


def _form_error(architecture: Architecture, recipe: TrainingRecipe) -> Range:
    """How far measured memory lies from the closed form."""
    if not code_of(architecture).derived:
        return overheads()["form_error_assumed"]
    known = recipe.stack in PEFT_STACKS and not recipe.compiled
    return overheads()["form_error_derived" if known else "form_error_stack"]


def _range(allocated: FloatArray, gpus: int, form: Range) -> FloatArray:
    """p10, p50, p90 of used memory: independent errors of form, reserve and constants."""
    found = overheads()
    reserve, context = found["allocator_reserve"], found["cuda_context"]
    library = found["communication_library"]
    talks = 1.0 if gpus > 1 else 0.0
    middle = allocated * (1.0 + reserve.p50) + context.p50 + talks * library.p50
    ends = []
    for end in ("p10", "p90"):
        spread = np.sqrt(
            (allocated * (1.0 + reserve.p50) * (getattr(form, end) - form.p50)) ** 2
            + (allocated * (getattr(reserve, end) - reserve.p50)) ** 2
            + (getattr(context, end) - context.p50) ** 2
            + (talks * (getattr(library, end) - library.p50)) ** 2
        )
        ends.append(middle - spread if end == "p10" else middle + spread)
    return np.stack([ends[0], middle, ends[1]])


def _notes(architecture: Architecture, recipe: TrainingRecipe) -> tuple[str, ...]:
    notes = []
    if not code_of(architecture).derived:
        notes.append(
            f"activations of {architecture.family} were not checked against a trace: "
            "treated as Llama's code, with a wider range"
        )
    if recipe.optimizer.startswith("paged"):
        notes.append("paged optimizer states are counted as paged out to CPU memory")
    if recipe.stack not in PEFT_STACKS or recipe.compiled:
        notes.append(f"activations of the {recipe.stack} stack are an approximation of its kernels")
    return tuple(notes)
