"""The page "Serving": what serving the model costs, on which GPUs, and beside hosted ways."""

from dataclasses import replace
from typing import Any

import streamlit as st

from estimator.dashboard.declared import docstring, plain
from estimator.dashboard.serving import Load, Served, served, weight_formats
from estimator.dashboard.session import Shown, current
from estimator.dashboard.starts import MODEL_HELP, starts_at
from estimator.dashboard.views import (
    aside,
    chart,
    figures,
    finding_list,
    prose,
    section,
    table,
    text,
    verdict_line,
)
from estimator.errors import EstimatorError, InputError
from estimator.llm.catalogue import catalogue
from estimator.report.serving_charts import OPTION_COLUMNS, RIVAL_COLUMNS
from estimator.scenario.served import serving_need
from estimator.serving.need import ServingNeed
from pricing.offers import TIERS

KEPT = "session"  # inputs of this page survive a look at another


def page(shown: Shown) -> None:
    """The answer on top, what it rests on under it, then the details."""
    verdict_line(shown.decision.verdict.sentence)
    answer = st.container()
    try:
        load = _asked(shown)
        if not load.tiers:
            raise InputError("Pick at least one kind of price.")
        with answer, st.spinner("Trying every offer"):
            found = served(load)
        with answer:
            _answer(found)
        _details(found)
    except EstimatorError as error:
        answer.error(plain(str(error)), icon=":material/error:")
    aside(shown.decision.footer)


def _answer(found: Served) -> None:
    st.html(f'<h1 class="verdict">{text(found.sentence)}</h1>')
    if found.way_out:
        st.warning(plain(found.way_out), icon=":material/alt_route:")
    else:
        prose(found.sureness)


def _asked(shown: Shown) -> Load:
    """What the page's widgets ask for; they start at the scenario's medians."""
    scenario = shown.scenario
    start = serving_need(scenario)
    section("What to serve, how fast", "Starts at the medians of the scenario in the sidebar.")
    with st.container(border=True):
        left, middle, right = st.columns(3, gap="medium")
        with left:
            need = _requests(start)
        with middle:
            need = _limits(need)
        with right:
            model = st.selectbox(
                "Model",
                list(dict.fromkeys((scenario.model, *catalogue()))),
                key=starts_at("serving.model", scenario.model),
                persist_state=KEPT,
                accept_new_options=True,
                help=MODEL_HELP,
            )
            weights = st.segmented_control(
                "Weights stored in",
                list(weight_formats()),
                required=True,
                key=starts_at("serving.weights", scenario.serving.precision),
                persist_state=KEPT,
                help=plain(
                    f"{docstring('serving.precision')} Fewer bits need less memory and are read "
                    "faster; whether answers stay as good must be tried."
                ),
            )
            tiers = st.pills(
                "Kinds of price",
                list(TIERS),
                selection_mode="multi",
                default=["on_demand"],
                format_func=lambda name: name.replace("_", " "),
                wrap=True,
                key="serving.tiers",
                persist_state=KEPT,
                help="Spot machines may be taken away while they serve.",
            )
    api = (scenario.api.provider, scenario.api.model)
    return Load(
        model=model,
        weights=weights,
        need=need,
        tiers=tuple(tiers),
        api=api,
        currency=scenario.currency,
    )


def _requests(start: ServingNeed) -> ServingNeed:
    requests = _number(
        "Requests a month",
        "requests",
        start.requests_per_month,
        1000.0,
        "Those within the assistant's scope.",
    )
    tokens_in = _number(
        "Tokens in, for each",
        "input",
        start.input_tokens,
        50.0,
        "The request with its history, and the instructions of a tuned model; retrieved text "
        "comes on top where you use it.",
    )
    tokens_out = _number(
        "Tokens out, for each",
        "output",
        start.output_tokens,
        50.0,
        docstring("demand.output_tokens_per_request"),
    )
    return replace(
        start, requests_per_month=requests, input_tokens=tokens_in, output_tokens=tokens_out
    )


def _number(name: str, key: str, value: float, step: float, help_text: str) -> float:
    found: float = st.number_input(
        name,
        1.0,
        1e10,
        step=step,
        format="%.0f",
        key=starts_at(f"serving.{key}", float(round(value))),
        persist_state=KEPT,
        help=plain(help_text),
    )
    return found


def _limits(need: ServingNeed) -> ServingNeed:
    first = _seconds("Time to the first token (s)", "ttft", need.ttft_seconds, "TTFT")
    further = _seconds("Time per further token (s)", "tpot", need.tpot_seconds, "TPOT")
    spares = st.number_input(
        "Spare replicas",
        0,
        100,
        key=starts_at("serving.spares", need.redundancy),
        persist_state=KEPT,
        help=plain(docstring("serving.spare_replicas")),
    )
    follow = st.toggle(
        "Replicas follow the day",
        key="serving.autoscale",
        persist_state=KEPT,
        help="Otherwise as many as the busiest hour needs run all day.",
    )
    return replace(
        need, ttft_seconds=first, tpot_seconds=further, redundancy=spares, autoscale=follow
    )


def _seconds(name: str, key: str, value: float, short: str) -> Any:
    return st.number_input(
        name,
        0.001,
        3600.0,
        step=0.05,
        format="%g",
        key=starts_at(f"serving.{key}", value),
        persist_state=KEPT,
        help=f"{plain(docstring(f'serving.{key}_seconds'))} Known as {short}.",
    )


def _details(found: Served) -> None:
    if found.options:
        section("Offers, cheapest first", "Rented GPUs that serve the load within the limits.")
        figures(OPTION_COLUMNS, found.options)
    left, right = st.columns(2, gap="large")
    if found.volume is not None:
        with left:
            section(
                "Cost of a request as volume grows",
                "Blue: the cheapest offer above, in steps of whole replicas. Level: prices by the "
                "token. Dotted: from here on your own is cheaper.",
            )
            chart("volume", found.volume)
            prose(found.volume.finding)
            table("The same as a table", found.volume)
    if found.day is not None:
        with right:
            section("A day of the fleet", "The cheapest offer above, hour by hour.")
            chart("day", found.day)
            prose(found.day.finding)
            table("The same as a table", found.day)
    _others(found)


def _others(found: Served) -> None:
    section(
        "Beside it, hosted by others",
        "The same requests at their prices; tuned models are those that the provider tunes.",
    )
    figures(RIVAL_COLUMNS, found.rivals)
    with st.expander("All of them"):
        figures(RIVAL_COLUMNS, found.all_rivals)
    if found.refused:
        section("Why not another offer?", "Offers that cannot serve the load, by reason.")
        figures(("Reason", "Offers"), found.refused)
    with st.expander("To know"):
        finding_list(found.notes)


page(current())
