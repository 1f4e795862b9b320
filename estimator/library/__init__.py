"""Past runs and benchmarks, kept by name and date: SQLite by default, PostgreSQL by a URL.

A run holds the text of its inputs byte for byte, the inputs with every default as it stood on that
day, and the result as `--json` gave it. Nothing is computed anew when a run is looked at.

`saving` makes runs of comparisons and calibrations, `comparing` sets two beside each other; they
stand apart because they load the model, which a list does not need.
"""

from estimator.library.connection import Library
from estimator.library.opening import open_library
from estimator.library.schema import Kind
from estimator.library.store import (
    RunHead,
    SavedRun,
    list_runs,
    load_run,
    remove_run,
    save_run,
)

__all__ = [
    "Kind",
    "Library",
    "RunHead",
    "SavedRun",
    "list_runs",
    "load_run",
    "open_library",
    "remove_run",
    "save_run",
]
