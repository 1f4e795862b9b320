"""The largest micro-batch that really runs, against what the formula says."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from estimator.benchmark.measure import PEAK_STEPS, Report, Settings, hello, room_bytes
from estimator.benchmark.peak import dispatch_of
from estimator.benchmark.probe import Probe
from estimator.benchmark.target import Target
from estimator.benchmark.worker import OutOfMemory, worker
from estimator.training.memory import estimate_memory

MOST = 4096
"""Largest micro-batch that is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One micro-batch that was tried."""

    micro_batch: int
    ran: bool
    peak_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Largest:
    """Between which micro-batches memory ends."""

    runs: int
    """The largest that ran; 0: none did."""
    fails: int | None
    """The smallest that ran out of memory; None: none did."""
    formula: int
    """What the closed form says; 0: not even one sequence."""
    attempts: tuple[Attempt, ...]

    @property
    def settled(self) -> bool:
        """Whether nothing is left to try between the two."""
        return self.runs == MOST or self.fails == self.runs + 1


def search(
    runs: Callable[[int], bool], first: int, most: int, enough: Callable[[], bool]
) -> tuple[int, int | None]:
    """The largest number that runs and the smallest that fails, by doubling and bisection.

    `first` is tried first; `enough` ends the search early, and then the two may lie apart.
    """
    low, high, at = 0, None, min(max(first, 1), most)
    while (high is None and low < most) or (high is not None and high - low > 1):
        if runs(at):
            low = at
        else:
            high = at
        if enough():
            break
        at = min(2 * low, most) if high is None else (low + high) // 2
    return low, high


def largest_micro_batch(
    target: Target, probe: Probe, settings: Settings, report: Report
) -> Largest:
    """Steps of the whole model at micro-batch after micro-batch, each in a child of its own.

    Ends with the budget; the attempt under way is finished.
    """
    start, attempts = time.monotonic(), list[Attempt]()

    def used() -> float:
        return time.monotonic() - start

    def runs(batch: int) -> bool:
        report(f"micro-batch {batch}", used(), max(settings.budget_seconds - used(), 0.0))
        attempts.append(attempt(target, batch, settings))
        return attempts[-1].ran

    guess = formula_largest(target, probe, settings)
    low, high = search(runs, guess, MOST, lambda: used() > settings.budget_seconds)
    return Largest(runs=low, fails=high, formula=guess, attempts=tuple(attempts))


def attempt(target: Target, batch: int, settings: Settings) -> Attempt:
    """Two steps of the whole model at a micro-batch: the second one has the optimizer's states."""
    tried = target.with_recipe(micro_batch=batch)
    try:
        with worker("memory", threads=settings.threads, device=settings.device) as child:
            hello(child, settings)
            found = child.ask(do="memory", case=tried.case(target.depth), steps=PEAK_STEPS)
    except OutOfMemory:
        return Attempt(micro_batch=batch, ran=False, peak_bytes=None)
    return Attempt(micro_batch=batch, ran=True, peak_bytes=found["peak_bytes"])


def formula_largest(target: Target, probe: Probe, settings: Settings) -> int:
    """The largest micro-batch whose tensors have room by the closed form."""
    batches = np.arange(1, MOST + 1)
    memory = estimate_memory(
        target.architecture,
        target.recipe,
        micro_batch=batches,
        dispatch=dispatch_of(probe.backend),
    )
    fitting = batches[memory.allocated_bytes <= room_bytes(probe, settings)]
    return int(fitting.max(initial=0))
