"""Which calibration an estimate stands on."""

from typing import Any

from rich.text import Text

from estimator.hardware.calibration_file import UsedCalibration


def calibration_dict(used: UsedCalibration) -> dict[str, Any]:
    """The calibration in the shape that `--json` promises; `file` is null for the shipped one."""
    return {
        "name": f"{used.calibration.name}, {used.calibration.as_of}",
        "file": str(used.path) if used.path else None,
        "kind": used.file.kind if used.file else "shipped",
        "device": used.file.device.name if used.file else None,
        "created": used.file.created.isoformat() if used.file else None,
    }


def calibration_notes(used: UsedCalibration) -> tuple[str, ...]:
    """Lines on a user's own calibration where it is used, and on those that cannot be."""
    lines = []
    if used.file is not None:
        lines.append(
            f"your own calibration is used: {used.file.kind} of {used.file.device.name}, "
            f"{used.file.created:%Y-%m-%d} ({used.path}); --calibration shipped leaves it out"
        )
    if used.left_out:
        count = len(used.left_out)
        which = "a calibration of your own" if count == 1 else f"{count} calibrations of your own"
        lines.append(f"{which} cannot be used: {used.left_out[0]}; see tuneroi calibrate list")
    return tuple(lines)


def calibration_lines(used: UsedCalibration) -> tuple[Text, ...]:
    """The same for the foot of a report on the terminal."""
    return tuple(Text(f"Training: {note}", style="dim") for note in calibration_notes(used))
