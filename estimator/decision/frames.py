"""A comparison as pandas tables; pandas is imported only here, and only when asked for."""

from typing import TYPE_CHECKING

import numpy as np

from estimator.decision.measures import measures
from estimator.decision.payback import expected_cash_usd

if TYPE_CHECKING:
    import pandas as pd

    from estimator.decision.simulate import Comparison

QUANTILES = (0.1, 0.5, 0.9)


def alternatives_frame(comparison: "Comparison") -> "pd.DataFrame":
    """One row per alternative, the highest mean NPV first: chances, money, time and measures.

    Index: alternative. Ranges as columns `..._p10`, `_p50`, `_p90` and `_mean`; "never" is nan.
    """
    import pandas as pd

    finance = measures(comparison)
    rows = {}
    for name, outcome in comparison.outcomes.items():
        found = finance[name]
        rows[name] = {
            "label": outcome.account.label,
            "probability_best": outcome.probability_best,
            "expected_regret_usd": outcome.expected_regret_usd,
            **_range("npv_usd", outcome.npv_usd),
            **_range("tco_usd", outcome.tco_usd),
            "cvar_usd": found.cvar_usd,
            "npv_standard_error_usd": found.npv_standard_error_usd,
            "roi": found.roi,
            "irr_per_year": found.irr_per_year,
            "irr_kind": found.irr.kind,
            "mirr_per_year": found.mirr_per_year,
            "payback_months": found.payback_months,
            "discounted_payback_months": found.discounted_payback_months,
            "equivalent_annual_cost_usd": found.equivalent_annual_cost_usd,
            "cost_usd_per_resolved_request": found.cost_usd_per_resolved_request,
            "go_live_months": float(np.nanmedian(outcome.account.go_live_months)),
        }
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("alternative")
    return frame.sort_values("npv_usd_mean", ascending=False, kind="stable")


def _range(name: str, sample: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> dict[str, float]:
    p10, p50, p90 = (float(q) for q in np.quantile(sample, QUANTILES))
    mean = float(np.mean(sample))
    return {f"{name}_p10": p10, f"{name}_p50": p50, f"{name}_p90": p90, f"{name}_mean": mean}


def line_items_frame(comparison: "Comparison") -> "pd.DataFrame":
    """One row per line item of every alternative: its present value, formula and inputs."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "alternative": name,
                "item": item.name,
                "category": item.category,
                "kind": item.kind,
                **_range("usd", np.atleast_1d(item.present_value_usd())),
                "formula": item.formula,
                "inputs": ", ".join(item.inputs),
            }
            for name, outcome in comparison.outcomes.items()
            for item in outcome.account.items
        ]
    )


def cash_flows_frame(comparison: "Comparison") -> "pd.DataFrame":
    """Expected undiscounted money by alternative, item and month; costs are negative.

    Columns: alternative, item, category, month (0 is now), usd.
    """
    import pandas as pd

    months = comparison.scenario.horizon_months
    parts = [
        pd.DataFrame(
            {
                "alternative": name,
                "item": item.name,
                "category": item.category,
                "month": np.arange(months),
                "usd": item.sign * expected_cash_usd(item),
            }
        )
        for name, outcome in comparison.outcomes.items()
        for item in outcome.account.items
    ]
    return pd.concat(parts, ignore_index=True)
