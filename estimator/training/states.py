"""Bytes of weights, gradients and optimizer states on one GPU.

Ref: ZeRO (Rajbhandari et al., arXiv 1910.02054, section 3.1) for mixed precision; PyTorch keeps
gradients and AdamW's moments in the type of the parameter (`torch/optim/adamw.py`).
"""

from dataclasses import dataclass
from functools import lru_cache

from estimator.llm.adapters import AdapterSpec, count_trainable
from estimator.llm.architecture import Architecture, Linear
from estimator.llm.parameters import count_parameters
from estimator.llm.quantised import nf4_bytes
from estimator.training.recipe import TrainingRecipe

ADAM_MOMENTS = 2.0
EIGHT_BIT_STATE_BYTES = 1.0 + 4.0 / 256.0
"""A code and its share of a 4-byte scale per block of 256 (Dettmers et al., arXiv 2110.02861;
bitsandbytes `optim/optimizer.py`)."""
NEWTON_SCHULZ_COPIES = 4.0
"""16-bit matrices alive in an iteration of Muon (Jordan et al., 2024; `torch/optim/_muon.py`)."""
ADAFACTOR_COPIES = 2.0
"""fp32 copies of one matrix alive in a step of Adafactor (Shazeer and Stern, arXiv 1804.04235)."""
FLOAT = 4.0
HALF = 2.0
MASTER_STACKS = ("deepspeed", "megatron", "vendor_tuned")
"""Stacks whose mixed precision keeps 16-bit weights beside an fp32 master copy."""
PEFT_STACKS = ("huggingface", "huggingface_fused")
"""Stacks that make adapters with `peft`, in fp32 on a 16-bit base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateBytes:
    """Bytes on one GPU that do not depend on the micro-batch."""

    weights: float
    master_weights: float
    gradients: float
    """All gradients, as they stand when the optimizer begins."""
    optimizer_states: float
    optimizer_temporaries: float
    """Alive only during the optimizer step."""
    gathered_weights: float
    """Weights that ZeRO-3 has gathered: the layer at work and the tables outside the layers."""
    gradient_buffers: float
    """Buckets for the gradient exchange, or a layer's gradients before they are scattered."""


def weight_itemsize(recipe: TrainingRecipe) -> float:
    """Bytes per weight that products read and gradients follow."""
    if recipe.precision == "fp32":
        return FLOAT
    if recipe.precision == "amp":
        return HALF if recipe.stack in MASTER_STACKS else FLOAT
    return HALF


def adapter_itemsize(recipe: TrainingRecipe) -> float:
    """Bytes per adapter weight."""
    wide = recipe.stack in PEFT_STACKS
    if recipe.adapter_precision is not None:
        wide = recipe.adapter_precision == "fp32"
    return FLOAT if wide else weight_itemsize(recipe)


def gradient_itemsize(recipe: TrainingRecipe) -> float:
    """Bytes per gradient as the optimizer reads it; Megatron adds gradients up in fp32."""
    if recipe.has_adapters:
        return adapter_itemsize(recipe)
    sums_in_fp32 = recipe.precision == "amp" and recipe.stack != "deepspeed"
    return FLOAT if sums_in_fp32 else weight_itemsize(recipe)


def upcasts_unquantised(recipe: TrainingRecipe) -> bool:
    """Whether norms, tables and head of a 4-bit base are cast to fp32.

    `peft.prepare_model_for_kbit_training` does it, which the usual Hugging Face recipe calls.
    """
    return recipe.method == "qlora" and recipe.stack == "huggingface"


