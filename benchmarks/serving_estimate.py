"""Errors of the serving model on published measurements, and the fit of its parameters.

    python benchmarks/serving_estimate.py                            on a sample of 59 rows
    python benchmarks/serving_estimate.py FILE                       shipped constants
    python benchmarks/serving_estimate.py FILE --left-out source     refit without each source
    python benchmarks/serving_estimate.py FILE --fit OUT.json        fit, measure ranges, write

FILE has the columns that `tuneroi validate serving` reads. Errors are in output tokens per second.
Left-out figures are not wholly blind: the form of the model and some priors were chosen with all
these rows in view.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from estimator.files import write_atomically
from estimator.quantity import FloatArray
from estimator.serving.constants import (
    ServingConstants,
    Spread,
    seen_key,
    serving_constants,
    throughput_spread,
)
from estimator.serving.fit import fit, left_out
from estimator.serving.measured import batch_of, predict
from estimator.validation.serving import Case, read_cases

GROUPS = ("source", "program", "generation", "model")
PUBLISHED = Path(__file__).parent.parent / "tests" / "data" / "serving_published.csv"
LOADS = ("batched", "single_stream")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, nargs="?", default=PUBLISHED)
    parser.add_argument("--left-out", choices=GROUPS)
    parser.add_argument("--fit", type=Path, metavar="OUT.json")
    parser.add_argument("--worst", type=int, default=0, help="show the worst N rows")
    given = parser.parse_args()
    cases, rows, _, unexpressed = read_cases(given.file, include_suspect=False)
    print(f"{len(cases)} of {rows} rows expressed; refused: {unexpressed}")
    constants = serving_constants()
    measured = batch_of([case.measured for case in cases])
    sources = column(cases, "source")
    if given.fit:
        write(fitted(cases, constants), given.fit)
        return
    if given.left_out:
        predicted = left_out(measured, sources, constants, column(cases, given.left_out))
        print(f"each row predicted by a fit to the rows of every other {given.left_out}")
    else:
        predicted = predict(measured, constants.values)
    report(cases, predicted / measured.measured, seen=given.left_out in (None, "model"))
    for i in np.argsort(-np.abs(np.log(predicted / measured.measured)))[: given.worst]:
        case = cases[i]
        print(
            f"{case.row.id} {case.row['model']} {case.weights} {case.row['framework']} "
            f"{case.gpus} x {case.gpu} in {case.row['input_len']} out {case.row['output_len']}: "
            f"measured {measured.measured[i]:.1f}, predicted {predicted[i]:.1f}"
        )


def column(cases: list[Case], name: str) -> NDArray[np.str_]:
    """The group of each row."""
    words = [
        {
            "source": case.row.source,
            "program": case.measured.program,
            "generation": case.generation,
            "model": case.measured.model.id,
            "load": case.measured.load,
            "gpu": case.gpu,
            "weights": case.weights,
        }[name]
        for case in cases
    ]
    return np.array(words)


def report(cases: list[Case], ratio: FloatArray, *, seen: bool) -> None:
    """Median, P90 and bias of the error and coverage of the range: all rows, and by group.

    `seen`: whether program and GPU generation of a row were among the others.
    """
    ends = [
        throughput_spread(
            case.measured.load,
            program=case.measured.program if seen else "",
            generation=case.generation,
        ).p10_p50_p90()
        for case in cases
    ]
    low, high = np.array(ends)[:, 0], np.array(ends)[:, 2]
    inside = (low * ratio <= 1.0) & (high * ratio >= 1.0)
    line("all rows", ratio, inside)
    sources = column(cases, "source")
    medians = [np.median(np.abs(ratio[sources == s] - 1)) for s in np.unique(sources)]
    print(f"sources equal: median {np.mean(medians):.1%}")
    for name in ("source", "program", "load", "gpu", "weights"):
        groups = column(cases, name)
        for group in np.unique(groups):
            line(f"  {name} {group}"[:40], ratio[groups == group], inside[groups == group])


def line(name: str, ratio: FloatArray, inside: NDArray[np.bool_]) -> None:
    error = np.abs(ratio - 1)
    print(
        f"{name:40s} rows {len(ratio):4d}  median {np.median(error):6.1%}  "
        f"P90 {np.quantile(error, 0.9):6.1%}  bias {np.median(ratio) - 1:+6.1%}  "
        f"inside the 80 % range {inside.mean():4.0%}"
    )


def fitted(cases: list[Case], prior: ServingConstants) -> ServingConstants:
    """The fit to all rows, with ranges from what fits without each source had not seen."""
    measured, sources = batch_of([c.measured for c in cases]), column(cases, "source")
    load, spread = column(cases, "load"), dict(prior.spread)
    for group, ending in (("source", ""), ("model", "_seen")):
        predicted = left_out(measured, sources, prior, column(cases, group))
        unseen = np.log(measured.measured / predicted)
        for kind in LOADS:
            held = load == kind
            spread[kind + ending] = spread_of(unseen[held], sources[held], kind + ending, group)
    keys = {seen_key(c.measured.program, c.generation, c.measured.load) for c in cases}
    return fit(measured, sources, prior).model_copy(
        update={"seen": tuple(sorted(keys)), "spread": spread}
    )


def spread_of(
    log_ratio: FloatArray, sources: NDArray[np.str_], kind: str, left_out_by: str
) -> Spread:
    """Symmetric 80 % range of measured over predicted, sources weighted equally.

    One source says nothing about how far others are off: the range then stays as it is.
    """
    old = serving_constants().spread[kind]
    weights = np.array([1.0 / np.sum(sources == source) for source in sources])
    order = np.argsort(np.abs(log_ratio))
    reach = np.cumsum(weights[order]) / np.sum(weights)
    factor = float(np.exp(np.abs(log_ratio)[order][np.searchsorted(reach, 0.8)]))
    print(f"{kind}: 80 % of left-out rows within a factor of {factor:.2f}")
    if left_out_by == "source" and len(np.unique(sources)) < 2:
        return old
    return old.model_copy(
        update={
            "factor": old.factor.model_copy(
                update={"p10": round(1 / factor, 3), "p50": 1.0, "p90": round(factor, 3)}
            ),
            "source": f"published rows predicted by fits without their {left_out_by}, sources "
            "weighted equally",
            "evidence": "measured",
        }
    )


def write(constants: ServingConstants, path: Path) -> None:
    write_atomically(path, constants.model_dump_json(indent=1) + "\n")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
