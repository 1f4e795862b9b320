"""`tuneroi library`: past runs and benchmarks, by name and date."""

import sys
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from estimator.cli.arguments import CalibrationOption, ForceOption, JsonOption, YesOption
from estimator.cli.decision_arguments import VERDICT_CHANGED, SeedOption, one_thread

app = typer.Typer(
    help="Past runs and benchmarks: save, list, reload and compare them by name and date.",
    no_args_is_help=True,
)
RunKind = Literal["comparison", "plan", "train", "benchmark", "serve"]
LibraryOption = Annotated[
    str,
    typer.Option(
        "--library",
        help="SQLite file, or postgresql://USER@HOST/DATABASE; default: what TUNEROI_LIBRARY "
        "names, else a file in your data folder. Other users of the machine can read a password "
        "here: it is safer in TUNEROI_LIBRARY, PGPASSWORD or ~/.pgpass.",
        metavar="URL",
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(help="Number, name (its newest), or NAME@YYYY-MM-DD.", metavar="RUN"),
]
FileArgument = Annotated[
    Path, typer.Argument(help="Scenario file, or a calibration file (.json).", metavar="FILE")
]
NewNameOption = Annotated[str, typer.Option("--name", help="Default: what the file is about.")]
NoteOption = Annotated[str, typer.Option("--note", help="A remark to keep with it.")]
_day = partial(typer.Option, formats=["%Y-%m-%d"], metavar="YYYY-MM-DD")
NamesOption = Annotated[str, typer.Option("--name", help="Only names with this in them.")]
KindOption = Annotated[
    RunKind | None,
    typer.Option("--kind", help="comparison, plan, train, benchmark or serve.", metavar="KIND"),
]
SinceOption = Annotated[datetime | None, _day("--since", help="Saved on this day (UTC) or later.")]
UntilOption = Annotated[datetime | None, _day("--until", help="Saved on this day (UTC) or before.")]
LimitOption = Annotated[int, typer.Option("--limit", help="At most so many.", min=1)]
InputsFileOption = Annotated[
    Path, typer.Option("--output", "-o", help="File to write.", metavar="FILE")
]


@app.command("save")
def save(
    file: FileArgument,
    name: NewNameOption = "",
    note: NoteOption = "",
    seed: SeedOption = 7,
    calibration: CalibrationOption = "",
    library: LibraryOption = "",
    as_json: JsonOption = False,
) -> None:
    """Compare the alternatives of a scenario and keep the result; or keep a benchmark."""
    one_thread()
    from estimator.cli.show import print_json, print_lines, working
    from estimator.library import open_library
    from estimator.library.saving import read_exactly, save_calibration, save_comparison
    from estimator.report.library import head_dict

    opened = open_library(library)
    if file.suffix == ".json":
        head = save_calibration(opened, file, name=name, note=note)
    else:
        from estimator.cli.decision_options import asked
        from estimator.decision.simulate import compare

        given, text = asked(file, None, calibration), read_exactly(file)
        used = given.calibration
        with working("comparing ..."):
            comparison = compare(given.scenario, seed=seed, calibration=used.own)
        head = save_comparison(opened, comparison, text, used=used, name=name, note=note)
    if as_json:
        print_json(head_dict(head) | {"library": opened.place})
    else:
        print_lines([f"saved as run {head.id}, {head.name}: {head.headline}"])


@app.command("list")
def list_saved(
    name: NamesOption = "",
    kind: KindOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: LimitOption = 50,
    library: LibraryOption = "",
    as_json: JsonOption = False,
) -> None:
    """List saved runs, newest first."""
    from estimator.cli.show import print_result
    from estimator.library import list_runs, open_library
    from estimator.report.library import list_dict, list_parts

    opened = open_library(library)
    heads = list_runs(
        opened,
        name=name,
        kind=kind,
        since=since.date() if since else None,
        until=until.date() if until else None,
        limit=limit,
    )
    print_result(
        lambda: list_dict(heads, opened.place),
        lambda: list_parts(heads, opened.place),
        as_json=as_json,
    )


@app.command("show")
def show(run: RunArgument, library: LibraryOption = "", as_json: JsonOption = False) -> None:
    """Show a saved run as it came out then; nothing is computed anew."""
    from estimator.cli.show import print_result
    from estimator.library import load_run, open_library
    from estimator.report.library import run_dict, run_parts

    saved = load_run(open_library(library), run)
    print_result(lambda: run_dict(saved), lambda: run_parts(saved), as_json=as_json)


@app.command("reload")
def reload(
    run: RunArgument,
    output: InputsFileOption,
    force: ForceOption = False,
    library: LibraryOption = "",
    as_json: JsonOption = False,
) -> None:
    """Write the file that a run was made from, byte for byte."""
    from estimator.cli.show import print_json, print_lines
    from estimator.errors import InputError
    from estimator.files import write_bytes_atomically
    from estimator.library import load_run, open_library
    from estimator.report.library import head_dict

    saved = load_run(open_library(library), run)
    if output.exists() and not force:
        raise InputError(f"{output} exists already; use --force to write over it")
    write_bytes_atomically(output, saved.inputs.encode())
    if as_json:
        print_json(head_dict(saved.head) | {"file": str(output)})
    else:
        print_lines([f"wrote {output}: the inputs of run {saved.head.id}, {saved.head.name}"])


@app.command("compare")
def compare_saved(
    before: RunArgument,
    after: RunArgument,
    library: LibraryOption = "",
    as_json: JsonOption = False,
) -> None:
    """What differs between two saved runs; exit status 3 if the verdict does."""
    from estimator.cli.show import print_result
    from estimator.library import load_run, open_library
    from estimator.library.comparing import compare_runs
    from estimator.report.library_differences import run_differences_dict, run_differences_parts

    opened = open_library(library)
    found = compare_runs(load_run(opened, before), load_run(opened, after))
    print_result(
        lambda: run_differences_dict(found), lambda: run_differences_parts(found), as_json=as_json
    )
    if found.verdict_changed:
        raise typer.Exit(VERDICT_CHANGED)


@app.command("remove")
def remove(
    run: RunArgument,
    yes: YesOption = False,
    library: LibraryOption = "",
    as_json: JsonOption = False,
) -> None:
    """Remove a run for good."""
    from estimator.cli.show import print_json, print_lines
    from estimator.errors import InputError
    from estimator.library import load_run, open_library, remove_run
    from estimator.report.library import head_dict

    opened = open_library(library)
    head = load_run(opened, run).head
    if not yes:
        if not sys.stdin.isatty() or as_json:
            raise InputError(f"run {head.id}: to remove it without being asked, give --yes")
        typer.confirm(f"Remove run {head.id}, {head.name}?", abort=True)
    removed = remove_run(opened, head.id)  # the one that was shown, whatever is newest by now
    if as_json:
        print_json({"removed": head_dict(removed)})
    else:
        print_lines([f"removed run {removed.id}, {removed.name}"])
