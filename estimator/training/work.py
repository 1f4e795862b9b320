"""What one optimizer step asks of one GPU: FLOPs, bytes, collectives, launches.

Counts only, no rates: `throughput.py` turns them into seconds. Every field is a number or an array
over candidates (micro-batches, say); shapes broadcast.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from estimator.errors import InputError
from estimator.hardware.cluster import Cluster
from estimator.hardware.rates import Numbers
from estimator.llm.architecture import Architecture
from estimator.training.inventory import Inventory
from estimator.training.passes import PassSet, pass_set, value_bytes
from estimator.training.recipe import TrainingRecipe

QUANTISED_BYTES = 0.5 + 1 / 64  # NF4: 4 bits, and an 8-bit scale per block of 64 weights
GRADIENT_BYTES = 2.0  # gradients travel in 16 bits
HOST_RECOMPUTE_SHARE = 1 / 3.5  # forward, backward as long as 1.5 forwards, forward again


@dataclass(frozen=True, slots=True, kw_only=True)
class Collectives:
    """Equal collectives of one micro-batch (or step, where said)."""

    count: Numbers
    bytes: Numbers
    """Bytes of one: of the whole tensor; for all-to-all what one rank sends."""
    ranks: Numbers
    inner: Numbers
    """Distance between neighbouring ranks in GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launches:
    """What the CPU must launch for one micro-batch."""

    layers: Numbers
    """A layer counts 1 if it is also recomputed, less if not."""
    adapters: Numbers
    experts: Numbers
    sharded_layers: Numbers
    """Layers whose weights ZeRO-3 gathers."""
    sharded_adapters: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """Sizes of the matrix products."""

    inverse_width: Numbers
    """Mean of 1 / (narrower side of the matrix), weighted by FLOPs."""
    expert_inverse_width: Numbers
    tokens: Numbers
    """Rows in a product of the layers."""
    expert_tokens: Numbers
    """Rows in a product of one expert."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offloaded:
    """What lives in CPU memory: bytes over the host link, parameters that the CPU updates."""

    bytes_per_micro_batch: Numbers
    bytes_per_step: Numbers
    parameters: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWork:
    """Work of one optimizer step on one GPU; per micro-batch unless a name says otherwise."""

    passes: PassSet
    shapes: Shapes
    launches: Launches
    gather: Collectives
    """Weights gathered and gradients scattered under ZeRO-3."""
    tensor: Collectives
    """All-reduces of tensor parallelism."""
    expert: Collectives
    """All-to-alls of expert parallelism."""
    context: Collectives
    """Keys and values passed round the ring of context parallelism."""
    gradients: Collectives
    """The sum of gradients over data-parallel ranks, once a step."""
    bubble_share: Numbers
    """Idle time of the pipeline over busy time."""
    micro_batches: Numbers
    """Micro-batches per step on this GPU."""
    optimizer_parameters: Numbers
    """Parameters that this GPU updates once a step; none where the CPU does."""
    offload: Offloaded
    tokens_per_step: Numbers
    """Tokens of the step divided by all GPUs."""


def step_work(
    architecture: Architecture,
    recipe: TrainingRecipe,
    cluster: Cluster,
    *,
    micro_batch: ArrayLike | None = None,
    gradient_accumulation: ArrayLike | None = None,
    virtual_stages: int = 1,
) -> StepWork:
    """The work of one step; `micro_batch` and `gradient_accumulation` may replace the recipe's.

    Tensor, context and pipeline parallelism split a micro-batch evenly (element-wise work too:
    Korthikanti et al., arXiv 2205.05198). `virtual_stages`: interleaved pipeline stages per GPU;
    the bubble is (p - 1) / (m v) (Narayanan et al., arXiv 2104.04473). Left out: uneven stages
    and traffic between stages.
    """
    check_layout(recipe, cluster)
    batch = np.asarray(recipe.micro_batch if micro_batch is None else micro_batch, np.float64)
    steps = recipe.gradient_accumulation if gradient_accumulation is None else gradient_accumulation
    micro_batches = np.asarray(steps, np.float64)
    inventory = Inventory.of(architecture, recipe)
    ranks = recipe.data_parallel(cluster.gpus) * recipe.context_parallel
    zero3 = recipe.sharding == "zero3" and ranks > 1
    trained = inventory.trained(recipe).split(recipe)
    updated = trained / (1 if recipe.sharding == "none" else ranks)
    tokens = batch * recipe.sequence_length
    rank_tokens = tokens / recipe.context_parallel
    pipeline = recipe.pipeline_parallel
    return StepWork(
        passes=pass_set(inventory, recipe, batch),
        shapes=Shapes(
            inverse_width=inventory.inverse_width(recipe.tensor_parallel, expert=False),
            expert_inverse_width=inventory.inverse_width(1, expert=True),
            tokens=rank_tokens,
            expert_tokens=rank_tokens * recipe.expert_parallel * inventory.expert_share,
        ),
        launches=_launches(inventory, recipe, sharded=zero3),
        gather=_over_data_parallel(recipe, ranks, zero3, _gathered_bytes(inventory, recipe)),
        tensor=_tensor(inventory, recipe, rank_tokens),
        expert=_expert(inventory, recipe, rank_tokens),
        context=_context(inventory, recipe, tokens),
        gradients=_over_data_parallel(recipe, ranks, not zero3, trained * GRADIENT_BYTES),
        bubble_share=(pipeline - 1) / (micro_batches * virtual_stages),
        micro_batches=micro_batches,
        optimizer_parameters=updated * _state_width(recipe) if recipe.offload == "none" else 0.0,
        offload=_offloaded(inventory, recipe, updated, ranks if zero3 else 1),
        tokens_per_step=tokens * micro_batches / recipe.model_parallel,
    )


def _state_width(recipe: TrainingRecipe) -> float:
    """Bytes of gradients and states over those of a 16-bit model."""
    return 2.0 if recipe.precision in ("fp32", "amp") else 1.0


def check_layout(recipe: TrainingRecipe, cluster: Cluster) -> None:
    """Refuse a recipe that the cluster's GPUs cannot be divided into."""
    if cluster.gpus % recipe.model_parallel:
        raise InputError(
            f"{cluster.gpus} GPUs cannot be divided into groups of {recipe.model_parallel} "
            "(tensor x pipeline x context parallel); choose degrees whose product divides the GPUs"
        )
    holders = cluster.gpus // recipe.pipeline_parallel
    if holders % recipe.expert_parallel:
        raise InputError(
            f"expert_parallel = {recipe.expert_parallel} does not divide the {holders} GPUs that "
            "hold the same layers; choose a divisor of it"
        )


