"""`tuneroi worth`: what to find out before deciding, what that is worth, and what it costs."""

from estimator.cli.arguments import CalibrationOption, JsonOption
from estimator.cli.decision_arguments import (
    AlternativesOption,
    ManyDrawsOption,
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
    draws: ManyDrawsOption = 8192,
    calibration: CalibrationOption = "",
    as_json: JsonOption = False,
) -> None:
    """What is worth finding out first: pilots, benchmarks, quotes, ranked by worth less cost."""
    one_thread()
    from estimator.cli.decision_options import asked
    from estimator.cli.show import print_result, working
    from estimator.decision.simulate import compare
    from estimator.decision.worth import value_of_information
    from estimator.report.worth import worth_dict, worth_parts

    given = asked(scenario, changes, calibration, alternatives=alternatives)
    own = given.calibration.own
    with working("comparing, and weighing what could be found out ..."):
        comparison = compare(given.scenario, n=draws, seed=seed, calibration=own)
        found = value_of_information(comparison, calibration=own)
    print_result(
        lambda: worth_dict(found),
        lambda: worth_parts(comparison, found),
        as_json=as_json,
        currency=given.scenario.currency,
    )
