"""Predicted output tokens per second of serving against published measurements."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from estimator.errors import InputError
from estimator.hardware.calibration import generation_key
from estimator.llm.catalogue import catalogue_architecture, find_model
from estimator.serving.constants import serving_constants, throughput_spread
from estimator.serving.hardware import machine
from estimator.serving.measured import Measured, batch_of, predict
from estimator.serving.model import HALF_BYTES, served_model
from estimator.validation.rows import Expressed, Row, expressed, read_rows
from estimator.validation.scoring import Prediction, Score, Validation, scores_by
from estimator.validation.serving_cells import EIGHT_BIT_CACHE, program_of, weights_of
from pricing.gpus import gpu_spec

COLUMNS = ("model", "framework", "gpu", "n_gpus", "scenario")
MEASURED = ("output_tokens_per_s_total", "total_tokens_per_s", "tokens_per_s_per_user")
SHORT_INPUT, SHORT_OUTPUT = 16.0, 256.0
"""Tokens where a row of one request at a time states none: a question and an answer."""
PROMPT_COUNTED = re.compile(
    r"(encoded|prompt|input)( tokens)?\s*(and|plus|\+)\s*(tokens_)?(generat|output|completion)",
    re.IGNORECASE,
)
"""A speed that counts the prompt's tokens too."""
IN_TURN = ("transformers",)
"""Programs that put whole layers on each GPU, so that one GPU works at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPrediction(Prediction):
    """One row in output tokens per second of the replica."""

    model: str
    gpu: str
    gpus: int
    program: str
    load: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingValidation:
    """The outcome of one file."""

    scores: Validation
    by_gpu: Mapping[str, Score]
    by_program: Mapping[str, Score]
    by_load: Mapping[str, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row as the model reads it."""

    row: Row
    measured: Measured
    gpu: str
    generation: str
    gpus: int
    weights: str
    note: str


def validate_serving(path: Path, *, include_suspect: bool = False) -> ServingValidation:
    """Predicted output tokens per second against what a file measured."""
    found = read_cases(path, include_suspect=include_suspect)
    predictions = predict_cases(found.made)
    return ServingValidation(
        scores=Validation.of(found, predictions, "output tokens/s"),
        by_gpu=scores_by(predictions, lambda p: p.gpu),
        by_program=scores_by(predictions, lambda p: p.program),
        by_load=scores_by(predictions, lambda p: p.load),
    )


def read_cases(path: Path, *, include_suspect: bool) -> Expressed[Case]:
    """The rows that can be expressed, and why the others cannot."""
    return expressed(read_rows(path, COLUMNS), case_of, include_suspect=include_suspect)


def case_of(row: Row) -> Case:
    """What a row measured; `InputError` says what it lacks or what cannot be expressed."""
    program, weights = program_of(row), weights_of(row)
    entry = find_model(row["model"])
    if entry is None:
        raise InputError(f"{row.place}: model {row['model']!r} is not shipped")
    if row.number("pp", 1.0) > 1:
        raise InputError(f"{row.place}: pipeline parallelism is not modelled")
    spec, gpus = gpu_spec(row["gpu"]), row.number("n_gpus", 1.0)
    split = 1.0 if program in IN_TURN else row.number("tp", gpus)
    if gpus % 1 or split % 1 or gpus % split:
        raise InputError(f"{row.place}: {gpus:g} GPUs do not divide by a tensor split of {split:g}")
    batch = _batch(row)
    input_tokens, output_tokens, note = _lengths(row, alone=batch == 1)
    eight_bit = program == "tensorrt-llm" and weights.arithmetic in EIGHT_BIT_CACHE
    model = served_model(
        catalogue_architecture(entry.id),
        weights=weights,
        cache_bytes_per_value=1.0 if eight_bit else HALF_BYTES,
    )
    replicas = 1.0 if program in IN_TURN else gpus / split
    rate = _output_rate(row, batch or 1.0, input_tokens, output_tokens)
    return Case(
        row=row,
        gpu=spec.id,
        generation=generation_key(spec.generation),
        gpus=int(gpus),
        weights=row["quantization"] or row["precision"] or "bf16",
        note=note,
        measured=Measured(
            source=row.source,
            program=program,
            model=model,
            machine=machine(spec, gpus=int(split), arithmetic=model.arithmetic),
            batch=batch,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            output_tokens_per_second=rate / replicas,
        ),
    )


def _batch(row: Row) -> float | None:
    """Requests at a time; None: as many as fit. A row must say which."""
    scenario = row["scenario"].casefold()
    if row["batch"]:
        return row.number("batch")
    if re.search(r"single|batch 1\b", scenario):
        return 1.0
    if re.search(r"offline|max", scenario):
        return None
    raise InputError(f"{row.place}: scenario {row['scenario']!r} states no batch")


def _lengths(row: Row, *, alone: bool) -> tuple[float, float, str]:
    """Input and output tokens, and a note where short ones were taken for want of figures.

    One request at a time decodes short texts at nearly one speed; a batch does not.
    """
    stated = bool(row["input_len"] and row["output_len"])
    if not alone:
        return row.number("input_len"), row.number("output_len"), ""
    note = "" if stated else "lengths not stated: a short question and answer"
    return row.number("input_len", SHORT_INPUT), row.number("output_len", SHORT_OUTPUT), note


def _output_rate(row: Row, batch: float, input_tokens: float, output_tokens: float) -> float:
    """Output tokens per second of all GPUs, from the first column that states a speed."""
    of_all = output_tokens / (input_tokens + output_tokens)
    counted = of_all if PROMPT_COUNTED.search(row["metric"]) else 1.0
    if row["output_tokens_per_s_total"]:
        return row.number("output_tokens_per_s_total") * counted
    if row["tokens_per_s_per_user"]:
        return row.number("tokens_per_s_per_user") * batch * counted
    if row["total_tokens_per_s"]:
        return row.number("total_tokens_per_s") * of_all
    raise InputError(f"{row.place}: no speed is stated in {', '.join(MEASURED)}")


def predict_cases(cases: list[Case]) -> tuple[ServingPrediction, ...]:
    """Output tokens per second of each row with its 80 % range, all rows at once.

    A row whose model does not fit by our account is predicted as 0.
    """
    if not cases:
        return ()
    rates = predict(batch_of([case.measured for case in cases]), serving_constants().values)
    return tuple(_prediction(case, float(rate)) for case, rate in zip(cases, rates, strict=True))


def _prediction(case: Case, rate: float) -> ServingPrediction:
    found = case.measured
    p10, p50, p90 = throughput_spread(
        found.load, program=found.program, generation=case.generation
    ).p10_p50_p90()
    return ServingPrediction(
        row_id=case.row.id,
        source=case.row.source,
        method=case.weights,
        measured=found.output_tokens_per_second,
        p10=rate * p10,
        p50=rate * p50,
        p90=rate * p90,
        note=case.note,
        model=found.model.id,
        gpu=case.gpu,
        gpus=case.gpus,
        program=found.program,
        load=found.load,
    )
