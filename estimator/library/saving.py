"""What a library keeps of a comparison, and of a calibration of one's own machine."""

import json
from pathlib import Path

from estimator.decision.simulate import Comparison
from estimator.errors import InputError
from estimator.hardware.calibration_file import (
    CalibrationFile,
    UsedCalibration,
    load_calibration_file,
)
from estimator.library.connection import Library
from estimator.library.schema import NAME_CHARACTERS
from estimator.library.store import RunHead, save_run
from estimator.report.calibration import calibration_dict
from estimator.report.comparison import as_dict
from estimator.report.document import scenario_hash


def save_comparison(
    library: Library,
    comparison: Comparison,
    text: str,
    *,
    used: UsedCalibration,
    name: str = "",
    note: str = "",
) -> RunHead:
    """The saved comparison of a scenario whose file reads `text`; the name is the scenario's."""
    scenario = comparison.scenario
    return save_run(
        library,
        name=name or scenario.name,
        kind="comparison",
        inputs=text,
        resolved_inputs=json.dumps(scenario.model_dump(mode="json")),
        input_hash=scenario_hash(scenario),
        seed=comparison.draws.seed,
        result=as_dict(comparison) | {"calibration": calibration_dict(used)},
        headline=comparison.verdict.sentence,
        note=note,
    )


def save_calibration(library: Library, path: Path, *, name: str = "", note: str = "") -> RunHead:
    """The saved calibration file; the name is the device's."""
    text = read_exactly(path)
    file = load_calibration_file(path)
    return save_run(
        library,
        name=name or file.device.name[:NAME_CHARACTERS],
        kind="benchmark",
        inputs=text,
        resolved_inputs=file.model_dump_json(include={"kind", "device", "software"}),
        result=file.model_dump(mode="json", include={"created", "calibration"}),
        headline=_calibration_headline(file),
        note=note,
    )


def _calibration_headline(file: CalibrationFile) -> str:
    count = file.calibration.rows
    return (
        f"{file.kind} of {file.device.count} x {file.device.name}, {file.created:%Y-%m-%d}: "
        f"{count} measurement{'' if count == 1 else 's'}"
    )


def read_exactly(path: Path) -> str:
    """The text of a file, its line ends left as they are, so that it can be given back."""
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text") from None
