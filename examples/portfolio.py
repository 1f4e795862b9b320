"""Plan a portfolio: the best way for each use case, and what fits under one budget.

Run it from the repository: python examples/portfolio.py [BUDGET_USD]
"""

import sys
from pathlib import Path

import numpy as np

from estimator import Comparison, compare, load_scenario

HERE = Path(__file__).parent
USE_CASES = ("support-assistant", "meeting-minutes", "mid-size-desk", "rare-contracts")
BUILD = ("project people", "data", "GPUs for training", "fees")


def build_usd(comparison: Comparison, way: str) -> float:
    """Mean money spent before anything is earned: the project, its data and its runs."""
    items = comparison.outcomes[way].account.items
    go_live = comparison.outcomes[way].account.go_live_months
    month = np.arange(comparison.scenario.horizon_months)
    before = month < go_live[:, None]
    return sum(
        float((item.cash_usd() * before).sum(axis=1).mean())
        for item in items
        if item.category in BUILD
    )


def main(budget_usd: float) -> None:
    """Print the choice for each use case, then fund them by value per dollar of building."""
    plans = []
    for name in USE_CASES:
        comparison = compare(load_scenario(HERE / f"{name}.yaml"), n=2048)
        way = comparison.verdict.alternative
        worth = float(comparison.outcomes[way].npv_usd.mean())
        plans.append((name, way, build_usd(comparison, way), worth))
    plans.sort(key=lambda plan: -plan[3] / max(plan[2], 1.0))
    left = budget_usd
    print(f"{'use case':20} {'best way':12} {'to build':>10} {'worth':>12}  funded")
    for name, way, build, worth in plans:
        funded = worth > 0 and build <= left
        left -= build if funded else 0.0
        print(f"{name:20} {way:12} {build:10,.0f} {worth:12,.0f}  {'yes' if funded else 'no'}")
    print(f"left of the budget: {left:,.0f} USD")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 250_000.0)
