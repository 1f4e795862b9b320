"""The charts of a comparison by name: those of the report, and the same as plotly figures."""

from typing import TYPE_CHECKING

from estimator.decision.currency import shown_in
from estimator.decision.simulate import Comparison
from estimator.report.charts import (
    Chart,
    cash_flow_chart,
    chance_chart,
    information_chart,
    own_cost_chart,
    total_cost_chart,
    value_chart,
)
from estimator.scenario import AlternativeId

if TYPE_CHECKING:
    import plotly.graph_objects as go

TEMPLATE = "plotly_white"


def figures(comparison: Comparison) -> "dict[str, go.Figure]":
    """The charts of the HTML report as plotly figures by name, to show, change or save.

    "chance", "value", "cash_flow" (of the best alternative), "information", "own_cost" and
    "total_cost"; one that would be empty is left out. What a figure shows stands in words in its
    `layout.meta`.
    """
    import plotly.graph_objects as go  # not needed by any command

    with shown_in(comparison.scenario.currency):
        drawn = charts_of(comparison)
    return {
        name: go.Figure(chart.figure).update_layout(template=TEMPLATE, meta=chart.finding)
        for name, chart in drawn.items()
    }


def charts_of(comparison: Comparison) -> dict[str, Chart]:
    """Every chart of a comparison that has something to show, in the order of the report."""
    drawn: dict[str, Chart | None] = {
        "chance": chance_chart(comparison),
        "value": value_chart(comparison),
    }
    verdict = comparison.verdict
    if verdict.alternative != "status_quo":
        best: AlternativeId = comparison.outcomes[verdict.alternative].account.id  # type: ignore[index]
        drawn["cash_flow"] = cash_flow_chart(comparison, best)
    drawn["information"] = information_chart(comparison)
    drawn["own_cost"] = own_cost_chart(comparison)
    drawn["total_cost"] = total_cost_chart(comparison)
    return {name: chart for name, chart in drawn.items() if chart is not None}
