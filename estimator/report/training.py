"""A training job for people and for JSON: fit, memory, time, cost, and what was assumed."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import RenderableType

import pricing
from estimator.dataset import DatasetProfile
from estimator.decision.wording import money, significant
from estimator.hardware.calibration_file import UsedCalibration
from estimator.quantity import Quantity
from estimator.report.calibration import calibration_dict, calibration_notes
from estimator.report.dataset import tokens_text
from estimator.report.facts import figures, spread
from estimator.report.layout import GIB, bars, facts, gib, heading, notes, waterfall
from estimator.training.choose import METHOD_NAMES
from estimator.training.job import JobEstimate
from estimator.training.memory import MemoryBreakdown
from estimator.training.recipe import TrainingRecipe
from estimator.training.run import Range, TrainingRun
from pricing.gpus import GpuSpec

KNOWN = {
    "seen": "its measurements include this GPU generation and this software",
    "one_unseen": "its measurements lack this GPU generation or this software: wider range",
    "both_unseen": "its measurements lack this GPU generation and this software: wide range",
}
P10, P50, P90 = range(3)
RANGES = (
    "step_seconds",
    "tokens_per_second_per_gpu",
    "mfu",
    "tokens",
    "gpu_hours",
    "billed_gpu_hours",
    "wall_clock_hours",
    "cost_usd",
)


def training_dict(
    estimate: JobEstimate, remarks: tuple[str, ...], today: date, used: UsedCalibration
) -> dict[str, Any]:
    """The estimate in the shape that `--json` promises; time and cost only where it fits."""
    job, cluster = estimate.job, estimate.job.cluster
    data: dict[str, Any] = {
        "model": job.architecture.id,
        "fits": estimate.fits,
        "memory": memory_dict(estimate.memory, cluster.gpu),
        "recipe": job.recipe.model_dump(mode="json"),
        "gpu": cluster.gpu.id,
        "gpus": cluster.gpus,
        "epochs": job.epochs.median(),
        "dataset": _dataset(estimate),
        "price": _price(job.price_usd_per_gpu_hour, today),
        "calibration": calibration_dict(used),
        "notes": list(_notes(estimate, (*remarks, *calibration_notes(used)), today)),
    }
    if estimate.run is None:
        return data | {
            "refusal": estimate.refusal,
            "what_would_fit": [
                asdict(way) | {"recipe": way.recipe.model_dump(mode="json")}
                for way in estimate.would_fit
            ],
        }
    run = estimate.run
    return data | {
        **{name: asdict(getattr(run, name)) for name in RANGES},
        "steps": run.steps,
        "step_parts_seconds": {name: float(part) for name, part in run.step.parts.items()},
        "cost_parts_usd": {name: asdict(part) for name, part in run.cost_parts_usd.items()},
        "calibration": calibration_dict(used)
        | {
            "knowledge": run.knowledge,
            "meaning": KNOWN[run.knowledge],
        },
    }


def memory_dict(memory: MemoryBreakdown, gpu: GpuSpec) -> dict[str, Any]:
    """Bytes by part, the range of the peak, and the card's memory, for JSON."""
    p10, p50, p90 = (float(memory.peak_bytes[i]) for i in (P10, P50, P90))
    return {
        **{f"{name}_bytes": size for name, size in memory_parts(memory).items()},
        "peak_bytes": {"p10": p10, "p50": p50, "p90": p90},
        "capacity_bytes": gpu.memory_gib * GIB,
        "peak_at": str(memory.peak_at),
    }


def memory_parts(memory: MemoryBreakdown) -> dict[str, float]:
    """Bytes by part on the fullest GPU; they sum to the median peak."""
    return {name: float(size) for name, size in memory.parts().items()}


def _dataset(estimate: JobEstimate) -> dict[str, Any]:
    dataset, filling = estimate.job.dataset, estimate.filling
    p10, p50, p90 = filling.tokens.p10_p50_p90()
    return dataset.as_dict() | {
        "tokens_per_epoch": {"p10": p10, "p50": p50, "p90": p90},
        "useful_token_share": filling.useful_token_share,
        "fit": filling.fit.as_dict() if filling.fit else None,
    }


def _price(price: Quantity, today: date) -> dict[str, Any]:
    p10, p50, p90 = price.p10_p50_p90()
    return {
        "usd_per_gpu_hour": {"p10": p10, "p50": p50, "p90": p90},
        "source": price.source,
        "as_of": price.as_of,
        "evidence": price.evidence,
        "note": price.note,
        "stale": price.as_of is not None and pricing.stale(price.as_of, today),
    }


def training_parts(
    estimate: JobEstimate,
    run: TrainingRun,
    remarks: tuple[str, ...],
    today: date,
    used: UsedCalibration,
) -> Iterator[RenderableType]:
    """The estimate of a job that fits as parts to print, what it takes first."""
    job = estimate.job
    method = METHOD_NAMES[job.recipe.method]
    yield heading(
        f"{method} of {job.architecture.id} on {job.cluster.gpus} x {job.cluster.gpu.id}",
        f"{figures(job.epochs)} epochs of {_named(job.dataset)}, {run.steps:,} optimizer steps",
    )
    yield facts("What one run takes (P50, and P10 to P90)", _totals(run))
    yield waterfall(
        "Memory of the fullest GPU at its peak, GiB",
        {name.replace("_", " "): size for name, size in memory_parts(estimate.memory).items()},
        job.cluster.gpu.memory_gib * GIB,
    )
    yield bars("Where the time of a step goes, %", _shares(run.step.parts, "_seconds"))
    means = {name: part.mean for name, part in run.cost_parts_usd.items()}
    if sum(means.values()):
        yield bars("Where the money goes, %", _shares(means, "_usd"))
    yield facts("Recipe", _recipe(job.recipe))
    yield facts("Stands on", _grounds(estimate, run))
    yield notes("To know", _notes(estimate, (*remarks, *calibration_notes(used)), today))


