"""What one saved run says that another does not: as saved, nothing is computed anew."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from estimator.errors import EstimatorError, InputError
from estimator.library.store import SavedRun
from estimator.scenario import Scenario
from estimator.scenario.differences import Difference, differences


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDifference:
    """One figure or word of the results that differs; None where a run does not have it."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDifferences:
    """Two runs, and where their inputs and results differ, in the order of paths."""

    before: SavedRun
    after: SavedRun
    inputs: tuple[Difference, ...]
    """Defaults included, each as it stood when its run was saved."""
    results: tuple[ResultDifference, ...]
    verdict_changed: bool


def compare_runs(before: SavedRun, after: SavedRun) -> RunDifferences:
    """The differences of two runs of the same kind."""
    if before.head.kind != after.head.kind:
        raise InputError(
            f"run {before.head.id} is a {before.head.kind}, run {after.head.id} a "
            f"{after.head.kind}; only runs of one kind can be compared"
        )
    compared = before.head.kind == "comparison"
    old, new = (_results(run) for run in (before, after))
    return RunDifferences(
        before=before,
        after=after,
        inputs=(
            differences(_scenario(before), _scenario(after))
            if compared
            else _other_inputs(before, after)
        ),
        results=tuple(
            ResultDifference(path=path, before=old.get(path), after=new.get(path))
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        ),
        verdict_changed=compared and _verdict(before) != _verdict(after),
    )


def _scenario(run: SavedRun) -> Scenario:
    """The scenario with the defaults of its day."""
    try:
        return Scenario.model_validate(json.loads(run.resolved_inputs or ""))
    except (ValueError, RecursionError, EstimatorError):  # pydantic's is a ValueError
        raise InputError(
            f"run {run.head.id}: its inputs, saved by tuneroi {run.head.version}, cannot be read "
            "by this version; tuneroi library reload gives the file back, to save it anew"
        ) from None


def _verdict(run: SavedRun) -> tuple[object, object]:
    verdict = run.result.get("verdict", {})
    return verdict.get("alternative"), verdict.get("too_close_to_call")


def _results(run: SavedRun) -> dict[str, Any]:
    """Figures and words by path; of a comparison those that a reader looks at first."""
    if run.head.kind != "comparison":
        return dict(_leaves(run.result, ""))
    found = {
        f"{row['id']}.{path}": value
        for row in run.result.get("alternatives", ())
        for path, value in alternative_results(row).items()
    }
    alternative, too_close = _verdict(run)
    return {"verdict": alternative, "too_close_to_call": too_close} | found


def alternative_results(row: Mapping[str, Any]) -> dict[str, Any]:
    """The main results of one alternative, as `compare --json` gives them, by path."""
    return {
        "probability_best": row.get("probability_best"),
        "npv_usd.mean": row.get("npv_usd", {}).get("mean"),
        "tco_usd.mean": row.get("tco_usd", {}).get("mean"),
        "go_live_months.p50": row.get("go_live_months", {}).get("p50"),
        "expected_regret_usd": row.get("expected_regret_usd"),
    }


def _other_inputs(before: SavedRun, after: SavedRun) -> tuple[Difference, ...]:
    old, new = (dict(_leaves(_read(run), "")) for run in (before, after))
    return tuple(
        Difference(path=path, before=_word(old.get(path)), after=_word(new.get(path)))
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )


def _read(run: SavedRun) -> Any:
    """The inputs as data; as one text where they are not JSON."""
    text = run.resolved_inputs or run.inputs
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"inputs": text}


def _word(value: Any) -> str | None:
    return None if value is None else str(value)


def _leaves(data: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(data, list):
        for i, value in enumerate(data):
            yield from _leaves(value, f"{path}.{i}" if path else str(i))
    elif data is not None:
        yield path, data