def _launches(inventory: Inventory, recipe: TrainingRecipe, *, sharded: bool) -> Launches:
    layers = inventory.branches / 2.0 / recipe.pipeline_parallel
    adapters = inventory.adapters / recipe.pipeline_parallel
    launched = 1.0 if recipe.checkpointing == "full" else 1.0 - HOST_RECOMPUTE_SHARE
    return Launches(
        layers=launched * layers,
        adapters=adapters,
        experts=inventory.experts / (recipe.pipeline_parallel * recipe.expert_parallel),
        sharded_layers=layers if sharded else 0.0,
        sharded_adapters=adapters if sharded else 0.0,
    )


def _over_data_parallel(
    recipe: TrainingRecipe, ranks: int, takes_place: bool, size: float
) -> Collectives:
    """One collective of `size` bytes over the ranks that hold the same part of the model."""
    return Collectives(
        count=float(takes_place), bytes=size, ranks=ranks, inner=recipe.tensor_parallel
    )


def _passes_crossed(recipe: TrainingRecipe) -> float:
    """Forward and backward, and forward again where layers are recomputed."""
    return 3.0 if recipe.checkpointing == "full" else 2.0


def _tensor(inventory: Inventory, recipe: TrainingRecipe, tokens: Numbers) -> Collectives:
    """An all-reduce of the hidden state per branch and pass (Shoeybi et al., arXiv 1909.08053)."""
    width = inventory.architecture.hidden_size * value_bytes(recipe)
    return Collectives(
        count=_passes_crossed(recipe) * inventory.branches / recipe.pipeline_parallel,
        bytes=tokens * width,
        ranks=recipe.tensor_parallel,
        inner=1,
    )


def _expert(inventory: Inventory, recipe: TrainingRecipe, tokens: Numbers) -> Collectives:
    """Two all-to-alls (dispatch, combine) per expert layer and pass (GShard, arXiv 2006.16668)."""
    layers = sum(x.count for x in inventory.architecture.layers if x.is_moe)
    width = inventory.expert_width * value_bytes(recipe)
    copies = inventory.experts_per_token / recipe.tensor_parallel
    return Collectives(
        count=2.0 * _passes_crossed(recipe) * layers / recipe.pipeline_parallel,
        bytes=tokens * copies * width,
        ranks=recipe.expert_parallel,
        inner=recipe.tensor_parallel,
    )


def _context(inventory: Inventory, recipe: TrainingRecipe, tokens: Numbers) -> Collectives:
    """Keys and values round the ring, forward once and backward twice (arXiv 2310.01889)."""
    width = inventory.cache_width * value_bytes(recipe)
    stages = recipe.tensor_parallel * recipe.pipeline_parallel
    return Collectives(
        count=3.0,
        bytes=tokens * width / stages,
        ranks=recipe.context_parallel,
        inner=recipe.tensor_parallel,
    )


def _offloaded(
    inventory: Inventory, recipe: TrainingRecipe, updated: float, ranks: int
) -> Offloaded:
    """Gradients go down and weights come back once a step; offloaded weights come twice a pass.

    Ren et al., ZeRO-Offload, arXiv 2101.06840, section 4. `ranks` share the weights.
    """
    if recipe.offload == "none":
        return Offloaded(bytes_per_micro_batch=0.0, bytes_per_step=0.0, parameters=0.0)
    weights = 0.0
    if recipe.offload == "parameters":
        weights = 2.0 * _stored_bytes(inventory, recipe) / ranks
    return Offloaded(
        bytes_per_micro_batch=weights,
        bytes_per_step=updated * (GRADIENT_BYTES + value_bytes(recipe)),
        parameters=updated,
    )


def _stored_bytes(inventory: Inventory, recipe: TrainingRecipe) -> float:
    """Bytes of the weights that the GPUs of one stage and tensor rank hold together."""
    outside = inventory.outside_parameters / (recipe.tensor_parallel * recipe.pipeline_parallel)
    matrices = inventory.matrices.split(recipe)
    quantised = inventory.quantised.split(recipe) if recipe.method == "qlora" else 0.0
    return (matrices - quantised + outside) * value_bytes(recipe) + quantised * QUANTISED_BYTES


def _gathered_bytes(inventory: Inventory, recipe: TrainingRecipe) -> float:
    """Bytes that ZeRO-3 moves in one micro-batch: weights twice, trained gradients once.

    Rajbhandari et al., ZeRO, arXiv 1910.02054, section 7; the backward gather also serves
    recomputation. Expert parallelism leaves the experts of other ranks where they are.
    """
    weights = _stored_bytes(inventory, recipe)
    return 2.0 * weights + GRADIENT_BYTES * inventory.trained(recipe).split(recipe)
