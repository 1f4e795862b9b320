"""What the page "Risk" shows: spreads, what moves them, what decides, what is worth knowing."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from estimator.alternatives.account import LABELS
from estimator.dashboard.results import DRAWS, SEED, _keep, comparison
from estimator.decision.indices import total_indices
from estimator.decision.thresholds import find_break_even
from estimator.decision.worth import value_of_information
from estimator.report.breakeven_chart import break_even_chart, chance_lines
from estimator.report.charts import Chart, information_chart
from estimator.report.risk_charts import distribution_chart, index_chart, study_chart
from estimator.report.tornado_charts import lead_separation, lead_tornado, worth_tornado
from estimator.report.worth import sentence
from estimator.scenario import AlternativeId
from estimator.scenario.files import parse_scenario

INPUTS_RANKED = 10
INPUTS_TOLD_APART = 6
Pair = tuple[AlternativeId, AlternativeId]


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """The part of the page that costs next to nothing once the comparison is there."""

    spread: Chart | None
    separation: Chart | None
    """Between the pair that the page is about."""
    information: Chart | None


@_keep(st.cache_data, 32)
def risk(scenario_yaml: str, pair: Pair | None, n: int = DRAWS, seed: int = SEED) -> Risk:
    """How far outcomes spread, what separates who wins, and what each input is worth knowing."""
    found = comparison(scenario_yaml, n, seed)
    return Risk(
        spread=distribution_chart(found),
        separation=lead_separation(found, *pair) if pair else None,
        information=information_chart(found, most=INPUTS_RANKED),
    )


@_keep(st.cache_data, 64)
def movers(
    scenario_yaml: str,
    of: AlternativeId | Pair,
    at_medians: bool,
    n: int = DRAWS,
    seed: int = SEED,
) -> Chart | None:
    """What moves the worth of an alternative, or the lead of one over another."""
    found = comparison(scenario_yaml, n, seed)
    if isinstance(of, tuple):
        return lead_tornado(found, *of, at_medians=at_medians)
    return worth_tornado(found, of, at_medians=at_medians)


@_keep(st.cache_data, 16)
def together(scenario_yaml: str, pair: Pair, n: int = DRAWS, seed: int = SEED) -> Chart | None:
    """What inputs add by acting together, for those that move the lead most; runs the model."""
    found = comparison(scenario_yaml, n, seed)
    moved = lead_tornado(found, *pair, at_medians=True)
    paths = [row[-1] for row in moved.rows[:INPUTS_TOLD_APART]] if moved else []
    first, second = pair
    return index_chart(total_indices(found.scenario, paths, better=first, than=second, seed=seed))


@_keep(st.cache_data, 16)
def studies(scenario_yaml: str, n: int = DRAWS, seed: int = SEED) -> tuple[str, Chart | None]:
    """What to find out first in a sentence, and every way to find something out."""
    worth = value_of_information(comparison(scenario_yaml, n, seed))
    return sentence(worth), study_chart(worth)


@_keep(st.cache_data, 32)
def crossing(
    scenario_yaml: str, path: str, pair: Pair, seed: int = SEED
) -> tuple[Chart, tuple[str, ...]]:
    """Where two alternatives change places as one input moves; runs the model."""
    found = find_break_even(parse_scenario(scenario_yaml), path, *pair, seed=seed)
    return break_even_chart(found), chance_lines(found)


def best_two(labels: Mapping[AlternativeId, str], best: str, second: str | None) -> Pair | None:
    """The best alternative and the next one; None if there is only one."""
    names = {str(name): name for name in labels}
    if second is None:
        return None
    return names[best], names[second]


def lead_name(pair: Pair) -> str:
    """The lead of one alternative over another in words."""
    first, second = pair
    return f"Lead of “{LABELS[first]}” over “{LABELS[second]}”"
