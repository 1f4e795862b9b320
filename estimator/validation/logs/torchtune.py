"""Logs of torchtune: one line per step, as text or as JSON.

`Step 12 | loss:1.2 lr:2e-05 tokens_per_second_per_gpu:3100.5 peak_memory_active:21.3` or the same
as an object with `step` (pytorch/torchtune@9d571d9, torchtune/training/metric_logging.py). The rate
is that of one step and of one GPU; memory is in GiB.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from estimator.validation.logs.reading import LogText, RunLog, number, typed_number
from estimator.validation.logs.steady import Interval, steady_part

RATE = "tokens_per_second_per_gpu"
MEMORY = ("peak_memory_alloc", "peak_memory_active")
LINE = re.compile(r"^Step (\d{1,18}) \| (.*)$", re.MULTILINE)
PAIR = re.compile(r"(\S+):(\S+)")


def read(log: LogText) -> RunLog | None:
    """The run behind a log of torchtune; None for other files."""
    entries = [entry for entry in _entries(log) if number(entry.get(RATE))]
    if not entries:
        return None
    rates = [Interval(steps=1, seconds_per_step=1.0 / float(entry[RATE])) for entry in entries]
    peaks = [x for e in entries for name in MEMORY if (x := number(e.get(name))) is not None]
    return RunLog(
        path=log.path,
        format="torchtune",
        steady=steady_part(rates, log.path.name),
        counts="token",
        peak_memory_gib=max(peaks, default=None),
        stack="torchtune",
        notes=(
            "torchtune counts tokens that are trained on: with masked prompts or padding its rate "
            "is below that of all positions",
        ),
    )


def _entries(log: LogText) -> Iterator[Mapping[str, Any]]:
    yield from (record for record in log.records if "step" in record)
    for found in LINE.finditer(log.text):
        pairs = dict(PAIR.findall(found.group(2)))
        yield {
            name: value for name, text in pairs.items() if (value := typed_number(text)) is not None
        }
