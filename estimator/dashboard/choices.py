"""Choices that several pages ask for in the same way."""

import streamlit as st

from estimator.dashboard.session import Shown
from estimator.scenario import AlternativeId


def alternative(shown: Shown, key: str) -> AlternativeId | None:
    """The alternative that a page is about: the best one at first; None if there is but nothing."""
    labels = shown.decision.labels
    names = [name for name in labels if name != "status_quo"]
    if not names:
        return None
    verdict = shown.decision.verdict
    first = next(name for name in (verdict.alternative, verdict.runner_up) if name in names)
    chosen: AlternativeId = st.selectbox(
        "Alternative",
        names,
        index=names.index(first),
        format_func=lambda name: labels[name],
        key=f"{key}.{first}",
        label_visibility="collapsed",
    )
    return chosen
