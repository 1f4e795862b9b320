"""`tuneroi breakeven`: the values of an input at which two alternatives change places."""

from typing import Annotated

import typer

from estimator.cli.arguments import CalibrationOption, JsonOption
from estimator.cli.decision_arguments import ScenarioArgument, SeedOption, SetOption, one_thread

InputOption = Annotated[
    str, typer.Option("--input", help="Path of the input, such as demand.requests_per_month.")
]
BetweenOption = Annotated[
    tuple[str, str] | None,
    typer.Option(
        "--between", help="Two alternatives; the best two of the comparison unless given."
    ),
]
FromOption = Annotated[
    float | None, typer.Option("--from", help="Search from this value, in the input's unit.")
]
ToOption = Annotated[float | None, typer.Option("--to", help="Search up to this value.")]


def breakeven(
    scenario: ScenarioArgument,
    path: InputOption,
    between: BetweenOption = None,
    low: FromOption = None,
    high: ToOption = None,
    changes: SetOption = None,
    seed: SeedOption = 7,
    calibration: CalibrationOption = "",
    as_json: JsonOption = False,
) -> None:
    """At which value of an input does the answer change? All values, with the chances around."""
    one_thread()
    from estimator.cli.decision_options import asked
    from estimator.cli.show import print_result, working
    from estimator.decision.choose import ranking
    from estimator.decision.simulate import compare
    from estimator.decision.thresholds import find_break_even
    from estimator.report.breakeven import break_even_dict, break_even_parts

    given = asked(scenario, changes, calibration)
    loaded, own = given.scenario, given.calibration.own
    with working("looking for break-even values ..."):
        if between is None:
            first, second = ranking(compare(loaded, seed=seed, calibration=own).payoffs())[:2]
        else:
            first, second = between
        found = find_break_even(
            loaded, path, first, second, low=low, high=high, seed=seed, calibration=own
        )
    print_result(
        lambda: break_even_dict(found),
        lambda: break_even_parts(loaded, found),
        as_json=as_json,
        currency=loaded.currency,
    )
