"""Errors of the step-time model on published measurements, and the fit of its parameters.

    python benchmarks/training_estimate.py                            on a sample of 30 rows
    python benchmarks/training_estimate.py FILE                       shipped calibration
    python benchmarks/training_estimate.py FILE --left-out source     refit without each source
    python benchmarks/training_estimate.py FILE --fit OUT.json        fit, measure intervals, write

FILE has the columns of tests/data/throughput_published.csv. Rows whose `flag` begins with "susp"
are left out and counted. Errors are in tokens per second and GPU. Left-out figures are not wholly
blind: the form of the model and some priors were chosen with all these rows in view.
"""

import argparse
from pathlib import Path

import numpy as np

from estimator.files import write_atomically
from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.quantity import FloatArray
from estimator.training.calibrate import Batch, batch, fit, left_out, measured_spread, predict
from estimator.training.published import Measurement
from estimator.validation.throughput import read_cases

PUBLISHED = Path(__file__).parent.parent / "tests" / "data" / "throughput_published.csv"
GROUPS = ("source", "generation", "stack", "model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=PUBLISHED)
    parser.add_argument("--left-out", choices=GROUPS)
    parser.add_argument("--fit", type=Path, metavar="OUT.json")
    parser.add_argument("--worst", type=int, default=0, help="show the worst N rows")
    given = parser.parse_args()
    cases, count, suspect, refused = read_cases(given.file, include_suspect=False)
    measurements = [case.measurement for case in cases]
    calibration = shipped_calibration()
    rows = batch(measurements, calibration.values)
    print(f"{len(rows)} of {count} rows expressed ({len(rows) / count:.1%}); {suspect} suspect")
    for reason, ids in refused.items():
        print(f"  {len(ids)} refused: {reason}")
    if given.fit:
        write(fitted(rows, calibration), given.fit)
        return
    if given.left_out:
        groups = {
            "source": rows.source,
            "generation": rows.generation,
            "stack": rows.stack,
            "model": np.array([m.architecture.id for m in measurements]),
        }[given.left_out]
        predicted = left_out(rows, calibration, groups)
        print(f"each row predicted by a fit to the rows of every other {given.left_out}")
    else:
        predicted = predict(rows, calibration.values).tokens_per_second_per_gpu
        print(f"calibration: {calibration.name}, {calibration.as_of}, {calibration.rows} rows")
    report(rows, measurements, predicted, calibration)
    worst(rows, measurements, predicted, given.worst)


def report(
    rows: Batch, measurements: list[Measurement], predicted: FloatArray, calibration: Calibration
) -> None:
    """Median, P90 and bias of the error and coverage of the interval: all, by source, by method."""
    ratio = predicted / rows.measured
    factor = np.array(
        [
            calibration.spread[calibration.knowledge(str(g), str(s))].factor
            for g, s in zip(rows.generation, rows.stack, strict=True)
        ]
    )
    inside = np.abs(np.log(ratio)) <= np.log(factor)
    method = np.array([m.recipe.method for m in measurements])
    line("all rows", ratio, inside)
    line("LoRA and QLoRA", ratio[method != "full"], inside[method != "full"])
    medians = [np.median(np.abs(ratio[rows.source == s] - 1)) for s in np.unique(rows.source)]
    covered = np.average(inside, weights=rows.source_weights)
    print(f"sources equal: median {np.mean(medians):.1%}; coverage {covered:.0%}")
    for source in np.unique(rows.source):
        for kind in np.unique(method[rows.source == source]):
            held = (rows.source == source) & (method == kind)
            line(f"  {source} {kind}", ratio[held], inside[held])


def line(name: str, ratio: FloatArray, inside: np.ndarray) -> None:
    error = np.abs(ratio - 1)
    print(
        f"{name:22s} rows {len(ratio):4d}  median {np.median(error):6.1%}  "
        f"P90 {np.quantile(error, 0.9):6.1%}  bias {np.median(ratio) - 1:+6.1%}  "
        f"inside the 80 % interval {inside.mean():4.0%}"
    )


def worst(rows: Batch, measurements: list[Measurement], predicted: FloatArray, n: int) -> None:
    """The rows with the largest errors."""
    for i in np.argsort(-np.abs(np.log(predicted / rows.measured)))[:n]:
        m = measurements[i]
        print(
            f"{m.row_id} {m.architecture.id} {m.recipe.method} {m.recipe.stack} "
            f"{m.cluster.gpus} x {m.cluster.gpu.id}: measured {rows.measured[i]:.0f}, "
            f"predicted {predicted[i]:.0f} tokens/s/GPU"
        )


def fitted(rows: Batch, prior: Calibration) -> Calibration:
    """The fit to all rows, with interval widths from what a fit had not seen."""
    sources = ", ".join(np.unique(rows.source).tolist())
    return fit(rows, prior).model_copy(
        update={
            "name": "shipped fit",
            "source": f"published measurements of training throughput: {sources}",
            "spread": measured_spread(rows, prior),
        }
    )


def write(calibration: Calibration, path: Path) -> None:
    """Write the calibration whole or not at all."""
    write_atomically(path, calibration.model_dump_json(indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
