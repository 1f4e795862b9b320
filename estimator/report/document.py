"""A comparison as a document: what it says, in which order, before any markup."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.decision.currency import rate_note, shown_in
from estimator.decision.simulate import Comparison
from estimator.decision.wording import about, capitalised, money, value_with_unit
from estimator.quantity import Quantity
from estimator.report.charts import (
    Chart,
    cash_flow_chart,
    chance_chart,
    information_chart,
    own_cost_chart,
    total_cost_chart,
    value_chart,
)
from estimator.report.inputs import spread
from estimator.report.ranges import range_of
from estimator.report.text import ordered
from estimator.scenario import AlternativeId, Scenario
from estimator.scenario.files import dump_scenario
from estimator.scenario.inputs import describe_input

HASH_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Sentences under each other."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A table: words in the first column and in those that `left` names, figures in the others."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)


Block = str | Listing | Figures | Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, a line that says how to read what follows, and what follows."""

    title: str
    under: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole report."""

    title: str
    about: str
    verdict: str
    sure: str
    sections: tuple[Section, ...]
    footer: tuple[str, ...]


def document(comparison: Comparison) -> Document:
    """All that a reader needs to accept or refute the verdict, the answer first."""
    with shown_in(comparison.scenario.currency):
        return _document(comparison)


def _document(comparison: Comparison) -> Document:
    scenario, verdict = comparison.scenario, comparison.verdict
    return Document(
        title=scenario.name,
        about=scenario.description,
        verdict=verdict.sentence,
        sure=f"How sure: {verdict.confidence}. {verdict.next_step}",
        sections=tuple(_sections(comparison)),
        footer=tuple(_footer(comparison)),
    )


def _sections(comparison: Comparison) -> Iterator[Section]:
    verdict, months = comparison.verdict, comparison.scenario.horizon_months
    yield Section(
        title="The alternatives",
        under=f"Over {months} months against doing nothing, in today's money; "
        f"{comparison.draws.n:,} simulated futures.",
        blocks=(chance_chart(comparison), value_chart(comparison)),
    )
    if verdict.alternative != "status_quo":
        best: AlternativeId = comparison.outcomes[verdict.alternative].account.id  # type: ignore[index]
        yield Section(
            title="When the money comes back",
            under="Cumulative cash against doing nothing, as it is paid.",
            blocks=(cash_flow_chart(comparison, best),),
        )
    yield Section(
        title="What would change the answer",
        under="One input alone, all others as uncertain as now.",
        blocks=(Listing(lines=verdict.flip_sentences or ("No single input in its range would.",)),),
    )
    yield _information(comparison)
    costs = (own_cost_chart(comparison), total_cost_chart(comparison))
    yield Section(
        title="Where the money goes",
        under="Mean cost over the horizon, in today's money.",
        blocks=tuple(chart for chart in costs if chart is not None),
    )
    yield from _projects(comparison)
    yield _assumptions(comparison.scenario)
    yield from (_line_items(outcome.account) for outcome in ordered(comparison))


def _information(comparison: Comparison) -> Section:
    chart = information_chart(comparison)
    words = f"Knowing everything would be worth {about(comparison.evpi_usd)}."
    return Section(
        title="What to find out first",
        under="The most that knowing an input exactly, before deciding, would be worth.",
        blocks=(chart, words) if chart else (f"No single input is worth finding out. {words}",),
    )


def _projects(comparison: Comparison) -> Iterator[Section]:
    """When each alternative could be live, and whose days that takes."""
    rows = []
    for outcome in ordered(comparison):
        account = outcome.account
        if account.project is None:
            continue
        live = range_of(account.go_live_months)
        p80 = float(np.quantile(account.go_live_months, 0.8))
        days = account.project.person_days_by_role
        people = ", ".join(
            f"{role.replace('_', ' ')} {np.median(d):.0f}"
            for role, d in sorted(days.items(), key=lambda item: -float(np.median(item[1])))
        )
        rows.append((account.label, f"{live['p50']:.1f}", f"{p80:.1f}", people))
    if rows:
        yield Section(
            title="Time and people",
            under="Months until it is live, and person-days until then by role (median).",
            blocks=(
                Figures(
                    columns=("Alternative", "Live after (P50)", "P80", "Person-days"),
                    rows=tuple(rows),
                    left=(0, 3),
                ),
            ),
        )


def _assumptions(scenario: Scenario) -> Section:
    rows = tuple(_assumption(path, quantity) for path, quantity in scenario.inputs().items())
    return Section(
        title="What it stands on",
        under="Every input: a fixed number, or its P10, P50 and P90; unit, source and date.",
        blocks=(
            Figures(
                columns=("Input", "Value", "Unit", "Source", "As of"), rows=rows, left=(0, 2, 3, 4)
            ),
        ),
    )


def _assumption(path: str, quantity: Quantity) -> tuple[str, ...]:
    known = f"{quantity.source or 'the scenario'} ({quantity.evidence or 'your figure'})"
    meaning = capitalised(describe_input(Scenario, path))
    return (
        f"{meaning} ({path})",
        spread(quantity),
        quantity.unit or "",
        known,
        quantity.as_of or "",
    )


def _line_items(account: Account) -> Section:
    rows = []
    for item in account.items:
        usd = range_of(np.asarray(item.present_value_usd()))
        sign = "" if item.kind == "benefit" else "-"
        span = f"{money(usd['p10'] or 0.0)} to {money(usd['p90'] or 0.0)}"
        rows.append((item.name, f"{sign}{money(usd['mean'] or 0.0)}", span, item.formula))
    return Section(
        title=f"Line by line: {account.label}",
        under="Mean and 8 of 10 futures in today's money; costs with a minus.",
        blocks=(
            Figures(
                columns=("Item", "Mean", "P10 to P90", "How it is computed"),
                rows=tuple(rows),
                left=(0, 3),
            ),
            *((Listing(lines=tuple(map(capitalised, account.notes))),) if account.notes else ()),
        ),
    )


def _footer(comparison: Comparison) -> Iterator[str]:
    rate = value_with_unit(comparison.scenario.discount_rate_per_year, "share/year")
    yield (
        f"tuneroi {comparison.version}, {comparison.draws.n:,} draws, seed "
        f"{comparison.draws.seed}, scenario {scenario_hash(comparison.scenario)}; discounted at "
        f"{rate}, first month undiscounted."
    )
    if (exchange := rate_note()) is not None:
        yield f"{exchange}."
    ages = (f"{name} {old} to {new}" for name, (old, new) in pricing.prices_as_of().items())
    yield f"Facts: {'; '.join(ages)}."


def scenario_hash(scenario: Scenario) -> str:
    """The first digits of the SHA-256 of the scenario as a file: equal inputs, equal hash."""
    return hashlib.sha256(dump_scenario(scenario).encode()).hexdigest()[:HASH_DIGITS]
