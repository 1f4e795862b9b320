"""Past runs from log files to a saved calibration, asking for what no log says."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import typer

from estimator import __version__
from estimator.cli.arguments import Checkpointing, Method, Sharding
from estimator.cli.options import given_gpu, given_model
from estimator.cli.show import print_json, print_parts, working
from estimator.errors import InputError
from estimator.hardware.calibration_file import (
    SCHEMA_VERSION,
    CalibrationFile,
    UsedCalibration,
    calibration_for,
    calibration_to_use,
    device_of,
    save_calibration_file,
)
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.report.own_calibrations import imported_dict, imported_parts, used_file
from estimator.validation.logs import RunLog, read_log
from estimator.validation.own_runs import (
    OwnCalibration,
    OwnRun,
    Settings,
    calibrated_by,
    missing,
    own_run,
    settled,
)
from estimator.validation.own_table import Defaults, table_runs

CHOICES: Mapping[str, tuple[str, ...]] = {
    "method": get_args(Method),
    "checkpointing": get_args(Checkpointing),
    "sharding": get_args(Sharding),
}
OPTIONS = {"model": "the model", "gpu": "the GPU", "gpus": "the number of GPUs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the user gave."""

    logs: tuple[Path, ...]
    log_format: str
    model: str | None
    gpu: str | None
    gpus: int | None
    settings: Settings
    calibration: str
    offline: bool
    may_ask: bool
    """Whether somebody sits at a terminal who can be asked for what is missing."""


def run_import(asked: Asked, *, as_json: bool) -> None:
    """Read, calibrate, save, and print what changed."""
    runs = [run for path in asked.logs for run in _runs(path, asked)]
    cluster = _one_kind(runs)
    base = calibration_to_use(cluster.gpu, asked.calibration)
    with working("calibrating"):
        found = calibrated_by(runs, base.calibration)
    file = _file(runs, found, cluster, base)
    earlier = calibration_for(cluster.gpu)
    replaced = earlier[0] if earlier and earlier[0] != base.path else None
    path = save_calibration_file(file)
    if as_json:
        print_json(imported_dict(path, runs, found, used_file(path, file), replaced))
    else:
        print_parts(imported_parts(path, runs, found, replaced))


def _runs(path: Path, asked: Asked) -> list[OwnRun]:
    log = read_log(path, asked.log_format)
    if log is None:
        defaults = Defaults(
            model=asked.model,
            gpu=asked.gpu,
            gpus=asked.gpus,
            settings=asked.settings,
            architecture_of=lambda name: _architecture(name, asked),
            gpu_of=given_gpu,
        )
        return table_runs(path, defaults)
    known = _completed(log, asked)
    cluster = Cluster.of(given_gpu(str(known.gpu)), known.gpus or 1)
    architecture = _architecture(str(known.model), asked)
    return [own_run(log, known.settings, architecture, cluster)]


def _architecture(name: str, asked: Asked) -> Architecture:
    return given_model(name, offline=asked.offline).architecture


def _completed(log: RunLog, asked: Asked) -> Asked:
    """Model, GPUs and settings, each from the log, the command line, or the terminal."""
    lacking = {name: text for name, text in OPTIONS.items() if not getattr(asked, name)}
    if asked.may_ask and lacking:
        asked = replace(asked, **{name: _ask(name, text) for name, text in lacking.items()})
        lacking = {}
    gpus = asked.gpus or 1
    settings = settled(log, asked.settings, gpus)
    unsaid = missing(settings, gpus)
    if asked.may_ask:
        answers = {name: _ask(name, text) for name, text in unsaid.items()}
        settings = settled(log, replace(settings, **answers), gpus)
    elif lacking := lacking | unsaid:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in lacking)
        meanings = ", ".join(lacking.values())
        raise InputError(f"{log.path.name} does not say {meanings}: give {options}")
    return replace(asked, settings=settings)


def _ask(name: str, meaning: str) -> Any:
    """The answer of whoever sits at the terminal."""
    question = f"The log does not say {meaning}"
    if name in ("model", "gpu"):
        return str(typer.prompt(question))
    if name not in CHOICES:
        return int(typer.prompt(question, type=int))
    answer = str(typer.prompt(f"{question} ({', '.join(CHOICES[name])})"))
    if answer not in CHOICES[name]:
        raise InputError(f"{meaning}: {answer!r}; allowed: {', '.join(CHOICES[name])}")
    return answer


def _one_kind(runs: list[OwnRun]) -> Cluster:
    """The machine with the most GPUs, where all runs are of one kind of GPU."""
    clusters = [run.measurement.cluster for run in runs]
    kinds = sorted({cluster.gpu.id for cluster in clusters})
    if len(kinds) > 1:
        raise InputError(
            f"the runs are of {', '.join(kinds)}; a calibration is of one GPU: import each alone"
        )
    return max(clusters, key=lambda cluster: cluster.gpus)


def _file(
    runs: list[OwnRun], found: OwnCalibration, cluster: Cluster, base: UsedCalibration
) -> CalibrationFile:
    typed = all(run.evidence["format"] == "csv" for run in runs)
    evidence = [
        {
            **run.evidence,
            "model": run.measurement.architecture.id,
            "gpus": run.measurement.cluster.gpus,
            "tokens_per_second_per_gpu": run.measurement.tokens_per_second_per_gpu,
            "recipe": run.measurement.recipe.model_dump(mode="json"),
        }
        for run in runs
    ]
    return CalibrationFile(
        schema_version=SCHEMA_VERSION,
        tuneroi_version=__version__,
        created=datetime.now(tz=UTC),
        kind="rows" if typed else "logs",
        device=device_of(cluster.gpu, cluster.gpus),
        software={},
        calibration=found.calibration,
        evidence={"runs": evidence, "on_top_of": str(base.path) if base.path else "shipped"},
    )
