"""Which plans are worth a look: none dearer and slower than another, and in what order."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimator.quantity import FloatArray

Objective = Literal["cost", "time", "both"]


def pareto(cost_usd: ArrayLike, hours: ArrayLike) -> NDArray[np.bool_]:
    """Whether no other plan is at most as dear and at most as slow, and better in one of the two.

    Equal plans stand side by side. Sorted by cost, a plan stays if it is faster than all cheaper
    ones (Kung, Luccio and Preparata, "On finding the maxima of a set of vectors", 1975).
    """
    cost, time = np.asarray(cost_usd, np.float64), np.asarray(hours, np.float64)
    front = np.zeros(cost.shape, dtype=bool)
    fastest, its_cost = np.inf, np.nan
    for place in np.lexsort((time, cost)):
        if time[place] < fastest:
            fastest, its_cost = time[place], cost[place]
            front[place] = True
        elif time[place] == fastest and cost[place] == its_cost:
            front[place] = True
    return front


def scores(cost_usd: ArrayLike, hours: ArrayLike, objective: Objective) -> FloatArray:
    """What is to be small: the cost, the time, or their product."""
    cost, time = np.asarray(cost_usd, np.float64), np.asarray(hours, np.float64)
    return {"cost": cost, "time": time, "both": cost * time}[objective]
