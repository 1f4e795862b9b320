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

from estimator.errors import InputError
from estimator.llm.architecture import Architecture
from estimator.quantity import FloatArray
from estimator.training.families import code_of
from estimator.training.footprint import PARTS, Stage, part, peaks
from estimator.training.operations import Dispatch
from estimator.training.overheads import Range, overheads
from estimator.training.recipe import TrainingRecipe
from estimator.training.setup import Setup, setup_of
from estimator.training.states import (
    PEFT_STACKS,
    ByIdentity,
    StateBytes,
    accumulates_unsharded,
    gradient_itemsize,
    state_bytes,
)
from estimator.training.tape import BASIS, basis_values, per

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
    dequantisation: FloatArray
    """The 16-bit copy of a 4-bit matrix while it is multiplied."""
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
    _check_experts(recipe, gpus)
    batch = np.asarray(recipe.micro_batch if micro_batch is None else micro_batch, dtype=float)
    length = recipe.sequence_length if sequence_length is None else sequence_length
    batch, sequence = np.broadcast_arrays(batch, np.asarray(length, dtype=float))
    shape = batch.shape
    values = _values(recipe, np.atleast_1d(batch).ravel(), np.atleast_1d(sequence).ravel())
    form = _form(recipe)
    tensors = np.zeros((len(values), len(PARTS)))
    moments = np.zeros(len(values), dtype=np.intp)
    for narrow, chosen in _by_narrow_windows(architecture, recipe, sequence.ravel()):
        rows = _rows(ByIdentity(architecture), form, gpus, dispatch, narrow)
        tensors[chosen], moments[chosen] = _largest(rows, values[chosen])
    by_part = dict(zip(PARTS, tensors.T.reshape(len(PARTS), *shape), strict=True))
    parts = _parts(rows.fixed, by_part, moments.reshape(shape))
    return _breakdown(architecture, recipe, gpus, parts, moments.reshape(shape))


def _check_experts(recipe: TrainingRecipe, gpus: int) -> None:
    """Refuse experts split more often than there are GPUs: their shares would be too small.

    Memory counts each expert as split by tensor parallelism as well. Megatron-Core can keep whole
    experts beside split attention (`expert_tensor_parallel_size`): its speed is known, its memory
    is not modelled.
    """
    split = recipe.tensor_parallel * recipe.pipeline_parallel * recipe.expert_parallel
    if recipe.expert_parallel > 1 and gpus % split:
        raise InputError(
            f"{gpus} GPUs cannot be divided into groups of {split} (tensor x pipeline x expert "
            "parallel); choose degrees whose product divides the GPUs"
        )


def _values(recipe: TrainingRecipe, batch: FloatArray, sequence: FloatArray) -> FloatArray:
    """The terms of the states for each candidate on one GPU.

    Context parallelism leaves a GPU its share of the queries, each of which sees all keys.
    """
    ranks = recipe.context_parallel
    values = basis_values(batch, sequence / ranks)
    values[:, [BASIS.index("SS"), BASIS.index("BSS")]] *= ranks
    return values


