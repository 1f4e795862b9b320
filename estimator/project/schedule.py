"""The critical path of a network of activities, in every draw at once.

Source: Kelley and Walker, "Critical-path planning and scheduling", 1959; criticality index:
Van Slyke, "Monte Carlo methods and the PERT problem", Operations Research 11(5), 1963. Computing
it in every draw keeps the merge bias that adding up means along one path loses.
Left out: two activities that want the same person at the same time (resource levelling).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from graphlib import CycleError, TopologicalSorter
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from estimator.errors import InputError, unknown
from estimator.quantity import FloatArray


class Activity(Protocol):
    """What the schedule reads of an activity."""

    @property
    def id(self) -> str:
        """Name, unique in its network."""

    @property
    def after(self) -> tuple[str, ...]:
        """Activities that must be finished before this one starts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When each of k activities runs in each of n draws, in days from the start of the project."""

    start_days: FloatArray
    """Earliest start, shape (k, n)."""
    finish_days: FloatArray
    """Earliest finish, shape (k, n)."""
    float_days: FloatArray
    """Days that an activity may slip without moving the end of the project, shape (k, n)."""
    total_days: FloatArray
    """End of the project, shape (n,)."""

    @property
    def critical(self) -> NDArray[np.bool_]:
        """Whether an activity lies on a critical path, shape (k, n)."""
        return self.float_days <= 1e-9 * np.maximum(self.total_days, 1.0)

    @property
    def criticality(self) -> FloatArray:
        """Share of the draws in which each activity is critical (criticality index), shape (k,)."""
        return np.asarray(self.critical.mean(axis=1))


def schedule(
    activities: Sequence[Activity],
    duration_days: FloatArray,
    earliest_start_days: ArrayLike = 0.0,
) -> Schedule:
    """Earliest dates, total float and end of a network, for durations of shape (k, n).

    Forward pass: start = the latest finish of the predecessors, and not before
    `earliest_start_days` (broadcast to (k, n): people still to be hired). Backward pass: latest
    finish = the earliest latest start of the successors; float = latest finish - earliest finish.
    """
    order = _order(activities)
    row_of = {activity.id: row for row, activity in enumerate(activities)}
    duration = np.atleast_2d(np.asarray(duration_days, dtype=np.float64))
    start = np.array(np.broadcast_to(np.asarray(earliest_start_days, np.float64), duration.shape))
    finish = np.empty_like(start)
    for name in order:
        row = row_of[name]
        for before in activities[row].after:
            np.maximum(start[row], finish[row_of[before]], out=start[row])
        finish[row] = start[row] + duration[row]
    total = reduce(np.maximum, finish)
    latest_finish = np.repeat(total[None, :], len(activities), axis=0)
    for name in reversed(order):
        row = row_of[name]
        for before in activities[row].after:
            earlier = latest_finish[row_of[before]]
            np.minimum(earlier, latest_finish[row] - duration[row], out=earlier)
    return Schedule(
        start_days=start,
        finish_days=finish,
        float_days=latest_finish - finish,
        total_days=total,
    )


def _order(activities: Sequence[Activity]) -> tuple[str, ...]:
    graph = {activity.id: activity.after for activity in activities}
    if not graph or len(graph) != len(activities):
        raise InputError(f"a project needs activities with distinct ids, got {list(graph)}")
    for activity in activities:
        for before in activity.after:
            if before not in graph:
                raise unknown(f"predecessor of {activity.id}", before, graph)
    try:
        return tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " > ".join(error.args[1])
        raise InputError(f"activities wait for each other: {circle}; drop one of them") from None
