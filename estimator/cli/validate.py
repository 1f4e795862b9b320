"""`tuneroi validate`: predictions against files of measurements."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from estimator.validation.scoring import Validation

app = typer.Typer(
    help="Compare predictions with a file of measurements: errors by source and by method.",
    no_args_is_help=True,
)
File = Annotated[Path, typer.Argument(help="CSV file of measurements.", metavar="FILE")]
OptionalFile = Annotated[
    Path | None,
    typer.Argument(
        help="CSV file of measurements; default: the published ones of the package.",
        metavar="FILE",
    ),
]
RowsOut = Annotated[
    Path | None,
    typer.Option("--rows-out", help="Write each row's prediction there.", metavar="FILE.csv"),
]
IncludeSuspect = Annotated[
    bool, typer.Option("--include-suspect", help="Count rows whose flag begins with 'susp' too.")
]
CalibrateRows = Annotated[
    int | None,
    typer.Option(
        "--calibrate-rows",
        min=1,
        metavar="K",
        help="Take K rows of each source and GPU as own measurements; score the rest.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the choice of those rows.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("memory")
def memory(
    file: OptionalFile = None,
    rows_out: RowsOut = None,
    include_suspect: IncludeSuspect = False,
    as_json: AsJson = False,
) -> None:
    """Predicted peak memory against measured peaks (column peak_mem_gib)."""
    from estimator.cli.show import working
    from estimator.validation.fitting import MEMORY_FILE
    from estimator.validation.memory import validate_memory

    path = file or MEMORY_FILE
    with working("predicting"):
        found = validate_memory(path, include_suspect=include_suspect)
    _show(found, f"Peak memory, {path.name}", rows_out, as_json=as_json)


@app.command("traces")
def traces(
    file: File,
    rows_out: RowsOut = None,
    include_suspect: IncludeSuspect = False,
    as_json: AsJson = False,
) -> None:
    """The closed form of memory against traced peaks (column peak_bytes; see tuneroi trace)."""
    from estimator.cli.show import working
    from estimator.validation.traces import validate_traces

    with working("predicting"):
        found = validate_traces(file, include_suspect=include_suspect)
    _show(found, f"Traced peaks, {file.name}", rows_out, as_json=as_json)


@app.command("fits")
def fits(
    file: File,
    rows_out: RowsOut = None,
    include_suspect: IncludeSuspect = False,
    as_json: AsJson = False,
) -> None:
    """Predicted "fits" against runs that fitted or ran out of memory (column fits)."""
    from estimator.cli.show import print_json, print_parts, working
    from estimator.report.validation import fits_dict, fits_parts
    from estimator.validation.fits import validate_fits, verdict_table
    from estimator.validation.scoring import write_table

    with working("predicting"):
        found = validate_fits(file, include_suspect=include_suspect)
    if rows_out is not None:
        write_table(rows_out, verdict_table(found.verdicts))
    if as_json:
        print_json(fits_dict(found))
    else:
        print_parts(fits_parts(found, f"Fits or not, {file.name}"))


@app.command("throughput")
def throughput(
    file: OptionalFile = None,
    rows_out: RowsOut = None,
    include_suspect: IncludeSuspect = False,
    calibrate_rows: CalibrateRows = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Predicted tokens per second and GPU against measured ones (column tokens_per_s_per_gpu)."""
    from estimator.cli.show import print_json, print_parts, working
    from estimator.report.validation_speed import throughput_dict, throughput_parts
    from estimator.validation.fitting import THROUGHPUT_FILE
    from estimator.validation.scoring import prediction_table, write_table
    from estimator.validation.throughput import validate_calibrated, validate_throughput

    path = file or THROUGHPUT_FILE
    with working("predicting"):
        if calibrate_rows is None:
            found = validate_throughput(path, include_suspect=include_suspect)
        else:
            found = validate_calibrated(
                path, rows_per_group=calibrate_rows, seed=seed, include_suspect=include_suspect
            )
    if rows_out is not None:
        write_table(rows_out, prediction_table(found.scores.predictions))
    if as_json:
        print_json(throughput_dict(found))
    else:
        print_parts(throughput_parts(found, f"Throughput, {path.name}"))


@app.command("runs")
def runs(
    file: File,
    rows_out: RowsOut = None,
    include_suspect: IncludeSuspect = False,
    as_json: AsJson = False,
) -> None:
    """Predicted GPU hours and dollars of whole runs (columns gpu_hours and cost_usd)."""
    from estimator.cli.show import print_json, print_parts, working
    from estimator.report.validation_speed import runs_dict, runs_parts
    from estimator.validation.runs import validate_runs
    from estimator.validation.scoring import prediction_table, write_table

    with working("predicting"):
        found = validate_runs(file, include_suspect=include_suspect)
    if rows_out is not None:
        write_table(rows_out, prediction_table(found.hours.predictions))
    if as_json:
        print_json(runs_dict(found))
    else:
        print_parts(runs_parts(found, f"Whole runs, {file.name}"))


@app.command("serving")
def serving(
    file: File,
    rows_out: RowsOut = None,
    include_suspect: IncludeSuspect = False,
    as_json: AsJson = False,
) -> None:
    """Predicted output tokens per second of serving against measured ones."""
    from estimator.cli.show import print_json, print_parts, working
    from estimator.report.serving_validation import (
        serving_validation_dict,
        serving_validation_parts,
    )
    from estimator.validation.scoring import prediction_table, write_table
    from estimator.validation.serving import validate_serving

    with working("predicting"):
        found = validate_serving(file, include_suspect=include_suspect)
    if rows_out is not None:
        write_table(rows_out, prediction_table(found.scores.predictions))
    if as_json:
        print_json(serving_validation_dict(found))
    else:
        print_parts(serving_validation_parts(found, f"Serving, {file.name}"))


def _show(found: "Validation", title: str, rows_out: Path | None, *, as_json: bool) -> None:
    from estimator.cli.show import print_json, print_parts
    from estimator.report.validation import validation_dict, validation_parts
    from estimator.validation.scoring import prediction_table, write_table

    if rows_out is not None:
        write_table(rows_out, prediction_table(found.predictions))
    if as_json:
        print_json(validation_dict(found))
    else:
        print_parts(validation_parts(found, title))
