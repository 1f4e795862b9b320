"""Chart of a break-even: how the lead of one way over another moves with one input."""

from textwrap import shorten

import numpy as np

from estimator.alternatives.account import LABELS
from estimator.decision.thresholds import BreakEven
from estimator.decision.wording import capitalised, listed, money, percent, value_with_unit
from estimator.quantity import FloatArray
from estimator.report.breakeven import sentence
from estimator.report.charts import Chart
from estimator.report.figures import (
    FAINT,
    VERMILLION,
    Figure,
    axis,
    layout_of,
    line,
    money_axis,
    note,
    zero_line,
)
from estimator.report.tornado_charts import UNSAID, bare_unit
from estimator.scenario import Scenario
from estimator.scenario.inputs import describe_input


def break_even_chart(found: BreakEven) -> Chart:
    """How the lead of one alternative over another moves with an input, and where it ends."""
    unit = found.quantity.unit
    geometric = found.low > 0 and found.high > 100 * found.low
    gains = found.gain_usd.tolist()
    curve = line(found.values.tolist(), gains, width=3)
    curve |= {"hovertext": [money(usd) for usd in gains], "hoverinfo": "x+text"}
    values = [threshold.value for threshold in found.expected]
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": values,
        "y": [0.0] * len(values),
        "marker": {"color": VERMILLION, "size": 13, "line": {"color": "white", "width": 1.5}},
        "hovertext": [_value(value, unit) for value in values],
        "hoverinfo": "text",
    }
    layout = layout_of(400, left=58, bottom=76, top=30)
    layout["xaxis"] = _input_axis(found, geometric)
    layout["yaxis"] = money_axis(min(gains), max(gains))
    p10, _, p90 = found.quantity.p10_p50_p90()
    layout["shapes"] = [zero_line(), _believed(p10, p90)]
    first, second = LABELS[found.a], LABELS[found.b]
    layout["annotations"] = [
        note(f"above 0: {first} is worth more", x=0, y=1, xanchor="left", yanchor="bottom"),
        *(
            note(
                _value(value, bare_unit(unit)),
                x=float(np.log10(value)) if geometric else value,
                y=0,
                xref="x",
                yref="y",
                yanchor="bottom",
                yshift=8,
            )
            for value in values[:3]
        ),
    ]
    return Chart(
        figure={"data": [curve, dots], "layout": layout},
        finding=sentence(found),
        columns=("Value", f"{first} less {second}", f"{first} better in"),
        rows=tuple(
            (_value(float(v), unit), money(float(gain)), percent(float(chance)))
            for v, gain, chance in zip(
                found.values[::4], found.gain_usd[::4], found.probability[::4], strict=True
            )
        ),
    )


def chance_lines(found: BreakEven) -> tuple[str, ...]:
    """From which values on the first is better with a given chance; and at the medians."""
    unit, first = found.quantity.unit, LABELS[found.a]
    lines = [
        f"{first} is better with a chance of {percent(chance)} at "
        f"{listed([_value(v, unit) for v in values])}."
        for chance, values in found.chance.items()
        if values
    ]
    if found.at_medians:
        steps = listed([_value(t.value, unit) for t in found.at_medians[:6]])
        lines.append(f"With every other input at its median the two change places at {steps}.")
    return tuple(lines)


def _input_axis(found: BreakEven, geometric: bool) -> Figure:
    ends = np.array([found.low, found.high])
    if not geometric:
        ticks = np.linspace(found.low, found.high, 5)
        return _ticked(found, ticks) | {"range": ends.tolist()}
    decades = 10.0 ** np.arange(np.floor(np.log10(found.low)), np.ceil(np.log10(found.high)) + 1)
    ticks = np.outer(decades, [1.0, 3.0]).ravel()
    within = ticks[(ticks >= found.low) & (ticks <= found.high)]
    return _ticked(found, within) | {"type": "log", "range": np.log10(ends).tolist()}


def _ticked(found: BreakEven, ticks: FloatArray) -> Figure:
    """The axis of the input, its ticks without the unit where the title has it."""
    unit = found.quantity.unit or ""
    bare = bare_unit(unit)
    name = shorten(capitalised(describe_input(Scenario, found.input)), 44, placeholder=" …")
    counted = "" if unit in UNSAID or unit == bare else f"<br>({unit.replace('/', ' per ')})"
    said = [_value(float(tick), bare) for tick in ticks]
    named = axis(f"{name}{counted}")
    return named | {"showgrid": False, "tickvals": ticks.tolist(), "ticktext": said}


def _believed(p10: float, p90: float) -> Figure:
    """The range that the scenario believes in, as a faint band."""
    where = {"xref": "x", "x0": p10, "x1": p90, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "rect", "layer": "below", "fillcolor": FAINT, "line": {"width": 0}, **where}


def _value(x: float, unit: str | None) -> str:
    return value_with_unit(x, unit)
