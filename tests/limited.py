"""The command in a child process with little memory and little time, for hostile input.

One child serves many calls, so that the imports are paid once. It may take no more than
`MEMORY_BYTES` beyond what the imports took, and no call may last longer than `SECONDS`.
"""

import contextlib
import io
import json
import os
import resource
import select
import subprocess
import sys
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2**30
SECONDS = 30.0
IMPORTED = (
    "estimator.decision.simulate",
    "estimator.decision.sweep",
    "estimator.dataset",
    "estimator.llm.hub",
    "estimator.report.text",
    "estimator.training.run",
    "estimator.validation.own_runs",
    "huggingface_hub",
    "pyarrow.parquet",
    "pricing",
)


@dataclass(frozen=True)
class Answered:
    """What a call left behind."""

    status: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line of a refusal."""
        assert self.status == 2, f"status {self.status}: {self.err[-3000:]}"
        self.check()
        return self.err

    def check(self) -> None:
        """An answer, or a refusal in one short line; never a fault of ours."""
        assert self.status in (0, 2), f"status {self.status}: {self.err[-3000:]}"
        assert "Traceback" not in self.err, self.err[-3000:]
        if self.status == 2:
            assert self.err.startswith("tuneroi: ") and self.err.count("\n") == 1, self.err[:3000]
            assert len(self.err) < 2000, f"{len(self.err)} characters: {self.err[:500]}"


class Limited:
    """`tuneroi ARGUMENTS` in the child."""

    def __init__(self, data_folder: Path) -> None:
        self.environment = os.environ | {
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "TUNEROI_DATA": str(data_folder),
            "TUNEROI_DEBUG": "1",  # a fault of ours comes with its traceback
        }
        self.child: subprocess.Popen[str] | None = None

    def __call__(self, *arguments: object) -> Answered:
        child = self.child or self._start()
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        child.stdin.flush()
        if not select.select([child.stdout], [], [], SECONDS)[0]:
            self.stop()
            raise AssertionError(f"no answer within {SECONDS:g} s: {arguments!r:.300}")
        line = child.stdout.readline()
        if not line:
            self.stop()
            raise AssertionError(f"the process died: {arguments!r:.300}")
        return Answered(**json.loads(line))

    def _start(self) -> "subprocess.Popen[str]":
        self.child = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.environment,
        )
        assert self.child.stdout is not None and self.child.stdout.readline() == "ready\n"
        return self.child

    def stop(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.communicate()
            self.child = None


def _serve() -> None:
    """Answer one call per line of standard input."""
    import importlib

    from estimator.cli import main

    for name in IMPORTED:
        importlib.import_module(name)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(_call(main, json.loads(line))), file=answers, flush=True)


def _call(main: Any, arguments: list[str]) -> dict[str, Any]:
    sys.argv = ["tuneroi", *arguments]
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            warnings.simplefilter("error")
            main()
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        except BaseException:
            status = 1
            traceback.print_exc()
    return {"status": status, "out": out.getvalue(), "err": err.getvalue()[-20_000:]}


if __name__ == "__main__":
    _serve()
