"""Closed form against traced peak memory: models x methods x precisions x kernels.

Run with names of `tests/data/traced_configs.json` to choose models; without any, all are traced
(several minutes). Needs the `benchmark` extra. Also prints how long an estimate takes.
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from estimator.errors import InputError
from estimator.llm.architecture import Architecture
from estimator.training.memory import estimate_memory
from estimator.training.recipe import TrainingRecipe
from estimator.training.trace import TraceCase, closed_form_peak, trace_peak

CONFIGS = Path(__file__).parent.parent / "tests" / "data" / "traced_configs.json"
CASES = {
    "full": TraceCase(micro_batch=2, sequence_length=1024),
    "full, checkpointing": TraceCase(micro_batch=2, sequence_length=1024, checkpointing=True),
    "full, eager": TraceCase(micro_batch=2, sequence_length=1024, attention="eager"),
    "full, fp32": TraceCase(micro_batch=1, sequence_length=512, weights_dtype="fp32"),
    "full, amp, checkpointing": TraceCase(
        micro_batch=4, sequence_length=512, weights_dtype="fp32", amp=True, checkpointing=True
    ),
    "lora": TraceCase(micro_batch=2, sequence_length=1024, method="lora"),
    "lora, checkpointing": TraceCase(
        micro_batch=1, sequence_length=4096, method="lora", checkpointing=True
    ),
    "lora, eager, checkpointing": TraceCase(
        micro_batch=2, sequence_length=1024, method="lora", attention="eager", checkpointing=True
    ),
}


def grid(names: list[str]) -> Iterator[float]:
    """Prints a line per case; yields the relative errors."""
    configs = json.loads(CONFIGS.read_text("utf-8"))
    for name in names or configs:
        architecture = Architecture.from_hf_config(configs[name], name)
        for label, case in CASES.items():
            try:
                traced = trace_peak(configs[name], case)
            except InputError as reason:
                print(f"{name:18} {label:28} not traceable: {str(reason)[:80]}")
                continue
            error = closed_form_peak(architecture, case) / traced.peak_bytes - 1.0
            peak_gib = traced.peak_bytes / 2**30
            print(f"{name:18} {label:28} {peak_gib:9.3f} GiB {error:+8.3%} {traced.peak_at}")
            yield error


def time_estimates() -> None:
    """Prints microseconds of one estimate and seconds of a million."""
    config = json.loads(CONFIGS.read_text("utf-8"))["llama-3.1-8b"]
    architecture, recipe = Architecture.from_hf_config(config), TrainingRecipe()
    rng = np.random.default_rng(1)
    batches, lengths = rng.integers(1, 64, 10**6), rng.integers(128, 8192, 10**6)
    estimate_memory(architecture, recipe)
    start = time.perf_counter()
    for _ in range(1000):
        estimate_memory(architecture, recipe)
    one = time.perf_counter() - start
    start = time.perf_counter()
    estimate_memory(architecture, recipe, micro_batch=batches, sequence_length=lengths)
    million = time.perf_counter() - start
    print(f"one estimate {one * 1000:.0f} microseconds; a million candidates {million:.2f} seconds")


def main() -> None:
    """Prints the table and its summary."""
    logging.disable(logging.CRITICAL)
    errors = np.abs(list(grid(sys.argv[1:])))
    print(
        f"{errors.size} cases: median error {np.median(errors):.3%}, "
        f"P90 {np.quantile(errors, 0.9):.3%}, worst {errors.max():.2%}"
    )
    time_estimates()


if __name__ == "__main__":
    main()
