"""What decides the operations of a layer beside its shape."""

from dataclasses import dataclass
from typing import Literal

from estimator.llm.architecture import Architecture, Attention
from estimator.training.families import Code, code_of
from estimator.training.operations import FLOAT, Dispatch, Numerics
from estimator.training.recipe import TrainingRecipe
from estimator.training.states import (
    MASTER_STACKS,
    PEFT_STACKS,
    adapter_itemsize,
    upcasts_unquantised,
    weight_itemsize,
)

Loss = Literal["plain", "kernel", "chunked", "fused"]
"""`plain`: softmax over all logits in fp32; `kernel`: one kernel keeps fp32 logits and overwrites
them by their gradient; `chunked`: logits whole, softmax a part at a time; `fused`: the head's
product and the loss a part at a time, logits are never whole."""
Kernel = Literal["flash", "sdpa", "eager"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """LoRA as `peft` makes it (Hu et al., arXiv 2106.09685)."""

    rank: int
    targets: str | tuple[str, ...]
    itemsize: int = FLOAT
    """Bytes per adapter weight; `peft` makes fp32 adapters on a 16-bit base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Numerics, code and kernels of a training step."""

    numerics: Numerics
    code: Code
    adapter: Adapter | None = None
    kernel: Kernel = "sdpa"
    fused: bool = False
    """Whether element-wise work is fused, by hand-written kernels or by torch.compile: a norm keeps
    its input, a gate its two factors."""
    loss: Loss = "plain"
    narrow_windows: frozenset[int] = frozenset()
    """Sliding windows no wider than the sequence, so that a mask is made."""
    quantised: bool = False
    """Whether the base's matrices are stored in 4 bits and dequantised for each product."""
    checkpointed: bool = False
    """Whether each layer is recomputed in the backward pass."""
    forgets_scores: bool = False
    """Whether only the attention's scores are recomputed (selective checkpointing)."""
    wide_boundaries: bool = False
    """Whether checkpoints are kept in fp32 (`peft` under FSDP or on a base prepared for 4 bits,
    whose norms and tables are cast to fp32)."""
    tensor_parallel: int = 1
    """GPUs that split each layer's matrices."""
    expert_parallel: int = 1
    """GPUs that split the experts of a layer."""

    def masked(self, attention: Attention) -> bool:
        """Whether `sdpa` is given a mask, as where the window hides part of the sequence."""
        if self.kernel != "sdpa":
            return False
        return self.code.always_masks or attention.window in self.narrow_windows

    @property
    def stream_itemsize(self) -> int:
        """Bytes per value of the residual stream between layers: those of the embedding."""
        return self.numerics.weight_itemsize

    @property
    def freezes_start(self) -> bool:
        """Whether nothing before the first adapter needs a gradient.

        Checkpointing needs an input that requires one, so there the embedding's output does
        (`transformers` `enable_input_require_grads`).
        """
        return self.adapter is not None and not self.checkpointed


EAGER_STACKS = ("huggingface", "torchtune")
"""Stacks whose norms, gates and rotations are plain operations unless they are compiled."""


def setup_of(
    architecture: Architecture,
    recipe: TrainingRecipe,
    *,
    dispatch: Dispatch = "cuda",
    narrow_windows: frozenset[int] = frozenset(),
) -> Setup:
    """The operations that a recipe stands for."""
    sharded_adapters = recipe.has_adapters and recipe.sharding == "zero3"
    return Setup(
        numerics=_numerics(recipe, dispatch),
        code=code_of(architecture),
        adapter=_adapter(recipe) if recipe.has_adapters else None,
        kernel=recipe.attention,
        fused=recipe.compiled or recipe.stack not in EAGER_STACKS,
        loss=recipe.loss_kernel,
        narrow_windows=narrow_windows,
        quantised=recipe.method == "qlora",
        checkpointed=recipe.checkpointing == "full",
        forgets_scores=recipe.checkpointing == "selective",
        wide_boundaries=upcasts_unquantised(recipe)
        or (sharded_adapters and recipe.stack in PEFT_STACKS),
        tensor_parallel=recipe.tensor_parallel,
        expert_parallel=recipe.expert_parallel,
    )


def _numerics(recipe: TrainingRecipe, dispatch: Dispatch) -> Numerics:
    """Mixed precision keeps 16-bit weights beside a master copy (Megatron, DeepSpeed) or casts
    each gathered unit (FSDP); elsewhere autocast casts each matrix."""
    amp = recipe.precision == "amp"
    casts_units = amp and (recipe.stack in MASTER_STACKS or recipe.sharding == "zero3")
    return Numerics(
        weight_itemsize=2 if casts_units else int(weight_itemsize(recipe)),
        autocast=recipe.autocast or (amp and not casts_units),
        trained=not recipe.has_adapters,
        dispatch=dispatch,
    )


def _adapter(recipe: TrainingRecipe) -> Adapter:
    itemsize = int(adapter_itemsize(recipe))
    return Adapter(rank=recipe.lora_rank, targets=recipe.lora_targets, itemsize=itemsize)
