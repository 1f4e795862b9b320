"""Charts of measurements: predicted against measured, of published rows and of one's own runs."""

from collections.abc import Sequence

import numpy as np

from estimator.decision.wording import significant
from estimator.report.charts import Chart
from estimator.report.figures import (
    BLUE,
    FAINT,
    GREY,
    ORANGE,
    Figure,
    axis,
    layout_of,
    legend_below,
    note,
    row_layout,
)
from estimator.report.validation import percent, signed
from estimator.validation.own_runs import Compared
from estimator.validation.scoring import Prediction, Validation

MOST = 12
P10, P50, P90 = range(3)


def agreement_chart(found: Validation, what: str) -> Chart | None:
    """Every prediction against its measurement, both on scales of equal ratios; None without any.

    On the line both agree. `what`: the quantity with its unit, for the axes.
    """
    rows = found.predictions
    if not rows:
        return None
    within = [p.p10 <= p.measured <= p.p90 for p in rows]
    groups = (("in the 80 % range", BLUE, True), ("outside", ORANGE, False))
    data = [
        _dots([p for p, i in zip(rows, within, strict=True) if i is inside], name, colour)
        for name, colour, inside in groups
    ]
    both = np.array([[p.measured, p.p50] for p in rows])
    both = both[both[:, 1] > 0]
    low, high = float(both.min()) / 1.3, float(both.max()) * 1.3
    layout = legend_below(layout_of(320, left=64, bottom=0, top=10), 1)
    scale = {"type": "log", "range": [float(np.log10(low)), float(np.log10(high))]}
    scale |= {"tickvals": (ticks := _decades(low, high)), "ticktext": list(map(significant, ticks))}
    layout["xaxis"] = axis(f"measured {what}") | scale
    layout["yaxis"] = axis(f"predicted {what}") | scale
    layout["shapes"] = [_diagonal(low, high)]
    total = found.total
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"{total.rows:,} rows: off by {percent(total.median_ape)} at the median, "
        f"{signed(total.bias)} on the whole; {percent(total.coverage_80, 0)} of the measurements "
        "lie in their 80 % range.",
        columns=("Furthest off", "Measured", "Predicted", "Error"),
        rows=tuple(
            (p.row_id, significant(p.measured, 3), significant(p.p50, 3), signed(p.error))
            for p in found.worst(MOST)
        ),
    )


def _dots(rows: Sequence[Prediction], name: str, colour: str) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [p.measured for p in rows],
        "y": [p.p50 for p in rows],
        "marker": {"color": colour, "size": 5, "opacity": 0.6},
        "hovertext": [f"{p.row_id}: {signed(p.error)}" for p in rows],
        "hoverinfo": "text",
    }


def _decades(low: float, high: float) -> list[float]:
    """Round numbers within the scale: powers of ten, or 1, 2 and 5 of them where there are few."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    steps = (1.0,) if high > 1e3 * low else (1.0, 2.0, 5.0)
    return [float(m * p) for p in powers for m in steps if low <= m * p <= high]


def _diagonal(low: float, high: float) -> Figure:
    where = {"xref": "x", "x0": low, "x1": high, "yref": "y", "y0": low, "y1": high}
    return {"type": "line", "layer": "below", "line": {"color": GREY, "width": 2}, **where}


def own_run_chart(runs: Sequence[Compared]) -> Chart:
    """Each run's measured speed over its prediction: the 80 % range before and after calibrating.

    At 1 the prediction is right; tokens per second and GPU.
    """
    shown = runs[:MOST]
    rows = list(range(len(shown)))
    labels = [run.name for run in shown]
    errors = [" → ".join(_errors(run)) for run in shown]
    layout = row_layout(labels, errors, top=26, bottom=40)
    data = [
        _ranges(shown, [run.before for run in shown], FAINT, 0.3),
        _ranges(shown, [run.after for run in shown], BLUE, 0.12),
        _middles(shown, rows),
    ]
    ends = [x / run.measured for run in shown for pair in (run.before, run.after) for x in pair]
    layout["xaxis"] = axis("predicted over measured") | {
        "range": [min(0.5, *ends) * 0.95, max(1.5, *ends) * 1.05],
        "showgrid": False,
    }
    layout["barmode"] = "overlay"
    layout["shapes"] = [_at_one(row) for row in rows]
    layout["annotations"].append(note("measured", x=1, y=1, xref="x", yanchor="bottom"))
    return Chart(
        figure={"data": data, "layout": layout},
        finding="Error of the prediction before and after calibrating: "
        + "; ".join(f"{name} {error}" for name, error in zip(labels, errors, strict=True))
        + ".",
        columns=("Run", "Measured", "Before", "P10 to P90", "After", "P10 to P90"),
        rows=tuple(_run_row(run) for run in shown),
    )


def _errors(run: Compared) -> tuple[str, str]:
    before, after = (signed(found[P50] / run.measured - 1) for found in (run.before, run.after))
    return before, after


def _ranges(
    runs: Sequence[Compared],
    ranges: Sequence[tuple[float, float, float]],
    colour: str,
    width: float,
) -> Figure:
    pairs = list(zip(runs, ranges, strict=True))
    return {
        "type": "bar",
        "orientation": "h",
        "base": [r[P10] / run.measured for run, r in pairs],
        "x": [(r[P90] - r[P10]) / run.measured for run, r in pairs],
        "y": list(range(len(runs))),
        "width": width,
        "marker": {"color": colour},
        "hoverinfo": "skip",
    }


def _middles(runs: Sequence[Compared], rows: Sequence[int]) -> Figure:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [run.after[P50] / run.measured for run in runs],
        "y": list(rows),
        "marker": {"color": BLUE, "size": 12, "line": {"color": "white", "width": 1.5}},
        "hoverinfo": "skip",
    }


def _at_one(row: int) -> Figure:
    where = {"xref": "x", "x0": 1, "x1": 1, "yref": "y", "y0": row - 0.2, "y1": row + 0.4}
    return {"type": "line", "line": {"color": GREY, "width": 2}, **where}


def _run_row(run: Compared) -> tuple[str, ...]:
    cells = [run.name, significant(run.measured, 3)]
    for p10, p50, p90 in (run.before, run.after):
        cells += [significant(p50, 3), f"{significant(p10, 3)} to {significant(p90, 3)}"]
    return tuple(cells)
