"""`tuneroi breakeven`: the values of an input at which two alternatives change places."""

from typing import Annotated

import typer

from estimator.cli.arguments import CalibrationOption, JsonOption
from estimator.cli.decision_options import ScenarioArgument, SeedOption, SetOption, one_thread


def breakeven(
    scenario: ScenarioArgument,
    path: Annotated[
        str, typer.Option("--input", help="Path of the input, such as demand.requests_per_month.")
    ],
    between: Annotated[
        tuple[str, str] | None,
        typer.Option(help="Two alternatives; the best two of the comparison unless given."),
    ] = None,
    low: Annotated[
        float | None, typer.Option("--from", help="Search from this value, in the input's unit.")
    ] = None,
    high: Annotated[float | None, typer.Option("--to", help="Search up to this value.")] = None,
    changes: SetOption = None,
    seed: SeedOption = 7,
    calibration: CalibrationOption = "",
    as_json: JsonOption = False,
) -> None:
    """At which value of an input does the answer change? All values, with the chances around."""
    one_thread()
    from estimator.cli.show import print_json, print_parts, working
    from estimator.decision.choose import ranking
    from estimator.decision.currency import shown_in
    from estimator.decision.simulate import compare
    from estimator.decision.thresholds import find_break_even
    from estimator.hardware.calibration_file import calibration_to_use
    from estimator.report.breakeven import break_even_dict, break_even_parts
    from estimator.scenario.edit import with_settings
    from estimator.scenario.files import load_scenario
    from pricing import gpu_spec

    loaded = with_settings(load_scenario(scenario), changes or ())
    own = calibration_to_use(gpu_spec(loaded.training.gpu), calibration).own
    with working("looking for break-even values ..."):
        if between is None:
            first, second = ranking(compare(loaded, seed=seed, calibration=own).payoffs())[:2]
        else:
            first, second = between
        found = find_break_even(
            loaded, path, first, second, low=low, high=high, seed=seed, calibration=own
        )
    if as_json:
        print_json(break_even_dict(found))
        return
    with shown_in(loaded.currency):
        print_parts(break_even_parts(loaded, found))
