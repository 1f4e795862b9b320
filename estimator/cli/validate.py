"""`tuneroi validate`: predictions against files of measurements."""

from pathlib import Path
from typing import Annotated, Any

import typer

from estimator.cli.arguments import JsonOption

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


def _show(
    kind: str, file: Path | None, rows_out: Path | None, *, as_json: bool, **asked: Any
) -> None:
    """The outcome as it was asked for, and its rows in the file that was asked for."""
    from estimator.cli.show import print_result, working
    from estimator.cli.validate_options import KINDS
    from estimator.validation.scoring import write_table

    way = KINDS[kind]
    path = file or way.shipped
    assert path is not None, f"{kind} needs a file, and typer asks for one"
    with working("predicting"):
        found = way.validate(path, **asked)
    if rows_out is not None:
        write_table(rows_out, way.rows(found))
    title = f"{way.title}, {path.name}"
    print_result(lambda: way.as_dict(found), lambda: way.parts(found, title), as_json=as_json)


def _add(kind: str, about: str) -> None:
    """A command for a file of the user's own."""

    def command(
        file: FileArgument,
        rows_out: RowsOutOption = None,
        include_suspect: IncludeSuspectOption = False,
        as_json: JsonOption = False,
    ) -> None:
        _show(kind, file, rows_out, as_json=as_json, include_suspect=include_suspect)

    app.command(kind, help=about)(command)


@app.command("memory")
def memory(
    file: OptionalFileArgument = None,
    rows_out: RowsOutOption = None,
    include_suspect: IncludeSuspectOption = False,
    as_json: JsonOption = False,
) -> None:
    """Predicted peak memory against measured peaks (column peak_mem_gib)."""
    _show("memory", file, rows_out, as_json=as_json, include_suspect=include_suspect)


_add(
    "traces",
    "The closed form of memory against traced peaks (column peak_bytes; see tuneroi trace).",
)
_add("fits", 'Predicted "fits" against runs that fitted or ran out of memory (column fits).')


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
    _show(
        "throughput",
        file,
        rows_out,
        as_json=as_json,
        rows_per_group=calibrate_rows,
        seed=seed,
        include_suspect=include_suspect,
    )


_add("runs", "Predicted GPU hours and dollars of whole runs (columns gpu_hours and cost_usd).")
_add("serving", "Predicted output tokens per second of serving against measured ones.")
