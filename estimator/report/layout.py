"""The shapes that reports are made of: titles, facts in two columns, tables, bars, notes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, JustifyMethod, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

BAR_WIDTH = 40
COLUMN_GAP = 2
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
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    left: Sequence[int] = (0,),
    spare: Sequence[int] = (),
) -> RenderableType:
    """A table; the columns numbered in `left` hold text, all others figures.

    Text after the first line of a cell is dim: what explains the first line. `spare`: columns to
    leave out where the terminal is too narrow for all of them, the first of them first; a line
    under the table names them.
    """
    made = _Columns(tuple(columns), tuple(map(tuple, rows)), frozenset(left), tuple(spare))
    return Group(Text(title, style="bold"), made)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a table, of which those that can be spared give way to the others."""

    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: frozenset[int]
    spare: tuple[int, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left_out = self._left_out(options.max_width)
        shown = [i for i in range(len(self.names)) if i not in left_out]
        made = Table(box=None, pad_edge=False, header_style="dim")
        for i in shown:
            justify: JustifyMethod = "left" if i in self.left else "right"
            whole = bool(self.spare) and i > 0
            made.add_column(self.names[i], justify=justify, overflow="fold", no_wrap=whole)
        for row in self.rows:
            made.add_row(*(_cell(row[i]) for i in shown))
        yield made
        if left_out:
            names = ", ".join(self.names[i] for i in left_out)
            yield Text(f"Too narrow for: {names}. --json has everything.", style="dim")

    def _left_out(self, width: int) -> tuple[int, ...]:
        """The fewest spare columns without which the others are as wide as they need to be."""
        for count in range(len(self.spare) + 1):
            left_out = self.spare[:count]
            needs = [self._need(i) for i in range(len(self.names)) if i not in left_out]
            if sum(needs) + COLUMN_GAP * (len(needs) - 1) <= width:
                return left_out
        return self.spare

    def _need(self, column: int) -> int:
        """Cells that a column needs: the first may be folded between words, others stay whole."""
        texts = (self.names[column], *(row[column] for row in self.rows))
        parts = (part for text in texts for part in (text.splitlines() if column else text.split()))
        return max(map(cell_len, parts), default=0)


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
