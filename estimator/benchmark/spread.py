"""How far truth lies from a benchmark beyond what its own noise says: measured, from data."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).parent / "data" / "spread.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spreads:
    """Standard deviations of logarithms, from `benchmarks/own_hardware.py`."""

    between_runs_log_sd: float
    """Between the same steps at two times, an hour apart."""
    form_log_sd: float
    """Between a step and what the fitted physical model says of it."""
    memory_log_sd: float
    """Between peak memory and its extrapolation."""
    transfer_factor: float
    """P90 over P50 of measured over predicted throughput of models that were not benchmarked."""
    as_of: str
    source: str


@cache
def spreads(path: Path = DATA) -> Spreads:
    """The measured spreads."""
    return Spreads(**json.loads(path.read_text(encoding="utf-8")))
