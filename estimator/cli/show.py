"""How every command shows its result: rich tables on a terminal, plain text in a pipe, JSON."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table


def console() -> Console:
    """The console on standard output; a pipe gets plain text as wide as its content needs."""
    if sys.stdout.isatty():
        return Console()
    return Console(width=160, no_color=True, highlight=False)


def print_json(data: object) -> None:
    """One JSON document on standard output; not-a-number becomes null."""
    sys.stdout.write(json.dumps(_plain(data), indent=2, allow_nan=False) + "\n")


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    if isinstance(data, float) and (data != data or data in (float("inf"), float("-inf"))):
        return None
    return data


def print_lines(lines: Iterable[str]) -> None:
    """Plain lines on standard output."""
    out = console()
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1
) -> None:
    """A table whose first `left` columns are text and whose other columns are figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i < left else "right", no_wrap=i > 0)
    for row in rows:
        table.add_row(*row)
    console().print(table)


@contextmanager
def working(message: str) -> Iterator[None]:
    """A spinner on a terminal's standard error while something takes its time."""
    err = Console(stderr=True)
    if err.is_terminal:
        with err.status(message):
            yield
    else:
        yield
