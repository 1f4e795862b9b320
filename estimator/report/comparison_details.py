"""A comparison in detail: the usual measures, and what decides between the best two."""

from collections.abc import Iterator

import numpy as np
from rich.console import RenderableType

from estimator.alternatives.account import LABELS
from estimator.decision.choose import dominance, ranking
from estimator.decision.evaluate import knowable
from estimator.decision.measures import Measures, measures
from estimator.decision.sensitivity import decision_sensitivity, tornado
from estimator.decision.simulate import Comparison
from estimator.decision.wording import money, percent, value_with_unit
from estimator.report.layout import notes, table
from estimator.scenario import AlternativeId

ROWS = 8
HIGHEST_RATE = 10.0  # yearly rates above 1,000 % say no more than that


def measure_table(comparison: Comparison, risk_tolerance_usd: float | None) -> RenderableType:
    """One row per alternative: rates, paybacks, return, yearly and level cost, worst tenth."""
    found = measures(comparison, risk_tolerance_usd=risk_tolerance_usd)
    order = [name for name in _ranked(comparison) if name != "status_quo"]
    titles = ["", "IRR", "MIRR", "ROI", "Paid back", "discounted", "A year", "A request", "Worst"]
    rows = [_row(LABELS[name], found[name]) for name in order]
    if risk_tolerance_usd is not None:
        titles.append("Surely worth")
        rows = [
            (*row, money(found[name].certainty_equivalent_usd or 0.0))
            for row, name in zip(rows, order, strict=True)
        ]
    return table("The usual measures, of expected cash against doing nothing", titles, rows)


def _ranked(comparison: Comparison) -> list[AlternativeId]:
    payoffs = comparison.payoffs()
    return sorted(comparison.outcomes, key=lambda name: ranking(payoffs).index(name))


def _row(label: str, found: Measures) -> tuple[str, ...]:
    request = found.cost_usd_per_resolved_request
    return (
        label,
        found.irr.kind if found.irr_per_year is None else _rate(found.irr_per_year),
        "none" if found.mirr_per_year is None else _rate(found.mirr_per_year),
        "n/a" if found.roi is None else f"{found.roi:.0%}",
        _months(found.payback_months),
        _months(found.discounted_payback_months),
        money(found.equivalent_annual_cost_usd),
        "n/a" if request is None else money(request),
        money(found.cvar_usd),
    )


def _rate(per_year: float) -> str:
    return "> 1,000 %" if per_year > HIGHEST_RATE else f"{per_year:.0%}".replace("%", " %")


def _months(months: float | None) -> str:
    return "never" if months is None else f"{months:.0f} mo"


def decision_parts(comparison: Comparison) -> Iterator[RenderableType]:
    """Which inputs move the gap between the best two, and which separate who wins."""
    payoffs = comparison.payoffs()
    if len(payoffs) < 2:
        return
    first, second = ranking(payoffs)[:2]
    inputs = knowable(comparison.draws)
    gap = payoffs[first] - payoffs[second]
    units = {path: q.unit for path, q in comparison.scenario.inputs().items()}
    names = f"{LABELS[_known(comparison, first)]} less {LABELS[_known(comparison, second)]}"
    rows = [
        (
            bar.input,
            f"{_value(bar.low_value, units.get(bar.input))} to "
            f"{_value(bar.high_value, units.get(bar.input))}",
            f"{money(bar.payoff_at_low)} to {money(bar.payoff_at_high)}",
        )
        for bar in tornado(gap, inputs)[:ROWS]
    ]
    yield table(f"{names}: what moves it", ("", "P10 to P90", "Expected gap"), rows)
    found = [s for s in decision_sensitivity(gap > 0, inputs) if s.distance > s.noise][:ROWS]
    shown = [
        (
            s.input,
            f"{s.distance:.2f}",
            f"{s.auc:.2f}",
            _value(s.typical_when_winning, units.get(s.input)),
            _value(s.typical_when_losing, units.get(s.input)),
        )
        for s in found
    ]
    won = LABELS[_known(comparison, first)]
    titles = ("", "KS distance", "AUC", f"where {won} wins", "where not")
    share = percent(float(np.mean(gap > 0)))
    yield table(f"What separates the {share} of draws in which {won} wins", titles, shown)
    dominated = [
        f"{LABELS[_known(comparison, d.better)]} dominates {LABELS[_known(comparison, d.worse)]} "
        f"({'at every probability' if d.order == 1 else 'for everyone averse to risk'})"
        for d in dominance(payoffs)
        if d.order and d.better == first
    ]
    if dominated:
        yield notes("Stochastic dominance", dominated)


def _known(comparison: Comparison, name: str) -> AlternativeId:
    return next(known for known in comparison.outcomes if known == name)


def _value(x: float, unit: str | None) -> str:
    return value_with_unit(x, unit)