def _named(dataset: DatasetProfile) -> str:
    if dataset.characters is not None:
        return Path(dataset.source).name
    return "data of which only the size is given"


def _totals(run: TrainingRun) -> Iterator[tuple[str, str, str]]:
    yield "cost", *_range(run.cost_usd, money)
    yield "from start to end", *_range(run.wall_clock_hours, duration)
    yield "GPU-hours of the steps", *_range(run.gpu_hours, significant)
    yield "GPU-hours paid", *_range(run.billed_gpu_hours, significant)
    yield "tokens per second and GPU", *_range(run.tokens_per_second_per_gpu, significant)
    yield "share of the GPU's peak (MFU)", *_range(run.mfu, lambda x: f"{x:.0%}")
    yield "seconds per optimizer step", *_range(run.step_seconds, significant)
    yield "tokens processed", *_range(run.tokens, lambda x: significant(x, 3))


def _range(found: Range, show: Callable[[float], str]) -> tuple[str, str]:
    if found.p10 == found.p90:
        return show(found.p50), ""
    return show(found.p50), f"({show(found.p10)} to {show(found.p90)})"


def duration(hours: float) -> str:
    """Hours in the unit that reads best: "23 min", "4.2 h", "3.1 days"."""
    if hours < 1:
        return f"{significant(60 * hours)} min"
    return f"{significant(hours)} h" if hours < 48 else f"{significant(hours / 24)} days"


def _shares(parts: Mapping[str, Any], suffix: str) -> list[tuple[str, float]]:
    """Percent of the sum, largest first; what is below half a percent is left out."""
    total = sum(float(part) for part in parts.values())
    shares = {
        name.removesuffix(suffix).replace("_", " "): 100 * float(part) / total
        for name, part in parts.items()
    }
    shown = [(name, share) for name, share in shares.items() if share >= 0.5]
    return sorted(shown, key=lambda pair: -pair[1])


def _recipe(recipe: TrainingRecipe) -> Iterator[tuple[str, str, str]]:
    filling = "packed" if recipe.packing else "each batch padded to its longest"
    yield "sequences", f"{recipe.sequence_length:,} tokens", filling
    batch = f"{recipe.micro_batch} x {recipe.gradient_accumulation}"
    yield "micro-batch x steps", batch, "sequences on a GPU x micro-batches per optimizer step"
    if recipe.has_adapters:
        targets = recipe.lora_targets
        named = targets if isinstance(targets, str) else ", ".join(targets)
        yield "adapters", f"rank {recipe.lora_rank}", named
    yield "checkpointing", recipe.checkpointing, "of activations"
    yield "sharding", recipe.sharding, "of weights, gradients and optimizer over the GPUs"
    yield "numbers", recipe.precision, f"{recipe.optimizer}, {recipe.attention} attention"
    yield "software", recipe.stack, "compiled" if recipe.compiled else "not compiled"


def _grounds(estimate: JobEstimate, run: TrainingRun) -> Iterator[tuple[str, str, str]]:
    dataset, price = estimate.job.dataset, estimate.job.price_usd_per_gpu_hour
    count, spread_text = tokens_text(estimate.filling.tokens)
    yield "tokens of an epoch", count, f"{spread_text}; {dataset.token_source}"
    if estimate.filling.fit is not None:
        share = f"{estimate.filling.useful_token_share:.1%}"
        yield "useful positions", share, f"{dataset.examples:,} examples"
    dated = f", {price.as_of}" if price.as_of else ""
    yield "USD per GPU-hour", spread(price), f"{price.note or price.source}{dated}"
    yield "efficiency", run.calibration, KNOWN[run.knowledge]


def _notes(estimate: JobEstimate, remarks: tuple[str, ...], today: date) -> Iterator[str]:
    job, memory = estimate.job, estimate.memory
    yield from remarks
    p90, capacity = float(memory.peak_bytes[P90]), job.cluster.gpu.memory_gib * GIB
    if estimate.fits and p90 > capacity:
        yield f"memory is tight: it may reach {gib(p90)} GiB (P90), the card has {gib(capacity)}"
    longest = job.architecture.context_length
    if longest is not None and job.recipe.sequence_length > longest:
        length = job.recipe.sequence_length
        yield f"sequences of {length:,} tokens are longer than the context of {longest:,}"
    if estimate.filling.fit is not None and estimate.filling.fit.truncated_tokens:
        fit = estimate.filling.fit
        yield f"{fit.truncated_tokens:,} tokens of {fit.truncated_examples:,} examples are cut off"
    yield from job.dataset.notes
    yield from memory.notes
    price = job.price_usd_per_gpu_hour
    if price.as_of and pricing.stale(price.as_of, today):
        yield "the price is over 90 days old: look again before you rely on it"
    if price.as_of and price.is_fixed:
        yield "the price rests on one offer: how far others differ is not known"
    yield "one run, all examples trained on; people, data work and failed attempts are not in it"
