"""The page "Method": formulas in words, errors against measurements, limits of validity."""

from collections.abc import Iterable

import streamlit as st

from estimator.dashboard.method import (
    DECISION,
    LIMITS,
    TRAINING,
    Errors,
    Formula,
    peak_memory,
    serving_spreads,
    training_speed,
)
from estimator.dashboard.session import Shown, current
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
from estimator.report.validation import COLUMNS

KEPT = "session"  # what is asked here survives a look at another page
SPREAD_COLUMNS = ("Load", "1 in 10 below", "Median", "1 in 10 above")


def page(shown: Shown) -> None:
    """How it is computed, how wrong it is, and where it does not hold."""
    verdict_line(shown.decision.verdict.sentence)
    left, right = st.columns(2, gap="large")
    with left:
        section("How the decision is computed", "Formulas in words; the code is named under each.")
        _formulas(DECISION)
    with right:
        section("How machines and money are computed", "The same, for training and serving.")
        _formulas(TRAINING)
    with st.spinner("Predicting every published measurement"):
        speed, memory = training_speed(), peak_memory()
    left, right = st.columns(2, gap="large")
    with left:
        _errors("Training speed", "speed", speed)
    with right:
        _errors("Peak memory", "memory", memory)
    section(
        "How wrong serving speeds are",
        "Measured over predicted, of published measurements that took no part in the fit.",
    )
    rows, sources = serving_spreads()
    figures(SPREAD_COLUMNS, rows)
    with st.expander("By which measurements"):
        finding_list(sources)
    section("Where it does not hold", "And what is left out.")
    finding_list(LIMITS)
    aside(shown.decision.footer)


def _formulas(entries: Iterable[Formula]) -> None:
    for entry in entries:
        st.html(
            f'<p class="prose"><strong>{text(entry.title)}.</strong> {text(entry.words)}</p>'
            f'<p class="under" style="overflow-wrap: anywhere">'
            f"{text(entry.source)} · <code>{text(entry.code)}</code></p>"
        )


def _errors(title: str, key: str, found: Errors) -> None:
    section(
        f"{title}: predicted against published measurements",
        "Each point is a measurement; on the line both agree.",
    )
    if found.agreement is not None:
        prose(found.agreement.finding)
        chart(key, found.agreement)
        table("Those furthest off", found.agreement)
    by = st.segmented_control(
        "Errors by",
        list(found.groups),
        default=next(iter(found.groups)),
        required=True,
        key=f"method.{key}",
        persist_state=KEPT,
        help="Median error: half of the predictions are off by less. Bias: the sign says whether "
        "predictions tend to be too high. The last column would be 80 % if ranges were just right.",
    )
    figures(COLUMNS, found.groups[by])
    aside(found.counted)


page(current())
