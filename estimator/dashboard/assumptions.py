"""What the page "Assumptions" shows: every input in words, and how old the facts are."""

from collections.abc import Iterator
from typing import get_args

import streamlit as st

import pricing
from estimator.dashboard.results import _keep
from estimator.decision.wording import capitalised
from estimator.quantity import Evidence
from estimator.report.inputs import spread
from estimator.scenario import Scenario
from estimator.scenario.files import parse_scenario
from estimator.scenario.inputs import describe_input
from pricing import dates

YOUR_FIGURE = "your figure"
KNOWN_BY = (*(kind for kind in get_args(Evidence) if kind != "user"), YOUR_FIGURE)
CHANGED = "changed by you"


@_keep(st.cache_data, 16)
def assumptions(scenario_yaml: str, changed: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Input, value, unit, source, date and evidence of everything in a scenario."""
    scenario = parse_scenario(scenario_yaml)
    return [
        (
            f"{capitalised(describe_input(Scenario, path))} · {path}",
            spread(quantity),
            quantity.unit or "",
            quantity.source or "the scenario",
            quantity.as_of or "",
            CHANGED
            if path in changed
            else YOUR_FIGURE
            if quantity.evidence in (None, "user")
            else str(quantity.evidence),
        )
        for path, quantity in scenario.inputs().items()
    ]


def price_ages() -> Iterator[tuple[str, ...]]:
    """Each table of facts with its oldest and newest date, and a word where it is old."""
    today = dates.today()
    for name, (oldest, newest) in pricing.prices_as_of().items():
        old = pricing.stale(newest, today)
        yield name.replace("_", " "), oldest, newest, "old: may have moved" if old else ""
