"""FLOPs and bytes of the forward, training and recomputing passes over one micro-batch."""

from dataclasses import dataclass

import numpy as np

from estimator.llm.flops import FlopCount, count_flops
from estimator.quantity import FloatArray
from estimator.training.inventory import Inventory
from estimator.training.recipe import TrainingRecipe

SCORE_BYTES = 8.0  # an eager pass writes and reads each score before and after the softmax
BACKWARD_PASSES = 2.0  # element-wise work backward, in forward passes
BRANCH_RECOMPUTE_SHARE = 0.5  # recomputation over forward and backward where the two are alike
NARROW_BYTES = 6.0
"""Bytes per value of making an FP8 or FP4 input: read for its maximum and again to be cast (16
bits each), written as it is and transposed. Forward it is the input, backward the gradient of the
output (Micikevicius et al., "FP8 Formats for Deep Learning", arXiv 2209.05433)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassWork:
    """Work of some passes over one micro-batch on one GPU; numbers or arrays."""

    matmul_flops: FloatArray
    """Matrices of the layers but those in `expert_flops`."""
    expert_flops: FloatArray
    """Grouped products: routed experts, unless they are quantised."""
    head_flops: FloatArray
    adapter_flops: FloatArray
    attention_flops: FloatArray
    """Score and value products that a kernel executes, all of them in an eager one; and the
    products of a scan."""
    matmul_bytes: FloatArray
    """Matrices, and their inputs and outputs, as the products read and write them."""
    elementwise_bytes: FloatArray
    """Norms, activations, residuals and rotation, each in one kernel."""
    scan_bytes: FloatArray
    """The recurrences of state-space layers, with what stands around them, each in one kernel."""
    score_bytes: FloatArray
    """Scores written and read by an eager kernel; a fused one keeps them on the chip."""
    logits: FloatArray
    adapter_values: FloatArray
    """Values going in and out of the adapted matrices."""
    dequantised_weights: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PassSet:
    """The three kinds of passes of a training step, and what MFU and HFU count."""

    forward: PassWork
    training: PassWork
    """Forward and backward."""
    recompute: PassWork
    """What activation checkpointing repeats."""
    model_flops: FloatArray
    hardware_flops: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class _Repeats:
    """How often a set of passes repeats each part of the forward pass."""

    matrices: float
    others: float
    scores: float
    branches: float
    """In forward-and-backward passes: what goes over inputs forward and gradients backward."""
    logits: float
    """In forward-and-backward passes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flops:
    layers: FloatArray
    head: FloatArray
    adapters: FloatArray
    attention: FloatArray


def pass_set(inventory: Inventory, recipe: TrainingRecipe, batch: FloatArray) -> PassSet:
    """The passes of a micro-batch of `batch` sequences, divided over the GPUs of one model copy.

    Backward is two forwards for element-wise work, and for matrices two (weight and input
    gradients) or one (frozen base).
    """
    flops = count_flops(
        inventory.architecture,
        sequence_length=recipe.sequence_length,
        micro_batch=batch,
        method=recipe.method,
        lora_rank=recipe.lora_rank,
        lora_targets=recipe.lora_targets,
        checkpointing=recipe.checkpointing,
        attention=recipe.attention,
    )
    matrices = 3.0 if recipe.method == "full" else 2.0
    again = 1.0 if recipe.checkpointing == "full" else 0.0
    scores_again = 0.0 if recipe.checkpointing == "none" else 1.0
    forward, training, recompute = _flops_by_pass(flops, matrices)
    both = 1.0 + BACKWARD_PASSES
    gpus = recipe.model_parallel
    eager_share = 0.5 if inventory.architecture.kind == "decoder" else 1.0

    def work(part: _Flops, repeats: _Repeats) -> PassWork:
        return _pass_work(inventory, recipe, flops, part, repeats)

    return PassSet(
        forward=work(forward, _Repeats(matrices=1, others=1, scores=1, branches=0.5, logits=0.5)),
        training=work(
            training, _Repeats(matrices=matrices, others=both, scores=both, branches=1, logits=1)
        ),
        recompute=work(
            recompute,
            _Repeats(
                matrices=again,
                others=again,
                scores=scores_again,
                branches=again * BRANCH_RECOMPUTE_SHARE,
                logits=0,
            ),
        ),
        model_flops=model_flops(recipe, flops, eager_share=eager_share) / gpus,
        hardware_flops=hardware_flops(recipe, flops, eager_share=eager_share) / gpus,
    )


def model_flops(recipe: TrainingRecipe, flops: FlopCount, *, eager_share: float) -> FloatArray:
    """FLOPs of a micro-batch that MFU counts: F x matrices + 3 x attention, head included.

    F = 3 passes, or 2 where the base is frozen (no weight gradients). Attention counts the pairs
    that the mask leaves: `eager_share` of those that an eager kernel computes. Adapters and
    recomputation are not counted (Chowdhery et al., PaLM, arXiv 2204.02311, appendix B, with
    attention's causal half).
    """
    passes = 3.0 if recipe.method == "full" else 2.0
    visible = eager_share if recipe.attention == "eager" else 1.0
    return passes * _forward_matrices(flops) + 3.0 * visible * flops.hardware_forward_attention


