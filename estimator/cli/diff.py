"""`tuneroi diff`: what changed between two scenarios, and what that did to the answer."""

import os
from pathlib import Path
from typing import Annotated

import typer

VERDICT_CHANGED = 3
"""Exit status when the verdict is another one: 1 and 2 are taken by faults."""


def diff(
    before: Annotated[Path, typer.Argument(help="Scenario file.", metavar="A.yaml")],
    after: Annotated[Path, typer.Argument(help="Scenario file.", metavar="B.yaml")],
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare two scenarios: inputs that differ and their effect; exit status 3 if the verdict
    changes."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from estimator.cli.show import print_json, print_parts, working
    from estimator.decision.currency import shown_in
    from estimator.decision.simulate import compare
    from estimator.report.differences import (
        difference_dict,
        difference_parts,
        verdict_changed,
    )
    from estimator.scenario.files import load_scenario

    scenarios = [load_scenario(path) for path in (before, after)]
    with working("comparing ..."):
        old, new = (compare(scenario, seed=seed) for scenario in scenarios)
    if as_json:
        print_json(difference_dict(old, new))
    else:
        with shown_in(old.scenario.currency):
            print_parts(difference_parts(old, new))
    if verdict_changed(old, new):
        raise typer.Exit(VERDICT_CHANGED)
