"""Equal records of numbers laid side by side, so that one formula serves them all."""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from estimator.quantity import FloatArray

T = TypeVar("T")


def stacked(records: Sequence[T], *, inner: int) -> T:
    """One record whose numbers are arrays (records, 1, ...) over `records`.

    Dataclasses are stacked field by field, to any depth. A number of a record may itself be an
    array of up to `inner` axes; it is given that many, after a free second axis on which the
    result broadcasts against other things. What is equal in all records keeps a length of 1.
    """
    return cast(T, _stacked(records, inner))


def chosen(record: T, places: NDArray[np.intp]) -> T:
    """The record of arrays (records, 1, ...) read at `places`, which gives the first two axes."""
    return cast(T, _chosen(record, places))


def _stacked(records: Sequence[Any], inner: int) -> Any:
    first: Any = records[0]
    if not is_dataclass(first):
        return _leaf(records, inner)
    names = [f.name for f in fields(first)]
    made: Any = type(first)
    return made(**{n: _stacked([getattr(r, n) for r in records], inner) for n in names})


def _leaf(numbers: Sequence[Any], inner: int) -> FloatArray:
    if all(isinstance(number, float | int) for number in numbers):
        column = np.array(numbers, dtype=np.float64)
        if (column == column[0]).all():
            column = column[:1]
        return column.reshape(-1, 1, *(1,) * inner)
    arrays = [np.asarray(number, dtype=np.float64) for number in numbers]
    padded = [array.reshape((1,) * (inner - array.ndim) + array.shape) for array in arrays]
    return np.stack(np.broadcast_arrays(*padded))[:, None]


def _chosen(record: Any, places: NDArray[np.intp]) -> Any:
    if is_dataclass(record):
        made: Any = type(record)
        return made(**{f.name: _chosen(getattr(record, f.name), places) for f in fields(record)})
    column = np.asarray(record)[:, 0]
    return column[:, None] if len(column) == 1 else column[places]
