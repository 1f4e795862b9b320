"""A published measurement of training throughput as architecture, recipe and cluster.

Rows have the columns of `tests/data/throughput_published.csv`; an empty cell is unknown.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from estimator.errors import InputError
from estimator.hardware.cluster import Cluster
from estimator.hardware.rates import NumberFormat
from estimator.llm.architecture import Architecture, Attention, Embedding, Layer, Linear, Norm
from estimator.training.inventory import Inventory
from estimator.training.passes import value_bytes
from estimator.training.recipe import (
    Loss,
    MatmulFormat,
    Optimizer,
    Precision,
    Stack,
    TrainingRecipe,
)
from pricing.gpus import GpuSpec, gpu_spec

Row = Mapping[str, str]
GIB = 2**30
GPUS_PER_NODE = 8
USUAL_TENSOR_PARALLEL = 4
"""Largest tensor-parallel degree that is assumed where only the batch tells of a split model."""
LAYERS_PER_CHUNK = 2
"""Layers between two hand-overs of a vendor's interleaved pipeline that does not state them."""
TARGET_WORDS: Mapping[str, tuple[str, ...]] = {
    "output_proj": ("o_proj",),
    "mlp": ("gate_proj", "up_proj", "down_proj"),
}
"""Words for adapted matrices other than their own names."""
ATTENTION_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
NARROW: dict[str, MatmulFormat] = {"fp8": "fp8", "nvfp4": "fp4"}
HUGGINGFACE: tuple[Stack, ...] = ("huggingface", "huggingface_fused")
STACKS: tuple[tuple[str, Stack], ...] = (
    (r"fused ops|Unsloth|scattermoe|liger", "huggingface_fused"),
    (r"HF Trainer|LLaMA-Factory|axolotl|\bTRL\b|\bPEFT\b|transformers", "huggingface"),
    (r"DeepSpeed", "deepspeed"),
    (r"Megatron|^NeMo ", "megatron"),
    (r"torchtune|llm-foundry|lit-gpt|torchtitan", "torchtune"),
)
"""Software stack by the name of the framework, upper or lower case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One published measurement and what it was measured on."""

    row_id: str
    source: str
    architecture: Architecture
    recipe: TrainingRecipe
    cluster: Cluster
    number_format: NumberFormat
    kernel: str
    """Attention kernel for the efficiency: "flash1" where FlashAttention 1 was in use."""
    virtual_stages: int
    tokens_per_second_per_gpu: float


def measurement(row: Row) -> Measurement:
    """The measurement in a row; `InputError` says why one cannot be expressed."""
    gpus = int(_number(row, "n_gpus"))
    gpu = gpu_spec(row["gpu"])
    recipe = recipe_of_row(row, gpus)
    recipe = recipe.model_copy(update={"matmul_format": _narrow(row, recipe, gpu)})
    per_node = int(_number(row, "gpus_per_node", GPUS_PER_NODE)) if "nvl72" not in gpu.id else None
    architecture = architecture_of_row(row)
    return Measurement(
        row_id=row["row_id"],
        source=row["source_key"],
        architecture=architecture,
        recipe=_that_fits(row, recipe, architecture, gpu),
        cluster=Cluster.of(gpu, gpus, gpus_per_node=per_node),
        number_format=recipe.number_format,
        kernel="flash1" if "llm-foundry" in row["framework"] else recipe.attention,
        virtual_stages=_virtual_stages(row, recipe, architecture),
        tokens_per_second_per_gpu=_number(row, "tokens_per_s_per_gpu"),
    )


def _that_fits(
    row: Row, recipe: TrainingRecipe, architecture: Architecture, gpu: GpuSpec
) -> TrainingRecipe:
    """The recipe, sharded and recomputing where the row is silent and a card holds no less.

    Weights that a card cannot hold whole were not whole, and such runs recompute activations.
    """
    if row["sharding"] or recipe.method == "qlora":
        return recipe
    weights = Inventory.of(architecture, recipe).matrices.split(recipe) * value_bytes(recipe)
    if weights <= gpu.memory_gib * GIB:
        return recipe
    stated = row["activation_checkpointing"]
    return recipe.model_copy(
        update={"sharding": "zero3", "checkpointing": recipe.checkpointing if stated else "full"}
    )


