"""Traced peaks of models as a file that `validate traces` reads, each config.json beside it."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from estimator.errors import InputError
from estimator.files import write_atomically
from estimator.training.trace import TraceCase, trace_peak
from estimator.validation.scoring import write_table
from estimator.validation.traces import described


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """The peak of one case of one model."""

    model: str
    config: Mapping[str, object]
    case: TraceCase
    peak_bytes: int
    peak_at: str


def trace_models(
    configs: Mapping[str, Mapping[str, object]], cases: Sequence[TraceCase]
) -> tuple[list[Traced], dict[str, str]]:
    """The traced peak of each case of each model, and why a step could not be traced.

    Raises `MissingExtra` without the benchmark extra, `InputError` where nothing could be traced.
    """
    traced, failed = [], {}
    for model, config in configs.items():
        for case in cases:
            try:
                peak = trace_peak(config, case)
            except InputError as reason:
                failed[f"{model}, {described(case)}"] = str(reason)
                continue
            traced.append(
                Traced(
                    model=model,
                    config=config,
                    case=case,
                    peak_bytes=peak.peak_bytes,
                    peak_at=peak.peak_at,
                )
            )
    if not traced:
        raise InputError(next(iter(failed.values()), "nothing to trace: give a model"))
    return traced, failed


def write_traces(path: Path, traced: Iterable[Traced]) -> None:
    """Write the rows, and beside them each model's config.json under its own name."""
    rows = []
    names: dict[str, str] = {}
    for item in traced:
        if item.model not in names:
            names[item.model] = _free_name(item.model, set(names.values()))
            text = json.dumps(dict(item.config), indent=2) + "\n"
            write_atomically(path.parent / names[item.model], text)
        rows.append(_row(item, names[item.model]))
    write_table(path, rows)


def _free_name(model: str, taken: set[str]) -> str:
    """A file name made of a model's name: "llama-3-8b.config.json"."""
    plain = re.sub(r"[^a-z0-9.]+", "-", Path(model).name.removesuffix(".json").casefold())
    stem = plain.strip("-.") or "model"
    if stem == "config":  # a bare config.json goes by its folder
        stem = re.sub(r"[^a-z0-9.]+", "-", Path(model).resolve().parent.name.casefold())
    name, count = f"{stem}.config.json", 1
    while name in taken:
        count += 1
        name = f"{stem}-{count}.config.json"
    return name


def _row(item: Traced, config: str) -> dict[str, object]:
    case = item.case
    return {
        "config": config,
        "method": case.method,
        "checkpointing": "yes" if case.checkpointing else "no",
        "weights_dtype": case.weights_dtype,
        "amp": "yes" if case.amp else "no",
        "attention": case.attention,
        "micro_batch": case.micro_batch,
        "seq_len": case.sequence_length,
        "lora_rank": case.lora_rank if case.method == "lora" else "",
        "peak_bytes": item.peak_bytes,
        "peak_at": item.peak_at,
    }
