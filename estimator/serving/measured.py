"""Published measurements of serving as the model reads them, predicted all at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from estimator.hardware.calibration import Values
from estimator.quantity import FloatArray
from estimator.serving.capacity import replica_capacity
from estimator.serving.constants import LoadKind, stack_of
from estimator.serving.hardware import Machine, reached, together
from estimator.serving.model import CacheGroup, ServedModel
from estimator.serving.steps import static_batch_seconds

NUMBERS = tuple(
    f.name for f in fields(ServedModel) if f.name not in ("id", "cache_groups", "arithmetic")
)
EMPTY = CacheGroup(
    bytes_per_token=0.0,
    attention_flops_per_token_pair=0.0,
    query_heads_per_kv_head=1.0,
    window=np.inf,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Output tokens per second of one replica under one load."""

    source: str
    program: str
    model: ServedModel
    machine: Machine
    batch: float | None
    """Requests that start and end together; None: as many as fit, a new one for each that ends."""
    input_tokens: float
    output_tokens: float
    output_tokens_per_second: float

    @property
    def load(self) -> LoadKind:
        """`single_stream`: one request at a time."""
        return "single_stream" if self.batch == 1 else "batched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Many measurements as arrays of one length."""

    programs: NDArray[np.str_]
    model: ServedModel
    machine: Machine
    input_tokens: FloatArray
    output_tokens: FloatArray
    batch: FloatArray
    """Not a number: as many as fit."""
    measured: FloatArray

    def at(self, chosen: NDArray[np.bool_]) -> "Batch":
        """Those measurements that are chosen."""
        return Batch(
            programs=self.programs[chosen],
            model=_model_at(self.model, chosen),
            machine=Machine(
                **{
                    field.name: getattr(self.machine, field.name)[chosen]
                    for field in fields(Machine)
                }
            ),
            input_tokens=self.input_tokens[chosen],
            output_tokens=self.output_tokens[chosen],
            batch=self.batch[chosen],
            measured=self.measured[chosen],
        )


def batch_of(rows: Sequence[Measured]) -> Batch:
    """The measurements as arrays."""
    return Batch(
        programs=np.array([row.program for row in rows]),
        model=_models([row.model for row in rows]),
        machine=together([row.machine for row in rows]),
        input_tokens=np.array([row.input_tokens for row in rows]),
        output_tokens=np.array([row.output_tokens for row in rows]),
        batch=np.array([np.nan if row.batch is None else row.batch for row in rows]),
        measured=np.array([row.output_tokens_per_second for row in rows]),
    )


def predict(rows: Batch, values: Values) -> FloatArray:
    """Output tokens per second of each measurement with parameters `values`; 0: does not fit."""
    rates = np.zeros(len(rows.measured))
    open_ended = np.isnan(rows.batch)
    if np.any(open_ended):
        rates[open_ended] = _most(rows.at(open_ended), values)
    if not np.all(open_ended):
        rates[~open_ended] = _together(rows.at(~open_ended), values)
    return rates


def _most(rows: Batch, values: Values) -> FloatArray:
    stack = stack_of(rows.programs, values)
    return replica_capacity(
        rows.model,
        reached(rows.machine, stack, moe=np.asarray(rows.model.experts) > 0),
        stack,
        input_tokens=rows.input_tokens,
        output_tokens=rows.output_tokens,
    ).output_tokens_per_second


def _together(rows: Batch, values: Values) -> FloatArray:
    stack = stack_of(rows.programs, values)
    seconds = static_batch_seconds(
        rows.model,
        reached(rows.machine, stack, moe=np.asarray(rows.model.experts) > 0),
        stack,
        batch=rows.batch,
        input_tokens=rows.input_tokens,
        output_tokens=rows.output_tokens,
    )
    return rows.batch * rows.output_tokens / seconds


def _models(models: Sequence[ServedModel]) -> ServedModel:
    """Several models as one; a model with fewer cache groups gets empty ones."""
    groups = max(len(model.cache_groups) for model in models)
    padded = [(*m.cache_groups, *[EMPTY] * (groups - len(m.cache_groups))) for m in models]
    numbers: dict[str, Any] = {
        name: np.array([getattr(model, name) for model in models], dtype=np.float64)
        for name in NUMBERS
    }
    together = tuple(_groups(column) for column in zip(*padded, strict=True))
    return ServedModel(id="several", arithmetic="bf16", cache_groups=together, **numbers)


def _groups(groups: Sequence[CacheGroup]) -> CacheGroup:
    return CacheGroup(
        **{f.name: np.array([getattr(g, f.name) for g in groups]) for f in fields(CacheGroup)}
    )


def _model_at(model: ServedModel, chosen: NDArray[np.bool_]) -> ServedModel:
    numbers: dict[str, Any] = {name: getattr(model, name)[chosen] for name in NUMBERS}
    groups = tuple(
        CacheGroup(**{f.name: getattr(g, f.name)[chosen] for f in fields(CacheGroup)})
        for g in model.cache_groups
    )
    return replace(model, cache_groups=groups, **numbers)
