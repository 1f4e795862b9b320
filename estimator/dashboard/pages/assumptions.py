"""The page "Assumptions": every input, where it comes from, and how old the facts are."""

import streamlit as st

from estimator.dashboard.assumptions import KNOWN_BY, assumptions, price_ages
from estimator.dashboard.session import Shown, current
from estimator.dashboard.sidebar import reset
from estimator.dashboard.views import aside, figures, prose, section, verdict_line

CHANGED = "changed by you"


def page(shown: Shown) -> None:
    """All inputs as a table to be filtered, and the age of the facts behind them."""
    verdict_line(shown.decision.verdict.sentence)
    section(
        "Every input of the scenario",
        "P10, P50 and P90 of an uncertain one. To move one, take its slider in the sidebar, or add "
        "it there under “Any other input”.",
    )
    changed = {entry.path: entry for entry in shown.wish.changed}
    words, known = _filters()
    rows = assumptions(shown.yaml, tuple(changed))
    wanted = [
        row
        for row in rows
        if words.casefold() in " ".join(row).casefold() and (not known or row[-1] in known)
    ]
    if changed:
        st.button(
            f"Set back the {len(changed)} inputs changed by you",
            key="assumptions.reset",
            icon=":material/undo:",
            on_click=reset,
            args=(tuple(changed.values()),),
        )
    prose(f"{len(wanted)} of {len(rows)} inputs")
    st.dataframe(
        [dict(zip(("Input", "Value", "Unit", "Source", "As of", "Known by"), r, strict=True))
         for r in wanted],
        hide_index=True,
        height=620,
        width="stretch",
        column_config={
            "Input": st.column_config.TextColumn(width="large"),
            "Source": st.column_config.TextColumn(width="large"),
        },
    )  # fmt: skip
    section("How old the prices and facts are", "Over 90 days a price may have moved.")
    figures(("Table", "Oldest", "Newest", ""), price_ages())
    aside(shown.decision.footer)


def _filters() -> tuple[str, list[str]]:
    left, right = st.columns([2, 3])
    with left:
        words = st.text_input(
            "Find", key="assumptions.find", placeholder="a word, a path, a source"
        )
    with right:
        known = st.pills(
            "Known by", [CHANGED, *KNOWN_BY], selection_mode="multi", key="assumptions.known"
        )
    return words, known


page(current())
