"""Writes `docs/reference/cli.md` from the command itself: `python docs/generate_cli.py`.

tests/test_docs_site.py checks that the page is what this writes.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from estimator.cli.main import app
from estimator.files import write_atomically

PAGE = Path(__file__).parent / "reference" / "cli.md"
HEAD = """# The command

Written by `docs/generate_cli.py` from the command itself. Every command says the same with
`--help`, and those with `--json` print the shapes of [this page](json.md).

| Exit status | Means |
|---:|---|
| 0 | done |
| 1 | a fault of tuneroi; `TUNEROI_DEBUG=1` shows where |
| 2 | a mistake in what was asked: one line says what, where and what is allowed |
| 3 | `diff`, `library compare`: the verdict differs; `prices refresh`: no source was reached |
| 130 | stopped by Ctrl-C |

| Variable | Means |
|---|---|
| `TUNEROI_DATA` | folder of your own calibrations, prices and runs, in place of the platform's |
| `TUNEROI_LIBRARY` | where runs are saved: an SQLite file or a PostgreSQL URL |
| `HF_HUB_OFFLINE` | 1: never ask the Hugging Face hub, as `--offline` does for one command |
| `TUNEROI_DEBUG` | 1: show the traceback of a fault |
"""


def commands(command: Any, name: str = "tuneroi") -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its full name, in the order of `--help`."""
    for child, below in getattr(command, "commands", {}).items():
        if getattr(below, "commands", None):
            yield from commands(below, f"{name} {child}")
        else:
            yield f"{name} {child}", below


def section(name: str, command: Any) -> str:
    """A command's usage, its arguments and its options by panel."""
    context = typer.Context(command, info_name=name)
    usage = " ".join(command.get_usage(context).removeprefix("Usage:").split())
    parts = [f"## {name}", command.help, f"```text\n{usage}\n```"]
    for panel, parameters in _panels(command).items():
        rows = [parameter.get_help_record(context) for parameter in parameters]
        parts.append(_table(panel, [row for row in rows if row is not None]))
    if command.epilog:
        parts.append(command.epilog)
    return "\n\n".join(parts) + "\n"


def page() -> str:
    """The whole page."""
    found = commands(typer.main.get_command(app))
    return "\n".join([HEAD, *(section(name, command) for name, command in found)])


def _panels(command: Any) -> dict[str, list[Any]]:
    panels: dict[str, list[Any]] = defaultdict(list)
    for parameter in command.params:
        own = "Arguments" if parameter.param_type_name == "argument" else "Options"
        panels[getattr(parameter, "rich_help_panel", None) or own].append(parameter)
    return dict(sorted(panels.items(), key=lambda named: named[0] != "Arguments"))


def _table(panel: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| {panel} | |", "|---|---|"]
    for left, right in rows:
        words = _cell(right).replace("*", "\\*").replace("<", "&lt;")
        lines.append(f"| `{_cell(left)}` | {words} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    write_atomically(PAGE, page())
