"""The benchmark itself: probe, grid, memory, slices, within a budget of time.

Children do the work (`worker.py`); here stands what is asked of them, in which order, and when it
is enough. Ctrl-C ends the children and keeps what was measured.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from estimator.benchmark.conclude import conclude, fit_of, steady_of, work_by_depth
from estimator.benchmark.fit import Timed
from estimator.benchmark.grid import Size, grid
from estimator.benchmark.peak import formula_bytes
from estimator.benchmark.probe import Probe, probe_of, usable_threads
from estimator.benchmark.record import Record, Result
from estimator.benchmark.slices import (
    LEAST_DEEPEST,
    LEAST_STEADY,
    choose_depths,
    extrapolate,
    steady_from,
)
from estimator.benchmark.target import Target
from estimator.benchmark.worker import (
    OutOfMemory,
    TooSlow,
    Worker,
    available_bytes,
    busy_share,
    worker,
)
from estimator.errors import InfeasiblePlan

GRID_SHARE = 0.25
"""Of the budget, at which no further small shape is begun."""
MEMORY_SHARE = 0.25
"""Of the budget, for peaks."""
LEAST_SHAPES = 4
GRID_STEPS = 5
PEAK_STEPS = 2
COLD_FACTOR = 2.0
"""Time of a step under the default allocator over that of a warm one that keeps its memory."""
WARM_ROUNDS = 2
ROUNDS = 5
"""Timed rounds for which the depths are chosen."""
HEADROOM = 1.2
"""Memory of a process over what its tensors take."""
PROCESS_BYTES = 2**29
"""Memory of a process with PyTorch loaded and no model."""
Report = Callable[[str, float, float], None]
"""What is being done, seconds since the start, seconds still to go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long and how exactly to measure."""

    budget_seconds: float = 90.0
    aim: float = 0.05
    """Half the 80 % interval of the extrapolated step at which measuring ends."""
    threads: int = field(default_factory=usable_threads)
    device: str | None = None
    """A PyTorch device; None: the best one there is."""
    limit_bytes: int | None = None
    """Memory that the children may use; None: all there is."""


@dataclass(frozen=True, slots=True)
class _Clock:
    """The budget, and who is told how much of it is left."""

    settings: Settings
    report: Report
    start: float

    @property
    def used(self) -> float:
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        return self.settings.budget_seconds - self.used

    def say(self, doing: str) -> None:
        self.report(doing, self.used, max(self.left, 0.0))


def benchmark(target: Target, settings: Settings, report: Report) -> Result:
    """Measure a target within the budget; a Ctrl-C after the first timings ends it early."""
    record = Record()
    clock = _Clock(settings, report, time.monotonic())
    try:
        _measure(target, record, clock)
    except KeyboardInterrupt:
        if record.probe is None or len(record.grid) < LEAST_SHAPES:
            raise
        record.interrupted = True
    record.seconds = clock.used
    return conclude(target, record)


def free_bytes(settings: Settings) -> int:
    """Memory that the model may take."""
    free = available_bytes()
    return free if settings.limit_bytes is None else min(free, settings.limit_bytes)


def hello(child: Worker, settings: Settings) -> Mapping[str, Any]:
    """What the child runs on; also sets its threads and its limit."""
    limit = {} if settings.limit_bytes is None else {"limit_bytes": settings.limit_bytes}
    found: Mapping[str, Any] = child.ask(do="hello", threads=settings.threads, **limit)
    return found


def _measure(target: Target, record: Record, clock: _Clock) -> None:
    settings = clock.settings
    load = busy_share()
    clock.say("starting PyTorch")
    with worker("time", threads=settings.threads, device=settings.device) as child:
        record.probe = _probe(child, clock, load)
        _refuse_too_large(target, record.probe, settings)
        _time_grid(child, target, record, clock)
        child.ask(do="free")
        _measure_peaks(target, record, clock)
        try:
            _time_slices(child, target, record, clock)
        except (OutOfMemory, TooSlow) as reason:
            record.notes.append(f"slices ended early: {reason}")


def _probe(child: Worker, clock: _Clock, load: float) -> Probe:
    from estimator.benchmark.probe import clock_of

    found = hello(child, clock.settings)
    clock.say("probing matmul, memory and launches")
    ticks = clock_of(found["backend"], found["threads"])
    return probe_of(found, child.ask(do="rates", clock=ticks), load)


def room_bytes(probe: Probe, settings: Settings) -> float:
    """Bytes of tensors that the device has room for."""
    if probe.backend == "cpu":
        return (free_bytes(settings) - PROCESS_BYTES) / HEADROOM
    limit = settings.limit_bytes or probe.memory_bytes
    return min(limit, probe.memory_bytes) / HEADROOM


def _refuse_too_large(target: Target, probe: Probe, settings: Settings) -> None:
    needs, room = formula_bytes(target, 1, probe.backend), room_bytes(probe, settings)
    if needs > room:
        raise InfeasiblePlan(
            f"{target.name}: even one layer takes {needs / 2**30:.1f} GiB with this recipe, "
            f"{probe.name} has room for {max(room, 0) / 2**30:.1f} GiB; lower --micro-batch or "
            "--seq-len, try --checkpointing full, or --method lora"
        )


def _time_grid(child: Worker, target: Target, record: Record, clock: _Clock) -> None:
    """Each small shape in turn, as many as a share of the budget allows."""
    probe = record.probe
    assert probe is not None
    size: Size = "cpu" if probe.backend == "cpu" else "gpu"
    shapes, slowdowns = grid(size, target.recipe), [1.0]
    for i, shape in enumerate(shapes):
        late = clock.used > GRID_SHARE * clock.settings.budget_seconds
        if late and len(record.grid) >= LEAST_SHAPES:
            record.notes.append(f"{len(shapes) - i} of {len(shapes)} small shapes left out: time")
            break
        clock.say(f"small shapes, {i + 1} of {len(shapes)}")
        try:
            child.ask(do="build", case=shape.case(shape.depth))
            steps = child.ask(do="steps", depth=shape.depth, count=GRID_STEPS)
        except OutOfMemory:
            record.notes.append(f"{shape.name} left out: memory")
            continue
        seconds = np.array([sum(step[probe.clock]) for step in steps])
        slowdowns.append(sum(sum(step["wall"]) for step in steps) / seconds.sum())
        warm = seconds[steady_from(seconds[:, None]) :]
        record.grid.append(
            Timed(
                target=shape,
                depth=shape.depth,
                seconds=float(np.median(warm)),
                log_sd=float(np.std(np.log(warm))) / len(warm) ** 0.5,
                source="grid",
            )
        )
        record.slowdown = float(np.median(slowdowns))


def _measure_peaks(target: Target, record: Record, clock: _Clock) -> None:
    """Peaks of a few depths, each built for itself, under the default allocator.

    One layer, as many as the time allows but at least four, and half of that if there is time.
    """
    probe, settings = record.probe, clock.settings
    assert probe is not None
    until = clock.used + MEMORY_SHARE * settings.budget_seconds
    try:
        with worker("memory", threads=settings.threads, device=settings.device) as child:
            hello(child, settings)
            _measure_peak(child, target, 1, record, clock)
            costs = _peak_seconds(target, record, clock)
            left = until - clock.used
            affordable = [depth for depth, cost in costs.items() if cost < left]
            least = min(LEAST_DEEPEST, max(costs))
            deepest = max(least, max(affordable, default=1))
            for depth in (deepest, deepest // 2):
                late = depth < deepest and costs.get(depth, 0.0) > until - clock.used
                if depth > 1 and not late:
                    _measure_peak(child, target, depth, record, clock)
    except (OutOfMemory, TooSlow) as reason:
        record.notes.append(f"peaks ended early: {reason}")


def _measure_peak(child: Worker, target: Target, depth: int, record: Record, clock: _Clock) -> None:
    clock.say(f"peak memory of {depth} layer{'s' if depth > 1 else ''}")
    limit = max(clock.settings.budget_seconds, 60.0)
    found = child.ask(limit, do="memory", case=target.case(depth), steps=PEAK_STEPS)
    record.peaks[depth] = found["peak_bytes"]


def _peak_seconds(target: Target, record: Record, clock: _Clock) -> dict[int, float]:
    """Expected seconds to measure the peak of each depth that has room."""
    probe = record.probe
    assert probe is not None
    depths = _with_room(target, probe, clock.settings)
    seconds = work_by_depth(target, depths, probe, fit_of(target, record, None))
    return {
        depth: record.slowdown
        * (PEAK_STEPS * COLD_FACTOR * seconds[depth] + first_use_seconds(target, depth, probe))
        for depth in depths
    }


def _with_room(target: Target, probe: Probe, settings: Settings) -> tuple[int, ...]:
    """Depths that fit into memory; one layer is known to."""
    room = room_bytes(probe, settings)
    return tuple(
        depth
        for depth in range(1, target.depth + 1)
        if depth == 1 or formula_bytes(target, depth, probe.backend) < room
    )


def _time_slices(child: Worker, target: Target, record: Record, clock: _Clock) -> None:
    """Interleaved rounds over the depths until the interval is narrow or the time is used."""
    probe, settings = record.probe, clock.settings
    assert probe is not None
    record.depths = _depths(target, record, clock)
    clock.say(f"building {record.depths[-1]} of {target.depth} layers")
    child.ask(do="build", case=target.case(record.depths[-1]))
    while True:
        begun = clock.used
        _round(child, record, clock)
        reached = _reached(target, record)
        clock.say(_told(record, reached))
        if len(record.rounds) > LEAST_STEADY and reached < settings.aim:
            return
        enough = len(record.rounds) > LEAST_STEADY
        if enough and clock.left < clock.used - begun:
            return


def _told(record: Record, reached: float) -> str:
    shown = "" if np.isinf(reached) else f", ±{reached:.1%} so far"
    return f"round {len(record.rounds)} over depths {', '.join(map(str, record.depths))}{shown}"


def _round(child: Worker, record: Record, clock: _Clock) -> None:
    """One step at each depth, the deepest first, so that it makes the memory for the others."""
    limit = max(3.0 * clock.settings.budget_seconds, 60.0)
    drift = child.ask(do="drift")
    steps = {
        depth: child.ask(limit, do="steps", depth=depth, count=1)[0]
        for depth in reversed(record.depths)
    }
    record.drift.append(drift)
    record.rounds.append([steps[depth] for depth in record.depths])


def _reached(target: Target, record: Record) -> float:
    """Half the 80 % interval of the extrapolated step so far."""
    assert record.probe is not None
    held = steady_of(record, record.probe)
    if held is None:
        return float("inf")
    work = {depth: float(depth) for depth in record.depths}
    return extrapolate(held, work, float(target.depth)).half_width


def _depths(target: Target, record: Record, clock: _Clock) -> tuple[int, ...]:
    """Depths that fit into memory and of which several rounds fit into the time that is left."""
    probe, settings = record.probe, clock.settings
    assert probe is not None
    fitting = _with_room(target, probe, settings)
    fitted = fit_of(target, record, None)
    seconds = work_by_depth(target, fitting, probe, fitted)
    rounds = WARM_ROUNDS + ROUNDS
    once = {depth: first_use_seconds(target, depth, probe) / rounds for depth in fitting}
    expected = {
        depth: record.slowdown * (seconds[depth] + (once[depth] if depth > 1 else 0.0))
        for depth in fitting
    }
    return choose_depths(target.depth, expected, clock.left / rounds)


def first_use_seconds(target: Target, depth: int, probe: Probe) -> float:
    """Seconds to use the memory of a depth for the first time."""
    return formula_bytes(target, depth, probe.backend) / probe.touch_bytes_per_second
