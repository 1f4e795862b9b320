"""`tuneroi benchmark`: real training steps on this machine, and the calibration they give."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from estimator.cli import arguments as given
from estimator.cli import benchmark_arguments as wanted

if TYPE_CHECKING:
    from estimator.benchmark.collectives import CollectiveRates
    from estimator.benchmark.measure import Settings
    from estimator.benchmark.record import Result
    from estimator.benchmark.scaling import Scaling
    from estimator.benchmark.target import Target

Report = Callable[[str, float, float], None]
PROGRESS_LINES = "TUNEROI_PROGRESS"
"""Environment variable: where it is set, progress is told in lines of JSON on standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """What to measure after the prediction."""

    verify: bool
    largest: bool
    nproc: int | None
    mode: wanted.Mode


def benchmark(
    model: wanted.RandomModelArgument,
    method: given.MethodOption = "lora",
    seq_len: given.StepLengthOption = 512,
    micro_batch: given.StepMicroBatchOption = 1,
    checkpointing: wanted.StepCheckpointingOption = "none",
    precision: wanted.StepPrecisionOption = "bf16",
    attention: wanted.AttentionOption = "sdpa",
    optimizer: wanted.OptimizerOption = "adamw",
    lora_rank: given.LoraRankOption = 16,
    budget: wanted.SecondsOption = 90.0,
    aim: wanted.AimOption = 0.05,
    threads: wanted.ThreadsOption = None,
    device: wanted.DeviceOption = "",
    verify: wanted.VerifyOption = False,
    largest: wanted.LargestOption = False,
    nproc: wanted.ProcessesOption = None,
    mode: wanted.ModeOption = "ddp",
    dry_run: wanted.DryRunOption = False,
    remote_script: wanted.RemoteScriptOption = False,
    sky_gpu: wanted.SkyTaskOption = "",
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Run real training steps of a model's layers here; predict the whole and calibrate."""
    from estimator.benchmark.target import target_of

    if remote_script or sky_gpu:
        _print_remote(sky_gpu)
        return
    goal = target_of(
        model,
        offline=offline,
        method=method,
        sequence_length=seq_len,
        micro_batch=micro_batch,
        checkpointing=checkpointing,
        precision=precision,
        attention=attention,
        optimizer=optimizer,
        lora_rank=lora_rank,
    )
    beyond = Beyond(verify=verify, largest=largest, nproc=nproc, mode=mode)
    if dry_run:
        _print_plan(goal, budget, beyond, as_json=as_json)
    else:
        settings = _settings(budget, aim, threads, device)
        _measure(goal, settings, beyond, as_json=as_json)


def _print_plan(goal: "Target", budget: float, beyond: Beyond, *, as_json: bool) -> None:
    """What would be run, and how long."""
    from estimator.cli.show import print_result
    from estimator.report.benchmark import plan_dict, plan_parts

    asked = {
        "verify": beyond.verify,
        "largest": beyond.largest,
        "nproc": beyond.nproc is not None,
    }
    print_result(
        lambda: plan_dict(goal, budget, asked),
        lambda: plan_parts(goal, budget, asked),
        as_json=as_json,
    )


def _settings(budget: float, aim: float, threads: int | None, device: str) -> "Settings":
    """How to measure, where that is possible at all."""
    _check_torch()
    from estimator.benchmark.measure import Settings
    from estimator.benchmark.probe import usable_threads

    return Settings(
        budget_seconds=budget,
        aim=aim,
        threads=threads or usable_threads(),
        device=device or None,
    )


def _measure(goal: "Target", settings: "Settings", beyond: Beyond, *, as_json: bool) -> None:
    """Measure, keep and print; Ctrl-C keeps and prints what was measured until then."""
    from estimator.benchmark.links import keep_links
    from estimator.benchmark.measure import benchmark as run_benchmark
    from estimator.benchmark.record import keep_more, save_result
    from estimator.cli.main import INTERRUPTED
    from estimator.cli.show import print_result
    from estimator.report.benchmark import benchmark_dict, benchmark_parts, verified_dict

    with _progress() as report:
        result = run_benchmark(goal, settings, report)
        file = save_result(result, {})
        more = _measured_beyond(result, settings, report, beyond)
        if more["verified"] is not None:
            keep_more(file, {"verified": verified_dict(result, more["verified"])})
        if more["together"] is not None:
            keep_links(file, *more["together"])
    print_result(
        lambda: benchmark_dict(result, file=file, **more),
        lambda: benchmark_parts(result, file=file, **more),
        as_json=as_json,
    )
    if result.record.interrupted:
        raise typer.Exit(INTERRUPTED)


def _measured_beyond(
    result: "Result", settings: "Settings", report: Report, beyond: Beyond
) -> dict[str, Any]:
    """What is measured after the prediction was kept; Ctrl-C ends it, lack of memory is noted."""
    from estimator.benchmark.largest import largest_micro_batch
    from estimator.benchmark.verify import verify as run_whole
    from estimator.benchmark.worker import OutOfMemory

    goal, record = result.target, result.record
    found: dict[str, Any] = {"verified": None, "largest": None, "together": None}
    if record.interrupted:
        return found
    try:
        if beyond.verify:
            found["verified"] = run_whole(goal, settings, report)
        if beyond.largest:
            found["largest"] = largest_micro_batch(goal, result.probe, settings, report)
        if beyond.nproc is not None:
            found["together"] = _several(goal, beyond.nproc, beyond.mode, report)
    except OutOfMemory as reason:
        record.notes.append(f"the whole model does not fit into memory: {reason}")
    except KeyboardInterrupt:
        record.interrupted = True
    return found


def _print_remote(sky_gpu: str) -> None:
    """The job for another machine: the arguments of this one, without asking for a job."""
    from estimator.benchmark.remote import job_script, sky_task
    from estimator.cli.show import print_lines

    given = sys.argv[sys.argv.index("benchmark") + 1 :]
    kept = [
        argument
        for before, argument in zip(["", *given], given, strict=False)
        if argument != "--remote-script"
        and not argument.startswith("--sky-task")
        and before != "--sky-task"
    ]
    text = sky_task(kept, gpu=sky_gpu) if sky_gpu else job_script(kept)
    print_lines(text.splitlines())


def _check_torch() -> None:
    """One clear line where it cannot run or the extra is missing, before anything is begun."""
    from importlib.util import find_spec

    from estimator.errors import InputError, MissingExtra

    if sys.platform == "win32":
        raise InputError("tuneroi benchmark runs on Linux and macOS; on Windows run it in WSL")
    for name in ("torch", "transformers", "peft"):
        if find_spec(name) is None:
            raise MissingExtra(
                f"the benchmark needs {name}; install it with: pip install 'tuneroi[benchmark]'"
            )


def _several(
    goal: "Target", nproc: int, mode: wanted.Mode, report: Report
) -> "tuple[CollectiveRates, Scaling]":
    """Collectives among several processes, and a step of them together."""
    from estimator.benchmark.collectives import measure_collectives
    from estimator.benchmark.scaling import measure_scaling

    report(f"collectives among {nproc} processes", 0.0, 0.0)
    rates = measure_collectives(nproc)
    report(f"a step of {nproc} processes", 0.0, 0.0)
    return rates, measure_scaling(goal, nproc, mode)


@contextmanager
def _progress() -> Iterator[Report]:
    """What is being done and how long it still takes: on a terminal, or in lines where asked."""
    if os.environ.get(PROGRESS_LINES):
        yield _tell
        return
    if not sys.stderr.isatty():
        yield lambda doing, used, left: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:

        def report(doing: str, used: float, left: float) -> None:
            remaining = f", {left:.0f} s to go" if left else ""
            status.update(f"{doing} ({used:.0f} s{remaining})")

        yield report


def _tell(doing: str, used: float, left: float) -> None:
    """A line of JSON on standard error; nobody need be there to read it."""
    told = {"doing": doing, "used_seconds": round(used), "left_seconds": round(left) or None}
    with suppress(OSError):
        print(json.dumps(told), file=sys.stderr, flush=True)
