"""A benchmark in the background: a child process that is watched, can be stopped, and is ended.

One at a time on a server. The child is the command `tuneroi benchmark ... --json` itself; it tells
its progress on a terminal only, so that its standard error is a pseudo-terminal here. Its standard
input is a pipe that closes when the server ends, however that ends: then it interrupts itself.
"""

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from estimator.errors import InputError

SOURCE_ROOT = Path(__file__).parent.parent.parent
TUNEROI = (sys.executable, "-P", "-c", "from estimator.cli import main; main()")
WATCHED = (sys.executable, "-P", "-c", f"from {__name__} import child; child()")
TERMINAL = {"TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
TOLD = re.compile(r"\S (?P<doing>.+) \((?P<used>\d+) s(?:, (?P<left>\d+) s to go)?\)")
"""A line of progress after its spinner."""
MISTAKE = "tuneroi: "  # how the line begins that says what was wrong
TICK_SECONDS = 0.5
PATIENCE_SECONDS = 30.0  # to end by itself after Ctrl-C, then it is killed
GONE_SECONDS = 15.0  # a session away for longer has ended; loading a page anew takes less


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the benchmark does now."""

    doing: str = "starting"
    used_seconds: int = 0
    left_seconds: int | None = None
    """Of its time to measure; None where it does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a benchmark ended: with figures, or with the reason why there are none."""

    figures: dict[str, Any] | None
    message: str = ""


@dataclass(slots=True, kw_only=True)
class Job:
    """One benchmark; its watch keeps `progress` and `ended` up to date."""

    session: str
    """Whose it is."""
    about: str
    """What is measured, in words."""
    process: "subprocess.Popen[bytes]"
    progress: Progress = Progress()
    stopping: bool = False
    ended: Ended | None = None


_LOCK = threading.Lock()
_latest: list[Job] = []


def latest() -> Job | None:
    """The benchmark that runs or ran last on this server."""
    return _latest[0] if _latest else None


def start(
    arguments: Sequence[str],
    *,
    about: str,
    session: str,
    is_open: Callable[[], bool],
    command: Sequence[str] = WATCHED,
) -> Job:
    """A benchmark begun; `InputError` while another one runs. It ends when `is_open` is false."""
    with _LOCK:
        running = latest()
        if running and running.ended is None:
            raise InputError(f"{running.about} is being measured on this machine; wait for its end")
        screen, side = pty.openpty()
        output = tempfile.TemporaryFile()  # noqa: SIM115 - the watch closes it
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=side,
            env=environment(),
            start_new_session=True,
        )
        os.close(side)
        job = Job(session=session, about=about, process=process)
        _latest[:] = [job]
    watch = threading.Thread(target=_watch, args=(job, screen, output, is_open), daemon=True)
    watch.start()
    return job


def stop(job: Job) -> None:
    """Interrupt the benchmark as Ctrl-C does: it keeps what it has measured."""
    job.stopping = True
    with contextlib.suppress(ProcessLookupError):
        job.process.send_signal(signal.SIGINT)


def environment() -> dict[str, str]:
    """That of a child: this package on the path, the hub off, a terminal of plain letters."""
    paths = [str(SOURCE_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **TERMINAL, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _watch(job: Job, screen: int, output: IO[bytes], is_open: Callable[[], bool]) -> None:
    """Read the progress until the end; interrupt, and if need be kill, what nobody waits for."""
    mistake, kill_at = "", float("inf")
    last_open = time.monotonic()
    try:
        for line in _lines(screen):
            now = time.monotonic()
            if told := TOLD.fullmatch(line):
                job.progress = _progress(told)
            elif line.startswith(MISTAKE):
                mistake = line.removeprefix(MISTAKE)
            last_open = now if is_open() else last_open
            if not job.stopping and now > last_open + GONE_SECONDS:
                stop(job)
            if job.stopping and kill_at == float("inf"):
                kill_at = now + PATIENCE_SECONDS
            if now > kill_at:
                job.process.kill()
    finally:
        os.close(screen)
        job.process.wait()
        if job.process.stdin is not None:
            job.process.stdin.close()
        output.seek(0)
        job.ended = _ended(output.read(), mistake, job.stopping)
        output.close()


def _lines(screen: int) -> Any:
    """Lines of the pseudo-terminal as they come, and an empty one at least every half second."""
    rest = ""
    while True:
        if not select.select([screen], [], [], TICK_SECONDS)[0]:
            yield ""
            continue
        try:
            got = os.read(screen, 65_536)
        except OSError:  # how Linux says that the other side is closed
            got = b""
        if not got:
            yield from map(str.strip, [rest])
            return
        text = ESCAPES.sub("", rest + got.decode("utf-8", "replace"))
        *whole, rest = re.split(r"[\r\n]+", text)
        yield from map(str.strip, [*whole, rest])


def _progress(told: "re.Match[str]") -> Progress:
    left = told["left"]
    return Progress(
        doing=told["doing"],
        used_seconds=int(told["used"]),
        left_seconds=None if left is None else int(left),
    )


def _ended(output: bytes, mistake: str, stopped: bool) -> Ended:
    with contextlib.suppress(ValueError):
        return Ended(figures=json.loads(output))
    if stopped:
        return Ended(figures=None, message="It was stopped before anything could be concluded.")
    return Ended(figures=None, message=mistake or "It ended without a result.")


def child() -> None:
    """Run the command in this process, as if interrupted once nobody holds its standard input."""
    from estimator.cli import main

    def wait_for_the_end() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    main()
