"""From one process to several: a step measured alone, together, and predicted from its parts."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from estimator.benchmark.collectives import CollectiveRates
from estimator.benchmark.launch import on_ranks
from estimator.benchmark.target import Target
from estimator.errors import InputError

Mode = Literal["ddp", "fsdp2"]
MODES: tuple[Mode, ...] = ("ddp", "fsdp2")
Message = tuple[str, int]
"""A collective and the bytes of its whole tensor."""
ROUNDS, WARM_UP = 10, 3
BUCKET_PASSES = 2
"""Copies of every gradient under DDP: into its bucket and back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepParts:
    """Seconds of one optimizer step of one process."""

    forward_seconds: float
    backward_seconds: float
    optimizer_seconds: float

    @property
    def seconds(self) -> float:
        """The whole step."""
        return self.forward_seconds + self.backward_seconds + self.optimizer_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """One model stepped by one process, by several apart, and by several together; medians."""

    mode: Mode
    nproc: int
    nodes: int
    backend: str
    device: str
    alone_seconds: float
    """A step of one process while the others wait."""
    apart: StepParts
    """A step of every process at the same time, nothing exchanged: the slowest one. Under FSDP2
    each process shards over itself alone, which costs its copies."""
    together_seconds: float
    """A step of all of them as one run."""
    messages_seconds: float
    """Its messages one after the other, nothing computed."""
    messages: tuple[Message, ...]
    rounds: int
    spread: float
    """Half the distance of the quartiles of the step together, over its median."""

    @property
    def overlap_share(self) -> float:
        """Share of the messages' time that computing hides.

        Below 0 where being together costs more than both parts after one another.
        """
        exposed = self.together_seconds - self.apart.seconds
        return 1 - exposed / self.messages_seconds

    @property
    def efficiency(self) -> float:
        """Throughput of the processes together over that of as many that wait for nobody."""
        return self.alone_seconds / self.together_seconds

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON holds it."""
        derived = {"overlap_share": self.overlap_share, "efficiency": self.efficiency}
        return asdict(self) | derived


def measure_scaling(
    target: Target,
    nproc: int,
    mode: Mode,
    *,
    backend: str | None = None,
    rounds: int = ROUNDS,
    port: int = 0,
    timeout_seconds: float = 600.0,
) -> Scaling:
    """Steps of `target` with one process and with `nproc`, DDP or FSDP2 (`fully_shard`).

    Every round has one step of each kind, so that a busy neighbour hits all alike. On the CPU
    each process has one thread.
    """
    if mode not in MODES:
        raise InputError(f"mode {mode!r}: processes share a step by {' or '.join(MODES)}")
    request = {
        "do": "scaling",
        "backend": backend,
        "case": target.case(target.depth),
        "mode": mode,
        "rounds": rounds,
        "warm_up": WARM_UP,
    }
    raw = on_ranks(request, nproc=nproc, port=port, timeout_seconds=timeout_seconds)
    return scaling_of(raw, mode)


def scaling_of(raw: Mapping[str, Any], mode: Mode) -> Scaling:
    """The result in what the ranks measured."""
    seconds = {kind: statistics.median(times) for kind, times in raw["seconds"].items()}
    forward, backward, optimizer = map(statistics.median, zip(*raw["parts"], strict=True))
    return Scaling(
        mode=mode,
        nproc=int(raw["nproc"]),
        nodes=int(raw["nodes"]),
        backend=str(raw["backend"]),
        device=str(raw["device"]),
        alone_seconds=seconds["alone"],
        apart=StepParts(
            forward_seconds=forward, backward_seconds=backward, optimizer_seconds=optimizer
        ),
        together_seconds=seconds["together"],
        messages_seconds=seconds["messages"],
        messages=tuple((str(operation), int(size)) for operation, size in raw["messages"]),
        rounds=len(raw["parts"]),
        spread=_spread(raw["seconds"]["together"]),
    )


def _spread(times: Sequence[float]) -> float:
    if len(times) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(times, n=4)
    return (high - low) / 2 / middle


def predict_scaling(
    one_process: StepParts,
    rates: CollectiveRates,
    nproc: int,
    messages: Sequence[Message],
    mode: Mode,
) -> float:
    """Seconds of a step of `nproc` processes, from one process and measured collectives.

    `one_process` is a plain step for DDP, which adds the copies into and out of its buckets; for
    FSDP2 it is a step under `fully_shard` over the process alone, which has such copies in it.

    A message takes its measured time. The part of it that the CPU itself works on (`busy_share`)
    adds to the step where that CPU computes too; the rest can be hidden. DDP hides it behind the
    backward pass that still runs when a bucket is ready, each message in its turn (Li et al. 2020,
    "PyTorch Distributed", section 3.2.3). FSDP2 hides it behind the neighbouring unit's computing
    (Zhao et al. 2023, "PyTorch FSDP", section 3.3), and each process updates its own share of the
    parameters; on the CPU it has no streams and waits for every message.
    Left out: waiting for the slowest of many nodes, and what communication kernels take from a
    GPU's own computing.
    """
    times = [float(getattr(rates, name).seconds(size, nproc)) for name, size in messages]
    passes = BUCKET_PASSES if mode == "ddp" else 0
    copies = passes * sum(size for _, size in messages) / rates.copy_bytes_per_second
    busy = _busy_share(rates, mode)
    waiting = [(1 - busy) * seconds for seconds in times]
    if mode == "ddp":
        exposed = _exposed_behind_backward(one_process.backward_seconds, messages, waiting)
    else:
        hiding = one_process.forward_seconds + one_process.backward_seconds
        exposed = max(sum(waiting) - hiding, max(waiting, default=0.0))
    sharded = 1 - 1 / nproc if mode == "fsdp2" else 0.0
    computing = one_process.seconds - sharded * one_process.optimizer_seconds
    return computing + busy * sum(times) + copies + exposed


def _busy_share(rates: CollectiveRates, mode: Mode) -> float:
    """Share of a message's time that nothing can hide."""
    if rates.device != "cpu":
        return 0.0
    return 1.0 if mode == "fsdp2" else min(rates.busy_share, 1.0)


def _exposed_behind_backward(
    backward_seconds: float, messages: Sequence[Message], waiting: Sequence[float]
) -> float:
    """Seconds that messages go on after a backward pass in whose course they get ready evenly."""
    total = sum(size for _, size in messages)
    ready = end = 0.0
    for (_, size), seconds in zip(messages, waiting, strict=True):
        ready += backward_seconds * size / total
        end = max(end, ready) + seconds
    return max(end - backward_seconds, 0.0)
