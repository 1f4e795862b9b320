"""`tuneroi benchmark`: real training steps on this machine, and the calibration they give."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from estimator.benchmark.collectives import CollectiveRates
    from estimator.benchmark.measure import Settings
    from estimator.benchmark.record import Result
    from estimator.benchmark.scaling import Scaling
    from estimator.benchmark.target import Target

Method = Literal["full", "lora", "qlora"]
Checkpointing = Literal["none", "full"]
Precision = Literal["bf16", "fp16", "fp32", "amp"]
Attention = Literal["sdpa", "flash", "eager"]
Optimizer = Literal["adamw", "sgd", "adafactor"]
Mode = Literal["ddp", "fsdp2"]
Report = Callable[[str, float, float], None]

_recipe = partial(typer.Option, rich_help_panel="Recipe")
_measuring = partial(typer.Option, rich_help_panel="Measuring")
_elsewhere = partial(typer.Option, rich_help_panel="Without measuring here")


def benchmark(
    model: Annotated[
        str,
        typer.Argument(
            help="Shipped name, Hugging Face id, or config.json; weights are random.",
            metavar="MODEL",
        ),
    ],
    method: Annotated[
        Method, _recipe("--method", help="full, lora or qlora.", metavar="METHOD")
    ] = "lora",
    seq_len: Annotated[
        int, _recipe("--seq-len", help="Tokens of a sequence.", metavar="TOKENS", min=2)
    ] = 512,
    micro_batch: Annotated[
        int,
        _recipe("--micro-batch", help="Sequences at once.", metavar="N", min=1, max=65_536),
    ] = 1,
    checkpointing: Annotated[
        Checkpointing,
        _recipe("--checkpointing", help="Of activations: none or full.", metavar="KIND"),
    ] = "none",
    precision: Annotated[
        Precision, _recipe("--precision", help="bf16, fp16, fp32 or amp.", metavar="KIND")
    ] = "bf16",
    attention: Annotated[
        Attention, _recipe("--attention", help="sdpa, flash or eager.", metavar="KERNEL")
    ] = "sdpa",
    optimizer: Annotated[
        Optimizer, _recipe("--optimizer", help="adamw, sgd or adafactor.", metavar="NAME")
    ] = "adamw",
    lora_rank: Annotated[
        int, _recipe("--lora-rank", help="Rank of the adapters.", metavar="RANK", min=1)
    ] = 16,
    budget: Annotated[
        float, _measuring("--budget", help="Seconds to measure.", metavar="SECONDS", min=1)
    ] = 90.0,
    aim: Annotated[
        float,
        _measuring(
            "--target",
            help="Stop when the step is known to plus or minus this share.",
            metavar="SHARE",
            min=0.001,
            max=1.0,
        ),
    ] = 0.05,
    threads: Annotated[
        int | None,
        _measuring(
            "--threads",
            help="CPU threads; default: OMP_NUM_THREADS, else all cores.",
            metavar="N",
            min=1,
        ),
    ] = None,
    device: Annotated[
        str,
        _measuring("--device", help="PyTorch device, such as cpu; default: the best.", metavar="D"),
    ] = "",
    verify: Annotated[
        bool, _measuring("--verify", help="Run the whole model too, and compare.")
    ] = False,
    largest: Annotated[
        bool, _measuring("--largest", help="Search the largest micro-batch that runs.")
    ] = False,
    nproc: Annotated[
        int | None,
        _measuring("--nproc", help="Also step this many processes together.", metavar="N", min=2),
    ] = None,
    mode: Annotated[
        Mode, _measuring("--mode", help="How they share a step: ddp or fsdp2.", metavar="MODE")
    ] = "ddp",
    dry_run: Annotated[
        bool, _elsewhere("--dry-run", help="Only say what would be run, and how long.")
    ] = False,
    remote_script: Annotated[
        bool, _elsewhere("--remote-script", help="Print a script that runs this elsewhere.")
    ] = False,
    sky_gpu: Annotated[
        str,
        _elsewhere("--sky-task", help="Print a SkyPilot task that rents this GPU.", metavar="GPU"),
    ] = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look on the Hugging Face hub.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run real training steps of a model's layers here; predict the whole and calibrate."""
    from estimator.benchmark.links import keep_links
    from estimator.benchmark.measure import Settings
    from estimator.benchmark.measure import benchmark as run_benchmark
    from estimator.benchmark.probe import usable_threads
    from estimator.benchmark.record import keep_more, save_result
    from estimator.benchmark.target import target_of
    from estimator.cli.main import INTERRUPTED
    from estimator.cli.options import stay_offline
    from estimator.cli.show import print_json, print_parts
    from estimator.report.benchmark import (
        benchmark_dict,
        benchmark_parts,
        plan_dict,
        plan_parts,
        verified_dict,
    )

    if remote_script or sky_gpu:
        _print_remote(sky_gpu)
        return
    if offline:
        stay_offline()
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
    if dry_run:
        asked = {"verify": verify, "largest": largest, "nproc": nproc is not None}
        if as_json:
            print_json(plan_dict(goal, budget, asked))
        else:
            print_parts(plan_parts(goal, budget, asked))
        return
    _check_torch()
    settings = Settings(
        budget_seconds=budget,
        aim=aim,
        threads=threads or usable_threads(),
        device=device or None,
    )
    with _progress() as report:
        result = run_benchmark(goal, settings, report)
        file = save_result(result, {})
        more = _beyond(result, settings, report, verify, largest, nproc, mode)
        if more["verified"] is not None:
            keep_more(file, {"verified": verified_dict(result, more["verified"])})
        if more["together"] is not None:
            keep_links(file, *more["together"])
    if as_json:
        print_json(benchmark_dict(result, file=file, **more))
    else:
        print_parts(benchmark_parts(result, file=file, **more))
    if result.record.interrupted:
        raise typer.Exit(INTERRUPTED)


def _beyond(
    result: "Result",
    settings: "Settings",
    report: Report,
    verify: bool,
    largest: bool,
    nproc: int | None,
    mode: Mode,
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
        if verify:
            found["verified"] = run_whole(goal, settings, report)
        if largest:
            found["largest"] = largest_micro_batch(goal, result.probe, settings, report)
        if nproc is not None:
            found["together"] = _several(goal, nproc, mode, report)
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
    goal: "Target", nproc: int, mode: Mode, report: Report
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
    """What is being done and how long it still takes, on a terminal's standard error."""
    if not sys.stderr.isatty():
        yield lambda doing, used, left: None
        return
    from rich.console import Console

    with Console(stderr=True).status("starting") as status:

        def report(doing: str, used: float, left: float) -> None:
            remaining = f", {left:.0f} s to go" if left else ""
            status.update(f"{doing} ({used:.0f} s{remaining})")

        yield report
