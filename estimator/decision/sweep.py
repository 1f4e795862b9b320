"""The same decision over a grid of inputs: one tidy row per point and alternative.

A point is one scenario with some inputs changed. Points know nothing of each other, so they run on
all cores, or on a Dask cluster; what is done is kept in a journal, from which a sweep that was
stopped goes on.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from estimator.errors import InputError, MissingExtra
from estimator.quantity import FloatArray
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import dump_scenario, parse_scenario, read_value

MOST_POINTS = 1_000_000
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One point of a sweep; all that a worker needs."""

    scenario_yaml: str
    changes: tuple[tuple[str, Any], ...]
    draws: int
    seed: int

    @property
    def key(self) -> str:
        """Hash of the point and of everything that its result depends on."""
        text = json.dumps([self.scenario_yaml, self.changes, self.draws, self.seed])
        return hashlib.sha256(text.encode()).hexdigest()


def varied(text: str) -> tuple[str, tuple[Any, ...]]:
    """Path and values of `path=1,2,3`, or of `path=1:9:5`: five values from 1 to 9, evenly."""
    path, _, given = text.partition("=")
    if not (path.strip() and given.strip()):
        raise InputError(f"--vary {text}: write PATH=VALUE,VALUE,... or PATH=FROM:TO:COUNT")
    ends = given.split(":")
    if len(ends) == 3:
        return path.strip(), _steps(text, ends)
    parts = given.split(",")
    if not all(part.strip() for part in parts):
        raise InputError(f"--vary {text}: a value is empty; leave out the comma before or after it")
    return path.strip(), tuple(read_value(part, name=f"--vary {path.strip()}") for part in parts)


def _steps(text: str, ends: Sequence[str]) -> tuple[float, ...]:
    try:
        first, last, count = float(ends[0]), float(ends[1]), int(ends[2])
    except ValueError:
        raise InputError(f"--vary {text}: FROM:TO:COUNT must be numbers") from None
    if not (isfinite(last - first) and 2 <= count <= MOST_POINTS):
        raise InputError(f"--vary {text}: FROM and TO must be finite, COUNT 2 or more")
    return tuple(np.linspace(first, last, count).tolist())


def tasks(
    scenario: Scenario, vary: Mapping[str, Sequence[Any]], *, draws: int, seed: int
) -> list[Task]:
    """Every combination of the values; each is checked before the first one runs."""
    count = int(np.prod([len(values) for values in vary.values()], dtype=float))
    if count > MOST_POINTS:
        raise InputError(f"{count:,} points: more than {MOST_POINTS:,}; vary fewer values")
    for path, values in vary.items():
        for value in values:
            with_inputs(scenario, {path: value})
    fixed = partial(Task, scenario_yaml=dump_scenario(scenario), draws=draws, seed=seed)
    points = product(*vary.values())
    return [fixed(changes=tuple(zip(vary, point, strict=True))) for point in points]


def run(task: Task) -> list[Row]:
    """The rows of one point: what was changed, then the results of each alternative."""
    from estimator.decision.simulate import compare

    scenario = with_inputs(parse_scenario(task.scenario_yaml), dict(task.changes))
    found = compare(scenario, n=task.draws, seed=task.seed)
    return [
        {
            **dict(task.changes),
            "alternative": name,
            "is_best": name == found.verdict.alternative,
            "probability_best": outcome.probability_best,
            "npv_usd_mean": float(np.mean(outcome.npv_usd)),
            **{
                f"npv_usd_p{level}": float(np.quantile(outcome.npv_usd, level / 100))
                for level in (10, 50, 90)
            },
            "tco_usd_mean": float(np.mean(outcome.tco_usd)),
            "expected_regret_usd": outcome.expected_regret_usd,
            "go_live_months_p50": _median_months(outcome.account.go_live_months),
        }
        for name, outcome in found.outcomes.items()
    ]


def _median_months(months: FloatArray) -> float | None:
    """The median, nan meaning never; None where that is never."""
    median = float(np.median(np.nan_to_num(months, nan=np.inf)))
    return median if isfinite(median) else None


def sweep(
    every: Sequence[Task],
    journal: Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Row]:
    """The rows of all tasks in their order; those that the journal holds are not run again."""
    done = read_journal(journal)
    open_tasks = [task for task in every if task.key not in done]
    with journal.open("a", encoding="utf-8") as file, _executor(scheduler, workers) as executor:
        count = len(every) - len(open_tasks)
        for task, rows in _completed(executor, open_tasks):
            file.write(json.dumps({"key": task.key, "rows": rows}) + "\n")
            file.flush()
            done[task.key] = rows
            count += 1
            if progress is not None:
                progress(count, len(every))
    return [row for task in every for row in done[task.key]]


def _completed(executor: Executor, open_tasks: Iterable[Task]) -> Iterator[tuple[Task, list[Row]]]:
    running = {executor.submit(run, task): task for task in open_tasks}
    try:
        for future in as_completed(running):
            yield running[future], future.result()
    finally:
        for future in running:
            future.cancel()


def read_journal(path: Path) -> dict[str, list[Row]]:
    """The results that a journal holds by the key of their task; half a last line is left out."""
    found: dict[str, list[Row]] = {}
    if not path.exists():
        return found
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
            found[entry["key"]] = entry["rows"]
        except (ValueError, KeyError, TypeError):
            continue  # a sweep was killed while writing it; the point runs again
    return found


@contextmanager
def _executor(scheduler: str | None, workers: int | None) -> Iterator[Executor]:
    """Processes on this machine, or the workers of a Dask cluster."""
    if scheduler is None:
        with ProcessPoolExecutor(workers or os.cpu_count()) as pool:
            yield pool
        return
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtra("--scheduler needs Dask: pip install 'tuneroi[cluster]'") from None
    try:
        client: Any = Client(scheduler, timeout="10s")  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        raise InputError(f"--scheduler {scheduler}: {error}") from None
    with client:
        yield client.get_executor()
