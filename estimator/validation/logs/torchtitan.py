"""Logs of torchtitan: what it prints, or its metrics as JSON lines.

`step: 10  loss: 3.21  memory: 45.20GiB(57.1%)  tps: 6,343  tflops: 90.1  mfu: 28.9%`, perhaps
coloured; `tps` (earlier `wps`) are tokens per second and device since the line before, devices that
share a sequence counted (pytorch/torchtitan@c594d8a, torchtitan/components/metrics.py). The start
says "local batch size 8, ... gradient accumulation steps 1, sequence length 2048".
"""

import re
from collections.abc import Iterable, Iterator

from estimator.validation.logs.reading import LogText, RunLog, number, typed_number
from estimator.validation.logs.steady import Interval, steady_part

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LINE = re.compile(r"step:\s*(\d{1,18})\b.*?\b(?:tps|wps):\s*([\d,]+(?:\.\d+)?)")
MEMORY = re.compile(r"memory:\s*([\d.]+)\s*GiB")
START = {
    "micro_batch": re.compile(r"local batch size (\d{1,9})\b"),
    "accumulation": re.compile(r"gradient accumulation steps (\d{1,9})\b"),
    "seq_len": re.compile(r"sequence length (\d{1,9})\b"),
}
METRIC = "throughput(tps)"


def read(log: LogText) -> RunLog | None:
    """The run behind a log of torchtitan; None for other files."""
    text = COLOUR.sub("", log.text)
    lines = [line[at:] for line in text.splitlines() if (at := line.find("step:")) >= 0]
    rates = dict(_rates(log, lines))
    if not rates:
        return None
    steps = sorted(rates)
    gaps = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    intervals = [
        Interval(steps=gap, seconds_per_step=1.0 / rates[step])
        for step, gap in zip(steps, gaps, strict=True)
    ]
    shown = (MEMORY.search(line) for line in lines)
    memory = [x for found in shown if found and (x := typed_number(found.group(1)))]
    stated = {name: pattern.search(text) for name, pattern in START.items()}
    return RunLog(
        path=log.path,
        format="torchtitan",
        steady=steady_part(intervals, log.path.name),
        counts="token",
        settings={name: int(found.group(1)) for name, found in stated.items() if found},
        peak_memory_gib=max(memory, default=None),
        stack="torchtune",
    )


def _rates(log: LogText, lines: Iterable[str]) -> Iterator[tuple[int, float]]:
    """Step and tokens per second and device; ranks that print the same step count once."""
    for record in log.records:
        if rate := number(record.get(METRIC)):
            yield int(number(record.get("step")) or 0), rate
    for found in map(LINE.match, lines):
        if found and (rate := typed_number(found.group(2).replace(",", ""))):
            yield int(found.group(1)), rate
