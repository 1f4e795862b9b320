"""How well `tuneroi benchmark` predicts full models on this machine: time, memory, transfer, noise.

    OMP_NUM_THREADS=1 python benchmarks/own_hardware.py [--cases N ...] [--budget 90] [--out FILE]

Every case is benchmarked first; then every full model is run, twice, so that the truth comes from
another time than the prediction. Rows are appended to FILE as they come: a run that was cut off
goes on where it stopped. Models are built from the shipped configs with random weights.
"""

import argparse
import csv
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from estimator.benchmark.measure import Settings, benchmark
from estimator.benchmark.record import save_result
from estimator.benchmark.target import Target, target_of
from estimator.benchmark.verify import verify
from estimator.errors import EstimatorError
from estimator.hardware.calibration_file import load_calibration_file
from estimator.hardware.cluster import Cluster
from estimator.training.throughput import step_time

CASES: tuple[tuple[str, str, str, int, str], ...] = (
    ("openai-community/gpt2", "fp32", "full", 256, "none"),
    ("openai-community/gpt2", "fp32", "lora", 128, "none"),
    ("EleutherAI/pythia-160m", "fp32", "full", 512, "none"),
    ("EleutherAI/pythia-160m", "bf16", "full", 128, "none"),
    ("EleutherAI/pythia-410m", "fp32", "full", 128, "none"),
    ("EleutherAI/pythia-410m", "fp32", "full", 128, "full"),
    ("HuggingFaceTB/SmolLM2-135M", "fp32", "full", 256, "none"),
    ("HuggingFaceTB/SmolLM2-135M", "bf16", "lora", 512, "none"),
    ("HuggingFaceTB/SmolLM2-360M", "fp32", "lora", 256, "none"),
    ("HuggingFaceTB/SmolLM2-360M", "bf16", "full", 128, "none"),
    ("Qwen/Qwen2.5-0.5B", "fp32", "lora", 128, "none"),
    ("Qwen/Qwen2.5-0.5B", "bf16", "full", 256, "full"),
    ("Qwen/Qwen2.5-0.5B", "fp32", "full", 128, "none"),
    ("meta-llama/Llama-3.2-1B", "bf16", "lora", 128, "none"),
    ("meta-llama/Llama-3.2-1B", "bf16", "full", 64, "full"),
)
COLUMNS = (
    "case", "phase", "name", "p10", "p50", "p90", "peak_bytes", "slices", "model", "depths",
    "layers", "reached", "seconds", "load", "file",
)  # fmt: skip
TRUTHS = ("truth", "truth again")


