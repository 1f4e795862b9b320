"""Chart of buying against renting GPUs: cost per month of each way as they are used more."""

from math import ceil

import numpy as np

from estimator.decision.buy_or_rent import HOURS_PER_MONTH, BuyOrRent
from estimator.decision.wording import money, percent
from estimator.report.buy_or_rent import WAYS, sentence
from estimator.report.charts import Chart
from estimator.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILLION,
    Figure,
    axis,
    layout_of,
    legend_below,
    money_axis,
    note,
)

COLOURS = {
    "buy": BLUE,
    "on_demand": VERMILLION,
    "spot": ORANGE,
    "reserved_1y": PURPLE,
    "reserved_3y": GREEN,
}
DASHES = {"buy": "solid", "on_demand": "solid", "spot": "dash", "reserved_1y": "dot"}


def usage_chart(idle: BuyOrRent, always: BuyOrRent, now: BuyOrRent) -> Chart:
    """Median cost per month of each way from no use to use in every hour, with today's use marked.

    The cost of every way is a straight line in the hours of use, and its median all but one, so
    that two results give it: `idle` at none and `always` at all hours.
    """
    ends = [0.0, HOURS_PER_MONTH]
    costs = {
        way: [float(np.median(of.usd_per_month[way])) for of in (idle, always)]
        for way in now.usd_per_month
    }
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": WAYS[way],
            "x": ends,
            "y": usd,
            "line": {"color": COLOURS[way], "width": 3, "dash": DASHES.get(way, "dashdot")},
            "hoverinfo": "skip",
        }
        for way, usd in costs.items()
    ]
    layout = legend_below(layout_of(270, left=58, bottom=0, top=46), ceil(len(costs) / 2) + 1)
    layout["xaxis"] = axis("hours in use each month") | {"range": ends, "showgrid": False}
    layout["yaxis"] = money_axis(0.0, max(usd for pair in costs.values() for usd in pair))
    layout["shapes"] = [_mark(now.hours_per_month, GREY)]
    layout["annotations"] = [_said(now.hours_per_month, "your hours", shift=18)]
    limit = float(np.median(now.break_even_utilisation))
    if limit < 1:
        layout["shapes"].append(_mark(limit * HOURS_PER_MONTH, BLUE))
        place = limit * HOURS_PER_MONTH
        layout["annotations"].append(_said(place, f"buying pays from {place:.0f} h"))
    return Chart(
        figure={"data": data, "layout": layout},
        finding=sentence(now),
        columns=("Way", "A month", "1 in 10 below", "1 in 10 above", "Per useful GPU hour"),
        rows=tuple(_row(now, way) for way in sorted(costs, key=lambda way: _middle(now, way))),
    )


def _row(now: BuyOrRent, way: str) -> tuple[str, ...]:
    used = now.hours_per_month * now.gpus
    low, high = (money(float(q)) for q in np.quantile(now.usd_per_month[way], [0.1, 0.9]))
    hourly = money(_middle(now, way) / used) if used else "–"
    return (WAYS[way], money(_middle(now, way)), low, high, hourly)


def _middle(now: BuyOrRent, way: str) -> float:
    return float(np.median(now.usd_per_month[way]))


def usage_lines(now: BuyOrRent) -> tuple[str, ...]:
    """What else to know: how sure the limit is, and what a spot machine loses."""
    low, high = (float(q) for q in np.quantile(now.break_even_utilisation, [0.1, 0.9]))
    far = percent(high) if high <= 1 else "never"
    lines = [
        f"Buying pays from {percent(min(low, 1.0))} of all hours in the best tenth of cases to "
        f"{far} in the worst.",
    ]
    if now.spot_factor is not None and now.checkpoint_minutes is not None:
        longer, every = np.median(now.spot_factor) - 1, np.median(now.checkpoint_minutes)
        lines.append(
            f"Spot machines are taken away at times: work takes {longer:.0%} longer at the "
            f"median, with a checkpoint about every {every:.0f} minutes."
        )
    if any(way.startswith("reserved") for way in now.usd_per_month):
        lines.append("Reserved GPUs are paid for every hour, used or not.")
    lines.append("Tax is left out, and so is what bought GPUs would earn from others.")
    return tuple(line.replace("%", " %").replace("  %", " %") for line in lines)


def _mark(hours: float, colour: str) -> Figure:
    where = {"xref": "x", "x0": hours, "x1": hours, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", "line": {"color": colour, "width": 2, "dash": "dot"}, **where}


def _said(hours: float, text: str, shift: int = 0) -> Figure:
    """A word above a mark, on the side where there is room."""
    side = "left" if hours < HOURS_PER_MONTH / 2 else "right"
    return note(f" {text} ", x=hours, y=1, xref="x", xanchor=side, yanchor="bottom", yshift=shift)
