"""How often to retrain: what a retraining costs against what ageing knowledge loses."""

import numpy as np
from numpy.typing import ArrayLike

from estimator.alternatives.items import LineItem
from estimator.alternatives.quality import access, skill
from estimator.alternatives.world import World
from estimator.quantity import FloatArray

RETRAINING_ITEMS = (
    "People who retrain",
    "GPUs for retraining",
    "Renewing examples at each retraining",
)


def best_interval_months(cost_usd: ArrayLike, loss_usd_per_month2: ArrayLike) -> FloatArray:
    """Months between renewals at which renewing and ageing together cost least: sqrt(2 C / L).

    The loss per month grows by L every month: C / T + L T / 2 is least there, as in Harris's
    economic lot size ("How many parts to make at once", 1913). Infinite where nothing is lost.
    """
    loss = np.asarray(loss_usd_per_month2, np.float64)
    never = np.full(loss.shape, np.inf)
    ratio = np.divide(2 * np.asarray(cost_usd), loss, out=never, where=loss > 0)
    return np.asarray(np.sqrt(ratio))


def ageing_usd_per_month2(world: World) -> FloatArray:
    """What a tuned model's ageing loses per month, more every month, shape (n,).

    Requests in scope x share that needs knowledge x skill x what tuning has stored of it x share
    that changes in a month x what a person costs for one request.
    """
    d = world.draws
    stored = access(d, "finetune") - d["quality.prompt_knowledge_share"]
    outdated = np.maximum(stored, 0.0) * d["knowledge.changed_share_per_month"]
    in_need = d["quality.knowledge_share"] * skill(d, "finetune") * outdated
    requests = d["demand.requests_per_month"] * d["demand.in_scope_share"]
    return np.asarray(requests * in_need * d["value.human_cost_usd_per_request"])


def cadence_note(world: World, *retraining: LineItem) -> str:
    """At what interval retraining would pay best, beside the one that is planned."""
    n = world.draws.n
    cost = sum((np.asarray(item.amount_usd) for item in retraining), np.zeros(n))
    loss = np.broadcast_to(ageing_usd_per_month2(world), (n,))
    best = float(np.median(best_interval_months(cost, loss)))
    planned = float(np.median(world.draws["training.retrain_months"]))
    if best > world.months:
        return f"retraining every {planned:.0f} months; for ageing alone it would not pay"
    return (
        f"retraining every {planned:.0f} months; every {best:.0f} would pay best for ageing alone"
    )
