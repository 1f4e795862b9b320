"""`tuneroi calibrate`: fit the shipped parameters, import own runs, look at own calibrations."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from estimator.cli import arguments as given
from estimator.cli import run_arguments as ran
from estimator.cli.validate import IncludeSuspectOption, OptionalFileArgument

app = typer.Typer(
    help="Efficiency parameters: fit them, shift them by your own runs, see what you have.",
    no_args_is_help=True,
)
CalibrationFileArgument = Annotated[
    Path, typer.Argument(help="A calibration file of tuneroi calibrate list.", metavar="FILE")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="Write the fitted parameters there.", metavar="OUT.json"),
]


@app.command("fit")
def fit(
    file: OptionalFileArgument = None,
    out: OutOption = None,
    include_suspect: IncludeSuspectOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Refit the shipped parameters to published rows; the shipped ones stay as they are."""
    from estimator.cli.show import print_result, working
    from estimator.report.own_calibrations import refit_dict, refit_parts
    from estimator.validation.fitting import THROUGHPUT_FILE, refit, write_calibration

    path = file or THROUGHPUT_FILE
    with working("fitting"):
        found = refit(path, include_suspect=include_suspect)
    if out is not None:
        write_calibration(found.calibration, out)
    print_result(
        lambda: refit_dict(found, out), lambda: refit_parts(found, path.name, out), as_json=as_json
    )


@app.command("import")
def import_logs(
    logs: ran.LogsArgument,
    log_format: ran.FormatOption = "auto",
    model: ran.ModelOption = None,
    gpu: ran.GpuOption = None,
    gpus: ran.GpusOption = None,
    method: ran.MethodOption = None,
    seq_len: ran.SequenceLengthOption = None,
    micro_batch: ran.MicroBatchOption = None,
    accumulation: ran.AccumulationOption = None,
    checkpointing: ran.CheckpointingOption = None,
    sharding: ran.ShardingOption = None,
    precision: given.PrecisionOption = None,
    stack: ran.StackOption = None,
    lora_rank: given.LoraRankOption = 16,
    tensor_parallel: ran.TensorParallelOption = 1,
    pipeline_parallel: ran.PipelineParallelOption = 1,
    context_parallel: ran.ContextParallelOption = 1,
    calibration: ran.BaseCalibrationOption = "shipped",
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Turn past runs into a calibration of your GPU: it narrows every later estimate on it."""
    from estimator.cli.imported import Asked, run_import
    from estimator.validation.own_runs import Settings

    settings = Settings(
        method=method,
        seq_len=seq_len,
        micro_batch=micro_batch,
        accumulation=accumulation,
        checkpointing=checkpointing,
        sharding=sharding,
        precision=precision,
        stack=stack,
        lora_rank=lora_rank,
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        context_parallel=context_parallel,
    )
    asked = Asked(
        logs=tuple(logs),
        log_format=log_format,
        model=model,
        gpu=gpu,
        gpus=gpus,
        settings=settings,
        calibration=calibration,
        offline=offline,
        may_ask=sys.stdin.isatty() and not as_json,
    )
    run_import(asked, as_json=as_json)


@app.command("list")
def list_files(as_json: given.JsonOption = False) -> None:
    """Your own calibrations, newest first."""
    from estimator.cli.show import print_result
    from estimator.hardware.calibration_file import own_calibrations, unreadable_calibrations
    from estimator.report.own_calibrations import own_files_dict, own_files_parts

    files, unreadable = own_calibrations(), unreadable_calibrations()
    print_result(
        lambda: own_files_dict(files, unreadable),
        lambda: own_files_parts(files, unreadable),
        as_json=as_json,
    )


@app.command("show")
def show(file: CalibrationFileArgument, as_json: given.JsonOption = False) -> None:
    """What a calibration was measured on, and what it changes."""
    from estimator.cli.show import print_result
    from estimator.hardware.calibration_file import load_calibration_file
    from estimator.report.own_calibrations import file_dict, file_parts

    held = load_calibration_file(file)
    print_result(lambda: file_dict(file, held), lambda: file_parts(file, held), as_json=as_json)


@app.command("add")
def add(file: CalibrationFileArgument, as_json: given.JsonOption = False) -> None:
    """Take in a calibration made elsewhere, as by a benchmark on a rented GPU."""
    from estimator.cli.show import print_result
    from estimator.hardware.calibration_file import load_calibration_file, save_calibration_file
    from estimator.report.own_calibrations import file_dict, file_parts

    held = load_calibration_file(file)
    path = save_calibration_file(held)
    print_result(lambda: file_dict(path, held), lambda: file_parts(path, held), as_json=as_json)


@app.command("remove")
def remove(
    file: CalibrationFileArgument,
    yes: given.YesOption = False,
) -> None:
    """Delete a calibration file; one that is no calibration stays."""
    from estimator.errors import InputError
    from estimator.hardware.calibration_file import read_calibration_data

    read_calibration_data(file)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError(f"{file}: to delete it without being asked, give --yes")
        typer.confirm(f"Delete {file}?", abort=True)
    file.unlink()
    typer.echo(f"removed {file}")
