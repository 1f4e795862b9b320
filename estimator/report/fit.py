"""What fits a card: for each way to train, the largest micro-batch, the peak, the smallest change.

Steps do not accumulate gradients here, which under ZeRO-3 would keep them whole.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from rich.console import RenderableType

from estimator.errors import InputError
from estimator.hardware.cluster import Cluster
from estimator.llm.resolve import ResolvedModel
from estimator.report.layout import BAR_WIDTH, GIB, gib, heading, notes, table, waterfall
from estimator.training.choose import METHOD_NAMES
from estimator.training.fits import Change, fits, largest_micro_batch, what_would_fit
from estimator.training.memory import MemoryBreakdown, estimate_memory
from estimator.training.recipe import Checkpointing, Method, Precision, Sharding, TrainingRecipe

LENGTHS = 2 ** np.arange(7, 24)
"""Sequence lengths that are tried."""
P10, P50, P90 = range(3)
MARGIN = (
    "fits: the median peak, with about 6 % of allocator reserve and the CUDA context in it, is "
    "within the card; tight: its P90 is not"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOption:
    """One way to train on the given cards."""

    recipe: TrainingRecipe
    """With the largest micro-batch that fits, else 1."""
    memory: MemoryBreakdown
    fits: bool
    safe: bool
    """Whether even the P90 of the peak is within the card."""
    largest_micro_batch: int
    """A power of two; 0 where not even one sequence fits."""
    longest_sequence: int
    """Tokens of a single sequence that fit: a power of two or the model's context; 0: none."""
    smallest_change: Change | None
    """What would make it fit; None where it fits or nothing in the catalogue holds it."""
    more_hardware: Change | None
    """More or larger cards that hold it with its method; None where it fits or none do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """What `tuneroi fit` says."""

    resolved: ResolvedModel
    cluster: Cluster
    sequence_length: int
    options: tuple[FitOption, ...]


def fit_report(
    resolved: ResolvedModel,
    cluster: Cluster,
    *,
    sequence_length: int,
    lora_rank: int = 16,
    methods: tuple[Method, ...] = ("full", "lora", "qlora"),
    precision: Precision | None = None,
    checkpointing: Checkpointing | None = None,
    micro_batch: int | None = None,
) -> FitReport:
    """Every way to train on a cluster: method x precision x checkpointing x sharding.

    `micro_batch` is a wish: it must fit as it is, else a smaller one is a change like others.
    """
    half: Precision = "bf16" if "bf16" in cluster.gpu.dense_tflops else "fp16"
    shardings: tuple[Sharding, ...] = ("none",) if cluster.gpus == 1 else ("none", "zero3")
    kinds: tuple[Checkpointing, ...] = (checkpointing,) if checkpointing else ("none", "full")
    options = [
        _option(
            resolved,
            cluster,
            TrainingRecipe(
                method=method,
                precision=kind,
                sequence_length=sequence_length,
                micro_batch=micro_batch or 1,
                gradient_accumulation=1,
                checkpointing=saving,
                lora_rank=lora_rank,
                sharding=sharding,
            ),
            wished=micro_batch is not None,
        )
        for method in methods
        for kind in _precisions(method, precision, half)
        for saving, sharding in product(kinds, shardings)
    ]
    return FitReport(
        resolved=resolved,
        cluster=cluster,
        sequence_length=sequence_length,
        options=tuple(options),
    )


def _precisions(method: Method, wished: Precision | None, half: Precision) -> tuple[Precision, ...]:
    if wished is not None:
        if method == "qlora" and wished not in ("bf16", "fp16"):
            raise InputError(f"--precision {wished}: qlora computes in bf16 or fp16; name another "
                             "method or leave it out")  # fmt: skip
        return (wished,)
    return ("amp", half) if method == "full" and half == "bf16" else (half,)


def _option(
    resolved: ResolvedModel, cluster: Cluster, recipe: TrainingRecipe, *, wished: bool
) -> FitOption:
    architecture, card = resolved.architecture, cluster.gpu.memory_gib
    largest = largest_micro_batch(architecture, recipe, card, gpus=cluster.gpus)
    if largest and not wished:
        recipe = recipe.model_copy(update={"micro_batch": largest})
    memory = estimate_memory(architecture, recipe, gpus=cluster.gpus)
    inside = bool(fits(memory, card))
    ways: tuple[Change, ...] = ()
    if not inside:
        ways = what_would_fit(architecture, recipe, cluster.gpu, gpus=cluster.gpus)
    here = (cluster.gpus, cluster.gpu.id)
    return FitOption(
        recipe=recipe,
        memory=memory,
        fits=inside,
        safe=bool(fits(memory, card, safely=True)),
        largest_micro_batch=largest,
        longest_sequence=_longest(resolved, cluster, recipe),
        smallest_change=next(iter(ways), None),
        more_hardware=next((way for way in ways if (way.gpus, way.gpu) != here), None),
    )


def _longest(resolved: ResolvedModel, cluster: Cluster, recipe: TrainingRecipe) -> int:
    """The longest single sequence that fits, within the model's context where it states one."""
    context = resolved.architecture.context_length or int(LENGTHS[-1])
    lengths = np.append(LENGTHS[context > LENGTHS], context)
    memory = estimate_memory(
        resolved.architecture,
        recipe,
        gpus=cluster.gpus,
        micro_batch=1,
        sequence_length=lengths,
    )
    fitting = lengths[fits(memory, cluster.gpu.memory_gib)]
    return int(fitting.max()) if fitting.size else 0


