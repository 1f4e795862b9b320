"""The accounts of a scenario with every input at its median: as numbers, and as formulas."""

from dataclasses import dataclass
from typing import Any, cast

from estimator.alternatives import plan_pilot
from estimator.alternatives.account import Account
from estimator.alternatives.policy import PilotPolicy
from estimator.alternatives.quality import CHANCES
from estimator.decision.evaluate import (
    POLICY_DRAWS,
    Columns,
    account_of,
    draw_inputs,
    medians,
    world_of,
)
from estimator.hardware.calibration import Calibration
from estimator.report.workbook.cell import Node
from estimator.report.workbook.traced import Traced
from estimator.report.workbook.tracing import tracing
from estimator.sampling import Draws
from estimator.scenario import AlternativeId, Scenario

RATE = "discount_rate_per_year"
"""An input of the workbook which is a plain setting in a scenario."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BaseCase:
    """One world, the central one, and its accounts made of formulas."""

    scenario: Scenario
    inputs: dict[str, Node]
    """Every input by path, the discount rate among them."""
    accounts: dict[AlternativeId, Account]
    """Their arrays are `Traced`."""
    choice_behind: frozenset[str]
    """Inputs behind the choice of what follows a pilot, which stays as it is."""


def policy_of(scenario: Scenario, calibration: Calibration | None) -> PilotPolicy | None:
    """What follows a pilot, planned on draws of the scenario as `evaluate.model_of` plans it."""
    if "staged" not in scenario.alternatives:
        return None
    planned_on = draw_inputs(scenario, n=POLICY_DRAWS, seed=0)
    return plan_pilot(world_of(scenario, planned_on, calibration))


def numbers_at(
    scenario: Scenario,
    columns: Columns,
    *,
    calibration: Calibration | None = None,
    policy: PilotPolicy | None = None,
) -> dict[AlternativeId, Account]:
    """The account of every alternative in one world, in plain numbers."""
    draws = Draws(columns=columns, n=1, seed=0)
    world = world_of(scenario, draws, calibration, policy)
    return {name: account_of(name, world) for name in scenario.alternatives}


def base_case(scenario: Scenario, calibration: Calibration | None = None) -> BaseCase:
    """Every account of the scenario with all inputs at their medians, as formulas of the inputs."""
    policy = policy_of(scenario, calibration)
    values = medians(scenario)
    inputs = {
        path: Node("input", (), float(x), name=path)
        for path, x in values.items()
        if path not in CHANCES
    }
    columns = {p: Traced.of(inputs[p]) if p in inputs else x for p, x in values.items()}
    with tracing() as choices:
        accounts = numbers_at(
            scenario, cast(dict[str, Any], columns), calibration=calibration, policy=policy
        )
    inputs[RATE] = Node("input", (), scenario.discount_rate_per_year, name=RATE)
    return BaseCase(
        scenario=scenario,
        inputs=inputs,
        accounts=accounts,
        choice_behind=frozenset().union(*choices),
    )
