"""`tuneroi compare`: every way of getting there, side by side, and the verdict."""

import os
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_SEED = 7
DEFAULT_DRAWS = 8192


def compare(
    scenario: Annotated[Path, typer.Argument(help="Scenario file; make one by `tuneroi init`.")],
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = DEFAULT_SEED,
    draws: Annotated[
        int, typer.Option(help="Draws, a power of two.", min=256, max=262_144)
    ] = DEFAULT_DRAWS,
    details: Annotated[
        bool, typer.Option("--details", help="Show every line item of every alternative.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare all alternatives of a scenario: chance of being best, value, cost, time, risks."""
    # The arrays are small: threads of linear algebra on busy cores only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from estimator.cli.show import print_json, print_parts, working
    from estimator.decision.simulate import compare as compare_alternatives
    from estimator.errors import InputError
    from estimator.report.comparison import as_dict
    from estimator.report.text import comparison_parts
    from estimator.scenario.files import load_scenario

    if draws & (draws - 1):
        raise InputError(f"--draws {draws}: must be a power of two, such as 4096 or 16384")
    loaded = load_scenario(scenario)
    with working("comparing ..."):
        comparison = compare_alternatives(loaded, n=draws, seed=seed)
    if as_json:
        print_json(as_dict(comparison))
    else:
        print_parts(comparison_parts(comparison, details=details))
