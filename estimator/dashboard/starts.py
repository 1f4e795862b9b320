"""A page's own inputs: they start at the scenario's values, again whenever these change."""

from typing import Any

import streamlit as st

MODEL_HELP = (
    "A shipped model; or write a size such as 7B, or a Hugging Face id where the server may reach "
    "the hub (HF_HUB_OFFLINE=0)."
)


def starts_at(key: str, value: Any) -> str:
    """The widget's key, its value set where the scenario's value is not the one of last time."""
    last = f"_{key}.start"
    if last not in st.session_state or st.session_state[last] != value:
        st.session_state[last] = st.session_state[key] = value
    return key
