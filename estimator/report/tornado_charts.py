"""Charts of what moves an outcome: tornadoes of worth and lead, and what separates who wins."""

from collections.abc import Mapping, Sequence

from estimator.alternatives.account import LABELS
from estimator.decision.evaluate import cause_of, knowable, model_of
from estimator.decision.one_at_a_time import tornado_at_medians
from estimator.decision.sensitivity import Bar, Separation, decision_sensitivity, tornado
from estimator.decision.simulate import Comparison
from estimator.decision.wording import SHARE_UNITS, capitalised, money, percent, value_with_unit
from estimator.report.charts import Chart
from estimator.report.figures import (
    BLUE,
    GREY,
    ORANGE,
    Figure,
    hidden_axis,
    money_axis,
    row_layout,
    track,
)
from estimator.report.risk_charts import BAR, ROW_PIXELS, ROWS, cut, second_line
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.inputs import describe_input

UNSAID = ("", "1", "count", "factor", "score", "ratio")  # units that say nothing in a label


def worth_tornado(
    comparison: Comparison, alternative: AlternativeId, *, at_medians: bool
) -> Chart | None:
    """What moves the expected worth of an alternative against doing nothing.

    `at_medians`: the textbook's tornado, all other inputs at their medians; else the conditional
    means of the simulated futures, all others as uncertain as they are.
    """
    worth = comparison.outcomes[alternative].npv_usd
    what = f"the worth of {LABELS[alternative]}"
    if not at_medians:
        bars = tornado(worth, knowable(comparison.draws))
        return tornado_chart(comparison.scenario, bars, float(worth.mean()), what)
    scenario = comparison.scenario
    found = tornado_at_medians(scenario, model_of(scenario, (alternative,)))[alternative]
    return tornado_chart(scenario, found, _unmoved(found), what)


def lead_tornado(
    comparison: Comparison, first: AlternativeId, second: AlternativeId, *, at_medians: bool
) -> Chart | None:
    """What moves the lead in expected worth of one alternative over another."""
    scenario = comparison.scenario
    what = f"the lead of {LABELS[first]} over {LABELS[second]}"
    if not at_medians:
        lead = comparison.outcomes[first].npv_usd - comparison.outcomes[second].npv_usd
        bars = tornado(lead, knowable(comparison.draws))
        return tornado_chart(scenario, bars, float(lead.mean()), what)
    found = tornado_at_medians(scenario, model_of(scenario, (first, second)))
    others = {bar.input: bar for bar in found[second]}
    leads = [_lead(bar, others[bar.input]) for bar in found[first]]
    ranked = sorted(leads, key=lambda bar: (-bar.swing, bar.input))
    return tornado_chart(scenario, ranked, _unmoved(ranked), what)


def _lead(first: Bar, second: Bar) -> Bar:
    return Bar(
        input=first.input,
        low_value=first.low_value,
        high_value=first.high_value,
        payoff_at_low=first.payoff_at_low - second.payoff_at_low,
        payoff_at_high=first.payoff_at_high - second.payoff_at_high,
    )


def _unmoved(bars: Sequence[Bar]) -> float:
    """The amount with every input at its median: where a bar that moves nothing stands."""
    return min(bars, key=lambda bar: bar.swing).payoff_at_low if bars else 0.0


def lead_separation(
    comparison: Comparison, first: AlternativeId, second: AlternativeId
) -> Chart | None:
    """Which inputs differ most between the futures in which the first is better and the others."""
    lead = comparison.outcomes[first].npv_usd - comparison.outcomes[second].npv_usd
    found = decision_sensitivity(lead > 0, knowable(comparison.draws))
    return separation_chart(comparison.scenario, found, LABELS[first])


