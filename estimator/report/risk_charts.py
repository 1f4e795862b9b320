"""Charts of risk: how far outcomes spread, what moves them, what decides, what is worth knowing."""

from collections.abc import Sequence
from textwrap import wrap

import numpy as np

from estimator.decision.choose import cvar
from estimator.decision.indices import REST, Index
from estimator.decision.simulate import Comparison, Outcome
from estimator.decision.wording import capitalised, money, percent
from estimator.decision.worth import StudyWorth, Worth
from estimator.quantity import FloatArray
from estimator.report.charts import Chart
from estimator.report.figures import (
    BLUE,
    FAINT,
    ORANGE,
    SKY,
    VERMILLION,
    Figure,
    hidden_axis,
    money_axis,
    note,
    row_layout,
    without_outlier,
    zero_marks,
)
from estimator.report.text import ordered
from estimator.report.worth import sentence as worth_sentence
from estimator.scenario import Scenario
from estimator.scenario.inputs import describe_input

BINS = 60
ROWS = 8
PHONE_COLUMNS = 44
ROW_PIXELS = 92  # two lines of label, one of figures, and a thin bar
BAR = 0.16  # of a row
TAIL = 0.01  # of the futures, left out at either end of the scale


def distribution_chart(comparison: Comparison) -> Chart | None:
    """How the worth of each alternative against doing nothing is spread, all on one scale.

    Histograms of 60 bins; None if doing nothing is the only alternative.
    """
    outcomes = [o for o in ordered(comparison) if o.account.id != "status_quo"]
    if not outcomes:
        return None
    edges = np.linspace(*_spread_of_all(outcomes), BINS + 1)
    shares = [np.histogram(o.npv_usd, edges)[0] / o.npv_usd.size for o in outcomes]
    losses = [float((o.npv_usd < 0).mean()) for o in outcomes]
    labels = [o.account.label for o in outcomes]
    layout = row_layout(
        labels, [f"a loss in {percent(loss)}" for loss in losses], top=26, bottom=30, row_pixels=82
    )
    layout["xaxis"] = money_axis(float(edges[0]), float(edges[-1]))
    layout["shapes"] = zero_marks(len(labels))
    layout["annotations"].append(note("doing nothing", x=0, y=1, yanchor="bottom", xref="x"))
    layout["bargap"] = 0
    rows = tuple(_spread_row(o, loss) for o, loss in zip(outcomes, losses, strict=True))
    told = [f"{label}: a loss in {percent(x)}" for label, x in zip(labels, losses, strict=True)]
    return Chart(
        figure={"data": [_histograms(edges, shares)], "layout": layout},
        finding=f"Spread of the worth against doing nothing. {'; '.join(told)}.",
        columns=(
            "Alternative",
            "Loses in",
            "Worst tenth",
            "1 in 10 below",
            "Median",
            "1 in 10 above",
        ),
        rows=rows,
    )


