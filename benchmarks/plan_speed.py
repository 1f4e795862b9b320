"""How many training configurations a second, and how long a whole plan takes.

A configuration is a recipe on a number of GPUs of one kind; for each the step time and the peak
memory are worked out. Beside the figures stand those measured of other estimators on two cores of
another machine, in one process; they are rules or simulators of the same two quantities. Run with
OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 for one core.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np

from estimator.dataset import typed_profile
from estimator.hardware.cluster import Cluster
from estimator.llm.architecture import Architecture
from estimator.llm.resolve import resolve_model
from estimator.quantity import Quantity
from estimator.training.grid import Form, Grid, evaluate
from estimator.training.memory import estimate_memory
from estimator.training.planning.costs import Effort
from estimator.training.planning.offers import OfferWish
from estimator.training.planning.plan import PlanWish, plan
from estimator.training.recipe import TrainingRecipe
from estimator.training.throughput import step_time
from pricing import gpu_specs

MODEL = "meta-llama/Llama-3.1-8B"
COUNTS = (1, 2, 4, 8, 16, 32, 64)
MICRO_BATCHES = 2 ** np.arange(8)
STEPS = 2 ** np.arange(6)
RIVALS = {
    "6ND in numpy (time alone)": "500,000",
    "ftune (30-50 % error)": "44,000",
    "gpu_poor": "10,000-15,000",
    "llm-analysis": "2,500",
    "Calculon": "410-450",
    "SimuMax (the most exact)": "18-20",
}
"""Configurations a second, measured 2026-11."""
SAMPLES = 300


def forms() -> list[Form]:
    """Full and LoRA, three software stacks, checkpointing, sharding and tensor parallelism."""
    return [
        Form(
            recipe=TrainingRecipe(
                method=method,
                stack=stack,
                checkpointing=checkpointing,
                sharding=sharding,
                tensor_parallel=tensor,
            ),
            gpus=gpus,
        )
        for gpus, method, stack, checkpointing, sharding, tensor in product(
            COUNTS,
            ("full", "lora"),
            ("huggingface", "huggingface_fused", "deepspeed"),
            ("none", "full"),
            ("none", "zero2", "zero3"),
            (1, 2, 4),
        )
        if gpus % tensor == 0 and (sharding == "none" or gpus > tensor)
    ]


def timed(work: Callable[[], object]) -> float:
    """Seconds of the processor that one call takes: others on the machine do not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def largest_difference(grid: Grid, architecture: Architecture) -> float:
    """Largest relative difference of random candidates from the same one estimated alone."""
    rng, worst = np.random.default_rng(1), 0.0
    for _ in range(SAMPLES):
        i, j, k, a = (int(rng.integers(n)) for n in grid.step_seconds.shape)
        recipe, gpus = grid.recipe(i, k, a), grid.forms[i].gpus
        cluster = replace(grid.machines[j], gpus=gpus)
        seconds = float(step_time(architecture, recipe, cluster).step_seconds)
        peak = float(estimate_memory(architecture, recipe, gpus=gpus).peak_bytes[1])
        worst = max(
            worst,
            abs(grid.step_seconds[i, j, k, a] / seconds - 1.0),
            abs(grid.peak_bytes[0, i, k, a] / peak - 1.0),
        )
    return worst


def main() -> None:
    """Prints the figures."""
    architecture = resolve_model(MODEL, offline=True).architecture
    machines = [Cluster.of(gpu, 1) for gpu in gpu_specs().values() if "bf16" in gpu.dense_tflops]
    tried = forms()
    steps = np.broadcast_to(STEPS, (len(tried), len(MICRO_BATCHES), len(STEPS)))

    def grid() -> Grid:
        return evaluate(
            architecture, tried, machines, micro_batches=MICRO_BATCHES, accumulation=steps
        )

    first = timed(grid)
    again = min(timed(grid) for _ in range(3))
    found = grid()
    print(
        f"{found.size:,} configurations of {MODEL} ({len(tried)} forms on {len(machines)} GPUs): "
        f"{first:.2f} s the first time, {again:.2f} s again: {found.size / first:,.0f} and "
        f"{found.size / again:,.0f} a second"
    )
    worst = largest_difference(found, architecture)
    print(f"{SAMPLES} of them estimated alone differ by {worst:.1e} at most")
    data, effort = typed_profile(examples=7473, mean_tokens=200.0), Effort(epochs=Quantity(value=3))
    wish = PlanWish(effort=effort, offers=OfferWish(spot=True))
    whole = timed(lambda: plan(architecture, data, wish))
    made = plan(architecture, data, wish)
    print(f"a plan over {made.offers} offers, {made.searched:,} configurations: {whole:.2f} s")
    print("others, configurations a second:")
    for name, figure in RIVALS.items():
        print(f"  {name:28} {figure}")


if __name__ == "__main__":
    main()
