"""`tuneroi sweep`: one scenario over a grid of inputs, as a tidy table."""

import os
from pathlib import Path
from typing import Annotated

import typer


def sweep(
    scenario: Annotated[Path, typer.Argument(help="Scenario file.")],
    vary: Annotated[
        list[str],
        typer.Option(
            "--vary",
            help="PATH=VALUE,VALUE,... or PATH=FROM:TO:COUNT; give it again for a grid.",
            metavar="PATH=VALUES",
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Table to write: .csv or .parquet.")
    ] = Path("sweep.csv"),
    draws: Annotated[int, typer.Option(help="Draws, a power of two.", min=256)] = 2048,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = 7,
    workers: Annotated[
        int | None, typer.Option(help="Processes; default: one per core.", min=1)
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler to run on.", metavar="ADDRESS")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Compare all alternatives at every combination of some inputs; goes on where it stopped."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from estimator.cli.show import counting, print_json, print_lines
    from estimator.decision.sweep import sweep as run_sweep
    from estimator.decision.sweep import tasks, varied
    from estimator.errors import InputError
    from estimator.report.tables import check_table_name, write_rows
    from estimator.scenario.files import load_scenario

    check_table_name(output)
    if draws & (draws - 1):
        raise InputError(f"--draws {draws}: must be a power of two, such as 2048")
    every = tasks(load_scenario(scenario), dict(map(varied, vary)), draws=draws, seed=seed)
    journal = output.with_name(f".{output.name}.journal")
    with counting(f"{len(every):,} points") as progress:
        rows = run_sweep(every, journal, scheduler=scheduler, workers=workers, progress=progress)
    write_rows(output, rows)
    journal.unlink()
    best: dict[str, int] = {}
    for row in rows:
        if row["is_best"]:
            best[row["alternative"]] = best.get(row["alternative"], 0) + 1
    if as_json:
        print_json({"file": str(output), "points": len(every), "rows": len(rows), "best": best})
    else:
        shares = ", ".join(f"{name} in {count:,}" for name, count in best.items())
        print_lines(
            [f"wrote {output}: {len(rows):,} rows of {len(every):,} points; best: {shares}"]
        )
