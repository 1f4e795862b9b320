"""From what a user typed for a plan to hours, batches and calibrations, with one-line errors."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from estimator.errors import InputError
from estimator.hardware.calibration import Calibration
from estimator.hardware.calibration_file import (
    SHIPPED,
    calibration_to_use,
    load_calibration_file,
    own_calibrations,
)
from estimator.training.planning.search import BatchRange
from pricing.gpus import gpu_spec
from pricing.offers import GpuOffer

HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0, "w": 168.0}


def choices(option: str, named: Iterable[str], allowed: Any) -> tuple[Any, ...]:
    """The named choices of an option that may be given again, each once; `allowed`: a Literal."""
    known = get_args(allowed)
    for name in named:
        if name not in known:
            raise InputError(f"{option} {name!r}: choose from {', '.join(known)}")
    return tuple(dict.fromkeys(named))


def hours(option: str, text: str) -> float:
    """Hours of a time such as 90m, 24h, 2d or 1w."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([mhdw])\s*", text.casefold())
    value = float(found[1]) * HOURS[found[2]] if found else math.nan
    if not value > 0.0:
        raise InputError(f"{option} {text!r}: give a number above 0 with its unit: 90m, 24h or 2d")
    return value


def batch_range(text: str, sequence_length: int) -> BatchRange:
    """Sequences of a step from MIN:MAX, in sequences, or in tokens where a number ends in t."""
    ends = [_sequences(part, sequence_length) for part in text.split(":")]
    if not 1 <= len(ends) <= 2 or None in ends:
        raise InputError(
            f"--global-batch {text!r}: give MIN:MAX in sequences, such as 32:128, or in tokens, "
            "such as 64000t:256000t"
        )
    least, most = (end or 0 for end in (ends[0], ends[-1]))
    return BatchRange(least=least, most=most)


def _sequences(text: str, sequence_length: int) -> int | None:
    found = re.fullmatch(r"\s*(\d+)\s*(t?)\s*", text.casefold())
    if found is None:
        return None
    return max(int(found[1]) // sequence_length, 1) if found[2] else int(found[1])


def calibrations_of(offers: Iterable[GpuOffer], named: str) -> dict[str, Calibration]:
    """The user's own calibrations by GPU: the file that is named, else the newest of each GPU.

    A file holds for the GPU that it was measured on; every other GPU keeps the shipped one.
    """
    gpus = sorted({offer.gpu for offer in offers})
    if named == SHIPPED or (not named and not own_calibrations()):
        return {}
    if named:
        device = load_calibration_file(Path(named)).device
        gpus = [gpu for gpu in gpus if device.matches(gpu_spec(gpu))]
        if not gpus:
            raise InputError(f"--calibration {named}: no offer has the GPU that it was measured on")
    found = {gpu: calibration_to_use(gpu_spec(gpu), named).own for gpu in gpus}
    return {gpu: calibration for gpu, calibration in found.items() if calibration is not None}
