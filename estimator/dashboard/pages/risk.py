"""The page "Risk": how far outcomes spread, what moves them, and what is worth finding out."""

import streamlit as st

from estimator.dashboard.declared import label, plain
from estimator.dashboard.risk import (
    Pair,
    Risk,
    best_two,
    crossing,
    lead_name,
    movers,
    risk,
    studies,
    together,
)
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
from estimator.errors import EstimatorError
from estimator.report.charts import Chart
from estimator.scenario import AlternativeId

FIRST_INPUT = "demand.requests_per_month"
FREE, FIXED = "as uncertain as they are", "at their medians"
KEPT = "session"  # what is asked here survives a look at another page
NOTHING = "Doing nothing is the only alternative compared; pick others in the sidebar."
NO_MOVER = "No input moves it."


def page(shown: Shown) -> None:
    """Spread first, then its causes, then what could be done about them."""
    verdict_line(shown.decision.verdict.sentence)
    verdict = shown.decision.verdict
    pair = best_two(shown.decision.labels, verdict.alternative, verdict.runner_up)
    found = risk(shown.yaml, pair)
    if pair is None or found.spread is None:
        prose(NOTHING)
        return
    left, right = st.columns(2, gap="large")
    with left:
        _spread(found.spread)
    with right:
        _movers(shown, pair)
    left, right = st.columns(2, gap="large")
    with left:
        _separation(found, pair)
        _together(shown, pair)
    with right:
        _worth_knowing(shown, found)
    _break_even(shown, pair)
    aside(shown.decision.footer)


def _spread(drawn: Chart) -> None:
    section(
        "How far outcomes spread",
        "Each against doing nothing, in today's money; a bar is the share of futures that end "
        "there. Orange: a loss. The outermost 1 in 100 are left out.",
    )
    chart("spread", drawn)
    table("The same as a table", drawn)


def _movers(shown: Shown, pair: Pair) -> None:
    section(
        "What moves it",
        "One input at a time from its low end (orange) to its high end (blue): 8 of 10 cases lie "
        "between. Grey line: as expected.",
    )
    labels = shown.decision.labels
    choices: list[AlternativeId | Pair] = [pair, *(n for n in labels if n != "status_quo")]
    of = st.selectbox(
        "Of what",
        choices,
        format_func=lambda it: lead_name(it) if isinstance(it, tuple) else f"Worth of {labels[it]}",
        key=f"risk.of.{'.'.join(pair)}",
        label_visibility="collapsed",
    )
    others = st.segmented_control(
        "All other inputs",
        [FREE, FIXED],
        default=FREE,
        required=True,
        key="risk.others",
        persist_state=KEPT,
        help="As uncertain as they are: the expected amount among the simulated futures in which "
        "the input has that value. At their medians: the textbook's tornado, which misses what "
        "comes from skewed inputs and from inputs that act together.",
    )
    try:
        drawn = movers(shown.yaml, of, others == FIXED)
    except EstimatorError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    if drawn is None:
        prose(NO_MOVER)
        return
    chart("movers", drawn)
    table("The same as a table", drawn)


def _separation(found: Risk, pair: Pair) -> None:
    first, _ = lead_name(pair).removeprefix("Lead of ").split(" over ")
    section(
        "What decides",
        f"Inputs that differ most between the futures that {first} wins and the others; under each "
        "its median in both (of an event, how often it happens). 0 %: alike; 100 %: never alike.",
    )
    if found.separation is None:
        prose("No input tells them apart: one side all but always wins, or chance alone decides.")
        return
    chart("separation", found.separation)
    table("The same as a table", found.separation)


def _together(shown: Shown, pair: Pair) -> None:
    section(
        "What inputs do together",
        "Share of the lead's spread that goes with each input alone (blue), and with what it does "
        "together with others (grey). Correlated inputs count as one.",
    )
    if "staged" in pair:
        prose("A pilot decides by all futures together, so that this cannot be said of it.")
        return
    if not st.toggle("Work it out (seconds)", key="risk.together", persist_state=KEPT):
        return
    with st.spinner("Running the model on tens of thousands of points"):
        drawn = together(shown.yaml, pair)
    if drawn is None:
        prose(NO_MOVER)
        return
    chart("together", drawn)
    table("The same as a table", drawn)


def _worth_knowing(shown: Shown, found: Risk) -> None:
    section(
        "What each input is worth knowing",
        "The most that knowing it exactly, before deciding, could be worth.",
    )
    if found.information is None:
        prose("No single input is worth finding out: none could change the answer by itself.")
    else:
        chart("information", found.information)
        table("The same as a table", found.information)
    section(
        "Which study pays",
        "Pilots, benchmarks and quotes: their worth to the decision (bar), their cost (red "
        "diamond). Blue: worth more than it costs.",
    )
    if not st.toggle("Weigh the studies (seconds)", key="risk.studies", persist_state=KEPT):
        return
    with st.spinner("Weighing what each study could show"):
        words, drawn = studies(shown.yaml)
    prose(words)
    if drawn is not None:
        chart("studies", drawn)
        table("The same as a table", drawn)


def _break_even(shown: Shown, pair: Pair) -> None:
    section(
        "Where the answer changes",
        "The value of one input at which two alternatives are worth the same, all others as "
        "uncertain as they are. Grey: what you expect, 8 of 10 cases.",
    )
    paths = list(shown.scenario.inputs())
    labels = shown.decision.labels
    with st.form("risk.crossing", border=True):
        wide, left, right = st.columns([2, 1, 1])
        path = wide.selectbox(
            "Input",
            paths,
            index=paths.index(FIRST_INPUT),
            format_func=lambda path: f"{label(path)} · {path}",
            key="risk.crossing.input",
        )
        names = list(labels)
        first, second = (
            column.selectbox(
                title,
                names,
                index=names.index(name),
                format_func=lambda name: labels[name],
                key=f"risk.crossing.{title}.{name}",
            )
            for column, title, name in zip((left, right), ("Between", "and"), pair, strict=True)
        )
        asked = st.form_submit_button("Find it", icon=":material/search:", type="primary")
    wished = "_risk.crossing"
    if asked:
        st.session_state[wished] = path, (first, second)
    if wished not in st.session_state:
        return
    path, two = st.session_state[wished]
    try:
        with st.spinner("Trying values of the input"):
            drawn, more = crossing(shown.yaml, path, two)
    except EstimatorError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    prose(drawn.finding)
    chart("crossing", drawn)
    finding_list(more)
    table("The same as a table", drawn)


page(current())
