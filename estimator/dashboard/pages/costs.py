"""The page "Costs": where the money of each alternative goes, step by step and month by month."""

import streamlit as st

from estimator.dashboard.choices import alternative
from estimator.dashboard.results import cash_flow, costs
from estimator.dashboard.session import Shown, current
from estimator.dashboard.views import aside, chart, prose, section, table, verdict_line
from estimator.scenario import AlternativeId

NOTHING = "Doing nothing is the only alternative compared; pick others in the sidebar."


def page(shown: Shown) -> None:
    """One alternative in detail, then all of them side by side."""
    verdict_line(shown.decision.verdict.sentence)
    chosen = alternative(shown, "costs")
    if chosen is None:
        prose(NOTHING)
    else:
        _one(shown, chosen)
    _all(shown)
    aside(shown.decision.footer)


def _one(shown: Shown, chosen: AlternativeId) -> None:
    steps, months = costs(shown.yaml, chosen)
    left, right = st.columns(2, gap="large")
    with left:
        section(
            "From doing nothing, step by step",
            "Mean present value over the horizon. Green saves, red adds.",
        )
        chart("waterfall", steps)
        table("The same as a table", steps)
    with right:
        section("What it costs by month", "The way itself, as it is paid; mean of all futures.")
        if months is None:
            prose("It costs nothing of its own.")
        else:
            chart("monthly", months)
            table("The same as a table", months)
        section("When the money comes back", "Cumulative cash against doing nothing.")
        cash = cash_flow(shown.yaml, chosen)
        chart("cash", cash)
        table("The same as a table", cash)


def _all(shown: Shown) -> None:
    found = shown.decision
    for title, drawn in (("The way itself", found.own_costs), ("All costs", found.total_costs)):
        if drawn is not None:
            section(f"{title}, side by side", "Mean over the horizon, in today's money.")
            chart(title, drawn)
            table("The same as a table", drawn)


page(current())
