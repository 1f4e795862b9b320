"""A plain scenario and its world, for tests of the alternatives' parts."""

from collections.abc import Mapping
from typing import Any

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.alternatives.world import World
from estimator.decision.evaluate import draw_inputs, world_of
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario

N = 256
BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 36
pretrain: {gpus: 8}
""")
STEADY: dict[str, Any] = {
    "demand.requests_per_month": 1000,
    "demand.growth_per_year": 0,
    "demand.seasonal_swing_share": 0,
    "demand.in_scope_share": 0.5,
    "team.wage_growth_per_year": 0,
    "discount_rate_per_year": 0,
}


def world(changes: Mapping[str, Any] | None = None, base: Scenario = BASE, n: int = N) -> World:
    scenario = with_inputs(base, changes or {})
    return world_of(scenario, draw_inputs(scenario, n=n, seed=11))


def item(account: Account, name: str) -> LineItem:
    return next(i for i in account.items if i.name == name)
