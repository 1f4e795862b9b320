"""What a refresh of prices changed, for people and for JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import RenderableType

from estimator.report.layout import facts, notes
from pricing.changes import Change, Changes
from pricing.refresh import Refresh

NAMES = {"gpu_offers": "GPU offers", "token_prices": "token prices"}
SHOWN = 8


def refresh_dict(done: Refresh) -> dict[str, Any]:
    """A refresh in the shape of `--json`."""
    return {
        "status": done.status,
        "file": str(done.file),
        "as_of": done.as_of,
        "prices": done.prices,
        "changes": _changes_dict(done.changes) if done.changes else None,
        "remarks": list(done.remarks),
    }


def _changes_dict(changes: Changes) -> dict[str, Any]:
    return {
        "new": [list(key) for key in changes.new],
        "gone": [list(key) for key in changes.gone],
        **{
            name: [
                asdict(change) | {"change": change.ratio - 1} for change in getattr(changes, name)
            ]
            for name in ("up", "down")
        },
        "unchanged": changes.unchanged,
    }


def refresh_parts(done: Refresh) -> Iterator[RenderableType]:
    """A refresh that reached its source as parts to print."""
    name, changes = NAMES[done.what], done.changes
    assert changes is not None, "only what was refreshed has changes"
    yield facts(
        f"{name[0].upper()}{name[1:]} of {done.as_of}: {done.prices:,} in {done.file}",
        [
            ("new", str(len(changes.new)), _some([" ".join(key) for key in changes.new])),
            ("gone", str(len(changes.gone)), _some([" ".join(key) for key in changes.gone])),
            ("dearer", str(len(changes.up)), _some([_moved(c) for c in changes.up])),
            ("cheaper", str(len(changes.down)), _some([_moved(c) for c in changes.down])),
            ("as before", str(changes.unchanged), ""),
        ],
    )
    if done.remarks:
        yield notes("To know", done.remarks)


def unreachable_line(done: Refresh) -> str:
    """One line: why nothing came, and what holds until it does."""
    kept = f"the prices of {done.as_of} stay" if done.as_of else "the shipped prices stay"
    return f"{NAMES[done.what]}: could not be refreshed ({'; '.join(done.remarks)}); {kept}"


def _moved(change: Change) -> str:
    return f"{' '.join(change.key)} {change.ratio - 1:+.0%}"


def _some(names: list[str]) -> str:
    more = f"; and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(names[:SHOWN]) + more
