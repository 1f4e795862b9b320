"""The page "Team and timeline": when it could be live, what decides that, who works on it."""

import streamlit as st

from estimator.dashboard.choices import alternative
from estimator.dashboard.results import project
from estimator.dashboard.session import Shown, current
from estimator.dashboard.views import (
    aside,
    chart,
    figures,
    prose,
    section,
    table,
    verdict_line,
)
from estimator.report.project_charts import STAGE_COLUMNS


def page(shown: Shown) -> None:
    """The project of one alternative: dates, what decides them, people."""
    verdict_line(shown.decision.verdict.sentence)
    chosen = alternative(shown, "team")
    if chosen is None:
        prose("Doing nothing takes no project; pick other alternatives in the sidebar.")
        return
    found = project(shown.yaml, chosen)
    if found.gantt is None or found.people is None:
        prose("This alternative has no project.")
        return
    prose(found.gantt.finding)
    left, right = st.columns([3, 2], gap="large")
    with left:
        section(
            "When each activity runs",
            "Thick: to its median end. Thin: to the end in 4 of 5 futures. Red: decides the date "
            "in at least half of the futures.",
        )
        chart("gantt", found.gantt)
        table("The same as a table", found.gantt)
    with right:
        section("Who works on it", "Full-time people by month, mean of all futures.")
        chart("people", found.people)
        table("The same as a table", found.people)
    section("Stage by stage", "Months from the start; person-days and cost at the median.")
    figures(STAGE_COLUMNS, found.stages)
    aside(shown.decision.footer)


page(current())
