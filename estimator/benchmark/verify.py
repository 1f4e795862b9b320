"""The whole model, stepped for real: does the prediction hold?"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from estimator.benchmark.measure import PEAK_STEPS, Report, Settings, hello
from estimator.benchmark.probe import clock_of
from estimator.benchmark.slices import LEAST_STEADY, steady_from
from estimator.benchmark.target import Target
from estimator.benchmark.worker import worker

STEPS = 8
"""Steps of the whole model, warm-up included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The whole model, measured."""

    step_seconds: tuple[float, ...]
    """Steady steps."""
    peak_bytes: int | None
    """None where the peak was not asked for."""

    @property
    def median_seconds(self) -> float:
        """The middle step."""
        return float(np.median(self.step_seconds))


def verify(
    target: Target,
    settings: Settings,
    report: Report,
    *,
    steps: int = STEPS,
    peak: bool = True,
) -> Verified:
    """Time and peak of a few steps of the whole model; `OutOfMemory` where it does not fit."""
    start = time.monotonic()

    def say(doing: str) -> None:
        report(doing, time.monotonic() - start, 0.0)

    peak_bytes = None
    if peak:
        say("peak memory of the whole model")
        with worker("memory", threads=settings.threads, device=settings.device) as child:
            hello(child, settings)
            case = target.case(target.depth)
            peak_bytes = child.ask(do="memory", case=case, steps=PEAK_STEPS)["peak_bytes"]
    return Verified(step_seconds=_whole_steps(target, settings, say, steps), peak_bytes=peak_bytes)


def _whole_steps(
    target: Target, settings: Settings, say: Callable[[str], None], steps: int
) -> tuple[float, ...]:
    """Seconds of the steady steps of the whole model."""
    with worker("time", threads=settings.threads, device=settings.device) as child:
        found = hello(child, settings)
        clock = clock_of(found["backend"], found["threads"])
        say("building the whole model")
        child.ask(do="build", case=target.case(target.depth))
        taken = []
        for i in range(max(steps, LEAST_STEADY)):
            say(f"step {i + 1} of {steps} of the whole model")
            (step,) = child.ask(do="steps", depth=target.depth, count=1)
            taken.append(sum(step[clock]))
    seconds = np.array(taken)
    return tuple(seconds[steady_from(seconds[:, None]) :].tolist())
