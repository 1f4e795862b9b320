"""A comparison for the terminal: verdict first, then chances, money, time, and what flips it."""

from collections.abc import Iterator

import numpy as np
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import pricing
from estimator.alternatives.account import Account
from estimator.decision.simulate import Comparison, Outcome
from estimator.decision.wording import money, percent
from estimator.quantity import FloatArray
from estimator.report.ranges import range_of


def print_comparison(comparison: Comparison, console: Console, *, details: bool = False) -> None:
    """The whole answer on a console; `details` adds every line item."""
    for part in _parts(comparison, details):
        console.print(part)
        console.print()


def _parts(comparison: Comparison, details: bool) -> Iterator[RenderableType]:
    scenario = comparison.scenario
    yield Group(Text(scenario.name, style="bold"), Text(scenario.description, style="dim"))
    yield Text(comparison.verdict.sentence, style="bold green")
    yield summary_table(comparison)
    yield cost_table(comparison)
    yield _lines("What would change the answer", comparison.verdict.flip_sentences or NO_FLIP)
    yield _lines("What to find out first", _information(comparison))
    if notes := [
        f"{outcome.account.label}: {note}"
        for outcome in comparison.outcomes.values()
        for note in outcome.account.notes
    ]:
        yield _lines("To know", notes)
    if details:
        for outcome in ordered(comparison):
            yield line_item_table(outcome.account)
    yield Text(_footer(comparison), style="dim")


NO_FLIP = ("No single input within its range would.",)


def ordered(comparison: Comparison) -> list[Outcome]:
    """Outcomes, the highest mean net present value first."""
    return sorted(comparison.outcomes.values(), key=lambda outcome: -float(outcome.npv_usd.mean()))


def summary_table(comparison: Comparison) -> Table:
    """One row per alternative: chance of being best, value, cost, time."""
    months = comparison.scenario.horizon_months
    table = _table(
        f"Over {months} months, in today's money (range: 1 in 10 below to 1 in 10 above)"
    )
    table.add_column("Alternative")
    for heading in (
        "Best in",
        "Worth against doing nothing",
        "",
        "Total cost",
        "Go-live",
        "Pays back",
    ):
        table.add_column(heading, justify="right")
    for outcome in ordered(comparison):
        best = outcome.account.id == comparison.verdict.alternative
        npv = range_of(outcome.npv_usd)
        table.add_row(
            outcome.account.label,
            percent(outcome.probability_best),
            money(npv["p50"] or 0.0),
            f"({money(npv['p10'] or 0.0)} to {money(npv['p90'] or 0.0)})",
            money(float(np.median(outcome.tco_usd))),
            _months(outcome.account.go_live_months),
            _months(outcome.payback_months) if outcome.account.project else "-",
            style="bold" if best else None,
        )
    return table


def _months(sample: FloatArray) -> str:
    p50 = range_of(sample, mean=False)["p50"]
    if p50 is None:
        return "never"
    return "now" if p50 == 0 else f"{p50:.0f} mo" if p50 >= 1 else "< 1 mo"


def cost_table(comparison: Comparison) -> Table:
    """Where the money goes: mean present value of costs by category."""
    outcomes = ordered(comparison)
    sums = [category_sums(outcome.account) for outcome in outcomes]
    categories = list(dict.fromkeys(category for row in sums for category in row))
    table = _table("Where the money goes (mean, today's money)")
    table.add_column("")
    for outcome in outcomes:
        table.add_column(outcome.account.id.replace("_", " "), justify="right")
    for category in categories:
        table.add_row(
            category, *(money(row[category]) if row.get(category) else "-" for row in sums)
        )
    table.add_row("total", *(money(sum(row.values())) for row in sums), style="bold")
    return table


def category_sums(account: Account) -> dict[str, float]:
    """Mean present value of the costs of an account by category."""
    sums: dict[str, float] = {}
    for item in account.items:
        if item.kind == "cost":
            mean = float(np.mean(item.present_value_usd()))
            sums[item.category] = sums.get(item.category, 0.0) + mean
    return sums


def line_item_table(account: Account) -> Table:
    """Every line item of one alternative, with the formula behind it."""
    table = _table(account.label)
    table.add_column("Line")
    table.add_column("Mean", justify="right")
    table.add_column("P10 to P90", justify="right")
    table.add_column("How")
    for item in account.items:
        usd = range_of(np.asarray(item.present_value_usd()))
        sign = "+" if item.kind == "benefit" else "-"
        span = f"{money(usd['p10'] or 0.0)} to {money(usd['p90'] or 0.0)}"
        table.add_row(item.name, sign + money(usd["mean"] or 0.0), span, item.formula)
    return table


def _information(comparison: Comparison) -> list[str]:
    worth = [(path, usd) for path, usd in comparison.evppi_usd.items() if usd > 0][:3]
    known = f"Knowing everything before deciding would be worth {money(comparison.evpi_usd)}."
    return [
        comparison.verdict.next_step,
        *(f"{path}: worth up to {money(usd)}" for path, usd in worth),
        known,
    ]


def _footer(comparison: Comparison) -> str:
    newest = max(newest for _, newest in pricing.prices_as_of().values())
    oldest = min(oldest for oldest, _ in pricing.prices_as_of().values())
    rate = comparison.scenario.discount_rate_per_year
    return (
        f"{comparison.draws.n:,} draws, seed {comparison.draws.seed}, "
        f"tuneroi {comparison.version}; "
        f"discounted at {percent(rate)} a year, first month undiscounted; "
        f"facts from {oldest} to {newest}"
    )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)


def _lines(title: str, lines: tuple[str, ...] | list[str]) -> RenderableType:
    body = [Padding(Text(line), (0, 0, 0, 2)) for line in lines]
    return Group(Text(title, style="bold"), *body)
