"""A comparison for the terminal: verdict first, then chances, money, time, and what flips it."""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import RenderableType
from rich.text import Text

import pricing
from estimator.alternatives.account import Account
from estimator.decision.currency import rate_note
from estimator.decision.simulate import Comparison, Outcome
from estimator.decision.wording import money, percent
from estimator.quantity import FloatArray
from estimator.report.comparison_details import decision_parts, measure_table
from estimator.report.layout import facts, heading, notes, table
from estimator.report.ranges import range_of
from estimator.scenario import AlternativeId

SHORT: dict[AlternativeId, str] = {
    "status_quo": "nothing",
    "prompting": "prompt",
    "rag": "RAG",
    "managed_finetune": "managed",
    "self_hosted_finetune": "tune+host",
    "finetune_rag": "tune+RAG",
    "saas": "SaaS",
    "pretrain": "scratch",
    "staged": "pilot",
}
NO_FLIP = ("No single input within its range would.",)


def comparison_parts(
    comparison: Comparison, *, details: bool = False, risk_tolerance_usd: float | None = None
) -> Iterator[RenderableType]:
    """The parts of the answer in the order in which they are read.

    `details`: the usual measures, what decides between the best two, and every line item.
    """
    scenario = comparison.scenario
    yield heading(scenario.name, scenario.description)
    yield Text(comparison.verdict.sentence, style="bold green")
    yield summary(comparison)
    yield costs(comparison)
    yield from _own_tuning(comparison)
    yield notes("What would change the answer", comparison.verdict.flip_sentences or NO_FLIP)
    yield notes("What to find out first", _information(comparison))
    if to_know := [
        f"{outcome.account.label}: {note}"
        for outcome in comparison.outcomes.values()
        for note in outcome.account.notes
    ]:
        yield notes("To know", to_know)
    if details or risk_tolerance_usd is not None:
        yield measure_table(comparison, risk_tolerance_usd)
    if details:
        yield from decision_parts(comparison)
        yield from (line_items(outcome.account) for outcome in ordered(comparison))
    yield Text(_footer(comparison), style="dim")
    if (rate := rate_note()) is not None:
        yield Text(rate, style="dim")


def ordered(comparison: Comparison) -> list[Outcome]:
    """Outcomes, the highest mean net present value first."""
    return sorted(comparison.outcomes.values(), key=lambda outcome: -float(outcome.npv_usd.mean()))


def summary(comparison: Comparison) -> RenderableType:
    """One row per alternative: chance of being best, worth, cost, time."""
    months = comparison.scenario.horizon_months
    rows = []
    for outcome in ordered(comparison):
        npv = range_of(outcome.npv_usd)
        rows.append(
            (
                outcome.account.label,
                percent(outcome.probability_best),
                money(npv["p50"] or 0.0),
                f"{money(npv['p10'] or 0.0)} to {money(npv['p90'] or 0.0)}",
                money(float(np.median(outcome.tco_usd))),
                _months(outcome.account.go_live_months),
                _months(outcome.payback_months) if outcome.account.project else "-",
            )
        )
    return table(
        f"Against doing nothing, over {months} months, in today's money",
        ("", "Best in", "Worth", "P10 to P90", "All costs", "Live in", "Paid back"),
        rows,
    )


def _months(sample: FloatArray) -> str:
    p50 = range_of(sample, mean=False)["p50"]
    if p50 is None:
        return "never"
    return "now" if p50 == 0 else f"{p50:.0f} mo" if p50 >= 1 else "< 1 mo"


def costs(comparison: Comparison) -> RenderableType:
    """Where the money goes: mean present value of costs by category."""
    outcomes = ordered(comparison)
    sums = [category_sums(outcome.account) for outcome in outcomes]
    categories = list(dict.fromkeys(category for row in sums for category in row))
    rows: list[Sequence[str]] = [
        (category, *(money(row[category]) if row.get(category) else "-" for row in sums))
        for category in categories
    ]
    rows.append(("total", *(money(sum(row.values())) for row in sums)))
    columns = ("", *(SHORT[outcome.account.id] for outcome in outcomes))
    return table("Where the money goes (mean, today's money)", columns, rows)


def category_sums(account: Account) -> dict[str, float]:
    """Mean present value of the costs of an account by category."""
    sums: dict[str, float] = {}
    for item in account.items:
        if item.kind == "cost":
            mean = float(np.mean(item.present_value_usd()))
            sums[item.category] = sums.get(item.category, 0.0) + mean
    return sums


def _own_tuning(comparison: Comparison) -> Iterator[RenderableType]:
    """What tuning and hosting a model yourself would take, whether or not it is the answer."""
    outcome = comparison.outcomes.get("self_hosted_finetune")
    if outcome is None or outcome.account.project is None:
        return
    account, done = outcome.account, outcome.account.project
    sums = category_sums(account)
    days = np.asarray(sum(done.person_days_by_role.values()))
    p50, p80 = np.quantile(account.go_live_months, [0.5, 0.8])
    roles = sorted(done.person_days_by_role.items(), key=lambda role: -float(role[1].mean()))
    most = ", ".join(f"{name.replace('_', ' ')} {np.median(d):.0f}" for name, d in roles[:4])
    model = comparison.scenario.model
    yield facts(
        f"What tuning {model} and hosting it yourself would take",
        [
            ("time to go-live", f"{p50:.1f} months", f"{p80:.1f} in one case of five"),
            ("person-days before", f"{np.median(days):,.0f}", f"most: {most}"),
            ("people to build", money(sums.get("project people", 0.0)), "mean"),
            ("people to run", money(sums.get("running people", 0.0)), "retraining included"),
            ("examples", money(sums.get("data", 0.0)), "written, checked, renewed"),
            (
                "GPUs to train",
                money(sums.get("GPUs for training", 0.0)),
                "search, failed and repeated runs included",
            ),
            ("GPUs to serve", money(sums.get("GPUs for serving", 0.0)), "busy or idle"),
        ],
    )


def line_items(account: Account) -> RenderableType:
    """Every line item of one alternative, with the formula behind it."""
    rows = []
    for item in account.items:
        usd = range_of(np.asarray(item.present_value_usd()))
        sign = "+" if item.kind == "benefit" else "-"
        span = f"{money(usd['p10'] or 0.0)} to {money(usd['p90'] or 0.0)}"
        rows.append((f"{item.name}\n{item.formula}", sign + money(usd["mean"] or 0.0), span))
    return table(account.label, ("", "Mean", "P10 to P90"), rows)


def _information(comparison: Comparison) -> list[str]:
    worth = [(path, usd) for path, usd in comparison.evppi_usd.items() if usd > 0][:3]
    return [
        comparison.verdict.next_step,
        *(f"{path}: knowing it would be worth {money(usd)}" for path, usd in worth),
    ]


def _footer(comparison: Comparison) -> str:
    newest = max(newest for _, newest in pricing.prices_as_of().values())
    oldest = min(oldest for oldest, _ in pricing.prices_as_of().values())
    rate = comparison.scenario.discount_rate_per_year
    return (
        f"{comparison.draws.n:,} draws, seed {comparison.draws.seed}, "
        f"tuneroi {comparison.version}; discounted at {percent(rate)} a year, first month "
        f"undiscounted; facts from {oldest} to {newest}"
    )
