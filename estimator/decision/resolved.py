"""What an alternative delivers: requests answered rightly without a person, and its own costs."""

import numpy as np

from estimator.alternatives.account import Account
from estimator.alternatives.items import Category, present_value_usd
from estimator.alternatives.outcome import in_scope
from estimator.alternatives.quality import Way, right_share
from estimator.alternatives.staged import WAY_OF
from estimator.alternatives.world import Timeline, World
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId

NOT_OWN: tuple[Category, ...] = ("people handling requests", "errors")
"""Costs that follow from the value of an answer, not from building and running an assistant."""
WAYS: dict[AlternativeId, Way] = dict(WAY_OF.items())
WAYS["pretrain"] = "finetune"


def resolved_requests(account: Account, world: World) -> FloatArray | None:
    """Requests answered rightly, discounted as money is, shape (n,).

    None for doing nothing, and for a pilot: what follows it differs from draw to draw.
    """
    if account.id not in WAYS:
        return None
    requests = Timeline(world, account.go_live_months).requests.present
    right = in_scope(world) * right_share(world.draws, WAYS[account.id])
    return np.asarray(right * requests)


def own_cost_usd(account: Account, n: int) -> FloatArray:
    """Present value of building and running it: what people still do and errors left out; (n,)."""
    own = [item for item in account.items if item.category not in NOT_OWN]
    return present_value_usd(own, "cost", n)
