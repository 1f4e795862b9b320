"""Options that the commands about a decision share; nothing heavy is imported here."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from estimator.errors import InputError

VERDICT_CHANGED = 3
"""Exit status when the verdict is another one: 1 and 2 are taken by faults."""


def _power_of_two(draws: int) -> int:
    if draws & (draws - 1):
        raise InputError(f"--draws {draws}: must be a power of two, such as 4096 or 16384")
    return draws


_draws = partial(
    typer.Option, "--draws", help="Draws, a power of two.", max=262_144, callback=_power_of_two
)
ScenarioArgument = Annotated[
    Path, typer.Argument(help="Scenario file, or - for standard input; make one by `tuneroi init`.")
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
DrawsOption = Annotated[int, _draws(min=256)]
ManyDrawsOption = Annotated[int, _draws(min=4096)]


def one_thread() -> None:
    """The arrays are small: threads of linear algebra on busy cores only wait for each other."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
