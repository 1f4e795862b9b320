"""`tuneroi validate`: predictions against files of measurements."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from estimator.cli.arguments import JsonOption

if TYPE_CHECKING:
    from rich.console import RenderableType

Found = TypeVar("Found")

app = typer.Typer(
    help="Compare predictions with a file of measurements: errors by source and by method.",
    no_args_is_help=True,
)
FileArgument = Annotated[Path, typer.Argument(help="CSV file of measurements.", metavar="FILE")]
OptionalFileArgument = Annotated[
    Path | None,
    typer.Argument(
        help="CSV file of measurements; default: the published ones of the package.",
        metavar="FILE",
    ),
]
RowsOutOption = Annotated[
    Path | None,
    typer.Option("--rows-out", help="Write each row's prediction there.", metavar="FILE.csv"),
]
IncludeSuspectOption = Annotated[
    bool, typer.Option("--include-suspect", help="Count rows whose flag begins with 'susp' too.")
]
CalibrateRowsOption = Annotated[
    int | None,
    typer.Option(
        "--calibrate-rows",
        min=1,
        metavar="K",
        help="Take K rows of each source and GPU as own measurements; score the rest.",
    ),
]
ChoiceSeedOption = Annotated[
    int, typer.Option("--seed", min=0, help="Seed of the choice of those rows.")
]


@app.command("memory")
def memory(
    file: OptionalFileArgument = None,
    rows_out: RowsOutOption = None,
    include_suspect: IncludeSuspectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predicted peak memory against measured peaks (column peak_mem_gib)."""
    from estimator.report.validation import validation_dict, validation_parts
    from estimator.validation.fitting import MEMORY_FILE
    from estimator.validation.memory import validate_memory
    from estimator.validation.scoring import prediction_table

    path = file or MEMORY_FILE
    _show(
        lambda: validate_memory(path, include_suspect=include_suspect),
        validation_dict,
        lambda found: validation_parts(found, f"Peak memory, {path.name}"),
        lambda found: prediction_table(found.predictions),
        rows_out,
        as_json=as_json,
    )


@app.command("traces")
def traces(
    file: FileArgument,
    rows_out: RowsOutOption = None,
    include_suspect: IncludeSuspectOption = False,
    as_json: JsonOption = False,
) -> None:
    """The closed form of memory against traced peaks (column peak_bytes; see tuneroi trace)."""
    from estimator.report.validation import validation_dict, validation_parts
    from estimator.validation.scoring import prediction_table
    from estimator.validation.traces import validate_traces

    _show(
        lambda: validate_traces(file, include_suspect=include_suspect),
        validation_dict,
        lambda found: validation_parts(found, f"Traced peaks, {file.name}"),
        lambda found: prediction_table(found.predictions),
        rows_out,
        as_json=as_json,
    )


@app.command("fits")
def fits(
    file: FileArgument,
    rows_out: RowsOutOption = None,
    include_suspect: IncludeSuspectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predicted "fits" against runs that fitted or ran out of memory (column fits)."""
    from estimator.report.validation import fits_dict, fits_parts
    from estimator.validation.fits import validate_fits, verdict_table

    _show(
        lambda: validate_fits(file, include_suspect=include_suspect),
        fits_dict,
        lambda found: fits_parts(found, f"Fits or not, {file.name}"),
        lambda found: verdict_table(found.verdicts),
        rows_out,
        as_json=as_json,
    )


@app.command("throughput")
def throughput(
    file: OptionalFileArgument = None,
    rows_out: RowsOutOption = None,
    include_suspect: IncludeSuspectOption = False,
    calibrate_rows: CalibrateRowsOption = None,
    seed: ChoiceSeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Predicted tokens per second and GPU against measured ones (column tokens_per_s_per_gpu)."""
    from estimator.report.validation_speed import throughput_dict, throughput_parts
    from estimator.validation.fitting import THROUGHPUT_FILE
    from estimator.validation.scoring import prediction_table
    from estimator.validation.throughput import validate_calibrated, validate_throughput

    path = file or THROUGHPUT_FILE
    _show(
        lambda: (
            validate_throughput(path, include_suspect=include_suspect)
            if calibrate_rows is None
            else validate_calibrated(
                path, rows_per_group=calibrate_rows, seed=seed, include_suspect=include_suspect
            )
        ),
        throughput_dict,
        lambda found: throughput_parts(found, f"Throughput, {path.name}"),
        lambda found: prediction_table(found.scores.predictions),
        rows_out,
        as_json=as_json,
    )


@app.command("runs")
def runs(
    file: FileArgument,
    rows_out: RowsOutOption = None,
    include_suspect: IncludeSuspectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predicted GPU hours and dollars of whole runs (columns gpu_hours and cost_usd)."""
    from estimator.report.validation_speed import runs_dict, runs_parts
    from estimator.validation.runs import validate_runs
    from estimator.validation.scoring import prediction_table

    _show(
        lambda: validate_runs(file, include_suspect=include_suspect),
        runs_dict,
        lambda found: runs_parts(found, f"Whole runs, {file.name}"),
        lambda found: prediction_table(found.hours.predictions),
        rows_out,
        as_json=as_json,
    )


@app.command("serving")
def serving(
    file: FileArgument,
    rows_out: RowsOutOption = None,
    include_suspect: IncludeSuspectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predicted output tokens per second of serving against measured ones."""
    from estimator.report.serving_validation import (
        serving_validation_dict,
        serving_validation_parts,
    )
    from estimator.validation.scoring import prediction_table
    from estimator.validation.serving import validate_serving

    _show(
        lambda: validate_serving(file, include_suspect=include_suspect),
        serving_validation_dict,
        lambda found: serving_validation_parts(found, f"Serving, {file.name}"),
        lambda found: prediction_table(found.scores.predictions),
        rows_out,
        as_json=as_json,
    )


def _show(
    validate: Callable[[], Found],
    as_dict: Callable[[Found], object],
    parts: Callable[[Found], Iterable["RenderableType"]],
    table: Callable[[Found], Sequence[Mapping[str, Any]]],
    rows_out: Path | None,
    *,
    as_json: bool,
) -> None:
    """The validation as asked for, and its rows in the file that was asked for."""
    from estimator.cli.show import print_result, working
    from estimator.validation.scoring import write_table

    with working("predicting"):
        found = validate()
    if rows_out is not None:
        write_table(rows_out, table(found))
    print_result(lambda: as_dict(found), lambda: parts(found), as_json=as_json)
