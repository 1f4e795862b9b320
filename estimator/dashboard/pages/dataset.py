"""The page "Dataset": what is in the user's data, and how it fills training sequences."""

from collections.abc import Sequence

import streamlit as st

from estimator.dashboard.datasets import KEPT_DATA, MAX_UPLOAD_MB, Profiled, profile
from estimator.dashboard.declared import plain
from estimator.dashboard.session import Shown, current
from estimator.dashboard.views import (
    chart,
    figures,
    finding_list,
    prose,
    section,
    table,
    verdict_line,
)
from estimator.errors import EstimatorError
from estimator.report.dataset import labelling_rows

KINDS = ["jsonl", "json", "csv", "tsv", "parquet", "txt", "gz"]


def page(shown: Shown) -> None:
    """Upload a file or type numbers; then what it means for training."""
    verdict_line(shown.decision.verdict.sentence)
    section(
        "Your training data",
        "A file is read on the machine that runs this page and goes nowhere else.",
    )
    uploaded = st.file_uploader(
        "Examples (JSONL, JSON, CSV, Parquet or text)",
        type=KINDS,
        key="dataset.file",
        max_upload_size=MAX_UPLOAD_MB,
        help="Chat messages, prompt and completion, instruction and output, or plain text. "
        f"Up to {MAX_UPLOAD_MB} MB.",
    )
    labelling = labelling_rows(shown.scenario.data.label_usd_per_example)
    try:
        if uploaded is not None:
            kept = uploaded.name, uploaded.file_id, uploaded.getvalue()
            st.session_state[KEPT_DATA] = kept  # the page "Training plan" starts from it
            found = profile(uploaded.getvalue(), uploaded.name, shown.scenario.model)
        else:
            found = _typed()
        _show(found, labelling)
    except EstimatorError as error:
        st.error(plain(str(error)), icon=":material/error:")


def _typed() -> Profiled:
    prose("Without a file: how many examples, and how long are they?")
    left, middle, right = st.columns(3)
    with left:
        examples = st.number_input(
            "Examples", 1, 1_000_000_000, 10_000, step=1000, key="dataset.examples"
        )
    with middle:
        mean = st.number_input(
            "Mean tokens of an example", 1, 1_000_000, 400, step=50, key="dataset.mean"
        )
    with right:
        p95 = st.number_input(
            "95 in 100 have at most (tokens)", 1, 3_000_000, 1000, step=50, key="dataset.p95"
        )
    return profile(None, "", "", int(examples), float(mean), float(p95))


def _show(found: Profiled, labelling: Sequence[Sequence[str]]) -> None:
    if found.summary:
        prose(found.summary)
    figures(("One epoch", "", ""), found.facts)
    if found.lengths is not None and found.packing is not None:
        left, right = st.columns(2, gap="large")
        with left:
            section("How long the examples are", "Examples by length in tokens.")
            chart("lengths", found.lengths)
            table("The same as a table", found.lengths)
        with right:
            section(
                "How well they fill sequences",
                "Share of positions that hold your tokens when examples are packed.",
            )
            chart("packing", found.packing)
            table("The same as a table", found.packing)
    if found.malformed:
        section("Rows that could not be used", "The first of them, with the reason.")
        finding_list(found.malformed)
    section("What more examples would cost", "At this scenario's price of a checked example.")
    figures(("More examples", "Cost (P10 to P90)"), labelling)
    if found.notes:
        with st.expander("To know"):
            finding_list(found.notes)


page(current())
