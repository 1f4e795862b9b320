"""The page "Assumptions": every input, where it comes from, how old it is; each can be edited."""

from collections.abc import Sequence

import streamlit as st

from estimator.dashboard.assumptions import (
    CHANGED,
    KNOWN_BY,
    OLD,
    Row,
    pending,
    price_ages,
    rows,
    take,
)
from estimator.dashboard.changes import changes
from estimator.dashboard.declared import label, plain
from estimator.dashboard.session import Shown, current
from estimator.dashboard.typed import CELLS
from estimator.dashboard.views import aside, figures, section, text

VERSION = "_assumptions.version"
CELL_HELP = (
    "The least it can be; or what it exceeds in 9 of 10 cases.",
    "The likeliest, or the number itself where it is exact.",
    "The most it can be; or what it exceeds in 1 of 10 cases.",
)
RANGE_HELP = "The column “Range” says which."
FEW, HEIGHT = 14, 560  # rows that need no scrolling, and the pixels of a table that does
HOW = (
    "Type over Low, Middle or High; the verdict follows. A middle takes its range along; without "
    "Low and High it is exact, and without a middle all between is as likely."
)


def page(shown: Shown) -> None:
    """The verdict, all inputs as a table to be filtered and edited, and the age of the facts."""
    verdict = shown.decision.verdict
    st.html(
        f'<p class="sure"><strong>{text(verdict.sentence)}</strong> '
        f"How sure: {text(verdict.confidence)}.</p>"
    )
    said = st.container()
    section("Every input of the scenario", HOW)
    every = rows(shown)
    words, kinds = _filters()
    wanted = [row for row in every if row.matches(words, kinds)]
    old = [row for row in every if row.is_old]
    aside(f"{len(wanted)} of {len(every)} inputs; the sources of {len(old)} are {OLD}.")
    paths = tuple(row.path for row in wanted)
    key = _key(shown, paths)
    problems, _ = pending(shown, key, paths)
    with said:
        _problems(shown, problems)
    if wanted:
        _table(wanted, key, paths)
    changes(shown)
    section("How old the prices and facts are", "Over 90 days a price may have moved.")
    figures(("Table", "Oldest", "Newest", ""), price_ages())
    aside(shown.decision.footer)


def _problems(shown: Shown, typed: dict[str, str]) -> None:
    for problem in shown.problems:
        st.error(plain(problem), icon=":material/error:")
    for notice in shown.wish.notices:
        st.warning(plain(notice), icon=":material/link_off:")
    for path, problem in typed.items():
        words = f"{label(path)} ({path}): {problem}. The answer is still the last good one."
        st.error(plain(words), icon=":material/error:")
    if typed:
        st.button("Forget what was typed there", key="assumptions.forget", on_click=_anew)


def _filters() -> tuple[str, list[str]]:
    left, right = st.columns([2, 5])
    with left:
        words = st.text_input(
            "Find", key="assumptions.find", placeholder="a word, a path, a source"
        )
    with right:
        kinds = st.pills(
            "Show only", [CHANGED, OLD, *KNOWN_BY], selection_mode="multi", key="assumptions.known"
        )
    return words, kinds


def _key(shown: Shown, paths: Sequence[str]) -> str:
    """The table's key: another one for other rows, and where something else overtook its cells."""
    key = f"assumptions.table.{st.session_state.get(VERSION, 0)}.{hash(paths)}"
    if pending(shown, key, paths)[1]:
        _anew()
        return _key(shown, paths)
    return key


def _anew() -> None:
    """Draw the table anew, without what was typed into it."""
    st.session_state[VERSION] = st.session_state.get(VERSION, 0) + 1


def _table(wanted: Sequence[Row], key: str, paths: Sequence[str]) -> None:
    from pandas import DataFrame

    table = DataFrame([row.columns for row in wanted]).astype(dict.fromkeys(CELLS, float))
    columns = {
        name: st.column_config.NumberColumn(format="%.6g", width=84, help=f"{help} {RANGE_HELP}")
        for name, help in zip(CELLS, CELL_HELP, strict=True)
    }
    with st.container(key="assumptions"):
        st.data_editor(
            table,
            key=key,
            on_change=take,
            args=(key, paths),
            hide_index=True,
            placeholder="",
            height=HEIGHT if len(wanted) > FEW else "content",
            width="stretch",
            disabled=[column for column in table.columns if column not in CELLS],
            column_config={
                "Input": st.column_config.TextColumn(width=290),
                **columns,
                "Known by": st.column_config.TextColumn(width=125),
                "As of": st.column_config.TextColumn(width=110),
                "Source": st.column_config.TextColumn(width="large"),
            },
            alt="Every input of the scenario with low, middle and high value, unit and source",
        )


page(current())
