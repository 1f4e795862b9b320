"""A user's past runs typed into a CSV file.

Either the columns of `data/throughput.csv`, or these: `tokens_per_second_per_gpu` or
`step_seconds`, and any of `name`, `model`, `gpu`, `gpus`, `method`, `seq_len`, `micro_batch`,
`accumulation`, `checkpointing`, `sharding`, `precision`, `stack`, `lora_rank`, `tensor_parallel`,
`pipeline_parallel`, `context_parallel`, `notes`. What a row leaves empty is what was given for all
rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from estimator.errors import InputError, unknown
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.validation.own_runs import (
    OwnRun,
    Settings,
    measured_run,
    missing,
    recipe_of,
    step_tokens,
)
from estimator.validation.rows import Row, read_rows
from estimator.validation.throughput import COLUMNS, Case, read_cases
from pricing.gpus import GpuSpec

SPEEDS = ("tokens_per_second_per_gpu", "step_seconds")
KNOWN = {*SPEEDS, "name", "model", "gpu", "gpus", "notes", *(f.name for f in fields(Settings))}
WORDS = ("method", "checkpointing", "sharding", "precision", "stack")


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What was given for all rows; None: every row must say it."""

    model: str | None
    gpu: str | None
    gpus: int | None
    settings: Settings
    architecture_of: Callable[[str], Architecture]
    gpu_of: Callable[[str], GpuSpec]


def table_runs(path: Path, defaults: Defaults) -> list[OwnRun]:
    """The runs in a CSV file; `InputError` names the row that lacks something."""
    rows = read_rows(path, ())
    header = rows[0].cells
    if all(column in header for column in COLUMNS):
        return _published_form(path)
    if not any(column in header for column in SPEEDS):
        raise InputError(
            f"{path.name}: has no column {' or '.join(SPEEDS)}, nor those of the published rows "
            f"({', '.join(COLUMNS)})"
        )
    for column in header:
        if column not in KNOWN:
            raise unknown(f"column in {path.name}:", column, KNOWN)
    return [_typed(row, defaults) for row in rows]


def _published_form(path: Path) -> list[OwnRun]:
    cases, _, left_out, refused = read_cases(path, include_suspect=False)
    if refused:
        reason, ids = next(iter(refused.items()))
        raise InputError(f"{path.name}: {ids[0]}: {reason}; mend or remove the row")
    about = (f"{left_out} rows flagged as suspect left out of {path.name}",) if left_out else ()
    return [_case_run(case, about) for case in cases]


def _case_run(case: Case, about: tuple[str, ...]) -> OwnRun:
    return OwnRun(
        name=case.row.id,
        measurement=case.measurement,
        relative_error=0.0,
        about=about,
        evidence={"row": case.row.id, "format": "csv"},
    )


def _typed(row: Row, defaults: Defaults) -> OwnRun:
    name = row["name"] or row.place
    model, gpu = row["model"] or defaults.model, row["gpu"] or defaults.gpu
    for what, said in (("model", model), ("gpu", gpu)):
        if not said:
            raise InputError(f"{row.place}: {what} is not stated; fill its cell or give --{what}")
    gpus = _whole(row, "gpus") or defaults.gpus
    if gpus is None:
        raise InputError(f"{row.place}: gpus is not stated; fill its cell or give --gpus")
    settings = _settings(row, defaults.settings)
    if lacking := missing(settings, gpus):
        first = next(iter(lacking))
        option = first.replace("_", "-")
        raise InputError(f"{row.place}: {first} is not stated; fill its cell or give --{option}")
    cluster = Cluster.of(defaults.gpu_of(str(gpu)), gpus)
    recipe = recipe_of(settings, cluster, "huggingface", row.place)
    if bool(row[SPEEDS[0]]) == bool(row[SPEEDS[1]]):
        raise InputError(f"{row.place}: fill one of {' and '.join(SPEEDS)}")
    if row[SPEEDS[0]]:
        speed = row.number(SPEEDS[0])
    else:
        speed = step_tokens(recipe, cluster) / (gpus * row.number(SPEEDS[1]))
    architecture = defaults.architecture_of(str(model))
    return OwnRun(
        name=name,
        measurement=measured_run(name, speed, recipe, architecture, cluster),
        relative_error=0.0,
        about=(),
        evidence={"row": name, "format": "csv"},
    )


def _settings(row: Row, given: Settings) -> Settings:
    """What a row says of the settings, laid over what was given for all rows."""
    said: dict[str, str | int | None] = {}
    for field in fields(Settings):
        name = field.name
        said[name] = (row[name] or None) if name in WORDS else _whole(row, name)
    return _laid_over(said, asdict(given))


def _laid_over(said: Mapping[str, object], given: Mapping[str, object]) -> Settings:
    known = {name: given[name] if value is None else value for name, value in said.items()}
    return Settings(**known)  # type: ignore[arg-type]


def _whole(row: Row, column: str) -> int | None:
    if not row[column]:
        return None
    value = row.number(column)
    if value != int(value):
        raise InputError(f"{row.place}: {column} is {row[column]!r}; allowed: a whole number")
    return int(value)