def _spread_of_all(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Both ends of the scale: 98 in 100 futures of every alternative but one that dwarfs all."""
    ends = [np.quantile(o.npv_usd, [TAIL, 1 - TAIL]) for o in outcomes]
    low = -without_outlier([max(0.0, -float(a)) for a, _ in ends])
    high = without_outlier([max(0.0, float(b)) for _, b in ends])
    room = 0.1 * (high - low) or 1.0
    return min(low, -room), max(high, room)


def _histograms(edges: FloatArray, shares: Sequence[FloatArray]) -> Figure:
    """One row of upright bars for each alternative, orange below zero; the fullest is 0.5 high."""
    middles = (edges[:-1] + edges[1:]) / 2
    tallest = max(float(share.max()) for share in shares) or 1.0
    colours = [ORANGE if x < 0 else BLUE for x in middles]
    return {
        "type": "bar",
        "x": np.tile(middles, len(shares)).tolist(),
        "base": np.repeat(np.arange(len(shares)) + 0.42, middles.size).tolist(),
        "y": (-0.5 * np.concatenate(shares) / tallest).tolist(),
        "width": float(edges[1] - edges[0]),
        "marker": {"color": colours * len(shares), "line": {"width": 0}},
        "hoverinfo": "skip",
    }


def _spread_row(outcome: Outcome, loss: float) -> tuple[str, ...]:
    worth = outcome.npv_usd
    quantiles = (money(float(q)) for q in np.quantile(worth, [0.1, 0.5, 0.9]))
    return (outcome.account.label, percent(loss), money(cvar(worth)), *quantiles)


def study_chart(worth: Worth) -> Chart | None:
    """What each way to find something out is worth, and what it costs; None if none helps."""
    helpful = [one for one in worth.studies if one.evsi_usd >= 1.0][:ROWS]
    if not helpful:
        return None
    rows = list(range(len(helpful)))
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [one.evsi_usd for one in helpful],
        "y": rows,
        "width": BAR,
        "marker": {"color": [BLUE if one.enbs_usd > 0 else SKY for one in helpful]},
        "hoverinfo": "skip",
    }
    costs = {
        "type": "scatter",
        "mode": "markers",
        "x": [one.cost_usd for one in helpful],
        "y": rows,
        "marker": {"color": VERMILLION, "symbol": "diamond", "size": 12},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }
    labels = [
        f"{cut(study_name(one))}\nworth {money(one.evsi_usd)}, costs {money(one.cost_usd)}"
        for one in helpful
    ]
    nets = second_line(labels, [f"net {money(one.enbs_usd)}" for one in helpful])
    layout = row_layout(labels, nets, top=18, row_pixels=ROW_PIXELS)
    end = max(max(one.evsi_usd, one.cost_usd) for one in helpful)
    layout["xaxis"] = hidden_axis() | {"range": [0, 1.03 * end]}
    return Chart(
        figure={"data": [bars, costs], "layout": layout},
        finding=worth_sentence(worth),
        columns=("Way to find out", "Worth", "Costs", "Net", "Days", "Waiting", "Finds"),
        rows=tuple(_study_row(one) for one in helpful),
    )


def study_name(one: StudyWorth) -> str:
    """A study with its size, such as "Pilot of RAG, 500 requests"."""
    return one.study.name + (f", {one.size:,} requests" if one.size else "")


def _study_row(one: StudyWorth) -> tuple[str, ...]:
    amounts = (money(one.evsi_usd), money(one.cost_usd), money(one.enbs_usd))
    waiting = (f"{one.study.wait_days:.0f}", money(one.delay_usd))
    return (study_name(one), *amounts, *waiting, one.study.finds)


def index_chart(indices: Sequence[Index]) -> Chart | None:
    """How much of the spread goes with each group of inputs, alone and with what acts together."""
    shown = [index for index in indices if index.total > 0][:ROWS]
    if not shown:
        return None
    names = [group_name(index) for index in shown]
    rows = list(range(len(shown)))
    both = [(FAINT, [i.total for i in shown]), (BLUE, [max(i.first_order, 0.0) for i in shown])]
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "x": shares,
            "y": rows,
            "width": BAR,
            "marker": {"color": colour},
            "hoverinfo": "skip",
        }
        for colour, shares in both
    ]
    shares = [f"{percent(i.first_order)} to {percent(i.total)}" for i in shown]
    layout = row_layout([cut(name) for name in names], shares, top=18, row_pixels=72)
    layout["xaxis"] = hidden_axis() | {"range": [0, max(1.0, *(i.total for i in shown))]}
    layout["barmode"] = "overlay"
    told = [f"{name}: {share}" for name, share in zip(names, shares, strict=True)]
    return Chart(
        figure={"data": data, "layout": layout},
        finding=f"Share of the spread, alone and with all that acts together: {'; '.join(told)}.",
        columns=("Inputs", "Alone", "±", "With interactions", "±", "Paths"),
        rows=tuple(
            (
                name,
                percent(i.first_order),
                percent(i.first_order_error),
                percent(i.total),
                percent(i.total_error),
                ", ".join(i.inputs),
            )
            for name, i in zip(names, shown, strict=True)
        ),
    )


def group_name(index: Index) -> str:
    """A group of inputs in words: its first one, and how many are correlated with it."""
    if index.inputs == (REST,):
        return capitalised(REST)
    first, *others = index.inputs
    more = f" and {len(others)} that go with it" if others else ""
    return capitalised(describe_input(Scenario, first)) + more


def cut(label: str) -> str:
    """The label in at most two lines that a phone is wide enough for; the table has all of it."""
    return "\n".join(wrap(label, width=PHONE_COLUMNS, max_lines=2, placeholder=" …"))


def second_line(labels: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Texts for the right-hand side, each level with the last line of its label."""
    return ["\n" * label.count("\n") + text for label, text in zip(labels, texts, strict=True)]
