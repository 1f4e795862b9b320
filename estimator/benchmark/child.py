"""A child process that steps models: one JSON request a line in, one JSON reply a line out.

    python -m estimator.benchmark.child

It ends when its input ends, so it never outlives its parent. Requests name what to do under "do";
a reply is {"ok": ...}, or {"error": kind, "message": text} with kind `out_of_memory`, `missing` or
`failed`.
"""

import gc
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from estimator.benchmark.building import Built, build
from estimator.benchmark.probing import describe, drift_probe, rates
from estimator.benchmark.stepping import peak_of_steps, timed_step

Request = Mapping[str, Any]
MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough m")


class Session:
    """The device of this child, and the model that it holds at the moment."""

    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.device = os.environ.get("TUNEROI_BENCHMARK_DEVICE") or _best_device(torch)
        self.built: Built | None = None
        self.probe: Callable[[], object] | None = None

    def synchronise(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device != "cpu":
            getattr(self.torch, self.torch.device(self.device).type).synchronize()

    def hello(self, request: Request) -> object:
        """What this machine is."""
        self.torch.set_num_threads(request["threads"])
        found = describe(self.device, self.torch.get_num_threads())
        if "limit_bytes" in request:
            _limit_memory(request["limit_bytes"])
        return found

    def rates(self, request: Request) -> object:
        """How fast its parts are."""
        return rates(self.device, self.synchronise, request["clock"])

    def build(self, request: Request) -> object:
        """Make a model in place of the one held."""
        self.built = None
        start = time.perf_counter()
        self.built = build(request["case"], self.device)
        return {"seconds": time.perf_counter() - start}

    def free(self, _: Request) -> object:
        """Give back the memory of the model held, as far as the allocator does."""
        self.built = None
        gc.collect()
        if self.device != "cpu":
            getattr(self.torch, self.torch.device(self.device).type).empty_cache()
        return None

    def steps(self, request: Request) -> object:
        """Step the first layers of the model held, a number of times."""
        assert self.built is not None, "steps before build"
        self.built.cut_to(request["depth"])
        return [timed_step(self.built, self.synchronise) for _ in range(request["count"])]

    def drift(self, _: Request) -> object:
        """Seconds of the fixed probe."""
        if self.probe is None:
            self.probe = drift_probe(self.device)
            self.probe()
        wall, process = time.perf_counter(), time.process_time()
        self.probe()
        self.synchronise()
        return {"wall": time.perf_counter() - wall, "process": time.process_time() - process}

    def memory(self, request: Request) -> object:
        """Peak bytes of a few steps of a model built for them alone."""
        self.built = None
        case = request["case"]
        return peak_of_steps(lambda: build(case, self.device), self.device, request["steps"])


def _best_device(torch: Any) -> str:
    """The accelerator that PyTorch finds, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    if hasattr(torch, "xpu") and torch.xpu.is_available():
        return "xpu"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _limit_memory(more_bytes: int) -> None:
    """Refuse allocations beyond `more_bytes` above what is mapped now."""
    import resource

    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    mapped = int(pages) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + more_bytes, mapped + more_bytes))


def _answer(session: Session, request: Request) -> dict[str, Any]:
    try:
        return {"ok": getattr(session, request["do"])(request)}
    except (MemoryError, RuntimeError) as error:
        session.built = None
        text = " ".join(str(error).split())
        full = isinstance(error, MemoryError) or any(w in text.lower() for w in MEMORY_WORDS)
        return {"error": "out_of_memory" if full else "failed", "message": text[:300]}
    except Exception as error:  # a model class may raise anything on a config it dislikes
        session.built = None
        text = " ".join(str(error).split())[:300]
        return {"error": "failed", "message": f"{type(error).__name__}: {text}"}


def main() -> None:
    """Answer requests until the input ends."""
    logging.disable(logging.ERROR)
    warnings.simplefilter("ignore")
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no reply
    try:
        session = Session()
    except ImportError as missing:
        print(json.dumps({"error": "missing", "message": missing.name}), file=replies, flush=True)
        return
    for line in sys.stdin:
        print(json.dumps(_answer(session, json.loads(line))), file=replies, flush=True)


if __name__ == "__main__":
    main()
