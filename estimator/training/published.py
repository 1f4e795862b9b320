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
from estimator.training.recipe import Loss, Optimizer, Stack, TrainingRecipe
from pricing.gpus import gpu_spec

Row = Mapping[str, str]
GPUS_PER_NODE = 8
ADAPTER_TARGETS = {
    "q_proj v_proj output_proj + mlp": (
        "q_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ),
}
ATTENTION_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj")
FORMATS: dict[str, NumberFormat] = {"bf16": "bf16", "fp16": "fp16", "fp8": "fp8", "nvfp4": "fp4"}
STACKS: tuple[tuple[str, Stack], ...] = (
    (r"fused ops|Unsloth|scattermoe|liger", "huggingface_fused"),
    (r"HF Trainer|LLaMA-Factory|axolotl|\bTRL\b|\bPEFT\b|transformers", "huggingface"),
    (r"Megatron-DeepSpeed", "megatron"),
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
    recipe = recipe_of_row(row, gpus)
    gpu = gpu_spec(row["gpu"])
    per_node = int(_number(row, "gpus_per_node", GPUS_PER_NODE)) if "nvl72" not in gpu.id else None
    return Measurement(
        row_id=row["row_id"],
        source=row["source_key"],
        architecture=architecture_of_row(row),
        recipe=recipe,
        cluster=Cluster.of(gpu, gpus, gpus_per_node=per_node),
        number_format=_number_format(row, gpu.dense_tflops),
        kernel="flash1" if row["source_key"] == "llmfoundry" else recipe.attention,
        virtual_stages=_virtual_stages(row),
        tokens_per_second_per_gpu=_number(row, "tokens_per_s_per_gpu"),
    )


def _number(row: Row, column: str, default: float | None = None) -> float:
    text = row[column].strip()
    if text:
        return float(text)
    if default is None:
        raise InputError(f"{row['row_id']}: {column} is not stated")
    return default


def _number_format(row: Row, peaks: Mapping[str, float]) -> NumberFormat:
    if not row["precision"]:
        return "fp8" if "fp8" in peaks else "bf16"
    return FORMATS[row["precision"]]


def _virtual_stages(row: Row) -> int:
    found = re.search(r"VP=(\d+)", row["notes"])
    return int(found.group(1)) if found else 1


def _stack(row: Row) -> Stack:
    """The stack that a row names; MLPerf entries that name none are tuned by the vendor."""
    named = (s for pattern, s in STACKS if re.search(pattern, row["framework"], re.IGNORECASE))
    unnamed: Stack = "vendor_tuned" if "mlperf" in row["source_key"].lower() else "huggingface"
    return next(named, unnamed)


def _loss(row: Row) -> Loss | None:
    """The loss kernel where a row tells it from its stack's default."""
    if "liger" in row["framework"]:
        return "fused"
    if "fused ops" in row["framework"]:
        return "kernel"
    return "plain" if row["source_key"] == "llmfoundry" else None


def _optimizer(text: str) -> Optimizer:
    if "8bit" in text:
        return "paged_adamw_8bit" if "paged" in text else "adamw_8bit"
    return "muon" if text == "muon" else "adamw"


def recipe_of_row(row: Row, gpus: int) -> TrainingRecipe:
    """The recipe of a row; a row of memory has the same columns as one of throughput."""
    batch = int(_number(row, "micro_batch", 1))
    degrees = {c: int(_number(row, c, 1)) for c in ("tp", "pp", "cp", "ep")}
    ranks = max(gpus // (degrees["tp"] * degrees["pp"] * degrees["cp"]), 1)
    whole = _number(row, "global_batch", batch * ranks)
    steps = max(round(_number(row, "grad_accum", whole / (batch * ranks))), 1)
    if not row["tp"] and batch * steps * ranks > whole:
        split = max(round(gpus * steps * batch / whole), 1)  # GPUs per model copy, by the batch
        degrees["tp"] = math.gcd(split, GPUS_PER_NODE)
        degrees["pp"] = split // degrees["tp"]
    kernel = row["attention"] or "flash"
    sharding = row["sharding"] or "zero1"
    return TrainingRecipe.model_validate(
        {
            "method": row["method"],
            "precision": "fp16" if row["precision"] == "fp16" else "bf16",
            "sequence_length": round(
                _number(row, "seq_len", float(row["mean_tokens_per_sample"] or 0))
            ),
            "micro_batch": batch,
            "gradient_accumulation": steps,
            "checkpointing": row["activation_checkpointing"] or "none",
            "attention": kernel,
            "lora_rank": int(_number(row, "lora_rank", 16)),
            "lora_targets": ADAPTER_TARGETS.get(row["lora_targets"], ATTENTION_TARGETS),
            "sharding": {"ddp": "none", "zero3/fsdp": "zero3"}.get(sharding, sharding),
            "tensor_parallel": degrees["tp"],
            "pipeline_parallel": degrees["pp"],
            "context_parallel": degrees["cp"],
            "expert_parallel": degrees["ep"],
            "optimizer": _optimizer(row["optimizer"]),
            "offload": "parameters" if "params" in row["offload"] else "none",
            "loss": _loss(row),
            "compiled": row["compiled"] == "yes",
            "stack": _stack(row),
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
    return tuple(
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
