"""`tuneroi diff`: what changed between two scenarios, and what that did to the answer."""

from pathlib import Path
from typing import Annotated

import typer

from estimator.cli.arguments import JsonOption
from estimator.cli.decision_arguments import VERDICT_CHANGED, SeedOption, one_thread

BeforeArgument = Annotated[Path, typer.Argument(help="Scenario file.", metavar="A.yaml")]
AfterArgument = Annotated[Path, typer.Argument(help="Scenario file.", metavar="B.yaml")]


def diff(
    before: BeforeArgument,
    after: AfterArgument,
    seed: SeedOption = 7,
    as_json: JsonOption = False,
) -> None:
    """Compare two scenarios: inputs that differ and their effect; exit status 3 if the verdict
    changes."""
    one_thread()
    from estimator.cli.show import print_result, working
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
    print_result(
        lambda: difference_dict(old, new),
        lambda: difference_parts(old, new),
        as_json=as_json,
        currency=old.scenario.currency,
    )
    if verdict_changed(old, new):
        raise typer.Exit(VERDICT_CHANGED)