def _form(recipe: TrainingRecipe) -> TrainingRecipe:
    """The recipe less what the form of the states does not depend on.

    Accumulation counts as far as gradients add up and a pipeline fills.
    """
    most = max(2, recipe.pipeline_parallel)
    accumulation = min(recipe.gradient_accumulation, most)
    return recipe.model_copy(
        update={
            "micro_batch": 1,
            "sequence_length": 1,
            "gradient_accumulation": accumulation,
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Candidate states: totals (states x basis), parts (states x parts x basis), moments."""

    fixed: StateBytes
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
    """Candidates grouped by which sliding windows are no wider than their sequence.

    Only then does `transformers` give `sdpa` a mask (`masking_utils.py`, `sdpa_mask`).
    """
    windows = {
        layer.attention.window
        for layer in architecture.layers
        if layer.attention is not None and layer.attention.window is not None
    }
    if recipe.attention != "sdpa" or not windows or not sequence.size:
        return [(frozenset(), np.ones(sequence.size, dtype=bool))]
    ordered = np.array(sorted(windows))
    count = np.searchsorted(ordered, sequence, side="right")
    return [(frozenset(int(w) for w in ordered[:n]), count == n) for n in np.unique(count).tolist()]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Replayed:
    """Candidate states of the passes: bytes (states x parts x basis) and moments."""

    bytes: FloatArray
    moments: NDArray[np.intp]


@lru_cache(maxsize=512)
def _replayed(key: ByIdentity, setup: Setup, stage: Stage | None) -> _Replayed:
    """The replays of a stage, which are the same for any number of GPUs that share the states."""
    found = peaks(key.architecture, setup, stage)
    return _Replayed(
        bytes=np.array([state.bytes for state in found]),
        moments=np.array([MOMENTS.index(state.moment) for state in found]),
    )


@lru_cache(maxsize=8192)
def _rows(
    key: ByIdentity, recipe: TrainingRecipe, gpus: int, dispatch: Dispatch, narrow: frozenset[int]
) -> _Rows:
    """The states of a recipe that can be the peak, gradients as they are kept on one GPU."""
    architecture = key.architecture
    setup = setup_of(architecture, recipe, dispatch=dispatch, narrow_windows=narrow)
    states = state_bytes(architecture, recipe, gpus=gpus)
    passes = [_replayed(key, setup, stage) for stage in _stages(architecture, recipe)]
    itemsize = setup.numerics.weight_itemsize
    kept = [_kept_gradients(found.bytes, recipe, itemsize, states, gpus) for found in passes]
    step = part("gradients", per("1", states.gradients))
    table = np.concatenate([*kept, step[None]])
    moments = np.concatenate([*(x.moments for x in passes), [MOMENTS.index("optimizer")]])
    totals = table.sum(axis=1)
    extra = np.array([_extra(states, moment) for moment in range(len(MOMENTS))])
    totals[:, 0] += extra[moments]
    return _Rows(fixed=states, totals=totals, parts=table, moments=moments)


def _extra(states: StateBytes, moment: int) -> float:
    """Bytes that only some moments have: gathered weights, or the optimizer's temporaries."""
    if MOMENTS[moment] == "optimizer":
        return states.optimizer_temporaries
    return states.gathered_weights + states.gradient_buffers


def _kept_gradients(
    found: FloatArray, recipe: TrainingRecipe, itemsize: int, states: StateBytes, gpus: int
) -> FloatArray:
    """The states of a pass with its gradients (`itemsize` bytes each) as they are kept.

    In the type that the optimizer reads, scattered under ZeRO-2 and 3, and whole from the second
    micro-batch on where they accumulate; under FSDP these are the exchange's buffers, which hold
    them until the last micro-batch. Offloaded parameters take their gradients with them.
    """
    row = PARTS.index("gradients")
    kept = found.copy()
    if not recipe.has_adapters:
        kept[:, row] *= gradient_itemsize(recipe) / itemsize
    if recipe.sharding in ("zero2", "zero3"):
        kept[:, row] /= recipe.data_parallel(gpus) * recipe.context_parallel
    if recipe.offload == "parameters" or accumulates_unsharded(recipe):
        kept[:, row] = 0.0
    elif recipe.gradient_accumulation > 1 or recipe.optimizer_in_backward:
        kept[:, row] = per("1", states.gradients)
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


def _parts(
    fixed: StateBytes, by_part: Mapping[str, FloatArray], moments: NDArray[np.intp]
) -> dict[str, FloatArray]:
    """Allocated bytes by part: the fixed states beside the tensors of the peak."""
    step = moments == MOMENTS.index("optimizer")
    zero = np.zeros(moments.shape)
    renamed = {"recomputed": "recomputed_layer"}
    return {
        **{renamed.get(name, name): value for name, value in by_part.items()},
        "weights": zero + fixed.weights,
        "optimizer_states": zero + fixed.optimizer_states,
        "master_weights": zero + fixed.master_weights,
        "optimizer_temporaries": np.where(step, fixed.optimizer_temporaries, 0.0),
        "gathered_weights": np.where(step, 0.0, fixed.gathered_weights),
        "gradient_buffers": np.where(step, 0.0, fixed.gradient_buffers),
    }


def _breakdown(
    architecture: Architecture,
    recipe: TrainingRecipe,
    gpus: int,
    parts: dict[str, FloatArray],
    moments: NDArray[np.intp],
) -> MemoryBreakdown:
    """Adds what the GPU holds beside PyTorch's tensors."""
    found = overheads()
    allocated = sum(parts.values(), start=np.zeros(moments.shape))
    library = found["communication_library"].p50 if gpus > 1 else 0.0
    return MemoryBreakdown(
        **parts,
        allocator_reserve=allocated * found["allocator_reserve"].p50,
        cuda_context=np.full(moments.shape, found["cuda_context"].p50 + library),
        peak_bytes=_range(allocated, gpus, form_error(architecture, recipe)),
        peak_at=np.array(MOMENTS)[moments],
        notes=_notes(architecture, recipe),
    )


def form_error(architecture: Architecture, recipe: TrainingRecipe) -> Range:
    """How far measured memory lies from the closed form."""
    if not code_of(architecture).derived:
        return overheads()["form_error_assumed"]
    if recipe.stack not in PEFT_STACKS or recipe.compiled:
        return overheads()["form_error_stack"]
    return overheads()["form_error_typical" if architecture.typical else "form_error_derived"]


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
