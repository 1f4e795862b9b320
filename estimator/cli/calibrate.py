"""`tuneroi calibrate`: fit the shipped parameters, import own runs, look at own calibrations."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from estimator.cli import arguments as given

app = typer.Typer(
    help="Efficiency parameters: fit them, shift them by your own runs, see what you have.",
    no_args_is_help=True,
)
LogFormat = Literal["auto", "trainer", "torchtune", "torchtitan", "csv"]
CalibrationFileArgument = Annotated[
    Path, typer.Argument(help="A calibration file of tuneroi calibrate list.", metavar="FILE")
]
LogsArgument = Annotated[
    list[Path],
    typer.Argument(
        help="trainer_state.json, trainer_log.jsonl, a torchtune or torchtitan log, or a CSV file.",
        metavar="LOG",
    ),
]
FormatOption = Annotated[
    LogFormat,
    typer.Option("--format", help="auto, trainer, torchtune, torchtitan or csv.", metavar="FORMAT"),
]


@app.command("fit")
def fit(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="CSV file of published measurements; default: those of the package.",
            metavar="FILE",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write the fitted parameters there.", metavar="OUT.json"),
    ] = None,
    include_suspect: Annotated[
        bool,
        typer.Option("--include-suspect", help="Fit rows whose flag begins with 'susp' too."),
    ] = False,
    as_json: given.JsonOption = False,
) -> None:
    """Refit the shipped parameters to published rows; the shipped ones stay as they are."""
    from estimator.cli.show import print_json, print_parts, working
    from estimator.report.own_calibrations import refit_dict, refit_parts
    from estimator.validation.fitting import THROUGHPUT_FILE, refit, write_calibration

    path = file or THROUGHPUT_FILE
    with working("fitting"):
        found = refit(path, include_suspect=include_suspect)
    if out is not None:
        write_calibration(found.calibration, out)
    if as_json:
        print_json(refit_dict(found, out))
    else:
        print_parts(refit_parts(found, path.name, out))


@app.command("import")
def import_logs(
    logs: LogsArgument,
    log_format: FormatOption = "auto",
    model: given.RunModelOption = None,
    gpu: given.RunGpuOption = None,
    gpus: given.RunGpusOption = None,
    method: given.RunMethodOption = None,
    seq_len: given.RunSequenceLengthOption = None,
    micro_batch: given.RunMicroBatchOption = None,
    accumulation: given.RunAccumulationOption = None,
    checkpointing: given.RunCheckpointingOption = None,
    sharding: given.RunShardingOption = None,
    precision: given.PrecisionOption = None,
    stack: given.RunStackOption = None,
    lora_rank: given.LoraRankOption = 16,
    tensor_parallel: given.TensorParallelOption = 1,
    pipeline_parallel: given.PipelineParallelOption = 1,
    context_parallel: given.ContextParallelOption = 1,
    calibration: given.BaseCalibrationOption = "shipped",
    offline: given.OfflineOption = False,
    as_json: given.JsonOption = False,
) -> None:
    """Turn past runs into a calibration of your GPU: it narrows every later estimate on it."""
    from estimator.cli.imported import Asked, run_import
    from estimator.cli.options import stay_offline
    from estimator.validation.own_runs import Settings

    if offline:
        stay_offline()
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
    from estimator.cli.show import print_json, print_parts
    from estimator.hardware.calibration_file import own_calibrations, unreadable_calibrations
    from estimator.report.own_calibrations import own_files_dict, own_files_parts

    files, unreadable = own_calibrations(), unreadable_calibrations()
    if as_json:
        print_json(own_files_dict(files, unreadable))
    else:
        print_parts(own_files_parts(files, unreadable))


@app.command("show")
def show(file: CalibrationFileArgument, as_json: given.JsonOption = False) -> None:
    """What a calibration was measured on, and what it changes."""
    from estimator.cli.show import print_json, print_parts
    from estimator.hardware.calibration_file import load_calibration_file
    from estimator.report.own_calibrations import file_dict, file_parts

    held = load_calibration_file(file)
    if as_json:
        print_json(file_dict(file, held))
    else:
        print_parts(file_parts(file, held))


@app.command("add")
def add(file: CalibrationFileArgument, as_json: given.JsonOption = False) -> None:
    """Take in a calibration made elsewhere, as by a benchmark on a rented GPU."""
    from estimator.cli.show import print_json, print_parts
    from estimator.hardware.calibration_file import load_calibration_file, save_calibration_file
    from estimator.report.own_calibrations import file_dict, file_parts

    held = load_calibration_file(file)
    path = save_calibration_file(held)
    if as_json:
        print_json(file_dict(path, held))
    else:
        print_parts(file_parts(path, held))


@app.command("remove")
def remove(
    file: CalibrationFileArgument,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
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
