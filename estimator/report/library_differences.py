"""Two saved runs beside each other."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from estimator.decision.wording import money, percent
from estimator.library import RunHead
from estimator.library.comparing import RunDifferences, alternative_results
from estimator.quantity import Quantity
from estimator.report.differences import ABSENT, RESULT_COLUMNS, difference_row
from estimator.report.layout import heading, notes, table
from estimator.report.library import head_dict, or_dash, when

SHOWN = 20
"""Differing results shown; --json has all."""


def run_differences_dict(found: RunDifferences) -> dict[str, Any]:
    """Two runs beside each other in the shape that `--json` promises."""
    return {
        "verdict_changed": found.verdict_changed,
        "before": head_dict(found.before.head),
        "after": head_dict(found.after.head),
        "inputs": [
            {"path": d.path, "before": _plain(d.before), "after": _plain(d.after)}
            for d in found.inputs
        ],
        "results": [asdict(d) for d in found.results],
    }


def _plain(value: Quantity | str | None) -> Any:
    return value.model_dump_fields() if isinstance(value, Quantity) else value


def run_differences_parts(found: RunDifferences) -> Iterator[RenderableType]:
    """Two runs beside each other as parts to print: inputs that differ, and results."""
    before, after = found.before.head, found.after.head
    yield heading(_title(found), f"{_named(before)} and {_named(after)}")
    yield notes("Results", (f"before: {before.headline}", f"after: {after.headline}"))
    yield _changes("Inputs that differ", [difference_row(d) for d in found.inputs])
    if before.kind == "comparison":
        yield table("What came out", RESULT_COLUMNS, _alternatives(found))
    else:
        rows = [(d.path, _figure(d.before), _figure(d.after)) for d in found.results[:SHOWN]]
        more = f" ({SHOWN} of {len(found.results)})" if len(found.results) > SHOWN else ""
        yield _changes(f"Results that differ{more}", rows)
    if before.version != after.version:
        yield Text(f"saved by tuneroi {before.version} and {after.version}", style="dim")


def _title(found: RunDifferences) -> str:
    if found.before.head.kind != "comparison":
        return "Two runs beside each other"
    return "The verdict changes" if found.verdict_changed else "The verdict stays"


def _named(head: RunHead) -> str:
    return f"{head.name} (run {head.id}, {when(head)})"


def _changes(title: str, rows: Sequence[tuple[str, str, str]]) -> RenderableType:
    return table(title, ("", "Before", "After"), rows) if rows else notes(title, ("none",))


def _alternatives(found: RunDifferences) -> list[tuple[str, ...]]:
    """Each alternative with each result in both runs, results side by side."""
    old, new = (
        {row["id"]: row for row in run.result.get("alternatives", ())}
        for run in (found.before, found.after)
    )
    return [
        (
            str((new.get(name) or old[name]).get("label", name)),
            *(
                cell
                for pair in zip(_cells(old.get(name)), _cells(new.get(name)), strict=True)
                for cell in pair
            ),
        )
        for name in {**old, **new}
    ]


def _cells(row: dict[str, Any] | None) -> tuple[str, str, str, str]:
    if row is None:
        return (ABSENT,) * 4
    results = alternative_results(row)
    live = results["go_live_months.p50"]
    return (
        or_dash(percent, results["probability_best"]),
        or_dash(money, results["npv_usd.mean"]),
        or_dash(money, results["tco_usd.mean"]),
        "never" if live is None else f"{live:.1f}",
    )


def _figure(value: Any) -> str:
    if value is None:
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,.4g}"
