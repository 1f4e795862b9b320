"""A comparison as data: the documented shape of `tuneroi compare --json`."""

from typing import Any

import numpy as np

import pricing
from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.decision.simulate import Comparison, Outcome
from estimator.report.ranges import range_of

CONVENTION = (
    "USD of today, discounted monthly at the scenario's yearly rate, first month undiscounted; "
    "npv_usd is against doing nothing, tco_usd is absolute"
)


def as_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison in the shape that `--json` promises."""
    scenario = comparison.scenario
    return {
        "scenario": scenario.name,
        "horizon_months": scenario.horizon_months,
        "discount_rate_per_year": scenario.discount_rate_per_year,
        "convention": CONVENTION,
        "alternatives": [_alternative(outcome) for outcome in comparison.outcomes.values()],
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
