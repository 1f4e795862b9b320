"""What the user changed, as a list of buttons: each takes its change back."""

import streamlit as st

from estimator.dashboard.inputs import Input
from estimator.dashboard.session import Shown
from estimator.dashboard.sidebar import reset

MOST = 4  # in sight; the verdict must stay so too


def changes(shown: Shown) -> None:
    """Every change with its own way back, and one for all; nothing where there are none."""
    changed = shown.wish.changed
    if not changed:
        return
    with st.container(horizontal=True, key="changes", vertical_alignment="center", gap="small"):
        st.markdown("**Changed by you:**", width="content")
        for entry in changed[:MOST]:
            _button(shown, entry)
        if rest := changed[MOST:]:
            with st.popover(f"{len(rest)} more"):
                for entry in rest:
                    _button(shown, entry)
        st.button("Reset all", key="reset", type="tertiary", on_click=reset, args=(changed,))


def _button(shown: Shown, entry: Input) -> None:
    now = entry.show(shown.wish.values[entry.path])
    words = f"{entry.label}: {entry.show(entry.default)} → {now}"
    st.button(
        words.replace("$", r"\$"),
        wrap=True,
        key=f"reset.{entry.path}",
        icon=":material/undo:",
        help="Set back",
        on_click=reset,
        args=((entry,),),
    )
