"""The words that sources use for a recipe, as this project's; what has no word here is refused."""

import re
from collections import defaultdict
from collections.abc import Mapping

from estimator.errors import InputError
from estimator.training.recipe import (
    AttentionKernel,
    Checkpointing,
    Method,
    Offload,
    Optimizer,
    Precision,
    Sharding,
)
from estimator.validation.rows import Row

METHODS: dict[str, Method] = {"full": "full", "lora": "lora", "qlora": "qlora"}
PRECISIONS: dict[str, Precision] = {
    "bf16": "bf16", "bfloat16": "bf16", "bf16-true": "bf16",
    "fp16": "fp16", "float16": "fp16", "fp16-true": "fp16",
    "fp32": "fp32", "float32": "fp32", "tf32": "fp32",
    "amp": "amp", "bf16-mixed": "amp", "mixed": "amp",
}  # fmt: skip
SHARDINGS: dict[str, Sharding] = {
    "none": "none", "ddp": "none", "no": "none",
    "zero1": "zero1", "zero-1": "zero1", "zero2": "zero2", "zero-2": "zero2",
    "zero3": "zero3", "zero-3": "zero3", "fsdp": "zero3", "fsdp2": "zero3", "zero3/fsdp": "zero3",
}  # fmt: skip
CHECKPOINTING: dict[str, Checkpointing] = {
    "none": "none", "no": "none", "selective": "selective", "full": "full", "yes": "full",
}  # fmt: skip
KERNELS: dict[str, AttentionKernel] = {
    "": "flash", "flash": "flash", "flash1": "flash", "flash2": "flash", "flash3": "flash",
    "fa2": "flash", "flash_attention_2": "flash", "xformers": "flash", "flex": "flash",
    "sdpa": "sdpa", "eager": "eager", "math": "eager", "unfused": "eager",
}  # fmt: skip
OFFLOADS: tuple[tuple[str, Offload], ...] = (
    (r"^(no|none)?$", "none"),
    (r"param", "parameters"),
    (r"optim", "optimizer"),
)
OPTIMIZERS: tuple[tuple[str, Optimizer], ...] = (
    (r"paged.*adamw?.*8.?bit|paged.*8.?bit.*adam", "paged_adamw_8bit"),
    (r"adamw?.*8.?bit|8.?bit.*adam", "adamw_8bit"),
    (r"^$|adamw?\b", "adamw"),
    (r"adafactor", "adafactor"),
    (r"^lion", "lion"),
    (r"^sgd", "sgd"),
    (r"^muon", "muon"),
)
FOUR_BITS = re.compile(r"nf4|gptq|awq|fp4|int4|4.?bit")
DEGREES = {
    "tp": "tensor_parallel",
    "pp": "pipeline_parallel",
    "cp": "context_parallel",
    "ep": "expert_parallel",
}
COUNTS = (
    "n_gpus", "seq_len", "micro_batch", "grad_accum", "global_batch", "lora_rank", *DEGREES,
)  # fmt: skip
NEEDED = ("n_gpus", "seq_len", "micro_batch")
"""Counts without which nothing can be said: the longest sequence decides, no mean stands for it."""


def stated_recipe(row: Row, known: Mapping[str, object]) -> dict[str, object]:
    """Fields of the recipe that the row's words state; `known` are those of its software.

    Refuses, rather than guesses, what a row leaves open and its software does not decide.
    """
    whole_numbers(row, COUNTS)
    for column in NEEDED:
        row.number(column)
    method = row.choice("method", METHODS)
    if row["quantization"] and not FOUR_BITS.search(row["quantization"].casefold()):
        raise InputError(f"{row.place}: quantization {row['quantization']!r} is not modelled")
    fields: dict[str, object] = {
        "method": method,
        "attention": row.choice("attention", KERNELS),
        "optimizer": _by_pattern(row, "optimizer", OPTIMIZERS),
        "offload": known.get("offload") or _by_pattern(row, "offload", OFFLOADS),
    }
    if "precision" not in known:
        fields["precision"] = _stated(row, "precision", PRECISIONS)
    if "checkpointing" not in known:
        fields["checkpointing"] = _stated(row, "activation_checkpointing", CHECKPOINTING)
    for column, field in DEGREES.items():
        fields[field] = int(row.number(column, 1.0))
    alone = row.number("n_gpus") == 1 and not row["sharding"]
    fields["sharding"] = "none" if alone else _stated(row, "sharding", SHARDINGS)
    return fields


def whole_numbers(row: Row, columns: tuple[str, ...]) -> None:
    """Raises `InputError` where a count is not a whole number above 0."""
    for column in columns:
        if row[column] and row.number(column) % 1:
            raise InputError(f"{row.place}: {column} is {row[column]!r}; allowed: a whole number")


def neutral(row: Row) -> dict[str, str]:
    """The row's cells with plain words where `stated_recipe` says what they mean."""
    words = {
        "precision": "bf16",
        "sharding": "none",
        "attention": "flash",
        "activation_checkpointing": "none",
    }
    return defaultdict(str, {**row.cells, **words})


def _stated(row: Row, column: str, choices: Mapping[str, object]) -> object:
    if row[column] in ("", "unknown"):
        raise InputError(f"{row.place}: {column} is not stated")
    return row.choice(column, choices)


def _by_pattern(row: Row, column: str, patterns: tuple[tuple[str, object], ...]) -> object:
    text = row[column].casefold()
    for pattern, meaning in patterns:
        if re.search(pattern, text):
            return meaning
    raise InputError(f"{row.place}: {column} {row[column]!r} is not modelled")
