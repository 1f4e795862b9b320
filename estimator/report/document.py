"""A comparison as a document: what it says, in which order, before any markup."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.decision.currency import rate_note, shown_in
from estimator.decision.simulate import Comparison
from estimator.decision.wording import about, capitalised, money, value_with_unit
from estimator.quantity import FloatArray, Quantity
from estimator.report.charts import Chart
from estimator.report.drawn import charts_of
from estimator.report.inputs import spread
from estimator.report.project_charts import role_words
from estimator.report.ranges import range_of
from estimator.report.text import ordered
from estimator.scenario import Scenario
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A long table for whoever doubts: folded on a screen, whole on paper."""

    title: str
    table: Figures
    instead: str
    """What stands for it where room is short."""


Block = str | Listing | Figures | Folded | Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, a line that says how to read what follows, and what follows."""

    title: str
    under: str
    blocks: tuple[Block, ...]
    is_detail: bool = False
    """Whether it is for whoever checks the answer, and folded where room is short."""


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
    drawn, months = charts_of(comparison), comparison.scenario.horizon_months
    yield Section(
        title="The alternatives",
        under=f"Over {months} months against doing nothing, in today's money; "
        f"{comparison.draws.n:,} simulated futures.",
        blocks=(drawn["chance"], drawn["value"]),
    )
    if "cash_flow" in drawn:
        yield Section(
            title="When the money comes back",
            under="Cumulative cash against doing nothing, as it is paid: the median, and shaded "
            "8 of 10 futures.",
            blocks=(drawn["cash_flow"].finding, drawn["cash_flow"]),
        )
    flips = comparison.verdict.flip_sentences or ("No single input in its range would.",)
    yield Section(
        title="What would change the answer",
        under="One input alone, all others as uncertain as now.",
        blocks=(Listing(lines=tuple(map(capitalised, flips))),),
    )
    yield _information(comparison, drawn)
    yield Section(
        title="Where the money goes",
        under="Mean cost over the horizon, in today's money: the way itself, then with the "
        "requests that people still handle and the errors.",
        blocks=tuple(drawn[name] for name in ("own_cost", "total_cost") if name in drawn),
    )
    yield from _projects(comparison)
    inputs = comparison.scenario.inputs()
    yield from _own_inputs({path: q for path, q in inputs.items() if q.evidence is None})
    yield from (_line_items(outcome.account) for outcome in ordered(comparison))
    yield from _shipped_inputs({path: q for path, q in inputs.items() if q.evidence is not None})


def _information(comparison: Comparison, drawn: Mapping[str, Chart]) -> Section:
    chart = drawn.get("information")
    words = f"Knowing everything would be worth {about(comparison.evpi_usd)}."
    return Section(
        title="What to find out first",
        under="The most that knowing an input exactly, before deciding, would be worth.",
        blocks=(words, chart) if chart else (f"No single input is worth finding out. {words}",),
    )


def _projects(comparison: Comparison) -> Iterator[Section]:
    """When each alternative could be live, and whose days that takes."""
    rows = []
    for outcome in ordered(comparison):
        account = outcome.account
        if account.project is None:
            continue
        days = account.project.person_days_by_role
        people = ", ".join(
            f"{role_words(role)} {np.median(d):.0f}"
            for role, d in sorted(days.items(), key=lambda item: -float(np.median(item[1])))
        )
        live, late = (_months_at(account.go_live_months, share) for share in (0.5, 0.8))
        rows.append((account.label, live, late, people))
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


def _months_at(sample: FloatArray, share: float) -> str:
    """Months that so many of the draws stay below; nan is "never"."""
    never_last = np.where(np.isnan(sample), np.inf, sample)
    months = float(np.quantile(never_last, share, method="inverted_cdf"))
    return f"{months:.1f}" if np.isfinite(months) else "never"


def _own_inputs(inputs: Mapping[str, Quantity]) -> Iterator[Section]:
    """What the scenario says itself."""
    if inputs:
        yield Section(
            title="What it stands on",
            under="The scenario's own inputs: a fixed number, or its P10, P50 and P90; unit and "
            "source. All others stand at the end.",
            blocks=(_inputs_table(inputs),),
            is_detail=True,
        )


def _shipped_inputs(inputs: Mapping[str, Quantity]) -> Iterator[Section]:
    """What is shipped with a source, or as a guess."""
    if inputs:
        title = f"{len(inputs)} inputs that the scenario leaves as they are"
        yield Section(
            title="All other inputs",
            under="A fixed number, or its P10, P50 and P90; unit, source and date.",
            blocks=(
                Folded(
                    title=title,
                    table=_inputs_table(inputs),
                    instead=f"{title} stand in the HTML report, each with its source or as a "
                    "guess.",
                ),
            ),
        )


def _inputs_table(inputs: Mapping[str, Quantity]) -> Figures:
    rows = tuple(_assumption(path, quantity) for path, quantity in inputs.items())
    return Figures(columns=("Input", "Value", "Unit", "Source", "As of"), rows=rows, left=(0, 2, 3))


def _assumption(path: str, quantity: Quantity) -> tuple[str, ...]:
    known = f"{quantity.source or 'the scenario'} ({quantity.evidence or 'your figure'})"
    return (
        f"{capitalised(describe_input(Scenario, path))} ({path})",
        spread(quantity),
        quantity.unit or "",
        f"{known}; {quantity.note}" if quantity.note else known,
        quantity.as_of or "",
    )


def _line_items(account: Account) -> Section:
    rows = []
    for item in account.items:
        usd = range_of(np.asarray(item.present_value_usd()))
        span = f"{money(usd['p10'] or 0.0)} to {money(usd['p90'] or 0.0)}"
        rows.append((item.name, money(item.sign * (usd["mean"] or 0.0)), span, item.formula))
    return Section(
        title=f"Line by line: {account.label}",
        under="Mean in today's money, costs with a minus; what 8 of 10 futures lie between.",
        blocks=(
            Figures(
                columns=("Item", "Mean", "P10 to P90", "How it is computed"),
                rows=tuple(rows),
                left=(0, 3),
            ),
            *((Listing(lines=tuple(map(capitalised, account.notes))),) if account.notes else ()),
        ),
        is_detail=True,
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
