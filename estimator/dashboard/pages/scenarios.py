"""The page "Compare scenarios": two to four side by side, and what differs between them."""

import streamlit as st

from estimator.dashboard.results import side_by_side
from estimator.dashboard.session import Shown, current
from estimator.dashboard.views import aside, figures, finding_list, prose, section, verdict_line
from estimator.scenario.files import dump_scenario
from estimator.scenario.templates import template, template_names

FEWEST, MOST = 2, 4
KEPT = "_kept_scenarios"  # in the session: name and YAML of each
RESULTS = ("best in", "worth", "all costs", "live (months)")
HERE, BEFORE = "shown now", "before your changes"


def page(shown: Shown) -> None:
    """Keep scenarios, pick templates, and see results and inputs that differ."""
    verdict_line(shown.decision.verdict.sentence)
    section(
        "Compare scenarios",
        "Keep what the sidebar shows now, change it, and come back; or set a template beside it.",
    )
    kept: dict[str, str] = st.session_state.setdefault(KEPT, {})
    _keep_or_forget(shown, kept)
    templates = st.multiselect(
        "Templates beside it",
        template_names(),
        key="scenarios.templates",
        max_selections=MOST,
        placeholder="none",
    )
    named = {HERE: shown.yaml, **kept}
    if shown.wish.changed:
        named[BEFORE] = dump_scenario(shown.wish.base)
    named |= {name: dump_scenario(template(name)) for name in templates}
    if len(named) < FEWEST:
        prose(
            "There is only one scenario so far: move a slider to see it beside what it was, keep "
            "this one and change it, or pick a template."
        )
        return
    if len(named) > MOST:
        st.warning(f"Only the first {MOST} of {len(named)} are shown; take some away.")
    names = list(named)[:MOST]
    _beside(names, tuple(named[name] for name in names))
    aside(shown.decision.footer)


def _keep_or_forget(shown: Shown, kept: dict[str, str]) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.text_input("Name", value=f"{shown.scenario.name}", key="scenarios.name")
        if st.button("Keep this scenario", icon=":material/add:", key="scenarios.keep"):
            if name.strip() in ("", HERE, BEFORE):
                st.error("Give it a name of its own.")
            else:
                kept[name.strip()] = shown.yaml
        if kept and st.button("Forget all kept", icon=":material/delete:", key="scenarios.forget"):
            kept.clear()


def _beside(names: list[str], yamls: tuple[str, ...]) -> None:
    found = side_by_side(yamls)
    section("Verdicts", "The answer to each.")
    finding_list(f"{n}: {v}" for n, v in zip(names, found.verdicts, strict=True))
    section("Results", "Worth and costs: mean, today's money, over each scenario's own horizon.")
    columns = ("Alternative", *(f"{name}: {what}" for what in RESULTS for name in names))
    figures(columns, found.results)
    section("Inputs that differ", f"{len(found.inputs)} of them; all others are the same.")
    figures(("Input", *names), found.inputs)


page(current())
