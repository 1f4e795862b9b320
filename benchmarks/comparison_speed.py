"""How long a whole comparison takes: draws, all alternatives, verdict, value of information."""

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the command does

from estimator.decision.simulate import compare, draw_inputs
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import load_scenario

EXAMPLE = Path(__file__).parent.parent / "examples" / "support-assistant.yaml"
DRAWS = 16_384


def best_of(runs: int, work: Callable[[], object]) -> float:
    """Least wall-clock seconds of several runs: the least disturbed one."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def main() -> None:
    """Print the figures."""
    scenario = with_inputs(load_scenario(EXAMPLE), {"horizon_months": 60})
    compare(scenario, n=256)  # imports and caches
    inputs = len([q for q in scenario.inputs().values() if not q.is_fixed])
    print(
        f"{DRAWS:,} draws x {len(scenario.alternatives)} alternatives x 60 months, {inputs} inputs"
    )
    print(
        f"draw the inputs      {best_of(3, lambda: draw_inputs(scenario, n=DRAWS, seed=7)):6.2f} s"
    )
    print(f"the whole comparison {best_of(3, lambda: compare(scenario, n=DRAWS, seed=7)):6.2f} s")
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory          {peak_kib / 2**20:6.2f} GiB")


if __name__ == "__main__":
    main()
