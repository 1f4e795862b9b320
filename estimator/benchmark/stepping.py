"""One training step, its three parts timed apart, and the peak of memory: run in a child."""

import gc
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from estimator.benchmark.building import Built

PARTS = ("forward", "backward", "optimizer")
KIB = 1024
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # what /proc/self/clear_refs takes to reset VmHWM (man 5 proc)


def timed_step(built: Built, synchronise: Callable[[], None]) -> dict[str, list[float]]:
    """Wall and process seconds of forward, backward and optimizer of one step."""
    wall, process = [], []

    def mark() -> None:
        synchronise()
        wall.append(time.perf_counter())
        process.append(time.process_time())

    mark()
    with built.autocast():
        loss = built.model(input_ids=built.ids, labels=built.ids, use_cache=False).loss
    mark()
    loss.backward()
    mark()
    built.optimizer.step()
    built.optimizer.zero_grad(set_to_none=True)
    mark()
    return {
        "wall": [b - a for a, b in pairwise(wall)],
        "process": [b - a for a, b in pairwise(process)],
    }


def peak_of_steps(make: Callable[[], Built], device: str, steps: int) -> dict[str, int]:
    """Peak bytes of `steps` training steps of a model that `make` builds, and what was before.

    On a GPU what PyTorch allocated and reserved; on the CPU the largest resident set.
    """
    memory = _Gpu(device) if device != "cpu" else _Host()
    gc.collect()
    memory.settle()
    before = memory.used()
    built = make()
    for step in range(steps):
        if step == steps - 1:
            memory.reset()
        timed_step(built, lambda: None)
    memory.finish()
    return {"before_bytes": before, **memory.peak()}


class _Host:
    """The resident set of this process, from /proc."""

    def settle(self) -> None:
        """Give freed blocks back, so that they do not count for the next model."""
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
        if trim is not None:
            trim(0)

    def used(self) -> int:
        """Bytes resident now."""
        return _status("VmRSS")

    def reset(self) -> None:
        """Let the peak start from what is resident now, where the system can."""
        if CLEAR_REFS.exists():
            CLEAR_REFS.write_text(RESET_PEAK, encoding="ascii")

    def finish(self) -> None:
        """Nothing is pending on a CPU."""

    def peak(self) -> dict[str, int]:
        """Largest resident set since the reset."""
        return {"peak_bytes": _status("VmHWM")}


class _Gpu:
    """PyTorch's allocator on an accelerator."""

    def __init__(self, device: str) -> None:
        import torch

        kind = torch.device(device).type
        self.module: Any = getattr(torch, kind)

    def settle(self) -> None:
        """Give cached blocks back."""
        self.module.empty_cache()

    def used(self) -> int:
        """Bytes allocated now."""
        return int(_first(self.module, "memory_allocated", "current_allocated_memory")())

    def reset(self) -> None:
        """Let the peak start from what is allocated now, where the backend keeps one."""
        if hasattr(self.module, "reset_peak_memory_stats"):
            self.module.reset_peak_memory_stats()

    def finish(self) -> None:
        """Wait for the queue."""
        self.module.synchronize()

    def peak(self) -> dict[str, int]:
        """Largest allocation since the reset; Apple's backend says only what the driver holds."""
        allocated = _first(self.module, "max_memory_allocated", "driver_allocated_memory")()
        reserved = _first(self.module, "max_memory_reserved", "driver_allocated_memory")()
        return {"peak_bytes": int(allocated), "reserved_bytes": int(reserved)}


def _first(module: Any, *names: str) -> Any:
    return next(getattr(module, name) for name in names if hasattr(module, name))


def _status(field: str) -> int:
    """A size of this process in bytes from /proc; elsewhere the largest resident set so far."""
    if not STATUS.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    for line in STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * KIB
    raise OSError(f"{STATUS} has no {field}")
