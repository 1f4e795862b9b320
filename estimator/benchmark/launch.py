"""Starts several processes under torch.distributed's own launcher, and ends every one of them.

Under a launcher already (`torchrun` on many nodes) nothing is started: this process is one of the
ranks and does its part itself.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from estimator.benchmark.worker import KEEP_FREED_MEMORY
from estimator.errors import InputError, MissingExtra

SOURCE_ROOT = Path(__file__).parent.parent.parent
GRACE_SECONDS = 10.0
"""What the launcher gets to end its ranks before it is killed; ranks also watch for its end."""
LOOPBACK = "127.0.0.1"


def under_launcher() -> bool:
    """Whether this process is itself a rank of torchrun."""
    return all(name in os.environ for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"))


def on_ranks(
    request: Mapping[str, Any],
    *,
    nproc: int,
    threads: int = 1,
    port: int = 0,
    timeout_seconds: float = 300.0,
) -> dict[str, Any]:
    """What `nproc` ranks reply to a request; `port` 0 takes a free one.

    One clear error where the launcher, a rank or the port fails, or time runs out; no process is
    left behind in any case.
    """
    if find_spec("torch") is None:
        raise MissingExtra(
            "several processes need PyTorch; install it with: pip install 'tuneroi[benchmark]'"
        )
    if nproc < 2:
        raise InputError(f"{nproc} processes: nothing to communicate; give 2 or more")
    if under_launcher():
        return _as_a_rank(request, nproc)
    _check_port(port)
    with tempfile.TemporaryDirectory(prefix="tuneroi-ranks-") as folder:
        asked, replied, log = (Path(folder) / name for name in ("request", "reply", "log"))
        told = {**request, "parent": os.getpid(), "reply": str(replied)}
        asked.write_text(json.dumps(told), encoding="utf-8")
        command = [
            *(sys.executable, "-P", "-m", "torch.distributed.run"),
            *("--nnodes", "1", "--nproc-per-node", str(nproc), "--max-restarts", "0"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", f"{LOOPBACK}:{port}"),
            *("--local-addr", LOOPBACK, "-m", "estimator.benchmark.ranks", str(asked)),
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=_environment(threads),
                start_new_session=True,
            )
            try:
                process.wait(timeout_seconds)
            except subprocess.TimeoutExpired:
                raise InputError(
                    f"{nproc} processes gave no result within {timeout_seconds:g} seconds; "
                    "allow more time or a smaller model"
                ) from None
            finally:
                _end(process)
        return _reply(replied, log, process.returncode)


def _as_a_rank(request: Mapping[str, Any], nproc: int) -> dict[str, Any]:
    from estimator.benchmark.ranks import perform

    world = int(os.environ["WORLD_SIZE"])
    if nproc != world:
        raise InputError(f"{nproc} processes asked for, but the launcher has started {world}")
    return _unpacked(perform(request))


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise InputError(
                f"port {port} cannot be used ({error.strerror}); name another, or 0 for a free one"
            ) from None


def _environment(threads: int) -> dict[str, str]:
    """The ranks' environment: threads, the hub off, the allocator, this package, the loopback."""
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), None)
    held = {"GLOO_SOCKET_IFNAME": loopback} if loopback else {}
    held |= os.environ
    paths = [str(SOURCE_ROOT), held.get("PYTHONPATH", "")]
    return held | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "GLIBC_TUNABLES": KEEP_FREED_MEMORY,
    }


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the launcher and with it the ranks: it passes SIGTERM on; they also watch for its end."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _reply(replied: Path, log: Path, status: int) -> dict[str, Any]:
    if replied.is_file():
        return _unpacked(json.loads(replied.read_text("utf-8")))
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    telling = [line.strip() for line in lines if "Error" in line and "ChildFailedError" not in line]
    last = (telling or lines or [f"exit status {status}"])[-1]
    raise InputError(f"the launcher of several processes failed: {last[:300]}")


def _unpacked(reply: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in reply:
        raise InputError(f"the processes failed: {reply['error']}")
    return dict(reply["ok"])