def fit_dict(report: FitReport) -> dict[str, Any]:
    """The report in the shape that `--json` promises."""
    return {
        "model": report.resolved.architecture.id,
        "gpu": report.cluster.gpu.id,
        "gpus": report.cluster.gpus,
        "capacity_bytes": report.cluster.gpu.memory_gib * GIB,
        "sequence_length": report.sequence_length,
        "fits": any(option.fits for option in report.options),
        "margin": MARGIN,
        "options": [_option_dict(option) for option in report.options],
        "notes": list(report.resolved.notes),
    }


def _option_dict(option: FitOption) -> dict[str, Any]:
    peak = option.memory.peak_bytes
    return {
        "method": option.recipe.method,
        "precision": option.recipe.precision,
        "checkpointing": option.recipe.checkpointing,
        "sharding": option.recipe.sharding,
        "fits": option.fits,
        "fits_safely": option.safe,
        "largest_micro_batch": option.largest_micro_batch,
        "longest_sequence": option.longest_sequence,
        "micro_batch": option.recipe.micro_batch,
        "memory": {
            **{f"{name}_bytes": float(size) for name, size in option.memory.parts().items()},
            "peak_bytes": {name: float(peak[i]) for i, name in enumerate(("p10", "p50", "p90"))},
            "peak_at": str(option.memory.peak_at),
        },
        "smallest_change": _change_dict(option.smallest_change),
        "more_hardware": _change_dict(option.more_hardware),
    }


def _change_dict(change: Change | None) -> dict[str, Any] | None:
    if change is None:
        return None
    return asdict(change) | {"recipe": change.recipe.model_dump(mode="json")}


def fit_parts(report: FitReport) -> Iterator[RenderableType]:
    """The report as parts to print."""
    cluster, architecture = report.cluster, report.resolved.architecture
    about = (
        f"{cluster.gpus} x {cluster.gpu.id}, {cluster.gpu.memory_gib:g} GiB each; sequences of "
        f"{report.sequence_length:,} tokens"
    )
    yield heading(f"What fits: {architecture.id}", about)
    columns = (
        "Method", "Numbers", "Checkpointing", "Sharding", "Micro-batch", "Longest sequence",
        "Peak GiB", "Of the card", "",
    )  # fmt: skip
    rows = [_cells(option, cluster) for option in report.options]
    yield table("Largest micro-batch that fits", columns, rows, left=(0, 1, 2, 3, 7, 8))
    changes = list(_changes(report))
    if changes:
        yield notes("The smallest change that makes it fit", changes)
    shown = next((option for option in report.options if option.fits), None)
    if shown is not None:
        batch = shown.recipe.micro_batch
        yield waterfall(
            f"Where the memory goes: {_named(shown.recipe)}, micro-batch {batch}",
            {name.replace("_", " "): float(x) for name, x in shown.memory.parts().items()},
            cluster.gpu.memory_gib * GIB,
        )
    lines = (MARGIN, "gradients are not accumulated", *report.resolved.notes)
    yield notes("To know", dict.fromkeys((*lines, *_memory_notes(report))))


def _memory_notes(report: FitReport) -> Iterator[str]:
    for option in report.options:
        yield from option.memory.notes


def _named(recipe: TrainingRecipe) -> str:
    saving = "checkpointing" if recipe.checkpointing == "full" else "no checkpointing"
    if recipe.checkpointing == "selective":
        saving = "selective checkpointing"
    shared = ", ZeRO-3" if recipe.sharding == "zero3" else ""
    return f"{METHOD_NAMES[recipe.method]} in {recipe.precision}, {saving}{shared}"


def _cells(option: FitOption, cluster: Cluster) -> tuple[str, ...]:
    peak, card = float(option.memory.peak_bytes[P50]), cluster.gpu.memory_gib * GIB
    recipe = option.recipe
    verdict = "does not fit" if not option.fits else "fits" if option.safe else "tight"
    return (
        METHOD_NAMES[recipe.method],
        recipe.precision,
        recipe.checkpointing,
        recipe.sharding,
        str(option.largest_micro_batch or "-"),
        f"{option.longest_sequence:,}" if option.longest_sequence else "-",
        gib(peak),
        _bar(peak / card),
        verdict,
    )


def _bar(share: float) -> str:
    """A bar of the card's memory; what exceeds it is cut and marked."""
    width = BAR_WIDTH // 2
    filled = min(round(share * width), width)
    return "█" * filled + "·" * (width - filled) + ("▶" if share > 1 else "▕")


def _changes(report: FitReport) -> Iterator[str]:
    """For each method and type of numbers of which nothing fits: what would, from the leanest."""
    leanest: dict[tuple[str, str], FitOption | None] = {}
    for option in report.options:
        key = (option.recipe.method, option.recipe.precision)
        leanest[key] = None if option.fits or leanest.get(key, option) is None else option
    for option in filter(None, leanest.values()):
        ways = dict.fromkeys(filter(None, (option.smallest_change, option.more_hardware)))
        told = "; or ".join(f"{way.sentence} ({way.peak_gib:.1f} GiB)" for way in ways)
        yield f"{_named(option.recipe)}: {told or 'nothing in the catalogue holds it'}"
