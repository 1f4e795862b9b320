"""`tuneroi worth`: what to find out before deciding, what that is worth, and what it costs."""

from typing import Annotated

import typer

from estimator.cli.arguments import CalibrationOption, JsonOption
from estimator.cli.decision_options import (
    AlternativesOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    one_thread,
)


def worth(
    scenario: ScenarioArgument,
    changes: SetOption = None,
    alternatives: AlternativesOption = None,
    seed: SeedOption = 7,
    draws: Annotated[
        int, typer.Option(help="Draws, a power of two.", min=4096, max=262_144)
    ] = 8192,
    calibration: CalibrationOption = "",
    as_json: JsonOption = False,
) -> None:
    """What is worth finding out first: pilots, benchmarks, quotes, ranked by worth less cost."""
    one_thread()
    from estimator.cli.show import print_json, print_parts, working
    from estimator.decision.currency import shown_in
    from estimator.decision.simulate import compare
    from estimator.decision.worth import value_of_information
    from estimator.errors import InputError
    from estimator.hardware.calibration_file import calibration_to_use
    from estimator.report.worth import worth_dict, worth_parts
    from estimator.scenario.edit import with_settings
    from estimator.scenario.files import load_scenario
    from pricing import gpu_spec

    if draws & (draws - 1):
        raise InputError(f"--draws {draws}: must be a power of two, such as 4096 or 16384")
    loaded = with_settings(load_scenario(scenario), changes or (), alternatives=alternatives)
    own = calibration_to_use(gpu_spec(loaded.training.gpu), calibration).own
    with working("comparing, and weighing what could be found out ..."):
        comparison = compare(loaded, n=draws, seed=seed, calibration=own)
        found = value_of_information(comparison, calibration=own)
    if as_json:
        print_json(worth_dict(found))
        return
    with shown_in(loaded.currency):
        print_parts(worth_parts(comparison, found))
