"""`tuneroi sweep`: one scenario over a grid of inputs, as a tidy table."""

from pathlib import Path
from typing import Annotated

import typer

from estimator.cli.arguments import JsonOption
from estimator.cli.decision_arguments import DrawsOption, ScenarioArgument, SeedOption, one_thread

VaryOption = Annotated[
    list[str],
    typer.Option(
        "--vary",
        help="PATH=VALUE,VALUE,... or PATH=FROM:TO:COUNT; give it again for a grid.",
        metavar="PATH=VALUES",
    ),
]
OutputOption = Annotated[
    Path, typer.Option("--output", "-o", help="Table to write: .csv or .parquet.")
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", help="Processes; default: one per core.", min=1)
]
SchedulerOption = Annotated[
    str | None,
    typer.Option("--scheduler", help="Address of a Dask scheduler to run on.", metavar="ADDRESS"),
]


def sweep(
    scenario: ScenarioArgument,
    vary: VaryOption,
    output: OutputOption = Path("sweep.csv"),
    draws: DrawsOption = 2048,
    seed: SeedOption = 7,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare all alternatives at every combination of some inputs; goes on where it stopped."""
    one_thread()
    from estimator.cli.show import counting, print_json, print_lines
    from estimator.decision.sweep import sweep as run_sweep
    from estimator.decision.sweep import tasks, varied
    from estimator.report.tables import check_table_name, write_rows
    from estimator.scenario.files import load_scenario

    check_table_name(output)
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
