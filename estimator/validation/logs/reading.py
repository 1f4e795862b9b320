"""What all readers of logs take and give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from estimator.validation.logs.steady import Steady

SMALLEST, LARGEST = 1e-9, 1e18


@dataclass(frozen=True, slots=True, kw_only=True)
class LogText:
    """A log file in the forms that readers look for."""

    path: Path
    text: str
    document: Any
    """The whole file as one JSON document; None where it is none."""
    records: tuple[Mapping[str, Any], ...]
    """The JSON objects of its lines."""

    @property
    def looks_like_a_table(self) -> bool:
        """Whether the first line could be the header of a CSV file."""
        first = self.text.split("\n", 1)[0]
        return "," in first and not first.startswith(("{", "["))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLog:
    """One run as its log tells it; None is what the log does not say."""

    path: Path
    format: str
    steady: Steady
    counts: str
    """What `steady` is seconds of: an optimizer "step", or a "token" of one GPU."""
    tokens_per_step: float | None = None
    """Positions of one optimizer step over all GPUs."""
    padding_counted: bool = True
    """Whether `tokens_per_step` counts the positions that padding fills."""
    sequences_per_step: float | None = None
    settings: Mapping[str, int] = field(default_factory=dict)
    """What the log says of the settings: micro_batch, accumulation, seq_len."""
    peak_memory_gib: float | None = None
    stack: str = "huggingface"
    """Training software that writes this format, unless told otherwise."""
    notes: tuple[str, ...] = ()


def number(value: object) -> float | None:
    """A positive number of a size that a log can mean, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if SMALLEST <= value <= LARGEST else None


def typed_number(text: str) -> float | None:
    """The same of a number as it is printed."""
    try:
        return number(float(text))
    except ValueError:
        return None
