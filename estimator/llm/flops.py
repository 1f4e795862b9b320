"""Floating-point operations of one micro-batch: what a counter sees, what hardware executes.

A matrix of `weights` entries costs 2 x weights x tokens forward, as much again for the gradient of
its input and as much again for the gradient of its weights. Attention adds two batched products
whose cost grows with the square of the sequence length. Element-wise work is left out, as every
FLOP counter leaves it out. Equal to `torch.utils.flop_counter` on the `transformers` classes.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from estimator.llm.architecture import Architecture
from estimator.llm.parameters import count_parameters
from estimator.llm.products import (
    FORWARD_MATMUL,
    Checkpointing,
    Kernel,
    Passes,
    Per,
    Span,
    products,
)
from estimator.quantity import FloatArray

Method = Literal["full", "lora", "qlora"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FlopCount:
    """FLOPs of the forward and backward pass of one micro-batch, by part.

    The parts sum to `total`, the figure that `torch.utils.flop_counter` gives: attention is
    counted over the whole square of scores. `hardware_total` is what a GPU executes: a fused
    kernel skips what the causal mask or the window hides and, backward, computes the scores again.
    """

    tokens: FloatArray
    """Tokens in the micro-batch, padding included."""
    parameters: int
    """All parameters of the model: the N of the 6ND rule."""
    forward_matmul: Mapping[str, FloatArray]
    """Products of the model's own matrices but the head, by role."""
    forward_attention: FloatArray
    """Score and value products over the whole square."""
    forward_head: FloatArray
    """Product that makes the logits."""
    forward_adapters: FloatArray
    backward_input_gradient: FloatArray
    """Gradients of the inputs of the matrices that the backward pass reaches, the head's too."""
    backward_weight_gradient: FloatArray
    """Gradients of the model's own matrices; none where the base is frozen."""
    backward_attention: FloatArray
    backward_adapters: FloatArray
    """Gradients of adapter weights and of adapter inputs."""
    recompute_matmul: FloatArray
    """Forward products that checkpointing repeats in the backward pass."""
    recompute_attention: FloatArray
    recompute_adapters: FloatArray
    hardware_forward_attention: FloatArray
    """Score and value products that the kernel executes."""
    hardware_backward_attention: FloatArray
    hardware_recompute_attention: FloatArray

    @property
    def forward(self) -> FloatArray:
        """FLOPs of the forward pass."""
        matmul = sum(self.forward_matmul.values(), start=np.zeros_like(self.tokens))
        return matmul + self.forward_attention + self.forward_head + self.forward_adapters

    @property
    def backward(self) -> FloatArray:
        """FLOPs of the backward pass, recomputation left out."""
        gradients = self.backward_input_gradient + self.backward_weight_gradient
        return gradients + self.backward_attention + self.backward_adapters

    @property
    def recompute(self) -> FloatArray:
        """FLOPs that checkpointing repeats."""
        return self.recompute_matmul + self.recompute_attention + self.recompute_adapters

    @property
    def total(self) -> FloatArray:
        """All FLOPs, as a FLOP counter gives them."""
        return self.forward + self.backward + self.recompute

    @property
    def attention(self) -> FloatArray:
        """Score and value products of all passes, as a FLOP counter gives them."""
        return self.forward_attention + self.backward_attention + self.recompute_attention

    @property
    def hardware_attention(self) -> FloatArray:
        """Score and value products of all passes, as the kernel executes them."""
        return (
            self.hardware_forward_attention
            + self.hardware_backward_attention
            + self.hardware_recompute_attention
        )

    @property
    def hardware_total(self) -> FloatArray:
        """All FLOPs that the GPU executes: masked scores skipped, flash recompute counted."""
        return self.total - self.attention + self.hardware_attention

    @property
    def six_nd(self) -> FloatArray:
        """The usual rule, 6 x parameters x tokens (Kaplan et al., arXiv 2001.08361, table 1)."""
        return 6.0 * self.parameters * self.tokens

    @property
    def six_nd_error(self) -> FloatArray:
        """How far the 6ND rule is from `total`, as a fraction of `total`."""
        return self.six_nd / self.total - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlopsPerToken:
    """FLOPs per token of a sequence of a given length, as a FLOP counter gives them."""

    forward: float
    train: float
    """Forward, backward and recomputation."""
    six_n: float
    """The 6N rule."""
    six_n_error: float
    """How far the 6N rule is from `train`, as a fraction of `train`."""