def _number(row: Row, column: str, default: float | None = None) -> float:
    text = row[column].strip()
    if text:
        return float(text)
    if default is None:
        raise InputError(f"{row['row_id']}: {column} is not stated")
    return default


def _narrow(row: Row, recipe: TrainingRecipe, gpu: GpuSpec) -> MatmulFormat | None:
    """The format of the products where narrower than 16 bits; a vendor that is silent took FP8."""
    if not row["precision"] and recipe.stack == "vendor_tuned":
        return "fp8" if "fp8" in gpu.dense_tflops else None
    return NARROW.get(row["precision"])


def _virtual_stages(row: Row, recipe: TrainingRecipe, architecture: Architecture) -> int:
    """Interleaved stages per GPU as noted; a vendor that is silent interleaved finely."""
    found = re.search(r"(?:VP=|VPP ?|interleaving )(\d+)", row["notes"], re.IGNORECASE)
    if found:
        return int(found.group(1))
    if recipe.stack != "vendor_tuned":
        return 1
    return max(architecture.num_layers // (recipe.pipeline_parallel * LAYERS_PER_CHUNK), 1)


def _stack(row: Row) -> Stack:
    """The stack that a row names; MLPerf entries are tuned by the vendor unless on DeepSpeed."""
    named = (s for pattern, s in STACKS if re.search(pattern, row["framework"], re.IGNORECASE))
    stack: Stack = next(named, "huggingface")
    tuned = "mlperf" in row["source_key"].lower() and stack != "deepspeed"
    return "vendor_tuned" if tuned else stack


def _loss(row: Row) -> Loss | None:
    """The loss kernel where a row tells it from its stack's default."""
    if "liger" in row["framework"]:
        return "fused"
    if "fused ops" in row["framework"]:
        return "kernel"
    return "plain" if "llm-foundry" in row["framework"] else None


def _precision(row: Row, stack: Stack) -> Precision:
    """The type of the weights; `accelerate` keeps those that FSDP shards in FP32 under AMP.

    A Trainer's FP16 is always AMP; its BF16 is where a note says so.
    """
    half: Precision = "fp16" if row["precision"] == "fp16" else "bf16"
    mixed = half == "fp16" or "AMP flag on" in row["notes"]
    upcast = row["method"] == "full" and row["sharding"] in ("zero3", "zero3/fsdp")
    return "amp" if mixed and upcast and stack in HUGGINGFACE else half


def _targets(text: str) -> tuple[str, ...]:
    """The adapted matrices that a row names; attention's where it names none."""
    names = [word for word in text.split() if "_" in word or word in TARGET_WORDS]
    found = [name for word in names for name in TARGET_WORDS.get(word, (word,))]
    return tuple(found) or ATTENTION_TARGETS


def _optimizer(text: str) -> Optimizer:
    if "8bit" in text:
        return "paged_adamw_8bit" if "paged" in text else "adamw_8bit"
    return "muon" if text == "muon" else "adamw"


def recipe_of_row(row: Row, gpus: int) -> TrainingRecipe:
    """The recipe of a row; a row of memory has the same columns as one of throughput."""
    batch = int(_number(row, "micro_batch", 1))
    degrees = {c: int(_number(row, c, 1)) for c in ("tp", "pp", "cp", "ep")}
    ranks = max(gpus // (degrees["tp"] * degrees["pp"] * degrees["cp"]), 1)
    steps = max(
        round(_number(row, "grad_accum", _number(row, "global_batch", 0) / (batch * ranks))), 1
    )
    whole = _number(row, "global_batch", batch * steps * ranks)
    if not row["tp"] and batch * steps * ranks > whole:
        split = max(round(gpus * steps * batch / whole), 1)  # GPUs per model copy, by the batch
        degrees["tp"] = math.gcd(split, USUAL_TENSOR_PARALLEL)
        degrees["pp"] = split // degrees["tp"]
    kernel = row["attention"] or "flash"
    sharding = row["sharding"] or "zero1"
    stack = _stack(row)
    return TrainingRecipe.model_validate(
        {
            "method": row["method"],
            "precision": _precision(row, stack),
            "sequence_length": round(
                _number(row, "seq_len", float(row["mean_tokens_per_sample"] or 0))
            ),
            "micro_batch": batch,
            "gradient_accumulation": steps,
            "checkpointing": row["activation_checkpointing"] or "none",
            "attention": kernel,
            "lora_rank": int(_number(row, "lora_rank", 16)),
            "lora_targets": _targets(row["lora_targets"]),
            "sharding": {"ddp": "none", "zero3/fsdp": "zero3"}.get(sharding, sharding),
            "tensor_parallel": degrees["tp"],
            "pipeline_parallel": degrees["pp"],
            "context_parallel": degrees["cp"],
            "expert_parallel": degrees["ep"],
            "optimizer": _optimizer(row["optimizer"]),
            "offload": "parameters" if "params" in row["offload"] else "none",
            "loss": _loss(row),
            "compiled": row["compiled"] == "yes",
            "stack": stack,
        }
    )


def architecture_of_row(row: Row) -> Architecture:
    """A decoder of the row's dimensions: rotary, RMS norms, the MLP gated or not."""
    layers, hidden = int(_number(row, "layers")), int(_number(row, "hidden"))
    heads, vocabulary = int(_number(row, "heads")), int(_number(row, "vocab"))
    attention = Attention(
        heads=heads,
        kv_heads=int(_number(row, "kv_heads", heads)),
        head_dim=int(_number(row, "head_dim")),
        value_head_dim=int(_number(row, "head_dim")),
        rotary_dim=int(_number(row, "head_dim")),
    )
    gated = row["gated_mlp"] == "yes"
    layer = Layer(
        kind="moe" if row["n_experts"] else "dense",
        indices=tuple(range(layers)),
        linears=(*_attention_linears(attention, hidden), *_mlp_linears(row, hidden, gated=gated)),
        norms=(Norm(name="input", width=hidden), Norm(name="post_attention", width=hidden)),
        attention=attention,
        gated=gated,
    )
    return Architecture(
        id=row["model"],
        family="published",
        hidden_size=hidden,
        vocab_size=vocabulary,
        layers=(layer,),
        embeddings=(Embedding(name="embed_tokens", rows=vocabulary, width=hidden),),
        norms=(Norm(name="norm", width=hidden),),
        head=Linear(name="lm_head", inputs=hidden, outputs=vocabulary, role="head", reads="final"),
        tied_embeddings=row["tied_embeddings"] == "yes",
    )


def _attention_linears(attention: Attention, hidden: int) -> tuple[Linear, ...]:
    widths = {
        "q_proj": attention.query_width,
        "k_proj": attention.key_width,
        "v_proj": attention.value_width,
    }
    inward = [
        Linear(name=name, inputs=hidden, outputs=width, role="attention", reads="input")
        for name, width in widths.items()
    ]
    outward = Linear(
        name="o_proj",
        inputs=attention.output_width,
        outputs=hidden,
        role="attention",
        reads="context",
    )
    return (*inward, outward)


def _mlp_linears(row: Row, hidden: int, *, gated: bool) -> tuple[Linear, ...]:
    width = int(_number(row, "ffn"))
    experts = int(_number(row, "n_experts", 0))
    copies = experts or 1
    active = int(_number(row, "experts_per_token")) if experts else None
    inward = ("gate_proj", "up_proj") if gated else ("up_proj",)
    router = Linear(name="gate", inputs=hidden, outputs=experts, role="router", reads="residual")
    matrices = (
        Linear(
            name=name,
            inputs=hidden if name != "down_proj" else width,
            outputs=width if name != "down_proj" else hidden,
            role="expert" if experts else "mlp",
            reads="residual" if name != "down_proj" else "hidden",
            copies=copies,
            active=active,
        )
        for name in (*inward, "down_proj")
    )
    return (router, *matrices) if experts else tuple(matrices)
