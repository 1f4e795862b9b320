"""Charts of a comparison: plotly figures as plain data, each with its finding in words and a table.

Amounts are expected values in today's money unless a chart says otherwise. In blue the best
alternative, in sky blue what is too close to it, the rest in grey.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from textwrap import wrap

import numpy as np

from estimator.alternatives.items import net_cash_usd
from estimator.decision.simulate import Comparison, Outcome
from estimator.decision.wording import about, capitalised, money, percent
from estimator.quantity import FloatArray
from estimator.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    YELLOW,
    Figure,
    axis,
    hidden_axis,
    layout_of,
    legend_below,
    line,
    live_line,
    money_axis,
    note,
    row_layout,
    track,
    without_outlier,
    zero_line,
    zero_marks,
)
from estimator.report.ranges import range_of
from estimator.report.text import category_sums, ordered
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.inputs import describe_input

WAY_COLOURS = {
    "project people": BLUE,
    "running people": SKY,
    "data": ORANGE,
    "GPUs for training": VERMILLION,
    "GPUs for serving": PURPLE,
    "tokens": GREEN,
    "retrieval": YELLOW,
    "fees": GREY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure with what it shows: in one sentence, and as a table."""

    figure: Figure
    """Plotly's data and layout."""
    finding: str
    """What a reader who cannot see the figure should know."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def chance_chart(comparison: Comparison) -> Chart:
    """How often each alternative is the best, as bars."""
    outcomes = ordered(comparison)
    chances = [outcome.probability_best for outcome in outcomes]
    labels = [outcome.account.label for outcome in outcomes]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": chances,
        "y": list(range(len(labels))),
        "width": 0.36,
        "marker": {"color": _highlight(comparison, outcomes)},
        "hoverinfo": "skip",
    }
    layout = row_layout(labels, [percent(chance) for chance in chances])
    layout["xaxis"] = hidden_axis() | {"range": [0, 1]}
    layout["shapes"] = [track(row) for row in range(len(labels))]
    named = [f"{label} {percent(chance)}" for label, chance in zip(labels, chances, strict=True)]
    return Chart(
        figure={"data": [bars], "layout": layout},
        finding=f"Chance of being the best: {', '.join(named)}.",
        columns=("Alternative", "Best in"),
        rows=tuple(zip(labels, map(percent, chances), strict=True)),
    )


def value_chart(comparison: Comparison, *, dates: bool = True) -> Chart:
    """What each alternative is worth against doing nothing: expected value and P10 to P90.

    `dates`: whether its table also says when each goes live and pays back, which takes longer
    than the chart.
    """
    outcomes = ordered(comparison)
    ranges = [_numbers(outcome.npv_usd) for outcome in outcomes]
    labels = [outcome.account.label for outcome in outcomes]
    spans = [f"{money(r['p10'])} to {money(r['p90'])}" for r in ranges]
    said = [
        f"{label}: {money(r['mean'])} expected, {span}"
        for label, r, span in zip(labels, ranges, spans, strict=True)
    ]
    left, right = _value_scale(ranges)
    off = [not left <= r["mean"] <= right for r in ranges]
    worth = [
        f"{money(r['mean'])}{' · off the scale' if is_off else ''}"
        for r, is_off in zip(ranges, off, strict=True)
    ]
    layout = row_layout(labels, worth, top=26, bottom=30)
    layout["xaxis"] = money_axis(left, right)
    layout["shapes"] = zero_marks(len(labels))
    layout["annotations"].append(note("doing nothing", x=0, y=1, yanchor="bottom", xref="x"))
    return Chart(
        figure={
            "data": _band_and_dots(ranges, _highlight(comparison, outcomes), said),
            "layout": layout,
        },
        finding="Worth against doing nothing, expected and 1 in 10 below to 1 in 10 above: "
        + "; ".join(
            f"{label} {money(r['mean'])} ({span})"
            for label, r, span in zip(labels, ranges, spans, strict=True)
        )
        + ".",
        columns=(
            "Alternative",
            "Best in",
            "Expected worth",
            "1 in 10 below",
            "Median",
            "1 in 10 above",
            "Total cost",
            *(("Goes live", "Pays back") if dates else ()),
        ),
        rows=tuple(
            (*_value_row(outcome, npv), *(_dates(outcome) if dates else ()))
            for outcome, npv in zip(outcomes, ranges, strict=True)
        ),
    )


def _band_and_dots(
    ranges: Sequence[Mapping[str, float]], colours: Sequence[str], said: Sequence[str]
) -> list[Figure]:
    """A bar from P10 to P90 and a dot at the mean of each row, with what is said of it."""
    rows = list(range(len(ranges)))
    band = {
        "type": "bar",
        "orientation": "h",
        "base": [r["p10"] for r in ranges],
        "x": [r["p90"] - r["p10"] for r in ranges],
        "y": rows,
        "width": 0.2,
        "opacity": 0.55,
        "marker": {"color": colours},
        "hoverinfo": "skip",
    }
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": [r["mean"] for r in ranges],
        "y": rows,
        "marker": {"color": colours, "size": 13, "line": {"color": "white", "width": 1.5}},
        "hovertext": said,
        "hoverinfo": "text",
    }
    return [band, dots]


def _value_scale(ranges: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Both ends of the scale: all ranges but an outlier's, and room for a word at zero."""
    low = -without_outlier([max(0.0, -r["p10"], -r["mean"]) for r in ranges])
    high = without_outlier([max(0.0, r["p90"], r["mean"]) for r in ranges])
    room = 0.2 * (high - low)
    return min(low, -room), max(high, room)


