"""A benchmark in the background: a child process that is watched, can be stopped, and is ended.

One at a time on a server. The child is the command `tuneroi benchmark ... --json` itself, asked to
tell its progress in lines of JSON on standard error. Its standard input is a pipe that closes when
the server ends, however that ends: then it interrupts itself.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from estimator.cli.benchmark import PROGRESS_LINES
from estimator.errors import InputError

SOURCE_ROOT = Path(__file__).parent.parent.parent
TUNEROI = (sys.executable, "-P", "-c", "from estimator.cli import main; main()")
WATCHED = (sys.executable, "-P", "-c", f"from {__name__} import child; child()")
SURROUNDINGS = {"NO_COLOR": "1", "HF_HUB_OFFLINE": "1", PROGRESS_LINES: "json"}
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
        output = tempfile.TemporaryFile()  # noqa: SIM115 - the watch closes it
        process = subprocess.Popen(  # noqa: S603 - our own command
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.PIPE,
            env=environment(),
            start_new_session=True,
        )
        job = Job(session=session, about=about, process=process)
        _latest[:] = [job]
    watch = threading.Thread(target=_watch, args=(job, output, is_open), daemon=True)
    watch.start()
    return job


def stop(job: Job) -> None:
    """Interrupt the benchmark as Ctrl-C does: it keeps what it has measured."""
    job.stopping = True
    with contextlib.suppress(ProcessLookupError):
        job.process.send_signal(signal.SIGINT)


def environment() -> dict[str, str]:
    """That of a child: this package on the path, the hub off, progress in lines."""
    paths = [str(SOURCE_ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **SURROUNDINGS, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def _watch(job: Job, output: IO[bytes], is_open: Callable[[], bool]) -> None:
    """Read the progress until the end; interrupt, and if need be kill, what nobody waits for."""
    mistake, kill_at = "", float("inf")
    last_open = time.monotonic()
    assert job.process.stdin is not None and job.process.stderr is not None
    with job.process.stdin, job.process.stderr as told, output:
        try:
            for line in _lines(told.fileno()):
                now = time.monotonic()
                if line.startswith(MISTAKE):
                    mistake = line.removeprefix(MISTAKE)
                job.progress = _progress(line) or job.progress
                last_open = now if is_open() else last_open
                if not job.stopping and now > last_open + GONE_SECONDS:
                    stop(job)
                if job.stopping and kill_at == float("inf"):
                    kill_at = now + PATIENCE_SECONDS
                if now > kill_at:
                    job.process.kill()
        finally:
            job.process.wait()
            output.seek(0)
            job.ended = _ended(output.read(), mistake, job.stopping)


def _lines(pipe: int) -> Iterator[str]:
    """Lines of a pipe as they come, and an empty one at least every half second."""
    rest = b""
    while True:
        if not select.select([pipe], [], [], TICK_SECONDS)[0]:
            yield ""
            continue
        got = os.read(pipe, 65_536)
        *whole, rest = (rest + got).split(b"\n")
        yield from (line.decode("utf-8", "replace").strip() for line in (*whole, b""))
        if not got:
            yield rest.decode("utf-8", "replace").strip()
            return


def _progress(line: str) -> Progress | None:
    """What a line tells of the progress; None where it is about something else, say a warning."""
    try:
        return Progress(**json.loads(line))
    except (ValueError, TypeError):
        return None


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
