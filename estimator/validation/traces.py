"""The closed form of memory against traced peaks of real model classes."""

from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from estimator.errors import InputError
from estimator.llm.architecture import Architecture
from estimator.llm.resolve import resolve_model
from estimator.training.recipe import AttentionKernel
from estimator.training.trace import TraceCase, WeightsType, case_recipe
from estimator.validation.cells import whole_numbers
from estimator.validation.memory import as_read
from estimator.validation.rows import Row, expressed, read_rows
from estimator.validation.scoring import Prediction, Validation
from estimator.validation.wish import Wish

COLUMNS = (
    "config", "method", "checkpointing", "weights_dtype", "amp", "attention", "micro_batch",
    "seq_len", "lora_rank", "peak_bytes",
)  # fmt: skip
METHODS: dict[str, Literal["full", "lora"]] = {"full": "full", "lora": "lora"}
YES = {"yes": True, "true": True, "1": True, "full": True, "no": False, "false": False, "0": False,
       "none": False, "": False}  # fmt: skip
TYPES: dict[str, WeightsType] = {
    "bf16": "bf16", "bfloat16": "bf16", "torch.bfloat16": "bf16",
    "fp16": "fp16", "float16": "fp16", "torch.float16": "fp16",
    "fp32": "fp32", "float32": "fp32", "torch.float32": "fp32",
}  # fmt: skip
KERNELS: dict[str, AttentionKernel] = {
    "sdpa": "sdpa", "eager": "eager", "flash": "flash", "flash_attention_2": "flash",
}  # fmt: skip


def validate_traces(path: Path, *, include_suspect: bool = False) -> Validation:
    """The closed form against the column `peak_bytes` of a file, as PyTorch runs on a CPU.

    `config` is the path of a config.json relative to the file. One device, fused AdamW, fp32
    adapters on all linear layers, the second step.
    """

    @cache
    def architecture(name: str) -> Architecture:
        if not name:
            raise InputError("config is not stated")
        return resolve_model(path.parent / name, offline=True).architecture

    found = expressed(
        read_rows(path, COLUMNS),
        lambda row: _predict(row, architecture(row["config"])),
        include_suspect=include_suspect,
    )
    return Validation.of(found, found.made, "bytes")


def _predict(row: Row, architecture: Architecture) -> Prediction:
    case = case_of(row)
    measured = row.number("peak_bytes")
    try:
        recipe = case_recipe(case)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(map(str, fault["loc"]))
        raise InputError(f"{row.place}: {field} is {fault['input']!r}: {fault['msg']}") from None
    wish = Wish(architecture=architecture, recipe=recipe, gpus=1)
    p10, p50, p90 = as_read(wish, "allocated", dispatch="cpu")
    return Prediction(
        row_id=row["row_id"] or f"{row.place} {row['config']}",
        source=row["source_key"] or architecture.family,
        method=case.method,
        measured=measured,
        p10=float(p10),
        p50=float(p50),
        p90=float(p90),
        note=described(case),
    )


def case_of(row: Row) -> TraceCase:
    """The training step that a row describes."""
    method = row.choice("method", METHODS)
    whole_numbers(row, ("micro_batch", "seq_len", "lora_rank"))
    return TraceCase(
        method=method,
        checkpointing=row.choice("checkpointing", YES),
        weights_dtype=row.choice("weights_dtype", TYPES),
        amp=row.choice("amp", YES),
        attention=row.choice("attention", KERNELS),
        micro_batch=int(row.number("micro_batch")),
        sequence_length=int(row.number("seq_len")),
        lora_rank=int(row.number("lora_rank", 1.0 if method == "full" else None)),
    )


def described(case: TraceCase) -> str:
    """The case in words: "lora of rank 16 with checkpointing, 2 x 1024, bf16, sdpa"."""
    adapters = f" of rank {case.lora_rank}" if case.method == "lora" else ""
    saving = " with checkpointing" if case.checkpointing else ""
    numbers = case.weights_dtype + (" under autocast" if case.amp else "")
    shape = f"{case.micro_batch} x {case.sequence_length}"
    return f"{case.method}{adapters}{saving}, {shape}, {numbers}, {case.attention}"
