"""A comparison as data: the documented shape of `tuneroi compare --json`."""

from dataclasses import fields
from typing import Any

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.decision.choose import dominance, ranking
from estimator.decision.evaluate import knowable
from estimator.decision.finance import yearly_rate
from estimator.decision.measures import Measures, measures
from estimator.decision.sensitivity import decision_sensitivity, tornado
from estimator.decision.simulate import Comparison, Outcome
from estimator.report.ranges import range_of

CONVENTION = (
    "USD of today, discounted monthly at the scenario's yearly rate, first month undiscounted; "
    "npv_usd is against doing nothing, tco_usd is absolute"
)
INPUTS_SHOWN = 12


def as_dict(comparison: Comparison, *, risk_tolerance_usd: float | None = None) -> dict[str, Any]:
    """The comparison in the shape that `--json` promises."""
    scenario = comparison.scenario
    finance = measures(comparison, risk_tolerance_usd=risk_tolerance_usd)
    return {
        "scenario": scenario.name,
        "horizon_months": scenario.horizon_months,
        "discount_rate_per_year": scenario.discount_rate_per_year,
        "convention": CONVENTION,
        "alternatives": [
            _alternative(outcome) | {"measures": _measures(finance[name])}
            for name, outcome in comparison.outcomes.items()
        ],
        "dominance": [
            {"better": pair.better, "worse": pair.worse, "order": pair.order}
            for pair in dominance(comparison.payoffs())
            if pair.order
        ],
        "sensitivity": _sensitivity(comparison),
        "verdict": _verdict(comparison),
        "information": {
            "evpi_usd": comparison.evpi_usd,
            "evppi_usd": dict(comparison.evppi_usd),
        },
        "seed": comparison.draws.seed,
        "draws": comparison.draws.n,
        "version": comparison.version,
        "prices_as_of": {
            table: {"oldest": oldest, "newest": newest}
            for table, (oldest, newest) in pricing.prices_as_of().items()
        },
    }


def _alternative(outcome: Outcome) -> dict[str, Any]:
    account = outcome.account
    return {
        "id": account.id,
        "label": account.label,
        "npv_usd": range_of(outcome.npv_usd),
        "tco_usd": range_of(outcome.tco_usd),
        "roi": range_of(outcome.roi, mean=False),
        "probability_best": outcome.probability_best,
        "expected_regret_usd": outcome.expected_regret_usd,
        "payback_months": range_of(outcome.payback_months, mean=False),
        "go_live_months": range_of(account.go_live_months),
        "person_days": _person_days(account),
        "line_items": [_line_item(item) for item in account.items],
        "notes": list(account.notes),
    }


def _sensitivity(comparison: Comparison) -> dict[str, Any]:
    """What moves the gap between the best two, and what separates the draws that each wins."""
    payoffs = comparison.payoffs()
    best_two = ranking(payoffs)[:2]
    if len(best_two) < 2:
        return {"between": list(best_two), "tornado": [], "separation": []}
    gap, inputs = payoffs[best_two[0]] - payoffs[best_two[1]], knowable(comparison.draws)
    return {
        "between": list(best_two),
        "tornado": [
            {
                "input": bar.input,
                "value": {"low": bar.low_value, "high": bar.high_value},
                "gap_usd": {"low": bar.payoff_at_low, "high": bar.payoff_at_high},
            }
            for bar in tornado(gap, inputs)[:INPUTS_SHOWN]
        ],
        "separation": [
            {"input": s.input, "ks_distance": s.distance, "noise": s.noise, "auc": s.auc}
            for s in decision_sensitivity(gap > 0, inputs)[:INPUTS_SHOWN]
        ],
    }


def _measures(found: Measures) -> dict[str, Any]:
    """The measures of one alternative, the internal rate of return in words and numbers."""
    plain = {f.name: getattr(found, f.name) for f in fields(found) if f.name != "irr"}
    rates = [float(yearly_rate(rate)) for rate in found.irr.rates_per_period]
    return {"irr": {"kind": found.irr.kind, "rates_per_year": rates}, **plain}


def _person_days(account: Account) -> dict[str, dict[str, float | None]]:
    if account.project is None:
        return {}
    return {role: range_of(days) for role, days in account.project.person_days_by_role.items()}


def _line_item(item: LineItem) -> dict[str, Any]:
    return {
        "name": item.name,
        "category": item.category,
        "kind": item.kind,
        "usd": range_of(np.asarray(item.present_value_usd())),
        "formula": item.formula,
        "inputs": list(item.inputs),
    }


def _verdict(comparison: Comparison) -> dict[str, Any]:
    verdict = comparison.verdict
    return {
        "alternative": verdict.alternative,
        "sentence": verdict.sentence,
        "reason": verdict.reason,
        "confidence": verdict.confidence,
        "too_close_to_call": verdict.too_close,
        "contenders": list(verdict.contenders),
        "runner_up": verdict.runner_up,
        "gain_usd": verdict.gain_usd,
        "flips": [
            {
                "input": flip.input,
                "value": flip.value,
                "side": flip.side,
                "expected": flip.median,
                "alternative": flip.alternative,
                "sentence": sentence,
            }
            for flip, sentence in zip(verdict.flips, verdict.flip_sentences, strict=True)
        ],
        "next_step": verdict.next_step,
    }
