"""Predicted tokens per second and GPU against published measurements of training throughput."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pydantic import ValidationError

from estimator.errors import InputError
from estimator.hardware.calibration import Calibration, shipped_calibration
from estimator.llm.architecture import Architecture
from estimator.llm.catalogue import catalogue_architecture, find_model
from estimator.quantity import FloatArray
from estimator.training.calibrate import batch, predict
from estimator.training.published import Measurement, measurement
from estimator.training.recalibrate import recalibrate
from estimator.validation.cells import CHECKPOINTING, KERNELS, METHODS, SHARDINGS
from estimator.validation.rows import Expressed, Row, expressed, read_rows
from estimator.validation.scoring import Prediction, Score, Validation, scores_by

UNIT = "tokens/s/GPU"
COLUMNS = ("model", "method", "seq_len", "n_gpus", "gpu", "framework", "tokens_per_s_per_gpu")
NUMBERS = (
    "layers", "hidden", "ffn", "heads", "kv_heads", "head_dim", "vocab", "n_experts",
    "experts_per_token", "lora_rank", "seq_len", "micro_batch", "grad_accum", "global_batch",
    "n_gpus", "gpus_per_node", "tp", "pp", "cp", "ep", "mean_tokens_per_sample",
)  # fmt: skip
DIMENSIONS = ("layers", "hidden", "ffn", "heads", "head_dim", "vocab")
AGREEING = ("layers", "hidden", "heads", "vocab")
"""Dimensions in which a row and the shipped model of its name must agree."""
PRECISIONS = {
    "": "", "bf16": "bf16", "bfloat16": "bf16", "bf16-true": "bf16", "bf16-mixed": "bf16",
    "amp": "bf16", "fp16": "fp16", "float16": "fp16", "fp16-mixed": "fp16",
    "fp8": "fp8", "mxfp8": "fp8", "nvfp4": "nvfp4", "fp4": "nvfp4",
}  # fmt: skip
"""Number format of the layers' products; weights, attention and head keep 16 bits."""
WORDS: Mapping[str, Mapping[str, str]] = {
    "method": METHODS,
    "precision": PRECISIONS,
    "sharding": {"": "", **SHARDINGS},
    "activation_checkpointing": {"": "", **CHECKPOINTING},
    "attention": KERNELS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row as the model reads it."""

    row: Row
    measurement: Measurement
    filled: bool
    """Whether the dimensions came from the shipped model of that name."""

    @property
    def group(self) -> tuple[str, str]:
        """Source and GPU: whose measurements, on what."""
        return self.row.source, self.measurement.cluster.gpu.id


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPrediction(Prediction):
    """One row in tokens per second and GPU."""

    model: str
    gpu: str
    gpus: int
    stack: str
    mfu: float
    """Predicted model FLOP/s over dense peak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputValidation:
    """The outcome of one file."""

    scores: Validation
    by_gpu: Mapping[str, Score]
    by_stack: Mapping[str, Score]
    mean_interval_width: float | None
    """Mean of (p90 - p10) / p50."""
    spearman: float | None
    """Rank correlation of predicted and measured MFU; None where one of them does not vary."""
    filled: tuple[str, ...]
    """Ids of rows whose dimensions came from the shipped model of that name."""
    calibration: str
    own: "OwnRows | None" = None
    """How rows served as a user's own measurements; None: they did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRows:
    """Rows that stood in for a user's own measurements, by source and GPU."""

    rows_per_group: int
    seed: int
    groups: int
    groups_calibrated: int
    """Groups with more rows than that: the others are not scored."""
    rows_used: int
    rows_in_small_groups: int
    before: Score
    """The same rows as scored, predicted without these measurements."""
    before_by_source_mean: float | None


def validate_throughput(
    path: Path, *, include_suspect: bool = False, calibration: Calibration | None = None
) -> ThroughputValidation:
    """Predicted against the column `tokens_per_s_per_gpu` of a file.

    The range is that of the calibration's `efficiency_factor`: wider where a GPU generation or a
    software stack was not among the measurements behind it.
    """
    found = read_cases(path, include_suspect=include_suspect)
    used = calibration or shipped_calibration()
    predictions = predict_cases(found.made, used)
    scores = Validation.of(found, predictions, UNIT)
    return summary(scores, predictions, found.made, f"{used.name}, {used.as_of}")


def validate_calibrated(
    path: Path,
    *,
    rows_per_group: int,
    seed: int = 0,
    include_suspect: bool = False,
    calibration: Calibration | None = None,
) -> ThroughputValidation:
    """The same after taking some rows of each source and GPU as a user's own measurements.

    Each group with more than `rows_per_group` rows gives that many at random, the calibration is
    shifted by them, and the rest of the group is scored. Smaller groups are counted only.
    """
    if rows_per_group < 1:
        raise InputError(f"--calibrate-rows is {rows_per_group}; allowed: 1 or more")
    found = read_cases(path, include_suspect=include_suspect)
    used = calibration or shipped_calibration()
    groups = _groups(found.made)
    generator = np.random.default_rng(seed)
    rest: list[Case] = []
    predictions: list[SpeedPrediction] = []
    large = [group for group in groups if len(group) > rows_per_group]
    for group in large:
        order = generator.permutation(len(group))
        own, others = (
            [group[i] for i in np.sort(part)] for part in np.split(order, [rows_per_group])
        )
        shifted = recalibrate(used, [case.measurement for case in own])
        predictions.extend(predict_cases(others, shifted))
        rest.extend(others)
    scores = Validation.of(found, predictions, UNIT)
    before = Validation.of(found, predict_cases(rest, used), UNIT)
    described = f"{used.name}, {used.as_of}, and {rows_per_group} own rows per source and GPU"
    taken = OwnRows(
        rows_per_group=rows_per_group,
        seed=seed,
        groups=len(groups),
        groups_calibrated=len(large),
        rows_used=rows_per_group * len(large),
        rows_in_small_groups=sum(len(group) for group in groups) - sum(map(len, large)),
        before=before.total,
        before_by_source_mean=before.median_ape_by_source_mean,
    )
    return replace(summary(scores, predictions, rest, described), own=taken)


def _groups(cases: Sequence[Case]) -> list[list[Case]]:
    """The rows of each source and GPU, in the order of their names."""
    found: defaultdict[tuple[str, str], list[Case]] = defaultdict(list)
    for case in cases:
        found[case.group].append(case)
    return [found[key] for key in sorted(found)]


def read_cases(path: Path, *, include_suspect: bool) -> Expressed[Case]:
    """The rows that can be expressed, and why the others cannot."""
    return expressed(read_rows(path, COLUMNS), case_of, include_suspect=include_suspect)


def case_of(row: Row) -> Case:
    """What a row measured; `InputError` says what it lacks or what cannot be expressed."""
    for column in NUMBERS:
        _check_number(row, column)
    row.number("tokens_per_s_per_gpu")
    words = {column: row.choice(column, known) for column, known in WORDS.items()}
    stated = all(row[column] for column in DIMENSIONS)
    shipped = _agreeing(row) if stated else _shipped(row)
    if not stated and shipped is not None:
        words |= _dimensions(shipped)
    named = {"row_id": row.id, "source_key": row.source}
    try:
        found = measurement(defaultdict(str, {**row.cells, **words, **named}))
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        message = fault["msg"].removeprefix("Value error, ")
        raise InputError(f"{row.place}: {f'{place}: ' if place else ''}{message}") from None
    if shipped is not None:
        found = replace(found, architecture=shipped)
    batch([found], shipped_calibration().values)  # refuses what this GPU or split cannot do
    return Case(row=row, measurement=found, filled=not stated)


def _check_number(row: Row, column: str) -> None:
    try:
        value = float(row[column] or 0)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{row.place}: {column} is {row[column]!r}; allowed: a number")


def _agreeing(row: Row) -> Architecture | None:
    """The shipped dense model of the row's name and size: it knows fused matrices and windows.

    Not of a mixture: which class held its experts, and so what adapters and 4-bit weights saw of
    them, has changed over the years.
    """
    entry = find_model(row["model"])
    if entry is None or row["n_experts"]:
        return None
    found = catalogue_architecture(entry.id)
    known = _dimensions(found)
    same = all(float(row[column]) == float(known[column]) for column in AGREEING)
    return found if same and not found.is_moe else None


def _shipped(row: Row) -> Architecture:
    """The shipped model of the row's name, where what the row states of it agrees."""
    entry = find_model(row["model"])
    if entry is None:
        lacking = next(column for column in DIMENSIONS if not row[column])
        raise InputError(f"{row.place}: {row['model']} is not shipped and its {lacking} not stated")
    found = catalogue_architecture(entry.id)
    known = _dimensions(found)
    for column in AGREEING:
        if row[column] and float(row[column]) != float(known[column]):
            raise InputError(
                f"{row.place}: {column} is {row[column]}, of the shipped {entry.id} {known[column]}"
            )
    return found


def _dimensions(architecture: Architecture) -> dict[str, str]:
    """Cells of a row for a shipped model; its own matrices replace what is made of them."""
    hidden, heads = architecture.hidden_size, architecture.num_attention_heads
    numbers = {
        "layers": architecture.num_layers,
        "hidden": hidden,
        "ffn": hidden,
        "heads": heads,
        "kv_heads": architecture.num_key_value_heads,
        "head_dim": max(hidden // heads, 1),
        "vocab": architecture.vocab_size,
    }
    return {column: str(number) for column, number in numbers.items()} | {"n_experts": ""}


def predict_cases(cases: Sequence[Case], calibration: Calibration) -> tuple[SpeedPrediction, ...]:
    """Tokens per second and GPU of each row with its 80 % range, all rows at once."""
    if not cases:
        return ()
    step = predict(batch([c.measurement for c in cases], calibration.values), calibration.values)
    rates = np.asarray(step.tokens_per_second_per_gpu, dtype=np.float64)
    mfu = np.broadcast_to(step.mfu, rates.shape)
    return tuple(
        _prediction(case, float(rate), float(share), calibration)
        for case, rate, share in zip(cases, rates, mfu, strict=True)
    )


def _prediction(case: Case, rate: float, mfu: float, calibration: Calibration) -> SpeedPrediction:
    found = case.measurement
    gpu, recipe = found.cluster.gpu, found.recipe
    p10, p50, p90 = calibration.efficiency_factor(gpu.generation, recipe.stack).p10_p50_p90()
    known = calibration.knowledge(gpu.generation, recipe.stack).replace("_", " ")
    return SpeedPrediction(
        row_id=case.row.id,
        source=case.row.source,
        method=recipe.method,
        measured=found.tokens_per_second_per_gpu,
        p10=rate * p10,
        p50=rate * p50,
        p90=rate * p90,
        note=f"GPU and stack: {known}" + ("; dimensions of the shipped model" * case.filled),
        model=found.architecture.id,
        gpu=gpu.id,
        gpus=found.cluster.gpus,
        stack=recipe.stack,
        mfu=mfu,
    )


def summary(
    scores: Validation,
    predictions: Sequence[SpeedPrediction],
    cases: Sequence[Case],
    calibration: str,
) -> ThroughputValidation:
    """The outcome with scores by GPU and stack, interval width and rank correlation."""
    widths = [(p.p90 - p.p10) / p.p50 for p in predictions]
    measured_mfu = [p.mfu * p.measured / p.p50 for p in predictions]
    return ThroughputValidation(
        scores=scores,
        by_gpu=scores_by(predictions, lambda p: p.gpu),
        by_stack=scores_by(predictions, lambda p: p.stack),
        mean_interval_width=float(np.mean(widths)) if widths else None,
        spearman=spearman([p.mfu for p in predictions], measured_mfu),
        filled=tuple(case.row.id for case in cases if case.filled),
        calibration=calibration,
    )


def spearman(a: ArrayLike, b: ArrayLike) -> float | None:
    """Spearman's rank correlation, -1 to 1; equal values share their mean rank.

    Spearman, "The Proof and Measurement of Association between Two Things", 1904. None with
    fewer than two values or where one side does not vary.
    """
    ranks = _ranks(a), _ranks(b)
    if any(len(r) < 2 or np.ptp(r) == 0.0 for r in ranks):
        return None
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values: ArrayLike) -> FloatArray:
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2.0)[place])
