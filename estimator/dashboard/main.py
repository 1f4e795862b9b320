"""The dashboard's entry point: every run asks the sidebar, settles the answer, shows a page."""

import os
from pathlib import Path

import streamlit as st

from estimator.dashboard.session import settle
from estimator.dashboard.sidebar import ask, fill
from estimator.dashboard.views import STYLE
from estimator.decision.currency import shown_in

HERE = Path(__file__).parent
PAGES = (
    ("decide", "Decide", ":material/balance:"),
    ("plan", "Training plan", ":material/memory:"),
    ("dataset", "Dataset", ":material/dataset:"),
    ("costs", "Costs", ":material/payments:"),
    ("team", "Team and timeline", ":material/groups:"),
    ("risk", "Risk", ":material/casino:"),
    ("serving", "Serving", ":material/dns:"),
    ("benchmark", "Benchmark", ":material/speed:"),
    ("scenarios", "Compare scenarios", ":material/compare_arrows:"),
    ("assumptions", "Assumptions", ":material/fact_check:"),
    ("method", "Method", ":material/function:"),
)
"""File, title and icon of each page, in the order of the menu."""


def main() -> None:
    """One run of the dashboard, from the sidebar's wishes to the page."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from the shipped catalogue
    st.set_page_config(page_title="tuneroi", page_icon=str(HERE / "icon.svg"), layout="wide")
    st.html(STYLE)
    pages = [
        st.Page(
            HERE.joinpath("pages", f"{name}.py"), title=title, icon=icon, default=name == "decide"
        )
        for name, title, icon in PAGES
    ]
    page = st.navigation(pages, position="top")
    with st.sidebar:
        wish, places = ask()
    shown = settle(wish)
    if shown is not None:
        with shown_in(shown.scenario.currency):
            page.run()  # before the sidebar's pictures: the verdict is what the user waits for
            fill(places, shown)
