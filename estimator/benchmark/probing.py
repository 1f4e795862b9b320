"""What this machine is and how fast its parts are at best: run in a child, in seconds."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

KIB = 1024
MATMUL_SHAPES = ((512, 1024, 1024), (1024, 1024, 2048), (2048, 2048, 2048))
"""Rows, inner width, columns; on an accelerator each is four times as large."""
ACCELERATOR_FACTOR = 4
REPEATS = 5
STREAM_BYTES = 2**28
SMALL = 64  # side of a matrix that is all launch and no work
SMALL_CALLS = 200
DRIFT_SIDE = 640
DRIFT_VALUES = 2**25  # beyond any cache: neighbours take bandwidth, too


def describe(device: str, threads: int) -> dict[str, Any]:
    """Device, memory, driver and versions of what a benchmark runs on."""
    import peft
    import torch
    import transformers

    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    versions |= {"peft": peft.__version__, "python": platform.python_version()}
    return {
        **_named(torch, device),
        "threads": threads,
        "software": versions | {"platform": platform.platform()},
    }


def _named(torch: Any, device: str) -> dict[str, Any]:
    kind = torch.device(device).type
    if kind == "cuda":
        held = torch.cuda.get_device_properties(0)
        rocm = torch.version.hip is not None
        return {
            "backend": "rocm" if rocm else "cuda",
            "name": held.name,
            "memory_bytes": held.total_memory,
            "driver": torch.version.hip if rocm else _nvidia_driver(),
        }
    if kind == "xpu":
        held = torch.xpu.get_device_properties(0)
        return {
            "backend": "xpu",
            "name": held.name,
            "memory_bytes": held.total_memory,
            "driver": getattr(held, "driver_version", None),
        }
    name, memory = _processor(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"backend": kind, "name": name, "memory_bytes": memory, "driver": None}


def _nvidia_driver() -> str | None:
    """Version of the kernel module, where the system tells it."""
    path = Path("/proc/driver/nvidia/version")
    if not path.exists():
        return None
    words = path.read_text(encoding="utf-8").splitlines()[0].split()
    return next((word for word in words if word[:1].isdigit()), None)


def _processor() -> str:
    """The processor's name as the system reports it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def rates(device: str, synchronise: Callable[[], None], clock: str) -> dict[str, Any]:
    """Best matmul rate by type over a few shapes, copy bandwidth, launch latency, page touching.

    FLOP/s, bytes/s (read and write counted) and seconds.
    """
    import torch

    tick = time.process_time if clock == "process" else time.perf_counter
    types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

    def seconds(work: Callable[[], object], calls: int = 1) -> float:
        work()
        taken = []
        for _ in range(REPEATS):
            synchronise()
            start = tick()
            for _ in range(calls):
                work()
            synchronise()
            taken.append((tick() - start) / calls)
        return statistics.median(taken)

    touched = _touch_seconds(torch, device, tick, synchronise)
    matmul = {}
    for name, kind in types.items():
        if name == "fp16" and device == "cpu":
            continue  # without matrix units for it, nobody trains in it
        try:
            matmul[name] = max(_matmul_rates(torch, device, kind, seconds))
        except (RuntimeError, TypeError):
            continue  # the device lacks the type
    source = torch.ones(STREAM_BYTES // 4, device=device)
    target = torch.empty_like(source)
    small = torch.ones(SMALL, SMALL, device=device)
    return {
        "matmul_flops_per_second": matmul,
        "memory_bytes_per_second": 2 * STREAM_BYTES / seconds(lambda: target.copy_(source)),
        "launch_seconds": seconds(lambda: torch.mm(small, small), SMALL_CALLS),
        "touch_bytes_per_second": STREAM_BYTES / touched,
    }


def _matmul_rates(
    torch: Any, device: str, kind: Any, seconds: Callable[[Callable[[], object]], float]
) -> Sequence[float]:
    found = []
    factor = 1 if device == "cpu" else ACCELERATOR_FACTOR
    for shape in MATMUL_SHAPES:
        rows, inner, columns = (factor * side for side in shape)
        left = torch.ones(rows, inner, dtype=kind, device=device)
        right = torch.ones(inner, columns, dtype=kind, device=device)
        taken = seconds(lambda left=left, right=right: torch.mm(left, right))  # type: ignore[misc]
        found.append(2.0 * rows * inner * columns / taken)
    return found


def _touch_seconds(
    torch: Any, device: str, tick: Callable[[], float], synchronise: Callable[[], None]
) -> float:
    """Seconds to fill memory that nobody has used yet: pages cost their first use."""
    start = tick()
    torch.zeros(STREAM_BYTES // 4, device=device).fill_(1.0)
    synchronise()
    return tick() - start


def drift_probe(device: str) -> Callable[[], object]:
    """A fixed piece of work, half products and half memory traffic: what a noisy neighbour slows.

    Its time stands beside every round, so that a machine that is slower for a while can be told
    from a slower model.
    """
    import torch

    side = DRIFT_SIDE if device == "cpu" else ACCELERATOR_FACTOR * DRIFT_SIDE
    left, values = torch.ones(side, side, device=device), torch.ones(DRIFT_VALUES, device=device)

    def work() -> None:
        for _ in range(2):
            torch.mm(left, left)
            values.mul_(1.0)

    return work