def hardware_flops(recipe: TrainingRecipe, flops: FlopCount, *, eager_share: float) -> FloatArray:
    """FLOPs that HFU counts: one more forward under full checkpointing, 10 % under selective."""
    again = {"none": 0.0, "selective": 0.1, "full": 1.0}[recipe.checkpointing]
    visible = eager_share if recipe.attention == "eager" else 1.0
    forward = _forward_matrices(flops) + visible * flops.hardware_forward_attention
    return model_flops(recipe, flops, eager_share=eager_share) + again * forward


def value_bytes(recipe: TrainingRecipe) -> float:
    """Bytes of one value between kernels: 4 in fp32, else 2 (autocast computes in 16 bits)."""
    return 4.0 if recipe.precision == "fp32" else 2.0


def elementwise_bytes(inventory: Inventory, recipe: TrainingRecipe) -> float:
    """Bytes per token that the element-wise kernels of a forward pass read and write.

    FP32 weights keep the residual stream and its norms in FP32 (`amp`, too).
    """
    stream = 4.0 if recipe.precision in ("fp32", "amp") else 2.0
    inner = value_bytes(recipe) * inventory.inner_values
    return stream * inventory.stream_values + inner


def cast_bytes(recipe: TrainingRecipe) -> float:
    """Bytes per weight and pass that autocast moves to make 16-bit copies of FP32 weights.

    ZeRO-3 gathers copies, and each rank casts its own part alone.
    """
    return 6.0 if recipe.precision == "amp" and recipe.sharding != "zero3" else 0.0


def narrow_bytes(recipe: TrainingRecipe) -> float:
    """Bytes per input or output value of a matrix that FP8 and FP4 casts move."""
    return NARROW_BYTES if recipe.matmul_format else 0.0


def _forward_matrices(flops: FlopCount) -> FloatArray:
    return flops.forward - flops.forward_attention - flops.forward_adapters


def _flops_by_pass(flops: FlopCount, matrix_passes: float) -> tuple[_Flops, _Flops, _Flops]:
    """FLOPs of the forward pass, of forward and backward, and of recomputation."""
    head_backward = flops.forward_head * (matrix_passes - 1.0)
    gradients = flops.backward_input_gradient + flops.backward_weight_gradient - head_backward
    forward = _Flops(
        layers=_forward_matrices(flops) - flops.forward_head,
        head=flops.forward_head,
        adapters=flops.forward_adapters,
        attention=flops.hardware_forward_attention,
    )
    training = _Flops(
        layers=forward.layers + gradients,
        head=forward.head + head_backward,
        adapters=forward.adapters + flops.backward_adapters,
        attention=forward.attention + flops.hardware_backward_attention,
    )
    recompute = _Flops(
        layers=flops.recompute_matmul,
        head=np.zeros_like(flops.tokens),
        adapters=flops.recompute_adapters,
        attention=flops.hardware_recompute_attention,
    )
    return forward, training, recompute


def _grouped_flops(flops: FlopCount, recipe: TrainingRecipe) -> FloatArray:
    """Forward FLOPs of grouped products; 4-bit experts are unpacked and multiplied one by one."""
    none = np.zeros_like(flops.tokens)
    return none if recipe.method == "qlora" else flops.forward_matmul.get("expert", none)


def _pass_work(
    inventory: Inventory,
    recipe: TrainingRecipe,
    flops: FlopCount,
    part: _Flops,
    repeats: _Repeats,
) -> PassWork:
    tokens, gpus, size = flops.tokens, recipe.model_parallel, value_bytes(recipe)
    layers = _forward_matrices(flops) - flops.forward_head
    experts = _grouped_flops(flops, recipe) / layers
    weights = inventory.matrices.split(recipe)
    quantised = inventory.quantised.split(recipe) if recipe.method == "qlora" else 0.0
    values = tokens * inventory.values_per_token / gpus
    eager = recipe.attention == "eager"
    scores = tokens * recipe.sequence_length * inventory.heads * eager
    head = inventory.architecture.head
    scan = tokens * inventory.scan_flops_per_token
    return PassWork(
        matmul_flops=part.layers * (1.0 - experts) / gpus,
        expert_flops=part.layers * experts / gpus,
        head_flops=part.head / gpus,
        adapter_flops=part.adapters / gpus,
        attention_flops=(part.attention + repeats.others * scan) / gpus,
        matmul_bytes=repeats.matrices * (size * (values + weights) + cast_bytes(recipe) * weights)
        + repeats.branches * narrow_bytes(recipe) * values,
        elementwise_bytes=repeats.others * tokens * elementwise_bytes(inventory, recipe) / gpus,
        scan_bytes=repeats.others * size * tokens * inventory.scan_values / gpus,
        score_bytes=repeats.scores * SCORE_BYTES * scores / gpus,
        logits=repeats.logits * tokens * (head.outputs if head else 0) / gpus,
        adapter_values=repeats.branches * tokens * inventory.adapter_values_per_token / gpus,
        dequantised_weights=np.asarray(repeats.matrices * quantised),
    )
