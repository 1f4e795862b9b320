"""Predicted peak memory against published measurements of it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from estimator.quantity import FloatArray
from estimator.training.memory import form_error
from estimator.training.operations import Dispatch
from estimator.training.overheads import overheads
from estimator.validation.conventions import reading_of
from estimator.validation.rows import Row, expressed, read_rows
from estimator.validation.scoring import Prediction, Validation
from estimator.validation.wish import COLUMNS, Wish, wish_of

GIB = 2**30


def validate_memory(path: Path, *, include_suspect: bool = False) -> Validation:
    """Predicted peak GiB per GPU against the column `peak_mem_gib` of a file.

    Nothing is fitted to the rows: what a source's software does is in the conventions.
    """
    rows = read_rows(path, (*COLUMNS, "peak_mem_gib", "mem_kind"))
    found = expressed(rows, predict, include_suspect=include_suspect)
    return Validation.of(found, found.made, "GiB")


def predict(row: Row) -> Prediction:
    """The peak of a row as its source reads it."""
    measured = row.number("peak_mem_gib")
    wish = wish_of(row)
    reading = reading_of(row)
    p10, p50, p90 = as_read(wish, reading) / GIB
    return Prediction(
        row_id=row.id,
        source=row.source,
        method=wish.recipe.method,
        measured=measured,
        p10=float(p10),
        p50=float(p50),
        p90=float(p90),
        note="; ".join((reading, wish.architecture.id, *_recipe_words(row, wish))),
    )


def _recipe_words(row: Row, wish: Wish) -> Iterator[str]:
    """What decides the prediction, and what it assumes because the row does not state it."""
    recipe = wish.recipe
    yield f"{recipe.stack}, {recipe.precision}, {recipe.loss_kernel} loss"
    if recipe.has_adapters and not row["lora_rank"]:
        yield f"rank {recipe.lora_rank} assumed"
    if recipe.has_adapters and not row["lora_targets"]:
        yield "adapters on attention assumed"


def as_read(wish: Wish, reading: str, *, dispatch: Dispatch = "cuda") -> FloatArray:
    """p10, p50, p90 in bytes of what a reading counts.

    `used`: all of it; `reserved`: without the CUDA context; `allocated`: tensors alone, whose
    range is the error of the closed form. Errors of form and reserve are independent.
    """
    memory = wish.memory(dispatch=dispatch)
    if reading == "used":
        return memory.peak_bytes
    form, reserve = form_error(wish.architecture, wish.recipe), overheads()["allocator_reserve"]
    tensors, kept = float(memory.allocated_bytes), float(memory.allocator_reserve)
    middle = tensors if reading == "allocated" else tensors + kept
    ends = []
    for end in ("p10", "p90"):
        of_form = middle * (getattr(form, end) - form.p50)
        of_reserve = tensors * (getattr(reserve, end) - reserve.p50)
        ends.append(np.hypot(of_form, 0.0 if reading == "allocated" else of_reserve))
    return np.array([middle - ends[0], middle, middle + ends[1]])
