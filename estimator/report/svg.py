"""A figure of rows as SVG, as wide as the place it stands in.

What a page shows first is drawn this way: a browser paints it with the words around it, where
plotly needs a tenth of a second per chart and leaves a hole meanwhile. Of plotly's figures it knows
what rows are made of: bars, dots, notes, marks and the ticks of one axis.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from estimator.report.figures import Figure

LINE_PIXELS = 18
DESCENT_PIXELS = 6  # of letters below their line, and the air under them
TICK_PIXELS = 18  # from the end of the rows down to the numbers of the axis
ANCHORS = {"left": "start", "center": "middle", "right": "end"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """Where values lie: in per cent of the width, and in pixels from above."""

    left: float
    right: float
    """Values at both ends of the axis."""
    first: float
    last: float
    """Rows at the upper and the lower end."""
    top: float
    bottom: float
    """Pixels of both ends of the rows."""

    @classmethod
    def of(cls, layout: Figure) -> "Scales":
        """The scales of a layout."""
        (left, right), (last, first) = layout["xaxis"]["range"], layout["yaxis"]["range"]
        margin = layout["margin"]
        top, bottom = margin["t"], layout["height"] - margin["b"]
        return cls(left=left, right=right, first=first, last=last, top=top, bottom=bottom)

    def x(self, value: float, ref: str = "x") -> float:
        """Per cent of the width from the left; `ref`: "x", or "paper" for shares of the width."""
        share = value if ref == "paper" else (value - self.left) / (self.right - self.left)
        return round(100 * share, 2)

    def y(self, value: float, ref: str = "y") -> float:
        """Pixels from above; `ref`: "y" for rows, or "paper" for shares of their height."""
        share = 1 - value if ref == "paper" else (value - self.first) / (self.last - self.first)
        return round(self.top + share * (self.bottom - self.top), 1)

    def shows(self, value: float) -> bool:
        """Whether a value lies on the axis."""
        return self.left <= value <= self.right


def rows_svg(figure: Figure, finding: str) -> str:
    """The figure as one `svg` element without line breaks; the finding is for who cannot see it."""
    layout = figure["layout"]
    scales = Scales.of(layout)
    parts = [
        *(_mark(shape, scales) for shape in layout.get("shapes", ())),
        *(part for trace in figure["data"] for part in _DRAWN[trace["type"]](trace, scales)),
        *(_note(note, scales) for note in layout["annotations"]),
        *_ticks(layout["xaxis"], scales),
    ]
    size = f'width="100%" height="{layout["height"]}"'
    name = escape(finding, quote=True)
    return f'<svg class="rows" role="img" aria-label="{name}" {size}>{"".join(parts)}</svg>'


def _mark(shape: Figure, scales: Scales) -> str:
    x0, x1 = (scales.x(shape[end], shape["xref"]) for end in ("x0", "x1"))
    y0, y1 = (scales.y(shape[end], shape["yref"]) for end in ("y0", "y1"))
    if shape["type"] == "rect":
        return _rect(x0, x1, y0, y1, f'fill="{shape["fillcolor"]}"')
    ink = f'stroke="{shape["line"]["color"]}" stroke-width="{shape["line"]["width"]}"'
    return f'<line x1="{x0}%" x2="{x1}%" y1="{y0}" y2="{y1}" {ink}/>'


def _rect(x0: float, x1: float, y0: float, y1: float, ink: str) -> str:
    x0, x1 = sorted(min(max(x, 0.0), 100.0) for x in (x0, x1))
    size = f'width="{x1 - x0:.2f}%" height="{y1 - y0:.1f}"'
    return f'<rect x="{x0}%" y="{y0}" {size} {ink}/>'


def _bars(trace: Figure, scales: Scales) -> Iterator[str]:
    starts = trace.get("base", [0.0] * len(trace["x"]))
    half, opacity = trace["width"] / 2, trace.get("opacity", 1)
    colours = _each(trace["marker"]["color"], trace)
    for start, length, row, colour in zip(starts, trace["x"], trace["y"], colours, strict=True):
        ends = scales.x(start), scales.x(start + length)
        ink = f'fill="{colour}" fill-opacity="{opacity}"'
        yield _rect(*ends, scales.y(row - half), scales.y(row + half), ink)


def _dots(trace: Figure, scales: Scales) -> Iterator[str]:
    marker, edge = trace["marker"], trace["marker"]["line"]
    ink = f'r="{marker["size"] / 2}" stroke="{edge["color"]}" stroke-width="{edge["width"]}"'
    colours, words = _each(marker["color"], trace), trace["hovertext"]
    for x, row, colour, said in zip(trace["x"], trace["y"], colours, words, strict=True):
        if scales.shows(x):
            place = f'cx="{scales.x(x)}%" cy="{scales.y(row)}"'
            yield f'<circle {place} fill="{colour}" {ink}><title>{escape(said)}</title></circle>'


def _each(value: Any, trace: Figure) -> list[Any]:
    return value if isinstance(value, list) else [value] * len(trace["x"])


_DRAWN = {"bar": _bars, "scatter": _dots}


def _note(note: Figure, scales: Scales) -> str:
    """A note of one or more lines that stands on its place; its text is escaped already."""
    lines = note["text"].split("<br>")
    below = scales.y(note["y"], note["yref"]) - note.get("yshift", 0) - DESCENT_PIXELS
    x, anchor = scales.x(note["x"], note["xref"]), ANCHORS[note.get("xanchor", "center")]
    return "".join(
        f'<text x="{x}%" y="{below - LINE_PIXELS * above:.1f}" text-anchor="{anchor}">{line}</text>'
        for above, line in zip(reversed(range(len(lines))), lines, strict=True)
    )


def _ticks(axis: Figure, scales: Scales) -> Iterator[str]:
    for value, words in zip(axis.get("tickvals", ()), axis.get("ticktext", ()), strict=True):
        if scales.shows(value):
            place = f'x="{scales.x(value)}%" y="{scales.bottom + TICK_PIXELS}"'
            yield f'<text class="tick" {place} text-anchor="middle">{escape(words)}</text>'
