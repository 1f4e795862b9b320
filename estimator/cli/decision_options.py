"""Options that the commands about a decision share; nothing heavy is imported here."""

import os
from pathlib import Path
from typing import Annotated

import typer

ScenarioArgument = Annotated[
    Path, typer.Argument(help="Scenario file; make one by `tuneroi init`.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="Change any input, as often as you like: --set training.gpu=l4-24gb "
        "--set 'demand.requests_per_month={low: 1e4, high: 3e4}'.",
    ),
]
AlternativesOption = Annotated[
    str | None,
    typer.Option("--alternatives", metavar="A,B,...", help="Compare only these and doing nothing."),
]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of the draws.", min=0)]


def one_thread() -> None:
    """The arrays are small: threads of linear algebra on busy cores only wait for each other."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
