"""What decides the operations of a layer beside its shape."""

from dataclasses import dataclass
from typing import Literal

from estimator.llm.architecture import Attention
from estimator.training.families import Code
from estimator.training.operations import FLOAT, Numerics

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
    """Sliding windows that are narrower than the sequence, so that a mask has to be made."""
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
        """Bytes per value of the residual stream between layers."""
        return FLOAT if self.numerics.autocast else self.numerics.weight_itemsize

    @property
    def freezes_start(self) -> bool:
        """Whether nothing before the first adapter needs a gradient.

        Checkpointing needs an input that requires one, so there the embedding's output does
        (`transformers` `enable_input_require_grads`).
        """
        return self.adapter is not None and not self.checkpointed