def state_bytes(architecture: Architecture, recipe: TrainingRecipe, *, gpus: int) -> StateBytes:
    """Weights, gradients and optimizer states on the fullest GPU.

    Tensor parallelism splits every matrix, pipeline parallelism the layers, expert parallelism the
    experts; ZeRO divides optimizer states (1), gradients (2) and weights (3) over the
    data-parallel ranks. Paged and offloaded states count as CPU memory. Left out: uneven pipeline
    stages.
    """
    ranks = float(recipe.data_parallel(gpus) * recipe.context_parallel)
    level = ("none", "zero1", "zero2", "zero3").index(recipe.sharding)
    share = _model_share(architecture, recipe)
    itemsize = weight_itemsize(recipe)
    master = recipe.precision == "amp" and recipe.stack in MASTER_STACKS
    trained = _trained(architecture, recipe) * share
    stored = adapter_itemsize(recipe) if recipe.has_adapters else itemsize
    weights = _weights(architecture, recipe) * share
    gradients = trained * gradient_itemsize(recipe) / (ranks if level >= 2 else 1.0)
    if recipe.optimizer_in_backward:
        gradients *= max(x.parameters for x in architecture.layers) / _parameters(architecture)
    states = _optimizer_states(architecture, recipe, trained, FLOAT if master else stored)
    states = states / (ranks if level >= 1 else 1.0)
    copies = FLOAT * trained / (ranks if level >= 1 else 1.0) if master else 0.0
    away = recipe.offload != "none" or recipe.optimizer == "paged_adamw_8bit"
    return StateBytes(
        weights=0.0 if recipe.offload == "parameters" else weights / (ranks if level == 3 else 1.0),
        master_weights=0.0 if away else copies,
        gradients=0.0 if recipe.offload == "parameters" else gradients,
        optimizer_states=0.0 if away else states,
        optimizer_temporaries=0.0
        if recipe.offload != "none" or recipe.optimizer_in_backward
        else _temporaries(architecture, recipe, trained / (ranks if level >= 1 else 1.0), stored),
        gathered_weights=_gathered(architecture, recipe) if level == 3 and ranks > 1 else 0.0,
        gradient_buffers=_exchange_buffers(
            architecture, recipe, trained, gradient_itemsize(recipe), ranks
        ),
    )


def _model_share(architecture: Architecture, recipe: TrainingRecipe) -> float:
    """Share of the model's parameters on one GPU before ZeRO."""
    total = _parameters(architecture)
    experts = sum(x.parameters * n for x, n in architecture.linears() if x.role == "expert")
    split = (total - experts + experts / recipe.expert_parallel) / total
    return split / (recipe.tensor_parallel * recipe.pipeline_parallel)


class ByIdentity:
    """An architecture compared by identity, which spares hashing its whole inventory."""

    __slots__ = ("architecture",)

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture

    def __hash__(self) -> int:
        return id(self.architecture)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and other.architecture is self.architecture


def _parameters(architecture: Architecture) -> float:
    return _counted(ByIdentity(architecture))


@lru_cache(maxsize=64)
def _counted(key: ByIdentity) -> float:
    return float(count_parameters(key.architecture).total)


def _trained(architecture: Architecture, recipe: TrainingRecipe) -> float:
    if not recipe.has_adapters:
        return _parameters(architecture)
    spec = AdapterSpec(rank=recipe.lora_rank, targets=recipe.lora_targets)
    return float(count_trainable(architecture, spec))


def _weights(architecture: Architecture, recipe: TrainingRecipe) -> float:
    """Bytes of all weights, adapters included."""
    itemsize = weight_itemsize(recipe)
    if recipe.method == "full":
        return _parameters(architecture) * itemsize
    adapters = _trained(architecture, recipe) * adapter_itemsize(recipe)
    if recipe.method == "qlora":
        stored = nf4_bytes(architecture)
        upcast = float(stored.unquantised) if upcasts_unquantised(recipe) else 0.0
        return stored.total + upcast + adapters
    return _parameters(architecture) * itemsize + adapters


def _matrices(architecture: Architecture) -> list[tuple[Linear, int]]:
    """Matrices of the layers, with their number."""
    return [(x, n) for x, n in architecture.linears() if x.role != "head"]


def _optimizer_states(
    architecture: Architecture, recipe: TrainingRecipe, trained: float, itemsize: float
) -> float:
    """Bytes of the optimizer's states for `trained` parameters of `itemsize` bytes."""
    match recipe.optimizer:
        case "adamw":
            return ADAM_MOMENTS * itemsize * trained
        case "adamw_8bit" | "paged_adamw_8bit":
            return ADAM_MOMENTS * EIGHT_BIT_STATE_BYTES * trained
        case "lion":
            return itemsize * trained
        case "sgd":
            return 0.0
        case "adafactor":
            return trained * _factored_bytes_per_parameter(architecture, recipe)
        case "muon":
            return itemsize * trained * (2.0 - _hidden_share(architecture, recipe))


