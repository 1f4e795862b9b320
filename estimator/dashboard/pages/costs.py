"""The page "Costs": where the money of each alternative goes, step by step and month by month."""

import streamlit as st

from estimator.dashboard.buying import ALL_HOURS, Use, bought_or_rented, sold_and_rented
from estimator.dashboard.choices import alternative
from estimator.dashboard.results import cash_flow, costs
from estimator.dashboard.session import Shown, current
from estimator.dashboard.views import (
    aside,
    chart,
    finding_list,
    prose,
    section,
    table,
    verdict_line,
)
from estimator.scenario import AlternativeId

KEPT = "session"  # what is asked here survives a look at another page
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
    _buy_or_rent(shown)
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


def _buy_or_rent(shown: Shown) -> None:
    section(
        "Buy or rent GPUs",
        "Level cost per month of GPUs of your own, and of rented ones, by how much they are used.",
    )
    known = sold_and_rented()
    wanted = shown.scenario.training.gpu
    left, *others = st.columns([2, 1, 2, 1])
    gpu = left.selectbox(
        "GPU",
        known,
        index=known.index(wanted) if wanted in known else 0,
        key=f"buying.gpu.{wanted}",
        help="Those of which both a purchase price and an offer to rent are known.",
    )
    gpus = others[0].number_input("How many", 1, 10_000, 8, key="buying.gpus", persist_state=KEPT)
    hours = others[1].slider(
        "Hours in use each month",
        0,
        ALL_HOURS,
        200,
        step=10,
        key="buying.hours",
        persist_state=KEPT,
        help="Hours in which all of them would be at work, training and serving together.",
    )
    years = others[2].number_input(
        "Years", 1, 10, 3, key="buying.years", persist_state=KEPT, help="How long you need them."
    )
    drawn, more = bought_or_rented(
        Use(
            gpu=gpu,
            gpus=int(gpus),
            hours_per_month=float(hours),
            years=float(years),
            discount_rate_per_year=shown.scenario.discount_rate_per_year,
            currency=shown.scenario.currency,
        )
    )
    prose(drawn.finding)
    chart("buying", drawn)
    table("The same as a table", drawn)
    finding_list(more)


page(current())
