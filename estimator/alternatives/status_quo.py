"""Do nothing: people go on handling every request."""

import numpy as np

from estimator.alternatives.account import Account
from estimator.alternatives.outcome import avoided, people_handle_everything
from estimator.alternatives.world import World


def account(world: World) -> Account:
    """No project, no model: today's cost is both what is paid and what is avoided."""
    return Account(
        id="status_quo",
        items=(*people_handle_everything(world), *avoided(world)),
        go_live_months=np.zeros(world.draws.n),
        project=None,
    )
