"""Cost at equal service, for the terminal and as data."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from estimator.alternatives.account import LABELS
from estimator.decision.cost_only import CostOnly
from estimator.decision.simulate import Comparison
from estimator.decision.wording import listed, money, percent
from estimator.report.layout import heading, notes, table
from estimator.report.ranges import range_of


def cost_only_dict(comparison: Comparison, found: CostOnly) -> dict[str, Any]:
    """The result in the shape that `tuneroi compare --cost-only --json` promises."""
    scenario = comparison.scenario
    return {
        "scenario": scenario.name,
        "mode": "cost_only",
        "horizon_months": scenario.horizon_months,
        "discount_rate_per_year": scenario.discount_rate_per_year,
        "requests_resolved": found.requests,
        "alternatives": [
            {
                "id": way.id,
                "label": way.label,
                "own_cost_usd": range_of(way.own_cost_usd),
                "requests_resolved": range_of(way.resolved_requests),
                "usd_per_resolved_request": {
                    **range_of(
                        np.where(np.isinf(way.usd_per_request), np.nan, way.usd_per_request),
                        mean=False,
                    ),
                    "level": way.level_usd_per_request,
                },
                "probability_cheapest": way.probability_cheapest,
            }
            for way in found.ways
        ],
        "left_out": list(found.left_out),
        "verdict": {
            "alternative": found.ways[0].id if found.ways else None,
            "sentence": sentence(found),
            "too_close_to_call": bool(found.close and found.close.too_close),
            "contenders": list(found.close.contenders) if found.close else [],
        },
        "seed": comparison.draws.seed,
        "draws": comparison.draws.n,
        "version": comparison.version,
    }


def cost_only_parts(comparison: Comparison, found: CostOnly) -> Iterator[RenderableType]:
    """The cheapest way in a sentence, then all ways."""
    scenario = comparison.scenario
    yield heading(f"{scenario.name}: cost at equal service", scenario.description)
    yield Text(sentence(found), style="bold green")
    rows = []
    for way in found.ways:
        usd = np.where(np.isinf(way.usd_per_request), np.nan, way.usd_per_request)
        ends = range_of(usd, mean=False)
        shown = (money(e) if (e := ends[q]) is not None else "never" for q in ("p10", "p90"))
        rows.append(
            (
                way.label,
                percent(way.probability_cheapest),
                money(way.level_usd_per_request),
                " to ".join(shown),
                money(way.level_usd_per_request * found.requests),
                f"{way.resolved_requests.mean():,.0f}",
                money(float(way.own_cost_usd.mean())),
            )
        )
    titles = ("", "Cheapest in", "A request", "P10 to P90", "At equal service", "Answers", "Costs")
    yield table(f"Own costs over {scenario.horizon_months} months, in today's money", titles, rows)
    out = listed([LABELS[name].lower() for name in found.left_out])
    yield notes(
        "To know",
        [
            "a request counts once it is answered rightly and without a person; later ones count "
            "less, as later money does",
            f"at equal service: cost of {found.requests:,.0f} such requests; fixed costs are "
            "spread as they are now, though more volume would thin them",
            "no saving, no cost of people or of errors is in it: `tuneroi compare` without "
            "--cost-only weighs them",
            *([f"left out, having no level of service of its own: {out}"] if out else []),
        ],
    )


def sentence(found: CostOnly) -> str:
    """The cheapest way at equal service, or that it cannot be told."""
    if not found.ways:
        return "No way answers any request within the horizon."
    best, *others = found.ways
    cost = f"{money(best.level_usd_per_request)} for each request answered rightly"
    if found.close and found.close.too_close:
        names = listed([LABELS[way.id] for way in found.ways if way.id in found.close.contenders])
        return f"Too close to call at equal service: {names}, at about {cost}."
    against = f", against {money(others[0].level_usd_per_request)} for {others[0].label}"
    return (
        f"{best.label} is the cheapest at equal service: {cost}{against if others else ''}; it is "
        f"the cheapest in {percent(best.probability_cheapest)} of cases."
    )