@dataclass(frozen=True)
class Row:
    """One benchmark, or one run of a full model."""

    case: int
    phase: str
    cells: Mapping[str, str]

    def number(self, column: str) -> float:
        return float(self.cells[column] or "nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, nargs="+", default=list(range(len(CASES))))
    parser.add_argument("--budget", type=float, default=90.0, help="seconds of a benchmark")
    parser.add_argument("--out", type=Path, default=Path("own_hardware.csv"))
    parser.add_argument("--no-measuring", action="store_true", help="only print what FILE holds")
    given = parser.parse_args()
    if not given.no_measuring:
        for phase in ("benchmark", *TRUTHS):
            for case in given.cases:
                measure(case, phase, Settings(budget_seconds=given.budget), given.out)
    show(read(given.out))
    show_transfer(given.out)


def target(case: int) -> Target:
    model, precision, method, length, checkpointing = CASES[case]
    return target_of(
        model,
        offline=True,
        precision=precision,
        method=method,
        sequence_length=length,
        checkpointing=checkpointing,
    )


def measure(case: int, phase: str, settings: Settings, out: Path) -> None:
    """Measure and append a row, unless the file has it."""
    if any(row.case == case and row.phase == phase for row in read(out)):
        return
    print(f"{phase}: {' '.join(map(str, CASES[case]))}", file=sys.stderr, flush=True)
    begun = time.monotonic()
    try:
        cells = (predict if phase == "benchmark" else run)(case, phase, settings, out)
    except EstimatorError as reason:
        print(f"  {reason}", file=sys.stderr)
        return
    cells |= {"seconds": f"{time.monotonic() - begun:.1f}", "load": f"{os.getloadavg()[0]:.2f}"}
    name = " ".join(map(str, CASES[case])).rpartition("/")[2]
    new = not out.exists()
    with out.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow({"case": case, "phase": phase, "name": name, **cells})


def predict(case: int, phase: str, settings: Settings, out: Path) -> dict[str, object]:
    result = benchmark(target(case), settings, lambda *_: None)
    path = save_result(result, {"case": case}, folder_of(out))
    found = result.prediction
    return {
        "p10": found.step_seconds.p10,
        "p50": found.step_seconds.p50,
        "p90": found.step_seconds.p90,
        "peak_bytes": found.peak_bytes.p50 if found.peak_bytes else "",
        "slices": found.slices_seconds or "",
        "model": found.model_seconds,
        "depths": "/".join(map(str, result.record.depths)),
        "layers": result.target.depth,
        "reached": f"{found.reached:.4f}",
        "file": path.name,
    }


def run(case: int, phase: str, settings: Settings, out: Path) -> dict[str, object]:
    found = verify(target(case), settings, lambda *_: None, steps=7, peak=phase == TRUTHS[0])
    seconds = np.array(found.step_seconds)
    p10, p50, p90 = np.quantile(seconds, [0.1, 0.5, 0.9])
    return {"p10": p10, "p50": p50, "p90": p90, "peak_bytes": found.peak_bytes or ""}


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [Row(int(c["case"]), c["phase"], c) for c in csv.DictReader(file)]


def show(rows: list[Row]) -> None:
    by_phase = {(row.case, row.phase): row for row in rows}
    cases = [case for case, phase in by_phase if phase == "benchmark"]
    errors, peaks, held, noise, times = [], [], [], [], []
    print(f"{'case':42s} layers    depths  truth s     step  slices   model    peak  80 %  took")
    for case in cases:
        mine, true = by_phase[case, "benchmark"], by_phase.get((case, TRUTHS[0]))
        if true is None:
            continue
        again = by_phase.get((case, TRUTHS[1]))
        real = true.number("p50")
        if again is not None:
            noise.append(again.number("p50") / real - 1)
            real = float(np.sqrt(real * again.number("p50")))
        step, peak = mine.number("p50") / real - 1, relative(mine, true, "peak_bytes")
        inside = mine.number("p10") <= real <= mine.number("p90")
        errors.append(step)
        peaks.append(peak)
        held.append(inside)
        times.append(mine.number("seconds"))
        print(
            f"{mine.cells['name']:42s} {mine.cells['layers']:>6s} {mine.cells['depths']:>9s} "
            f"{real:8.3f} {step:+8.1%} {mine.number('slices') / real - 1:+7.1%} "
            f"{mine.number('model') / real - 1:+7.1%} {peak:+7.1%} {'in' if inside else 'OUT':>5s} "
            f"{mine.number('seconds'):5.0f}"
        )
    line("step time, full model", errors)
    line("peak memory", [peak for peak in peaks if np.isfinite(peak)])
    line("the same full model at two times (noise)", noise)
    if held:
        print(f"{'80 % interval holds the truth':44s} {np.mean(held):.0%} of {len(held)}")
        print(f"{'wall time of a benchmark':44s} median {np.median(times):.0f} s")


def relative(mine: Row, true: Row, column: str) -> float:
    return mine.number(column) / true.number(column) - 1


def line(name: str, errors: list[float]) -> None:
    if errors:
        size = np.abs(errors)
        print(
            f"{name:44s} median {np.median(size):.1%}  worst {size.max():.1%}  "
            f"bias {np.median(errors):+.1%}  ({len(errors)})"
        )


def transfer(rows: list[Row], folder: Path) -> Iterator[float]:
    """Errors of each full model's step by the calibrations of the other models, same precision."""
    truths = {row.case: row.number("p50") for row in rows if row.phase == TRUTHS[0]}
    for row in rows:
        if row.phase != "benchmark":
            continue
        held = load_calibration_file(folder / row.cells["file"])
        for case, real in truths.items():
            same = CASES[case][1] == CASES[row.case][1]
            if same and CASES[case][0] != CASES[row.case][0]:
                goal = target(case)
                cluster = Cluster.of(held.device.gpu, 1)
                found = step_time(goal.architecture, goal.recipe, cluster, held.calibration)
                yield float(found.step_seconds) / real - 1


def show_transfer(path: Path) -> None:
    line("another model, by a calibration on one", list(transfer(read(path), folder_of(path))))


def folder_of(path: Path) -> Path:
    return path.parent / f"{path.stem}_files"


if __name__ == "__main__":
    main()
