"""Every published row of throughput as predicted by a fit that did not see it.

    python benchmarks/left_out.py [--rows FILE] [--out docs/figures/throughput_left_out.csv]

Each row is predicted by the shipped fit, by a refit without its source, by a refit without its
model, and by the refit without its source after five rows of the same source and GPU have
recalibrated it, drawn at random. `docs/accuracy.md` reports these figures; this takes a quarter of
an hour on two cores. Nothing is wholly blind: the form of
the model and some priors were chosen with all rows in view.
"""

import argparse
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.quantity import FloatArray
from estimator.training.calibrate import batch, fit, predict
from estimator.training.recalibrate import recalibrate
from estimator.validation.fitting import THROUGHPUT_FILE
from estimator.validation.scoring import write_table
from estimator.validation.throughput import Case, read_cases

OUT = Path(__file__).parent.parent / "docs" / "figures" / "throughput_left_out.csv"
OWN_ROWS, SEED = 5, 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, default=THROUGHPUT_FILE)
    parser.add_argument("--out", type=Path, default=OUT)
    given = parser.parse_args()
    cases = read_cases(given.rows, include_suspect=False)[0]
    shipped = shipped_calibration()
    sources = [case.row.source for case in cases]
    models = [case.measurement.architecture.id for case in cases]
    without_source = refits(given.rows, sources, "source")
    without_model = refits(given.rows, models, "model")
    columns = {
        "in_sample": rates(cases, shipped),
        "without_source": spliced(cases, sources, without_source),
        "without_model": spliced(cases, models, without_model),
        "after_own_rows": after_own_rows(cases, without_source),
    }
    known = [
        without_source[case.row.source].knowledge(
            case.measurement.cluster.gpu.generation, case.measurement.recipe.stack
        )
        for case in cases
    ]
    write_table(
        given.out,
        [
            {
                "row_id": case.row.id,
                "source": case.row.source,
                "model": models[i],
                "method": case.measurement.recipe.method,
                "gpu": case.measurement.cluster.gpu.id,
                "stack": case.measurement.recipe.stack,
                "knowledge_without_source": known[i],
                "measured": round(case.measurement.tokens_per_second_per_gpu, 2),
                **{name: _cell(values[i]) for name, values in columns.items()},
            }
            for i, case in enumerate(cases)
        ],
    )
    print(f"wrote {given.out}")


def _cell(rate: float) -> float | str:
    return "" if np.isnan(rate) else round(float(rate), 2)


def rates(cases: list[Case], calibration: Calibration) -> FloatArray:
    """Tokens per second and GPU of each case."""
    rows = batch([case.measurement for case in cases], calibration.values)
    return predict(rows, calibration.values).tokens_per_second_per_gpu


def refits(path: Path, groups: list[str], what: str) -> dict[str, Calibration]:
    """A calibration for each group from the rows of all others; groups side by side."""
    names = sorted(set(groups))
    with ProcessPoolExecutor(initializer=_load, initargs=(path, groups)) as pool:
        found = {}
        for name, calibration in zip(names, pool.map(_refit, names), strict=True):
            found[name] = calibration
            print(f"  refitted without {what} {name}", flush=True)
    return found


def _load(path: Path, groups: list[str]) -> None:
    global _rows, _groups
    cases = read_cases(path, include_suspect=False)[0]
    _rows = batch([case.measurement for case in cases], shipped_calibration().values)
    _groups = np.array(groups)


def _refit(name: str) -> Calibration:
    return fit(_rows.where(_groups != name), shipped_calibration())


def spliced(
    cases: list[Case], groups: Iterable[str], without: Mapping[str, Calibration]
) -> FloatArray:
    """Each case predicted by the calibration that did not see its group."""
    names = np.array(list(groups))
    predicted = np.full(len(cases), np.nan)
    for name in np.unique(names):
        held = np.flatnonzero(names == name)
        predicted[held] = rates([cases[i] for i in held], without[str(name)])
    return predicted


def after_own_rows(cases: list[Case], without: Mapping[str, Calibration]) -> FloatArray:
    """Predictions after some other rows of the same source and GPU; NaN in small groups."""
    generator = np.random.default_rng(SEED)
    predicted = np.full(len(cases), np.nan)
    for group in sorted({case.group for case in cases}):
        members = np.array([i for i, case in enumerate(cases) if case.group == group])
        while len(members) > OWN_ROWS and np.isnan(predicted[members]).any():
            order = generator.permutation(members)
            own = [cases[i].measurement for i in order[:OWN_ROWS]]
            rest = order[OWN_ROWS:]
            shifted = recalibrate(without[group[0]], own)
            predicted[rest] = rates([cases[i] for i in rest], shifted)
    return predicted


if __name__ == "__main__":
    main()
