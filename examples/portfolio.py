"""Plan a portfolio: for each use case the way that makes the most of one budget for building.

Run it from the repository: python examples/portfolio.py [BUDGET_USD]

Every combination of ways is tried, one way or none for each use case. A combination keeps the
budget if what it costs to build does so in 8 of 10 simulated futures.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimator import compare, load_scenario
from estimator.decision.simulate import Outcome

HERE = Path(__file__).parent
USE_CASES = ("support-assistant", "meeting-minutes", "mid-size-desk", "rare-contracts")
BUILD = ("project people", "data", "GPUs for training", "fees")
DRAWS = 2048
SURE = 0.8
OTHER_BUDGETS = (0.25, 0.5, 1.0, 2.0)
Draws = NDArray[np.float64]


@dataclass(frozen=True)
class Choice:
    """A way for one use case, or to leave it as it is; arrays hold one number per future."""

    use_case: str
    way: str
    build_usd: Draws
    worth_usd: Draws
    live_months: float
    """Median months until it serves."""


def build_usd(outcome: Outcome, months: int) -> Draws:
    """Money spent before anything is earned: the project, its data, its runs and its fees."""
    account = outcome.account
    before = np.arange(months) < account.go_live_months[:, None]
    spent = [i.cash_usd() * before for i in account.items if i.category in BUILD]
    return np.asarray(sum(cash.sum(axis=1) for cash in spent)) + np.zeros(DRAWS)


def choices(use_case: str, seed: int) -> list[Choice]:
    """Leaving a use case as it is, and every way that is worth more on average.

    Use cases have seeds of their own: what goes wrong in one says nothing of another.
    """
    comparison = compare(load_scenario(HERE / f"{use_case}.yaml"), n=DRAWS, seed=seed)
    nothing = Choice(use_case, "leave as it is", np.zeros(DRAWS), np.zeros(DRAWS), 0.0)
    return [nothing] + [
        Choice(
            use_case,
            outcome.account.label,
            build_usd(outcome, comparison.scenario.horizon_months),
            outcome.npv_usd,
            float(np.nanmedian(outcome.account.go_live_months)),
        )
        for outcome in comparison.outcomes.values()
        if outcome.npv_usd.mean() > 0
    ]


def best_plan(options: Sequence[Sequence[Choice]], budget_usd: float) -> tuple[Choice, ...]:
    """The choices worth most together that keep the budget; at equal worth the cheaper."""

    def cost(plan: Sequence[Choice]) -> float:
        return float(np.quantile(np.sum([c.build_usd for c in plan], axis=0), SURE))

    def worth(plan: Sequence[Choice]) -> float:
        return float(sum(choice.worth_usd.mean() for choice in plan))

    kept = (plan for plan in product(*options) if cost(plan) <= budget_usd)
    return max(kept, key=lambda plan: (worth(plan), -cost(plan)))


def report(plan: Sequence[Choice], budget_usd: float) -> None:
    """Print the plan, most worth first, and what it comes to."""
    build = np.sum([choice.build_usd for choice in plan], axis=0)
    worth = np.sum([choice.worth_usd for choice in plan], axis=0)
    print(f"With {budget_usd:,.0f} USD to build, worth over each horizon in today's money:\n")
    print(f"{'use case':18} {'way':28} {'to build':>9} {'worth':>11} {'loss in':>8} {'live in':>8}")
    for choice in sorted(plan, key=lambda choice: -choice.worth_usd.mean()):
        line = f"{choice.use_case:18} {choice.way:28} {choice.build_usd.mean():9,.0f}"
        line += f" {choice.worth_usd.mean():11,.0f}"
        if choice.build_usd.any():
            line += f" {np.mean(choice.worth_usd < 0):8.0%} {choice.live_months:5.1f} mo"
        print(line)
    low, high = np.quantile(worth, [0.1, 0.9])
    print(f"{'together':47} {build.mean():9,.0f} {worth.mean():11,.0f} {np.mean(worth < 0):8.0%}")
    print(f"\n8 of 10 futures: worth {low:,.0f} to {high:,.0f} USD")
    over = np.mean(build > budget_usd)
    print(f"building costs {np.quantile(build, SURE):,.0f} USD or less in 8 of 10,", end=" ")
    print(f"more than the budget in {over:.0%}")


def main(budget_usd: float) -> None:
    """Print the best plan under the budget, and what smaller and larger ones would buy."""
    options = [choices(name, seed) for seed, name in enumerate(USE_CASES, 1)]
    report(best_plan(options, budget_usd), budget_usd)
    print("\nWhat other budgets would buy:")
    for share in OTHER_BUDGETS:
        plan = best_plan(options, share * budget_usd)
        worth = sum(choice.worth_usd.mean() for choice in plan)
        funded = ", ".join(f"{c.use_case}: {c.way}" for c in plan if c.build_usd.any())
        print(f"{share * budget_usd:10,.0f}: {worth:11,.0f}  {funded or 'nothing'}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 250_000.0)
