"""Predicted GPU hours and dollars of whole published training runs."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from estimator.errors import InfeasiblePlan, InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.llm.catalogue import catalogue_architecture, find_model
from estimator.training.choose import choose_recipe
from estimator.training.fits import fits
from estimator.training.memory import estimate_memory
from estimator.training.published import recipe_of_row
from estimator.training.recipe import Method, Stack, TrainingRecipe
from estimator.training.run import gpu_hours
from estimator.training.throughput import step_time
from estimator.validation.rows import Row, expressed, read_rows
from estimator.validation.scoring import Prediction, Score, Validation, score
from pricing.gpus import GpuSpec, gpu_spec
from pricing.offers import gpu_price

COLUMNS = ("family", "model", "method", "stage", "gpu", "gpu_count", "total_tokens_m", "gpu_hours")
METHODS: tuple[tuple[str, Method | None], ...] = (
    (r"inference|adapter|qlora/lora", None),
    (r"qlora|lora.*(nf4|4.?bit)", "qlora"),
    (r"lora", "lora"),
    (r"^full", "full"),
)
UNMODELLED = re.compile(r"RL\b|RLHF|DPO|PPO|GRPO|distil|QAT|throughput", re.IGNORECASE)
"""Stages that do more, or other, than one pass forward and backward over each token."""
STACKS: tuple[tuple[str, Stack], ...] = (
    (r"deepspeed|zero-3", "deepspeed"),
    (r"mlperf|mlcommons", "vendor_tuned"),
    (r"megatron|nemo\b|gpt-neox|eleutherai", "megatron"),
    (r"litgpt|torchtune|mosaic|llm-foundry|meta-llama|nanochat|mistral", "torchtune"),
    (r"unsloth|liger", "huggingface_fused"),
)
"""Software by family, source and method of a row; stock Hugging Face where none is named."""
PRICE = re.compile(r"\$\s*([\d.]+)\s*(?:/|per )\s*(?:GPU|[A-Z]\d+\w*)-?\s*(?:h\b|hour)")
LONGEST_ASSUMED = 8192
NODE = 8
ASSUMED_GPUS = tuple(8 * 2**n for n in range(10))
"""GPUs of pretraining that states none: the fewest of these on which a recipe fits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPrediction(Prediction):
    """One run in GPU hours."""

    gpu: str
    gpus: int
    stack: str
    cost_usd: float | None
    """Published dollars."""
    predicted_usd: tuple[float, float, float] | None
    """p10, p50, p90 at the price that the row states, else at on-demand prices; None without
    published dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsValidation:
    """The outcome of one file of whole runs."""

    hours: Validation
    """GPU hours; its sources are the families of the file."""
    dollars: Score


def validate_runs(path: Path, *, include_suspect: bool = False) -> RunsValidation:
    """Predicted against the columns `gpu_hours` and `cost_usd` of a file.

    A run is its tokens over tokens/s/GPU: evaluation, restarts and data preparation within the
    published hours are not predicted. The software is read off the source.
    """
    rows = [_named(row) for row in read_rows(path, COLUMNS)]
    found = expressed(rows, predict, include_suspect=include_suspect)
    paid = [d for p in found.made if (d := dollars(p))]
    return RunsValidation(hours=Validation.of(found, found.made, "GPU hours"), dollars=score(paid))


def _named(row: Row) -> Row:
    """The row with its `case_id`, if it has one, as its own name."""
    named = {"row_id": row["case_id"] or row["row_id"]}
    return Row(row.place, defaultdict(str, {**row.cells, **named}))


def dollars(run: RunPrediction) -> Prediction | None:
    """The run in dollars, where its row gives them."""
    if run.cost_usd is None or run.predicted_usd is None:
        return None
    p10, p50, p90 = run.predicted_usd
    return Prediction(
        row_id=run.row_id,
        source=run.source,
        method=run.method,
        measured=run.cost_usd,
        p10=p10,
        p50=p50,
        p90=p90,
    )


def predict(row: Row) -> RunPrediction:
    """The GPU hours of a run; `InputError` says what its row does not state."""
    method = _method(row)
    measured = _measured_hours(row)
    tokens = _tokens(row)
    gpu = gpu_spec(row["gpu"])
    architecture = _architecture(row)
    length, assumed_length = _length(row, architecture)
    stack = _stack(row)
    cluster, recipe, assumed_count = _job(row, architecture, gpu, method, stack, length)
    if stack == "vendor_tuned" and "fp8" in gpu.dense_tflops:
        recipe = recipe.model_copy(update={"matmul_format": "fp8"})
    step = step_time(architecture, recipe, cluster)
    factor = shipped_calibration().efficiency_factor(gpu.generation, stack).p10_p50_p90()
    rate = float(step.tokens_per_second_per_gpu)
    p90, p50, p10 = (float(gpu_hours(tokens, rate, f)) for f in factor)
    cost = row.number("cost_usd") if row["cost_usd"] else None
    usd = None if cost is None else _usd(row, gpu, (p10, p50, p90))
    assumed = [text for text in (assumed_length, assumed_count) if text]
    return RunPrediction(
        row_id=row.id,
        source=row["family"] or row.source,
        method=method,
        measured=measured,
        p10=p10,
        p50=p50,
        p90=p90,
        note="; ".join([architecture.id, f"{recipe.stack} stack", *assumed]),
        gpu=gpu.id,
        gpus=cluster.gpus,
        stack=stack,
        cost_usd=cost,
        predicted_usd=usd,
    )


def _method(row: Row) -> Method:
    if UNMODELLED.search(row["stage"]):
        raise InputError(f"{row.place}: stage {row['stage']!r} is not modelled")
    found = next((m for p, m in METHODS if re.search(p, row["method"].casefold())), None)
    if found is None:
        raise InputError(f"{row.place}: method {row['method']!r} is not modelled")
    return found


def _measured_hours(row: Row) -> float:
    if row["gpu_hours"]:
        return row.number("gpu_hours")
    if row["wall_hours"] and row["gpu_count"]:
        return row.number("wall_hours") * row.number("gpu_count")
    raise InputError(f"{row.place}: gpu_hours is not stated")


def _tokens(row: Row) -> float:
    """Tokens of the whole run: the total, or those of an epoch by the epochs."""
    if row["total_tokens_m"]:
        return row.number("total_tokens_m") * 1e6
    if row["tokens_per_epoch_m"]:
        return row.number("tokens_per_epoch_m") * row.number("epochs") * 1e6
    raise InputError(f"{row.place}: total_tokens_m is not stated")


def _architecture(row: Row) -> Architecture:
    """The shipped model that the run started from: "LLaMA 7B -> Alpaca 7B" is LLaMA 7B."""
    name = re.sub(r"\s*\(.*\)", "", row["model"].split("->")[0]).strip()
    whole = re.sub(r"(\d)\.0+(B)\b", r"\1\2", name)
    for spelling in (name, whole, f"{name}-{row['params_b']}B"):
        entry = find_model(spelling)
        if entry is not None:
            return catalogue_architecture(entry.id)
    raise InputError(f"{row.place}: model {row['model']!r} is not shipped")


def _length(row: Row, architecture: Architecture) -> tuple[int, str]:
    """Tokens per sequence; of pretraining that states none, the model's context up to 8192."""
    if row["seq_len"]:
        return round(row.number("seq_len")), ""
    if "pretrain" not in row["stage"] or architecture.context_length is None:
        raise InputError(f"{row.place}: seq_len is not stated")
    length = min(architecture.context_length, LONGEST_ASSUMED)
    return length, f"sequences of {length} assumed"


