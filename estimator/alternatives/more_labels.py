"""What more labelled examples would be worth: the data-quality curve in money."""

from dataclasses import replace

import numpy as np

from estimator.alternatives import build_alternative
from estimator.alternatives.items import present_value_usd
from estimator.alternatives.world import World
from estimator.quantity import FloatArray
from estimator.scenario import AlternativeId


def worth_of_labels_usd(world: World, name: AlternativeId, labels: float = 1000.0) -> FloatArray:
    """Net present value of a tuned way with so many more examples, less that without, shape (n,).

    Their price, the longer runs and the later go-live are in it; see
    `estimator.alternatives.quality.learning_curve`.
    """
    columns = dict(world.draws.columns)
    columns["data.examples"] = np.asarray(columns["data.examples"] + labels)
    more = replace(world, draws=replace(world.draws, columns=columns))
    return np.asarray(_npv_usd(more, name) - _npv_usd(world, name))


def _npv_usd(world: World, name: AlternativeId) -> FloatArray:
    items, n = build_alternative(name, world).items, world.draws.n
    return np.asarray(present_value_usd(items, "benefit", n) - present_value_usd(items, "cost", n))