def _value_row(outcome: Outcome, npv: Mapping[str, float]) -> tuple[str, ...]:
    return (
        outcome.account.label,
        percent(outcome.probability_best),
        *(money(npv[name]) for name in ("mean", "p10", "p50", "p90")),
        money(float(np.median(outcome.tco_usd))),
    )


def _dates(outcome: Outcome) -> tuple[str, str]:
    return _months(outcome.account.go_live_months), _payback(outcome)


def cash_flow_chart(comparison: Comparison, alternative: AlternativeId) -> Chart:
    """Cumulative cash of one alternative against doing nothing, undiscounted, with its go-live."""
    outcome = comparison.outcomes[alternative]
    n, horizon = comparison.draws.n, comparison.scenario.horizon_months
    cumulative = np.cumsum(net_cash_usd(outcome.account.items, n, horizon), axis=1)
    low, middle, high = (row.tolist() for row in np.quantile(cumulative, [0.1, 0.5, 0.9], axis=0))
    months = list(range(1, horizon + 1))
    data = [
        line(months, high, width=0) | {"hoverinfo": "skip"},
        line(months, low, width=0)
        | {"fill": "tonexty", "fillcolor": "rgba(0,114,178,0.18)", "hoverinfo": "skip"},
        line(months, middle, width=3)
        | {"hovertext": [money(usd) for usd in middle], "hoverinfo": "x+text"},
    ]
    live = range_of(outcome.account.go_live_months, mean=False)["p50"]
    layout = layout_of(360, left=58, bottom=44, top=26)
    layout["xaxis"] = axis("month") | {"range": [0, horizon], "showgrid": False}
    layout["yaxis"] = money_axis(min(low), max(high))
    layout["shapes"] = [zero_line()]
    layout["annotations"] = [
        note("doing nothing", x=1, y=0, yref="y", xanchor="right", yanchor="bottom")
    ]
    if live:
        layout["shapes"].append(live_line(live))
        side = "left" if live < horizon / 2 else "right"
        text = f" goes live: month {live:.0f} "
        layout["annotations"].append(
            note(text, x=live, y=1, xref="x", xanchor=side, yanchor="bottom")
        )
    return Chart(
        figure={"data": data, "layout": layout},
        finding=_cash_finding(outcome, middle, low, high),
        columns=("After month", "1 in 10 below", "Median", "1 in 10 above"),
        rows=tuple(
            (str(m), money(low[m - 1]), money(middle[m - 1]), money(high[m - 1]))
            for m in _table_months(horizon)
        ),
    )


def _cash_finding(
    outcome: Outcome, middle: list[float], low: list[float], high: list[float]
) -> str:
    label = outcome.account.label
    deepest = int(np.argmin(middle))
    parts = [
        f"{label}: after {len(middle)} months {money(middle[-1])} at the median, "
        f"{money(low[-1])} to {money(high[-1])} in 8 of 10 cases"
    ]
    if middle[deepest] < 0:
        parts.append(f"the most ever out of pocket is {about(middle[deepest])}, ")
        parts[-1] += f"in month {deepest + 1}"
    if (back := _payback(outcome)) not in ("now", "–"):
        parts.append("it does not pay back" if back == "never" else f"it pays back after {back}")
    return "; ".join(parts) + "."


def _table_months(horizon: int) -> list[int]:
    step = 3 if horizon <= 24 else 6 if horizon <= 60 else 12
    return sorted({1, *range(step, horizon + 1, step), horizon})


