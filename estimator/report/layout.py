"""The shapes that reports are made of: titles, facts in two columns, tables, bars, notes."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 40
EIGHTHS = " ▏▎▍▌▋▊▉"
GIB = 2**30


def heading(title: str, about: str) -> RenderableType:
    """The subject of a report in bold, and one line about it."""
    return Group(Text(title, style="bold"), Text(about, style="dim"))


def facts(title: str, rows: Iterable[tuple[str, str, str]]) -> RenderableType:
    """Name, value and remark, one fact a line, under a title."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    return _titled(title, grid)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)
) -> RenderableType:
    """A table; the columns numbered in `left` hold text, all others figures.

    Text after the first line of a cell is dim: what explains the first line.
    """
    made = Table(box=None, pad_edge=False, header_style="dim")
    for i, column in enumerate(columns):
        made.add_column(column, justify="left" if i in left else "right", overflow="fold")
    for row in rows:
        made.add_row(*map(_cell, row))
    return Group(Text(title, style="bold"), made)


def _cell(text: str) -> Text:
    first, line_end, rest = text.partition("\n")
    return Text.assemble(first, line_end, (rest, "dim"))


def notes(title: str, lines: Iterable[str]) -> RenderableType:
    """Sentences under a title, each folded with a hanging indent."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column()
    grid.add_column(overflow="fold")
    for line in lines:
        grid.add_row("-", Text(line))
    return _titled(title, grid)


def waterfall(title: str, parts: Mapping[str, float], capacity_bytes: float) -> RenderableType:
    """Parts that add up to a peak, each bar beginning where the last one ended; the card's end.

    Everything in bytes; shown in GiB. The scale is the larger of the peak and the capacity.
    """
    peak = sum(parts.values())
    scale = BAR_WIDTH / max(peak, capacity_bytes)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    start = 0.0
    for name, size in parts.items():
        if round(size / GIB, 2):
            bar = Text(_bar(start * scale, (start + size) * scale), style="cyan")
            grid.add_row(name, gib(size), bar)
        start += size
    fits = peak <= capacity_bytes
    total = Text(_bar(0.0, peak * scale), style="bold green" if fits else "bold red")
    limit = round(capacity_bytes * scale)
    total.append("·" * (limit - len(total.plain)), style="dim")
    total.append(f"▕ card {gib(capacity_bytes)} GiB", style="dim") if fits else None
    grid.add_row("peak", gib(peak), total)
    return _titled(title, grid)


def gib(size_bytes: float) -> str:
    """Bytes in GiB to two decimals: "14.96"."""
    return f"{size_bytes / GIB:,.2f}"


def bars(title: str, rows: Sequence[tuple[str, float]], *, style: str = "cyan") -> RenderableType:
    """Labels and counts as horizontal bars, the largest filling the width."""
    scale = BAR_WIDTH / max(value for _, value in rows)
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(justify="right", no_wrap=True)
    for label, value in rows:
        bar = Text(_bar(0.0, value * scale) if value else "", style=style)
        grid.add_row(label, bar, f"{value:,.0f}")
    return _titled(title, grid)


def _bar(start: float, end: float) -> str:
    """Blocks from `start` to `end` in character cells, to an eighth of a cell at the right end."""
    first, cells = round(start), max(end - round(start), 1 / 8)
    whole, part = int(cells), int(cells % 1 * 8)
    return " " * first + "█" * whole + EIGHTHS[part].rstrip()


def _titled(title: str, body: RenderableType) -> RenderableType:
    return Group(Text(title, style="bold"), Padding(body, (0, 0, 0, 2), expand=False))
