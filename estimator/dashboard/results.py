"""What the pages show of a scenario: computed once, kept within bounds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import streamlit as st

import pricing
from estimator.decision.currency import rate_note, shown_in
from estimator.decision.simulate import Comparison, compare
from estimator.decision.verdict import Verdict
from estimator.decision.wording import percent
from estimator.hardware.calibration import Calibration
from estimator.hardware.calibration_file import calibration_to_use
from estimator.report.charts import (
    Chart,
    cash_flow_chart,
    chance_chart,
    information_chart,
    own_cost_chart,
    total_cost_chart,
    value_chart,
)
from estimator.report.claims import claims
from estimator.report.cost_charts import monthly_chart, waterfall_chart
from estimator.report.differences import result_rows, shown
from estimator.report.project_charts import gantt_chart, people_chart, stage_rows
from estimator.report.sparkline import Lead, lead_curves, sparklines
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.differences import differing
from estimator.scenario.files import parse_scenario

DRAWS = 4096
SEED = 7

P = ParamSpec("P")
R = TypeVar("R")


def _keep(cache: Any, entries: int) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Streamlit's cache with a bound on its size, and with the function's own types."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        cached: Callable[P, R] = cache(max_entries=entries, show_spinner=False)(function)
        return cached

    return decorate


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The page "Decide", ready to be shown: words and figures, no draws."""

    verdict: Verdict
    labels: Mapping[AlternativeId, str]
    """The alternatives that were compared, in plain words."""
    chances: Chart
    values: Chart
    information: Chart | None
    evpi_usd: float
    own_costs: Chart | None
    total_costs: Chart | None
    notes: tuple[str, ...]
    futures: str
    """How many were simulated."""
    footer: str


@_keep(st.cache_resource, 2)
def comparison(
    scenario_yaml: str, n: int, seed: int, _scenario: Scenario | None = None
) -> Comparison:
    """The comparison itself; tens of megabytes, so only the last two are kept.

    `_scenario`: what the YAML says, if somebody has read it already.
    """
    scenario = _scenario or parse_scenario(scenario_yaml)
    return compare(scenario, n=n, seed=seed, calibration=calibration_of(scenario))


def calibration_of(scenario: Scenario) -> Calibration | None:
    """The user's own calibration of the GPUs to train on, if there is one."""
    return calibration_to_use(pricing.gpu_spec(scenario.training.gpu)).own


@_keep(st.cache_data, 64)
def decision(
    scenario_yaml: str, _scenario: Scenario | None = None, n: int = DRAWS, seed: int = SEED
) -> Decision:
    """All that the page "Decide" shows of a scenario."""
    found = comparison(scenario_yaml, n, seed, _scenario)
    with shown_in(found.scenario.currency):
        return _decision(found)


def _decision(found: Comparison) -> Decision:
    outcomes = found.outcomes.values()
    return Decision(
        verdict=found.verdict,
        labels={outcome.account.id: outcome.account.label for outcome in outcomes},
        chances=chance_chart(found),
        values=value_chart(found, dates=False),
        information=information_chart(found),
        evpi_usd=found.evpi_usd,
        own_costs=own_cost_chart(found),
        total_costs=total_cost_chart(found),
        notes=tuple(
            f"{outcome.account.label}: {note}"
            for outcome in outcomes
            for note in outcome.account.notes
        ),
        futures=f"{found.draws.n:,}",
        footer=_footer(found),
    )


@_keep(st.cache_data, 64)
def alternatives(scenario_yaml: str, n: int = DRAWS, seed: int = SEED) -> Chart:
    """What each alternative is worth, with all that its table says."""
    found = comparison(scenario_yaml, n, seed)
    with shown_in(found.scenario.currency):
        return value_chart(found)


@_keep(st.cache_data, 128)
def cash_flow(
    scenario_yaml: str, alternative: AlternativeId, n: int = DRAWS, seed: int = SEED
) -> Chart:
    """Cumulative cash of one alternative."""
    return cash_flow_chart(comparison(scenario_yaml, n, seed), alternative)


@_keep(st.cache_data, 64)
def costs(
    scenario_yaml: str, alternative: AlternativeId, n: int = DRAWS, seed: int = SEED
) -> tuple[Chart, Chart | None]:
    """From doing nothing to an alternative step by step, and what it costs month by month."""
    found = comparison(scenario_yaml, n, seed)
    return waterfall_chart(found, alternative), monthly_chart(found, alternative)


@_keep(st.cache_data, 32)
def claimed(
    scenario_yaml: str, n: int = DRAWS, seed: int = SEED
) -> tuple[tuple[str, str, str, str], ...]:
    """What is claimed of fine-tuning: the claim, this scenario, what was published, its source."""
    found = comparison(scenario_yaml, n, seed)
    with shown_in(found.scenario.currency):
        said = claims(found, calibration=calibration_of(found.scenario))
    return tuple((c.claim, c.here, c.evidence, f"{c.source}, {c.as_of}") for c in said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One alternative's project, ready to be shown."""

    gantt: Chart | None
    people: Chart | None
    stages: tuple[tuple[str, ...], ...]


@_keep(st.cache_data, 64)
def project(
    scenario_yaml: str, alternative: AlternativeId, n: int = DRAWS, seed: int = SEED
) -> Project:
    """When an alternative's activities run, and who works on them."""
    account = comparison(scenario_yaml, n, seed).outcomes[alternative].account
    return Project(
        gantt=gantt_chart(account),
        people=people_chart(account),
        stages=stage_rows(account.project) if account.project else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBySide:
    """Several scenarios beside each other, in the order given."""

    verdicts: tuple[str, ...]
    results: tuple[tuple[str, ...], ...]
    """Alternative, then chance of being best, worth, all costs and months to live in each."""
    inputs: tuple[tuple[str, ...], ...]
    """Path of each input that differs, then its value in each."""


@_keep(st.cache_data, 16)
def side_by_side(yamls: tuple[str, ...], n: int = DRAWS, seed: int = SEED) -> SideBySide:
    """What differs between scenarios, in the inputs and in the results."""
    found = [comparison(yaml, n, seed) for yaml in yamls]
    inputs = differing([parse_scenario(yaml) for yaml in yamls])
    return SideBySide(
        verdicts=tuple(one.verdict.sentence for one in found),
        results=tuple(result_rows(found)),
        inputs=tuple((path, *map(shown, values)) for path, values in inputs.items()),
    )


@_keep(st.cache_data, 64)
def leads(
    scenario_yaml: str, paths: tuple[str, ...], n: int = DRAWS, seed: int = SEED
) -> dict[str, tuple[str, Lead]]:
    """For each uncertain input a small picture of the best choice's lead, and what it shows."""
    curves = lead_curves(comparison(scenario_yaml, n, seed), paths)
    pictures = sparklines(curves)
    return {path: (pictures[path], lead) for path, lead in curves.items()}


def _footer(found: Comparison) -> str:
    dates = pricing.prices_as_of().values()
    oldest, newest = min(old for old, _ in dates), max(new for _, new in dates)
    discount = percent(found.scenario.discount_rate_per_year)
    rate = rate_note()
    return (
        f"{found.draws.n:,} simulated futures, seed {found.draws.seed}, tuneroi {found.version}. "
        f"Money is discounted at {discount} a year, first month undiscounted, except in the "
        f"cash-flow chart. Facts from {oldest} to {newest}.{f' {rate}.' if rate else ''}"
    )
