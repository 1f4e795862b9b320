"""The dashboard's entry point: every run asks the sidebar, settles the answer, shows a page."""

import os
from pathlib import Path

import streamlit as st

from estimator.dashboard.session import settle
from estimator.dashboard.sidebar import ask, fill
from estimator.dashboard.views import STYLE

HERE = Path(__file__).parent


def main() -> None:
    """One run of the dashboard, from the sidebar's wishes to the page."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # models come from the shipped catalogue
    st.set_page_config(page_title="tuneroi", page_icon=str(HERE / "icon.svg"), layout="wide")
    st.html(STYLE)
    decide = st.Page(
        HERE / "pages" / "decide.py", title="Decide", icon=":material/balance:", default=True
    )
    page = st.navigation([decide], position="top")
    with st.sidebar:
        wish, places = ask()
    shown = settle(wish)
    if shown is not None:
        fill(places, shown)
        page.run()


if __name__ == "__main__":
    main()