def information_chart(comparison: Comparison, most: int = 6) -> Chart | None:
    """What it is worth to know an input before deciding; None if nothing is worth finding out."""
    worth = [(path, usd) for path, usd in comparison.evppi_usd.items() if usd > 0][:most]
    if not worth:
        return None
    labels = [capitalised(describe_input(Scenario, path)) for path, _ in worth]
    amounts = [usd for _, usd in worth]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": amounts,
        "y": list(range(len(labels))),
        "width": 0.2,
        "marker": {"color": [BLUE] + [SKY] * (len(labels) - 1)},
        "hoverinfo": "skip",
    }
    lines = [_in_two_lines(label) for label in labels]
    layout = row_layout(lines, [money(usd) for usd in amounts], top=16, row_pixels=66)
    layout["xaxis"] = hidden_axis() | {"range": [0, max(amounts)]}
    named = [f"{label}: {about(usd)}" for label, usd in zip(labels, amounts, strict=True)]
    return Chart(
        figure={"data": [bars], "layout": layout},
        finding=f"Worth of finding out before deciding: {'; '.join(named)}.",
        columns=("Input", "Worth up to", "In the scenario"),
        rows=tuple(
            (label, money(usd), path) for label, (path, usd) in zip(labels, worth, strict=True)
        ),
    )


def _in_two_lines(label: str) -> str:
    """The label in at most two lines that a phone is wide enough for."""
    return "\n".join(wrap(label, width=42, max_lines=2, placeholder=" …"))


def own_cost_chart(comparison: Comparison) -> Chart | None:
    """What each alternative itself costs, by category; what doing nothing has too is left out.

    None if no alternative has costs of its own.
    """
    return _cost_chart(comparison, WAY_COLOURS, lambda costs: costs, "The way itself")


def total_cost_chart(comparison: Comparison) -> Chart | None:
    """All costs: the requests that people still handle, errors, and the way itself."""
    colours = {"people handling requests": ORANGE, "errors": VERMILLION, "the way itself": BLUE}

    def grouped(costs: Mapping[str, float]) -> dict[str, float]:
        way = sum(usd for category, usd in costs.items() if category in WAY_COLOURS)
        return {**costs, "the way itself": way}

    return _cost_chart(comparison, colours, grouped, "Everything")


def _cost_chart(
    comparison: Comparison,
    colours: Mapping[str, str],
    grouped: Callable[[Mapping[str, float]], Mapping[str, float]],
    title: str,
) -> Chart | None:
    every = {o.account.label: grouped(category_sums(o.account)) for o in ordered(comparison)}
    sums = {label: sum(row.get(c, 0.0) for c in colours) for label, row in every.items()}
    labels = [label for label, total in sums.items() if total > 0]
    if not labels:
        return None
    totals, costs = [sums[label] for label in labels], [every[label] for label in labels]
    shown = [category for category in colours if any(row.get(category) for row in costs)]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": category,
            "x": [row.get(category, 0.0) for row in costs],
            "y": list(range(len(labels))),
            "width": 0.36,
            "marker": {"color": colours[category]},
            "hovertext": [
                f"{label}: {category} {money(row.get(category, 0.0))}"
                for label, row in zip(labels, costs, strict=True)
            ],
            "hoverinfo": "text",
        }
        for category in shown
    ]
    end = without_outlier(totals)
    amounts = [f"{money(t)}{' (bar cut)' if t > end else ''}" for t in totals]
    layout = legend_below(row_layout(labels, amounts), ceil(len(shown) / 2), axis_pixels=4)
    layout["barmode"] = "stack"
    layout["xaxis"] = hidden_axis() | {"range": [0, end]}
    named = [f"{label} {money(total)}" for label, total in zip(labels, totals, strict=True)]
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"{title}, mean cost in today's money: {'; '.join(named)}.",
        columns=("Alternative", *map(capitalised, shown), "Total"),
        rows=tuple(
            (label, *(money(row[c]) if row.get(c) else "–" for c in shown), money(total))
            for label, row, total in zip(labels, costs, totals, strict=True)
        ),
    )


def _months(sample: FloatArray) -> str:
    p50 = range_of(sample, mean=False)["p50"]
    if p50 is None:
        return "never"
    return "now" if p50 == 0 else "< 1 month" if p50 < 1 else f"{p50:.0f} months"


def _payback(outcome: Outcome) -> str:
    return _months(outcome.payback_months) if outcome.account.project else "–"


def _numbers(sample: FloatArray) -> dict[str, float]:
    return {name: value or 0.0 for name, value in range_of(sample).items()}


def _highlight(comparison: Comparison, outcomes: Iterable[Outcome]) -> list[str]:
    """The best in blue, whatever is too close to it in sky blue, the rest in grey."""
    best, close = comparison.verdict.alternative, comparison.verdict.contenders
    ids = [outcome.account.id for outcome in outcomes]
    return [BLUE if name == best else SKY if name in close else GREY for name in ids]
