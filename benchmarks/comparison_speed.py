"""How long a comparison takes, part by part: draws, NPV, tornado, EVPPI, the whole of it.

OPENBLAS_NUM_THREADS=1 unless set otherwise, as the command does; two of our own threads work on
alternatives side by side. CPU seconds count both.
"""

import os
import resource
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeVar

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from estimator.decision.choose import expected_regret, probability_best, ranking
from estimator.decision.evaluate import draw_inputs, knowable, model_of
from estimator.decision.information import evppi_all
from estimator.decision.one_at_a_time import tornado_at_medians
from estimator.decision.sensitivity import tornado
from estimator.decision.simulate import compare
from estimator.decision.worth import value_of_information
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import load_scenario

EXAMPLE = Path(__file__).parent.parent / "examples" / "support-assistant.yaml"
DRAWS = 16_384
MONTHS = 60
RUNS = 3
T = TypeVar("T")


def timed(label: str, work: Callable[[], T]) -> T:
    """Print the least wall-clock and CPU seconds of a few runs, and peak memory so far."""
    wall, cpu = [], []
    result = None
    for _ in range(RUNS):
        del result  # two at once would need twice the memory
        start, used = time.perf_counter(), time.process_time()
        result = work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{label:46}{min(wall):7.2f} s {min(cpu):9.2f} s cpu {peak_kib / 2**20:7.2f} GiB peak")
    return result


def main() -> None:
    """Print the figures."""
    scenario = with_inputs(load_scenario(EXAMPLE), {"horizon_months": MONTHS})
    compare(scenario, n=256)  # imports and caches
    inputs = len([q for q in scenario.inputs().values() if not q.is_fixed])
    ways = len(scenario.alternatives)
    print(f"{DRAWS:,} draws x {ways} alternatives x {MONTHS} months, {inputs} inputs")
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    seeds = count(7)  # each time another one: what was drawn before is remembered
    draws = timed("draws of every input", lambda: draw_inputs(scenario, n=DRAWS, seed=next(seeds)))
    model = model_of(scenario)
    npv = timed("NPV of every alternative", lambda: model(dict(draws)))
    names = [name for name in scenario.alternatives if name != "staged"]
    some = model_of(scenario, names)
    timed("NPV of every alternative but the pilot", lambda: some(dict(draws)))
    timed("P(best), regret", lambda: (probability_best(npv), expected_regret(npv)))
    known = knowable(draws)
    best, second = ranking(npv)[:2]
    timed(
        "tornado of the best two, conditional means",
        lambda: tornado(npv[best] - npv[second], known),
    )
    timed("tornado at medians, every alternative", lambda: tornado_at_medians(scenario, model))
    timed("EVPPI of every input", lambda: evppi_all(npv, known))
    whole = timed(
        "the whole comparison, accounts kept", lambda: compare(scenario, n=DRAWS, seed=next(seeds))
    )
    timed("worth: groups and studies on top of it", lambda: value_of_information(whole))


if __name__ == "__main__":
    main()
