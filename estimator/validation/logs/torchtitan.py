"""Logs of torchtitan: what it prints, or its metrics as JSON lines.

`step: 10  loss: 3.21  memory: 45.20GiB(57.1%)  tps: 6,343  tflops: 90.1  mfu: 28.9%`, perhaps
coloured; `tps` (earlier `wps`) are tokens per second and device since the line before, devices that
share a sequence counted (pytorch/torchtitan@c594d8a, torchtitan/components/metrics.py). The start
says "local batch size 8, ... gradient accumulation steps 1, sequence length 2048".
"""

import re
from collections.abc import Iterator

from estimator.validation.logs.reading import LogText, RunLog, number
from estimator.validation.logs.steady import Interval, steady_part

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
LINE = re.compile(r"step:\s*(\d+)\b.*?\b(?:tps|wps):\s*([\d,]+(?:\.\d+)?)")
MEMORY = re.compile(r"step:.*?memory:\s*([\d.]+)\s*GiB")
START = {
    "micro_batch": re.compile(r"local batch size (\d+)"),
    "accumulation": re.compile(r"gradient accumulation steps (\d+)"),
    "seq_len": re.compile(r"sequence length (\d+)"),
}
METRIC = "throughput(tps)"


def read(log: LogText) -> RunLog | None:
    """The run behind a log of torchtitan; None for other files."""
    text = COLOUR.sub("", log.text)
    rates = dict(_rates(log, text))
    if not rates:
        return None
    steps = sorted(rates)
    gaps = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    intervals = [
        Interval(steps=gap, seconds_per_step=1.0 / rates[step])
        for step, gap in zip(steps, gaps, strict=True)
    ]
    memory = [float(x) for x in MEMORY.findall(text)]
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


def _rates(log: LogText, text: str) -> Iterator[tuple[int, float]]:
    """Step and tokens per second and device; ranks that print the same step count once."""
    for record in log.records:
        if rate := number(record.get(METRIC)):
            yield int(record.get("step", 0)), rate
    for step, shown in LINE.findall(text):
        if rate := number(float(shown.replace(",", ""))):
            yield int(step), rate