def count_flops(
    architecture: Architecture,
    *,
    sequence_length: ArrayLike,
    micro_batch: ArrayLike = 1,
    method: Method = "full",
    lora_rank: int = 16,
    lora_targets: str | tuple[str, ...] = "all-linear",
    checkpointing: Checkpointing = "none",
    attention: Kernel = "sdpa",
) -> FlopCount:
    """FLOPs of the forward and backward pass of one micro-batch.

    `sequence_length` and `micro_batch` broadcast. LoRA and QLoRA compute the same products: a
    frozen matrix has no weight gradient, and nothing before the first adapter has an input
    gradient, unless checkpointing makes the embeddings' output require one (as `peft` users must).
    `checkpointing="full"` repeats each layer as `torch.utils.checkpoint` without reentrance does,
    which stops before the last product of a layer; "selective" repeats attention alone (Korthikanti
    et al., arXiv 2205.05198, section 5). `attention` decides how many products the backward pass of
    the scores takes: four in `eager` and in the decomposed `sdpa` that a counter sees, five in
    `flash` (Dao, arXiv 2307.08691); on hardware `sdpa` is a flash kernel. An encoder-decoder reads
    `sequence_length` tokens on each side. Left out: element-wise work, convolutions and the scan
    of state-space layers.
    """
    sequence = np.asarray(sequence_length, dtype=np.float64)
    batch = np.asarray(micro_batch, dtype=np.float64)
    zero = np.zeros(np.broadcast_shapes(batch.shape, sequence.shape))
    passes = Passes(
        trained=method == "full",
        rank=lora_rank,
        targets=lora_targets,
        checkpointing=checkpointing,
        kernel=attention,
    )
    parts: dict[str, FloatArray] = defaultdict(lambda: zero)
    for product in products(architecture, passes):
        amount = product.flops * _repeats(product.per, batch, sequence)
        parts[product.part] = parts[product.part] + amount
    matmul = {name: value for name, value in parts.items() if name.startswith(FORWARD_MATMUL)}
    return FlopCount(
        tokens=batch * sequence,
        parameters=count_parameters(architecture).total,
        forward_matmul={name.removeprefix(FORWARD_MATMUL): v for name, v in matmul.items()},
        forward_attention=parts["forward_attention"],
        forward_head=parts["forward_head"],
        forward_adapters=parts["forward_adapters"],
        backward_input_gradient=parts["backward_input_gradient"],
        backward_weight_gradient=parts["backward_weight_gradient"],
        backward_attention=parts["backward_attention"],
        backward_adapters=parts["backward_adapters"],
        recompute_matmul=parts["recompute_matmul"],
        recompute_attention=parts["recompute_attention"],
        recompute_adapters=parts["recompute_adapters"],
        hardware_forward_attention=parts["hardware_forward_attention"],
        hardware_backward_attention=parts["hardware_backward_attention"],
        hardware_recompute_attention=parts["hardware_recompute_attention"],
    )


def flops_per_token(
    architecture: Architecture,
    *,
    sequence_length: int,
    method: Method = "full",
    lora_rank: int = 16,
    lora_targets: str | tuple[str, ...] = "all-linear",
    checkpointing: Checkpointing = "none",
    attention: Kernel = "sdpa",
) -> FlopsPerToken:
    """FLOPs per token of `count_flops` for one sequence, with the 6N rule beside it."""
    count = count_flops(
        architecture,
        sequence_length=sequence_length,
        method=method,
        lora_rank=lora_rank,
        lora_targets=lora_targets,
        checkpointing=checkpointing,
        attention=attention,
    )
    return FlopsPerToken(
        forward=float(count.forward / count.tokens),
        train=float(count.total / count.tokens),
        six_n=6.0 * count.parameters,
        six_n_error=float(count.six_nd_error),
    )


def _repeats(per: Per, batch: FloatArray, sequence: FloatArray) -> FloatArray:
    """How often a product occurs in a micro-batch of `batch` sequences of `sequence` tokens."""
    if isinstance(per, Span):
        return batch * per.pairs(sequence)
    return {"step": np.ones(()), "sequence": batch, "token": batch * sequence}[per]
