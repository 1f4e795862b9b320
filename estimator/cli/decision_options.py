"""From what a user typed for a decision to a scenario and the calibration of its GPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from estimator.hardware.calibration_file import UsedCalibration, calibration_to_use
from estimator.scenario import Scenario
from estimator.scenario.edit import with_settings
from estimator.scenario.files import load_scenario
from pricing import gpu_spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A scenario with the changes that were typed, and the calibration it is computed by."""

    scenario: Scenario
    calibration: UsedCalibration


def asked(
    path: Path, changes: Sequence[str] | None, calibration: str, *, alternatives: str | None = None
) -> Asked:
    """The scenario of a file with `--set` and `--alternatives`, and the calibration to use."""
    scenario = with_settings(load_scenario(path), changes or (), alternatives=alternatives)
    return Asked(
        scenario=scenario,
        calibration=calibration_to_use(gpu_spec(scenario.training.gpu), calibration),
    )