def tornado_chart(
    scenario: Scenario, bars: Sequence[Bar], middle: float, what: str
) -> Chart | None:
    """How an amount moves with each input alone, the longest bar first; None if nothing moves it.

    `middle`: the amount when no input is set; `what`: its name in a sentence.
    """
    shown = [bar for bar in bars if bar.swing >= 1.0][:ROWS]
    if not shown:
        return None
    units = units_of(scenario)
    spans = [pair(b.low_value, "to", b.high_value, units.get(b.input)) for b in shown]
    names = [capitalised(describe_input(Scenario, bar.input)) for bar in shown]
    amounts = [f"{money(b.payoff_at_low)} to {money(b.payoff_at_high)}" for b in shown]
    labels = [f"{cut(name)}\n{span}" for name, span in zip(names, spans, strict=True)]
    layout = row_layout(
        labels, second_line(labels, amounts), bottom=30, top=18, row_pixels=ROW_PIXELS
    )
    ends = [x for bar in shown for x in (bar.payoff_at_low, bar.payoff_at_high, middle)]
    layout["xaxis"] = money_axis(min(ends), max(ends))
    layout["barmode"] = "overlay"
    layout["shapes"] = [_upright(middle, row) for row in range(len(shown))]
    first = shown[0]
    return Chart(
        figure={
            "data": [
                _half(shown, middle, [b.payoff_at_low for b in shown], ORANGE),
                _half(shown, middle, [b.payoff_at_high for b in shown], BLUE),
            ],
            "layout": layout,
        },
        finding=f"{capitalised(what)} is {money(middle)}; {names[0].lower()} moves it most, from "
        f"{money(first.payoff_at_low)} at {_value(first.low_value, units.get(first.input))} to "
        f"{money(first.payoff_at_high)} at {_value(first.high_value, units.get(first.input))}.",
        columns=("Input", "From", "To", "Then", "Path"),
        rows=tuple(
            (
                name,
                _value(bar.low_value, units.get(bar.input)),
                _value(bar.high_value, units.get(bar.input)),
                amount,
                bar.input,
            )
            for name, bar, amount in zip(names, shown, amounts, strict=True)
        ),
    )


def _half(bars: Sequence[Bar], middle: float, ends: Sequence[float], colour: str) -> Figure:
    """From the middle to one end of each bar."""
    return {
        "type": "bar",
        "orientation": "h",
        "base": middle,
        "x": [end - middle for end in ends],
        "y": list(range(len(bars))),
        "width": BAR,
        "marker": {"color": colour},
        "hoverinfo": "skip",
    }


def _upright(x: float, row: int) -> Figure:
    where = {"xref": "x", "x0": x, "x1": x, "yref": "y", "y0": row - 0.16, "y1": row + 0.3}
    return {"type": "line", "line": {"color": GREY, "width": 2}, **where}


def pair(low: float, word: str, high: float, unit: str | None) -> str:
    """Two values in few letters, their unit once and without what it is counted by."""
    what, bare = (unit or "").partition("/")[0], bare_unit(unit)
    counted = "" if bare or what in UNSAID else f" {what}"
    return f"{_value(low, bare)} {word} {_value(high, bare)}{counted}"


def bare_unit(unit: str | None) -> str | None:
    """What stands beside every number: dollars and per cents; other units are said once."""
    what = (unit or "").partition("/")[0]
    return what if what in ("USD", *SHARE_UNITS) else None


def separation_chart(scenario: Scenario, found: Sequence[Separation], winner: str) -> Chart | None:
    """Which inputs differ most between the futures that the winner wins and the others.

    None if no input differs by more than chance would.
    """
    shown = [one for one in found if one.distance > one.noise][:ROWS]
    if not shown:
        return None
    units = units_of(scenario)
    names = [capitalised(describe_input(Scenario, one.input)) for one in shown]
    where = [
        pair(one.typical_when_winning, "against", one.typical_when_losing, units.get(one.input))
        for one in shown
    ]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [one.distance for one in shown],
        "y": list(range(len(shown))),
        "width": BAR,
        "marker": {"color": BLUE},
        "hoverinfo": "skip",
    }
    labels = [f"{cut(name)}\n{text}" for name, text in zip(names, where, strict=True)]
    distances = [percent(one.distance) for one in shown]
    layout = row_layout(labels, second_line(labels, distances), top=18, row_pixels=ROW_PIXELS)
    layout["xaxis"] = hidden_axis() | {"range": [0, 1]}
    layout["shapes"] = [_thin_track(row) for row in range(len(shown))]
    first = f"{names[0].lower()}, {where[0]} at the median"
    return Chart(
        figure={"data": [bars], "layout": layout},
        finding=f"What separates the futures in which {winner} wins from the others: "
        f"most of all {first}.",
        columns=("Input", "How far apart", "Median where it wins", "Where not", "AUC"),
        rows=tuple(
            (
                name,
                distance,
                _value(one.typical_when_winning, units.get(one.input)),
                _value(one.typical_when_losing, units.get(one.input)),
                f"{one.auc:.2f}",
            )
            for name, distance, one in zip(names, distances, shown, strict=True)
        ),
    )


def _thin_track(row: int) -> Figure:
    return track(row) | {"y0": row - BAR / 2, "y1": row + BAR / 2}


def units_of(scenario: Scenario) -> Mapping[str, str | None]:
    """The unit of every input, by path and by cause."""
    units: dict[str, str | None] = {}
    for path, quantity in scenario.inputs().items():
        units[path] = quantity.unit
        units.setdefault(cause_of(path), quantity.unit)
    return units


def _value(x: float, unit: str | None) -> str:
    return value_with_unit(x, unit)