def _stack(row: Row) -> Stack:
    text = " ".join(row[c] for c in ("family", "source", "method", "framework")).casefold()
    return next((stack for pattern, stack in STACKS if re.search(pattern, text)), "huggingface")


def _job(
    row: Row,
    architecture: Architecture,
    gpu: GpuSpec,
    method: Method,
    stack: Stack,
    length: int,
) -> tuple[Cluster, TrainingRecipe, str]:
    """Machines and recipe, and what of them was assumed."""
    if not row["gpu_count"] and "pretrain" not in row["stage"]:
        raise InputError(f"{row.place}: gpu_count is not stated")
    rank = re.search(r"(?:rank |\br)(\d+)", row["method"])
    lora_rank = int(rank.group(1)) if rank else 16
    if stack == "vendor_tuned" and row["gpu_count"]:
        return _tuned_job(row, architecture, gpu, method, length, lora_rank)
    batch = row.number("global_batch") if row["global_batch"] else None
    stated = round(row.number("gpu_count")) if row["gpu_count"] else None
    for gpus in (stated,) if stated else ASSUMED_GPUS:
        cluster = Cluster.of(gpu, gpus)
        try:
            recipe = choose_recipe(
                architecture,
                method=method,
                cluster=cluster,
                sequence_length=length,
                lora_rank=lora_rank,
                stack=stack,
                tokens_per_step=round(batch * length) if batch else None,
            )
        except InfeasiblePlan:
            continue
        return cluster, recipe, "" if stated else f"{gpus} GPUs assumed"
    raise InputError(f"{row.place}: no data-parallel recipe fits these GPUs")


def _tuned_job(
    row: Row,
    architecture: Architecture,
    gpu: GpuSpec,
    method: Method,
    length: int,
    lora_rank: int,
) -> tuple[Cluster, TrainingRecipe, str]:
    """A vendor's job: micro-batches of 1, split over as few GPUs as they fit on."""
    gpus = round(row.number("gpu_count"))
    cluster = Cluster.of(gpu, gpus, gpus_per_node=min(gpus, NODE))
    cells = {
        "method": method,
        "seq_len": str(length),
        "global_batch": row["global_batch"],
        "lora_rank": str(lora_rank),
    }
    for split in ("", *(str(n) for n in (2, 4, 8) if gpus % n == 0)):
        untuned = recipe_of_row(defaultdict(str, {**cells, "tp": split}), gpus)
        recipe = untuned.model_copy(update={"stack": "vendor_tuned"})
        if fits(estimate_memory(architecture, recipe, gpus=gpus), gpu.memory_gib):
            break
    return cluster, recipe, f"tensor parallel {recipe.tensor_parallel} assumed"


def _usd(row: Row, gpu: GpuSpec, hours: tuple[float, float, float]) -> tuple[float, float, float]:
    """p10, p50, p90 of dollars; a catalogue price widens the range, independently of the hours."""
    stated = PRICE.search(row["cost_basis"])
    price = [float(stated.group(1))] * 3 if stated else list(gpu_price(gpu.id).p10_p50_p90())
    middle = hours[1] * price[1]
    low, high = (
        float(np.exp(np.hypot(np.log(hours[i] / hours[1]), np.log(price[i] / price[1]))))
        for i in (0, 2)
    )
    return middle / low, middle, middle * high
