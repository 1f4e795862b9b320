"""The parts that plotly figures are made of, as plain data: layouts, axes, marks and colours.

Colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with colour
vision deficiency can tell apart; none carries a meaning that words do not give too. The colours of
text and ground are left to the page, so that a figure fits a light and a dark one.
"""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from estimator.decision.currency import shown_rate
from estimator.decision.wording import money

BLUE, ORANGE, GREEN, SKY = "#0072B2", "#E69F00", "#009E73", "#56B4E9"
VERMILLION, PURPLE, YELLOW, GREY = "#D55E00", "#CC79A7", "#F0E442", "#8C96A0"
FAINT = "rgba(140,150,160,0.35)"
ROW_PIXELS = 48
DWARFS = 2.2  # an outlier is so many times longer than the next and is cut, which is said
Figure = dict[str, Any]


def layout_of(height: int, *, left: int, bottom: int, top: int) -> Figure:
    """A layout without legend, zoom or title, `height` and margins in pixels."""
    return {
        "height": height,
        "margin": {"l": left, "r": 8, "t": top, "b": bottom},
        "showlegend": False,
        "dragmode": False,
        "hoverlabel": {"align": "left"},
    }


def row_layout(
    labels: Sequence[str],
    values: Sequence[str],
    *,
    top: int = 4,
    bottom: int = 4,
    row_pixels: int = ROW_PIXELS,
) -> Figure:
    """Rows with their label above the bar on the left and their figure on the right.

    Labels above and not beside the bars leave a phone's whole width to the bars.
    """
    height = top + bottom + row_pixels * len(labels)
    layout = layout_of(height, left=4, bottom=bottom, top=top)
    layout["yaxis"] = hidden_axis() | {"range": [len(labels) - 0.7, -0.7]}
    layout["annotations"] = [
        note(text, x=x, y=row, yref="y", xanchor=side, yanchor="bottom", yshift=8, align=side)
        for x, side, column in ((0, "left", labels), (1, "right", values))
        for row, text in enumerate(column)
    ]
    return layout


def note(text: str, *, x: float, y: float, **where: Any) -> Figure:
    """A text in the figure, of one or more lines; by default placed in shares of its size."""
    base = {"xref": "paper", "yref": "paper", "showarrow": False, "borderpad": 0}
    lines = escape(text).replace("\n", "<br>")
    return base | {"text": lines, "x": x, "y": y, "font": {"size": 14}} | where


def hidden_axis() -> Figure:
    """An axis that is not drawn."""
    return {"visible": False, "fixedrange": True}


def axis(title: str) -> Figure:
    """An axis with its title."""
    return {"title": {"text": title}, "zeroline": False, "fixedrange": True}


def money_axis(low: float, high: float) -> Figure:
    """An axis from `low` to `high` and over zero, with ticks at round amounts."""
    low, high = min(0.0, low), max(0.0, high)
    room = 0.03 * (high - low) or 1.0
    rate = shown_rate()
    unit = 1.0 if rate is None else 1.0 / rate.units_per_usd  # ticks are round as they are read
    step = _round_step(max((high - low) / 4 / unit, 1.0)) * unit
    at = np.arange(np.ceil(low / step), np.floor(high / step) + 1) * step
    return axis("") | {
        "range": [low - room, high + room],
        "tickvals": at.tolist(),
        "ticktext": [money(usd) for usd in at],
    }


def _round_step(size: float) -> float:
    """The nearest of 1, 2, 5 and 10 times a power of ten."""
    decade = 10.0 ** np.floor(np.log10(size))
    return float(min((1, 2, 5, 10), key=lambda m: abs(m * decade - size)) * decade)


def without_outlier(lengths: Sequence[float]) -> float:
    """How long a scale must be: the longest, or a little over the second where one dwarfs all."""
    longest, *rest = sorted(lengths, reverse=True)
    second = rest[0] if rest else longest
    return 1.15 * second if 0 < DWARFS * second < longest else longest


def zero_line() -> Figure:
    """A line across the figure where the money of the upright axis is zero."""
    where = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": 0, "y1": 0}
    return {"type": "line", "line": {"color": GREY, "width": 2}, **where}


def zero_marks(rows: int) -> list[Figure]:
    """An upright line at zero, broken at every row so that it crosses no label."""
    return [
        {
            "type": "line",
            "line": {"color": GREY, "width": 2},
            "xref": "x",
            "x0": 0,
            "x1": 0,
            "yref": "y",
            "y0": row - 0.14,
            "y1": row + 0.42,
        }
        for row in range(rows)
    ]


def live_line(month: float) -> Figure:
    """A dotted upright line at a month."""
    where = {"xref": "x", "x0": month, "x1": month, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", "line": {"color": GREEN, "width": 2, "dash": "dot"}, **where}


def track(row: int) -> Figure:
    """The faint full-length track behind a bar that shows a share."""
    where = {"xref": "paper", "x0": 0, "x1": 1, "yref": "y", "y0": row - 0.18, "y1": row + 0.18}
    return {"type": "rect", "layer": "below", "fillcolor": FAINT, "line": {"width": 0}, **where}


def line(x: Sequence[float], y: Sequence[float], *, width: float) -> Figure:
    """A line through points."""
    style = {"color": BLUE, "width": width}
    return {"type": "scatter", "mode": "lines", "x": list(x), "y": list(y), "line": style}


LEGEND_ROW_PIXELS = 20
AXIS_PIXELS = 56  # an axis below the figure, with its numbers and its title


def legend_below(layout: Figure, rows: int, *, axis_pixels: int = AXIS_PIXELS) -> Figure:
    """The layout with a legend of so many rows under its axis, and room for both.

    A legend gets at most half of a figure's height before it is given a scroll bar.
    """
    margin = layout["margin"]
    plot = layout["height"] - margin["t"] - margin["b"]
    below = axis_pixels + LEGEND_ROW_PIXELS * rows + 8
    height = max(plot + margin["t"] + below, 2 * LEGEND_ROW_PIXELS * (rows + 1))
    legend = {"orientation": "h", "x": 0, "y": -axis_pixels / plot, "yanchor": "top"}
    return layout | {
        "height": height,
        "margin": margin | {"b": height - plot - margin["t"]},
        "showlegend": True,
        "legend": legend | {"traceorder": "normal"},
    }
