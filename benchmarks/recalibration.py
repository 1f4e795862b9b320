"""What a few own measurements are worth: errors and interval widths before and after.

    python benchmarks/recalibration.py FILE [--rows 1 3 5 10] [--draws 3]

FILE has the columns of tests/data/throughput_published.csv. Each source is predicted by a fit to
all others, then recalibrated on some of its own rows on one GPU, drawn at random, and judged on
the remaining rows of that source and GPU. The last column is what
`estimator/training/data/recalibration.json` holds.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.quantity import FloatArray
from estimator.training.calibrate import batch, fit, predict, spread_factor
from estimator.training.recalibrate import recalibrate
from estimator.validation.throughput import Case, read_cases

SEED = 1


@dataclass(frozen=True)
class Judged:
    """One group of rows after one draw of own measurements."""

    source: str
    log_ratio: FloatArray
    agreed: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 2, 3, 5, 10])
    parser.add_argument("--draws", type=int, default=3, help="random choices of own rows")
    given = parser.parse_args()
    cases, *_ = read_cases(given.file, include_suspect=False)
    without = left_out_fits(cases)
    print(f"{len(cases)} rows of {len(without)} sources, each source by a fit to the others")
    for count in given.rows:
        generator = np.random.default_rng(SEED)
        before = list(judge(cases, without, count, given.draws, generator, own=False))
        generator = np.random.default_rng(SEED)
        after = list(judge(cases, without, count, given.draws, generator, own=True))
        line(f"{count:2d} rows of one's own, before", before)
        line(f"{count:2d} rows of one's own, after", after)


def left_out_fits(cases: list[Case]) -> dict[str, Calibration]:
    """A calibration for each source from the rows of all others."""
    prior = shipped_calibration()
    rows = batch([case.measurement for case in cases], prior.values)
    sources, whole = np.array([case.row.source for case in cases]), fit(rows, prior)
    return {str(s): fit(rows.where(sources != s), prior, whole) for s in np.unique(sources)}


def judge(
    cases: list[Case],
    without: dict[str, Calibration],
    count: int,
    draws: int,
    generator: np.random.Generator,
    *,
    own: bool,
) -> Iterator[Judged]:
    """ln(predicted / measured) on the rows of each source and GPU that were not drawn."""
    for source, gpu in sorted({case.group for case in cases}):
        group = [case.measurement for case in cases if case.group == (source, gpu)]
        if len(group) <= count:
            continue
        for _ in range(draws):
            order = generator.permutation(len(group))
            known = [group[i] for i in order[:count]]
            calibration = recalibrate(without[source], known) if own else without[source]
            rows = batch([group[i] for i in order[count:]], calibration.values)
            rate = predict(rows, calibration.values).tokens_per_second_per_gpu
            agreed = "contradict" not in calibration.name
            yield Judged(source, np.log(rate / rows.measured), agreed)


def line(name: str, judged: list[Judged]) -> None:
    """Print the errors of some groups, and the interval that holds 80 % of them."""
    ratio = np.concatenate([j.log_ratio for j in judged])
    source = np.concatenate([[j.source] * len(j.log_ratio) for j in judged])
    error = np.abs(np.expm1(ratio))
    names, where, rows = np.unique(source, return_inverse=True, return_counts=True)
    equal = np.mean([np.median(error[source == s]) for s in names])
    factor = spread_factor(ratio, (1.0 / rows)[where])
    print(
        f"{name:32s} sources {len(names):2d}  median {np.median(error):5.1%}  "
        f"P90 {np.quantile(error, 0.9):5.1%}  sources equal {equal:5.1%}  "
        f"rows agree {np.mean([j.agreed for j in judged]):4.0%}  "
        f"80 % within x/÷ {factor:.3f}"
    )


if __name__ == "__main__":
    main()
