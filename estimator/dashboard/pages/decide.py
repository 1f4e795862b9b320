"""The page "Decide": the answer in one sentence, how sure it is, and what would change it."""

import streamlit as st

from estimator.dashboard.changes import changes
from estimator.dashboard.declared import plain
from estimator.dashboard.downloads import downloads
from estimator.dashboard.results import alternatives, cash_flow, claimed, leads
from estimator.dashboard.session import Shown, current
from estimator.dashboard.views import (
    answer,
    aside,
    chart,
    finding_list,
    lead_picture,
    listing,
    prose,
    rows_chart,
    section,
    table,
)
from estimator.decision.wording import about, capitalised
from estimator.report.charts import Chart


def page(shown: Shown) -> None:
    """The whole page, the verdict first."""
    _verdict(shown)
    changes(shown)
    table("The same as a table", alternatives(shown.yaml))
    _cash_flow(shown)
    _doubts(shown)
    _costs(shown)
    _claims(shown)
    _downloads(shown)
    _notes(shown)


def _verdict(shown: Shown) -> None:
    scenario, verdict = shown.scenario, shown.decision.verdict
    for problem in shown.problems:
        st.error(plain(problem), icon=":material/error:")
    for notice in shown.wish.notices:
        st.warning(plain(notice), icon=":material/link_off:")
    found = shown.decision
    answer(
        f"{scenario.name} · {scenario.horizon_months} months",
        verdict.sentence,
        f"{verdict.confidence}. {verdict.next_step}",
        (
            (
                "chances",
                "How often each is the best",
                f"Out of {found.futures} simulated futures.",
                found.chances,
            ),
            (
                "values",
                "What each is worth against doing nothing",
                "Dot: expected value. Bar: 8 of 10 futures. Today's money.",
                found.values,
            ),
        ),
    )


def _cash_flow(shown: Shown) -> None:
    found = shown.decision
    section(
        "When the money comes back",
        "Cumulative cash against doing nothing, as it is paid (not discounted). "
        "Line: median. Band: 8 of 10 futures.",
    )
    names = [name for name in found.labels if name != "status_quo"]
    if not names:
        prose("Doing nothing is the only alternative compared.")
        return
    first = next(n for n in (found.verdict.alternative, found.verdict.runner_up) if n in names)
    chosen = st.selectbox(
        "Alternative",
        names,
        index=names.index(first),
        format_func=lambda name: found.labels[name],
        key=f"cash.{first}",
        label_visibility="collapsed",
    )
    drawn: Chart = cash_flow(shown.yaml, chosen)
    chart("cash", drawn)
    prose(drawn.finding)
    table("The same as a table", drawn)


def _doubts(shown: Shown) -> None:
    found = shown.decision
    left, right = st.columns(2, gap="large")
    with left:
        section("What would change the answer", "One input alone, all others as uncertain as now.")
        _flips(shown)
    with right:
        section(
            "What to find out first",
            "The most that knowing an input exactly, before deciding, would be worth.",
        )
        if found.information is None:
            prose("No single input is worth finding out first.")
        else:
            rows_chart("information", found.information)
            table("The same as a table", found.information)
        prose(f"Knowing everything would be worth {about(found.evpi_usd)}.")


def _flips(shown: Shown) -> None:
    verdict = shown.decision.verdict
    if not verdict.flips:
        prose("No single input within its range would.")
    pictures = leads(shown.yaml, tuple(flip.input for flip in verdict.flips))
    for flip, sentence in zip(verdict.flips, verdict.flip_sentences, strict=True):
        prose(sentence)
        if flip.input in pictures:
            lead_picture(*pictures[flip.input])


def _costs(shown: Shown) -> None:
    found = shown.decision
    section("Where the money goes", "Mean cost over the horizon, in today's money.")
    views = {
        "The way itself": found.own_costs,
        "All costs": found.total_costs,
    }
    chosen = st.segmented_control(
        "Costs shown", list(views), default=next(iter(views)), label_visibility="collapsed"
    )
    drawn = views[chosen or next(iter(views))]
    if drawn is None:
        prose("Nothing compared here costs anything.")
        return
    chart("costs", drawn)
    table("The same as a table", drawn)


def _claims(shown: Shown) -> None:
    section(
        "What fine-tuning would really cost you",
        "What is claimed for and against it, with this scenario's numbers and published evidence.",
    )
    if st.toggle("Show the claims", key="claims"):
        listing(claimed(shown.yaml))


def _downloads(shown: Shown) -> None:
    section("Take it away", "The report, and a workbook whose formulas finance can follow.")
    downloads(shown)


def _notes(shown: Shown) -> None:
    if shown.decision.notes:
        with st.expander("To know"):
            finding_list(map(capitalised, shown.decision.notes))
    aside(shown.decision.footer)


page(current())
