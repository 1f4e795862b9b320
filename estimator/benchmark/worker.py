"""A child process and its watch: requests with a time limit, and an end before memory runs out."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from estimator.errors import EstimatorError, InputError, MissingExtra

KEEP_FREED_MEMORY = (
    "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647:glibc.malloc.top_pad=268435456"
)
"""Without it every step gives its blocks back and pays for the pages anew, up to a third of a
step on the CPU, and differently each time (glibc manual, "Memory Allocation Tunables")."""
POLL_SECONDS = 0.2
RESERVE_SHARE = 0.03  # of the machine's memory: below it the kernel may kill any process
SOURCE_ROOT = Path(__file__).parent.parent.parent
Purpose = Literal["time", "memory"]


class OutOfMemory(EstimatorError):  # noqa: N818 - what happened, as PyTorch names it
    """A step that does not fit into memory."""


class TooSlow(EstimatorError):  # noqa: N818 - what happened
    """An answer that did not come within its time."""


class Worker:
    """One child; `ask` sends a request and waits for the reply."""

    def __init__(self, process: "subprocess.Popen[str]", errors: Any) -> None:
        self._process = process
        self._errors = errors

    def ask(self, timeout_seconds: float | None = None, **request: object) -> Any:
        """The reply to a request; the child is ended where memory or time run out."""
        assert self._process.stdin is not None and self._process.stdout is not None
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        while not select.select([self._process.stdout], [], [], POLL_SECONDS)[0]:
            if until is not None and time.monotonic() > until:
                self.stop()
                raise TooSlow(f"no answer to {request['do']!r} within {timeout_seconds:.0f} s")
            if available_bytes() < RESERVE_SHARE * total_bytes():
                self.stop()
                raise OutOfMemory("the machine's memory was all but used up; the child was ended")
        line = self._process.stdout.readline()
        if not line:
            raise self._died()
        return self._unpacked(json.loads(line))

    def _unpacked(self, reply: Mapping[str, Any]) -> Any:
        if "ok" in reply:
            return reply["ok"]
        if reply["error"] == "out_of_memory":
            raise OutOfMemory(str(reply["message"]))
        if reply["error"] == "missing":
            raise MissingExtra(
                f"the benchmark needs {reply['message']}; "
                "install it with: pip install 'tuneroi[benchmark]'"
            )
        raise InputError(f"the model cannot be stepped here: {reply['message']}")

    def _died(self) -> EstimatorError:
        """Why a child is gone: the kernel ends the process that takes the last memory."""
        status = self._process.wait()
        if status == -signal.SIGKILL:
            return OutOfMemory("the operating system ended the child (SIGKILL): no memory was left")
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or [f"exit status {status}"]
        return InputError(f"the benchmark's child process ended: {lines[-1][:300]}")

    def stop(self) -> None:
        """End the child at once."""
        self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def worker(purpose: Purpose, *, threads: int, device: str | None = None) -> Iterator[Worker]:
    """A child for timing, whose allocator keeps freed memory, or for memory, with the default one.

    It is in a session of its own, so that Ctrl-C reaches the parent alone.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "estimator.benchmark.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(purpose, threads, device),
            start_new_session=True,
        )
        child = Worker(process, errors)
        try:
            yield child
        finally:
            child.stop()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()


def _environment(purpose: Purpose, threads: int, device: str | None) -> dict[str, str]:
    """The child's environment: threads, the hub off, the allocator, this package on the path."""
    held = dict(os.environ)
    paths = [str(SOURCE_ROOT), held.get("PYTHONPATH", "")]
    held |= {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if device:
        held["TUNEROI_BENCHMARK_DEVICE"] = device
    if purpose == "time":
        held["GLIBC_TUNABLES"] = KEEP_FREED_MEMORY
    return held


def available_bytes() -> int:
    """Memory that a new program can have without swapping: of the machine or the container."""
    free = _meminfo("MemAvailable")
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and (text := limit.read_text("ascii").strip()) != "max":
        free = min(free, int(text) - int(used.read_text("ascii")))
    return free


def total_bytes() -> int:
    """Memory of the machine."""
    return _meminfo("MemTotal")


def _meminfo(field: str) -> int:
    path = Path("/proc/meminfo")
    if not path.exists():  # not Linux: what the system says it has, used or not
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"{path} has no {field}")


def busy_share() -> float:
    """Load average of the last minute over the cores: near 0 on an idle machine, 1 when full."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
