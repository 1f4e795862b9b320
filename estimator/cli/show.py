"""How every command shows its result: rich tables on a terminal, plain text in a pipe, JSON."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console, RenderableType

PIPE_WIDTH = 160
"""Columns of plain text: wide enough that no row of ours is folded twice."""


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        _reader_left()


def console() -> Console:
    """The console on standard output; a pipe gets plain text, whatever the environment says."""
    if sys.stdout.isatty():
        return _Console()
    return _Console(width=PIPE_WIDTH, force_terminal=False, color_system=None, highlight=False)


def _write(text: str) -> None:
    encoding = sys.stdout.encoding or "utf-8"
    try:  # a pipe in plain ASCII gets "?" for a bar, not an error
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        _reader_left()


def _reader_left() -> NoReturn:
    """Who reads our output has seen enough, as `head` does: no error, nothing more to say."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit


def print_json(data: object) -> None:
    """One JSON document on standard output; not-a-number becomes null."""
    _write(json.dumps(_plain(data), indent=2, allow_nan=False) + "\n")


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


def print_parts(parts: Iterable[RenderableType]) -> None:
    """The parts of a report on standard output, a blank line between them."""
    out = console()
    with out.capture() as captured:
        for i, part in enumerate(parts):
            out.print(*((part,) if i == 0 else ("", part)), sep="\n", markup=False)
    text = captured.get()
    if not out.is_terminal:  # tables pad their last column
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    _write(text)


def print_result(
    data: Callable[[], object],
    parts: Callable[[], Iterable[RenderableType]],
    *,
    as_json: bool,
    currency: str = "",
) -> None:
    """A result as data, in US dollars, or for people, with amounts in `currency`; not both."""
    if as_json:
        print_json(data())
    elif not currency:
        print_parts(parts())
    else:
        from estimator.decision.currency import shown_in

        with shown_in(currency):
            print_parts(parts())


@contextmanager
def working(message: str) -> Iterator[None]:
    """A spinner on a terminal's standard error while something takes its time."""
    if sys.stderr.isatty():
        with Console(stderr=True).status(message):
            yield
    else:
        yield


@contextmanager
def counting(message: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar in steps with the time left, on a terminal's standard error; else None."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(message, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def reading(message: str) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar in bytes on a terminal's standard error; None where there is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(message, total=None)

        def report(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield report