def _factored_bytes_per_parameter(architecture: Architecture, recipe: TrainingRecipe) -> float:
    """Adafactor keeps one fp32 sum per row and column of a matrix instead of one per entry."""
    shapes = _trained_shapes(architecture, recipe)
    sums = sum((rows + columns) * count for rows, columns, count in shapes)
    return FLOAT * sums / sum(rows * columns * count for rows, columns, count in shapes)


def _hidden_share(architecture: Architecture, recipe: TrainingRecipe) -> float:
    """Share of trained entries that Muon updates with one moment; AdamW takes tables and head."""
    if recipe.has_adapters:
        return 1.0
    entries = sum(x.weights * n for x, n in _matrices(architecture))
    return entries / _parameters(architecture)


def _trained_shapes(
    architecture: Architecture, recipe: TrainingRecipe
) -> list[tuple[float, float, float]]:
    """Rows, columns and number of the trained matrices."""
    if recipe.has_adapters:
        rank = float(recipe.lora_rank)
        matrices = _matrices(architecture)
        return [(rank, float(x.inputs + x.outputs), float(x.copies * n)) for x, n in matrices]
    shapes = [
        (float(x.inputs), float(x.outputs), float(x.copies * n)) for x, n in _matrices(architecture)
    ]
    tables = [(float(t.rows), float(t.width), 1.0) for t in architecture.embeddings]
    return shapes + tables


def _temporaries(
    architecture: Architecture, recipe: TrainingRecipe, trained: float, itemsize: float
) -> float:
    """Bytes alive only during the optimizer step, for `trained` parameters on this GPU."""
    largest = max(rows * columns for rows, columns, _ in _trained_shapes(architecture, recipe))
    if recipe.optimizer == "muon":
        return NEWTON_SCHULZ_COPIES * HALF * largest
    if recipe.optimizer == "adafactor":
        return ADAFACTOR_COPIES * FLOAT * largest
    if recipe.optimizer == "adamw" and recipe.optimizer_kernel == "foreach":
        return itemsize * trained
    return 0.0


def _gathered(architecture: Architecture, recipe: TrainingRecipe) -> float:
    """The gathered layer at work, and the tables outside the layers, which stay gathered.

    Ref: Zhao et al., PyTorch FSDP, arXiv 2304.11277, section 3.3 (the root unit is not resharded).
    """
    itemsize = HALF if recipe.precision == "amp" else weight_itemsize(recipe)
    outside = itemsize * (architecture.embedding_parameters + architecture.head_parameters)
    if recipe.method == "qlora":
        stored = nf4_bytes(architecture)
        layer = (stored.codes + stored.constants) / architecture.num_layers
    else:
        layer = itemsize * max(layer.parameters for layer in architecture.layers)
    return (layer + outside) / recipe.tensor_parallel


def accumulates_unsharded(recipe: TrainingRecipe) -> bool:
    """Whether FSDP keeps all gradients whole between micro-batches.

    It does under `no_sync`, which `accelerate` uses to accumulate; the few gradients of adapters
    are left out.
    """
    return (
        recipe.sharding == "zero3"
        and recipe.gradient_accumulation > 1
        and recipe.stack in PEFT_STACKS
        and not recipe.has_adapters
    )


def _exchange_buffers(
    architecture: Architecture,
    recipe: TrainingRecipe,
    trained: float,
    itemsize: float,
    ranks: float,
) -> float:
    """Bytes of the gradient exchange.

    DDP copies all gradients into buckets (`torch.nn.parallel.DistributedDataParallel`,
    `gradient_as_bucket_view`); FSDP holds a layer's whole gradients until they are scattered, or
    those of all layers while it accumulates unsharded.
    """
    if ranks == 1.0:
        return 0.0
    if recipe.sharding != "zero3":
        return trained * itemsize
    if recipe.has_adapters:
        return 0.0
    itemsize = HALF if recipe.precision == "amp" else itemsize
    if accumulates_unsharded(recipe):
        return trained * itemsize
    largest = max(layer.parameters for layer in architecture.layers)
    return trained * itemsize * largest / _parameters(architecture)
