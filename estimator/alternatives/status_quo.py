"""Do nothing: people go on handling every request."""

import numpy as np

from estimator.alternatives.account import Account
from estimator.alternatives.outcome import avoided, people_handle_everything
from estimator.alternatives.world import World
from pricing import assumption
from pricing.countries import HOME_COUNTRY, countries

HUMAN_COST = "value.human_cost_usd_per_request"


def account(world: World) -> Account:
    """No project, no model: today's cost is both what is paid and what is avoided."""
    return Account(
        id="status_quo",
        items=(*people_handle_everything(world), *avoided(world)),
        go_live_months=np.zeros(world.draws.n),
        project=None,
        notes=_notes(world),
    )


def _notes(world: World) -> tuple[str, ...]:
    """A warning where wages are of one country and the cost of a request of another."""
    country = countries()[world.scenario.team.country]
    default = assumption(HUMAN_COST)
    given = world.scenario.value.human_cost_usd_per_request
    if country.code == HOME_COUNTRY or given.source != default.source:
        return ()
    return (
        f"what people cost for a request is the default of the United States, not of "
        f"{country.name}: give your own {HUMAN_COST}",
    )
