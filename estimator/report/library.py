"""Saved runs: a list, and one of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from estimator.decision.wording import money, percent
from estimator.library import RunHead, SavedRun
from estimator.report.layout import facts, heading, notes, table

ABSENT = "–"


def head_dict(head: RunHead) -> dict[str, Any]:
    """What a list says of a run, in the shape that `--json` promises."""
    return asdict(head) | {"created": head.created.isoformat()}


def list_dict(heads: Sequence[RunHead], place: str) -> dict[str, Any]:
    """A list of runs in the shape that `--json` promises, newest first."""
    return {"library": place, "runs": [head_dict(head) for head in heads]}


def list_parts(heads: Sequence[RunHead], place: str) -> Iterator[RenderableType]:
    """A list of runs as parts to print, newest first."""
    if heads:
        rows = [
            (str(head.id), when(head), head.kind, head.name, _with_note(head)) for head in heads
        ]
        columns = ("Run", "Saved (UTC)", "Kind", "Name", "Result")
        yield table("Saved runs, newest first", columns, rows, left=(1, 2, 3, 4))
    else:
        yield Text("No such run; tuneroi library save SCENARIO keeps one")
    yield Text(f"library: {place}", style="dim")


def when(head: RunHead) -> str:
    """When a run was saved, to the minute in UTC."""
    return f"{head.created:%Y-%m-%d %H:%M}"


def _with_note(head: RunHead) -> str:
    return "\n".join(filter(None, (head.headline, head.note)))


def run_dict(run: SavedRun) -> dict[str, Any]:
    """A run in the shape that `--json` promises; `result` is what its command's `--json` said."""
    return head_dict(run.head) | {"inputs": run.inputs, "result": run.result}


def run_parts(run: SavedRun) -> Iterator[RenderableType]:
    """A run as parts to print: when, with what, and what came out."""
    head = run.head
    yield heading(head.name, f"run {head.id}, {head.kind}, saved {when(head)} UTC")
    if head.headline:
        yield Text(head.headline, style="bold green")
    if rows := [_alternative_cells(row) for row in run.result.get("alternatives", ())]:
        columns = ("", "Best in", "Worth", "P10 to P90", "All costs", "Live (months)")
        yield table("As it came out then", columns, rows)
    seed = "none" if head.seed is None else str(head.seed)
    yield facts(
        "Made with",
        [
            ("tuneroi", head.version, ""),
            ("seed", seed, ""),
            ("inputs", head.input_hash[:12], f"tuneroi library reload {head.id} -o FILE"),
        ],
    )
    if head.note:
        yield notes("Note", (head.note,))


def _alternative_cells(row: dict[str, Any]) -> tuple[str, ...]:
    worth, live = row.get("npv_usd", {}), row.get("go_live_months", {}).get("p50")
    return (
        str(row.get("label", row.get("id", ""))),
        or_dash(percent, row.get("probability_best")),
        or_dash(money, worth.get("mean")),
        f"{or_dash(money, worth.get('p10'))} to {or_dash(money, worth.get('p90'))}",
        or_dash(money, row.get("tco_usd", {}).get("mean")),
        "never" if live is None else f"{live:.1f}",
    )


def or_dash(words: Callable[[float], str], value: float | None) -> str:
    """The value in words, or a dash where a saved result does not have it."""
    return ABSENT if value is None else words(value)
