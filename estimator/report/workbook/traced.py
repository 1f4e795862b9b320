"""An array of nodes that numpy's functions take for an array of numbers.

What is not listed here raises an error: a formula is never lost in silence.
"""

import re
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Literal

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.typing import NDArray

from estimator.report.workbook.cell import CONDITIONS, FUNCTIONS, Batch, Node, apply, number

MODEL = ("estimator.alternatives.", "estimator.project.", "estimator.serving.replicas")
ELEMENTWISE = frozenset(FUNCTIONS) - {"where", "sum", "median_count"}
Nodes = NDArray[np.object_]
_OF_DRAWS = re.compile(
    r",? (?:in every draw|per draw|\(numbers|for durations of shape|shape \(|\(n,?\))"
)


class Traced(NDArrayOperatorsMixin):
    """An array of nodes, any shape."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes

    @classmethod
    def of(cls, node: Node) -> "Traced":
        """One node as an array of no dimensions."""
        return cls(_array(node))

    @property
    def values(self) -> NDArray[np.float64]:
        """The numbers themselves, same shape."""
        flat = [node.value for node in self.nodes.ravel()]
        return np.array(flat, np.float64).reshape(self.nodes.shape)

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array of numbers."""
        return self.nodes.shape

    @property
    def ndim(self) -> int:
        """As of an array of numbers."""
        return self.nodes.ndim

    @property
    def size(self) -> int:
        """As of an array of numbers."""
        return self.nodes.size

    @property
    def T(self) -> "Traced":  # noqa: N802 - numpy's name
        """As of an array of numbers."""
        return Traced(self.nodes.T)

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator["Traced"]:
        return (self[i] for i in range(len(self.nodes)))

    def __getitem__(self, index: Any) -> "Traced":
        return Traced(_array(self.nodes[_plain_index(index)]))

    def __setitem__(self, index: Any, value: Any) -> None:
        self.nodes[_plain_index(index)] = nodes_of(value)[()]

    def __bool__(self) -> bool:
        raise TypeError("a formula cannot decide what Python does next: use np.where")

    def __float__(self) -> float:
        raise TypeError("a formula would be lost here")

    def astype(self, dtype: object) -> "Traced":
        """A condition as 1 or 0; every number stays as it is."""
        assert dtype is np.float64
        return elementwise("where", self, 1.0, 0.0) if _is_condition(self) else self

    def sum(self, axis: int | None = None) -> "Traced":
        """The sum over one axis, or over all."""
        nodes = self.nodes.ravel() if axis is None else np.moveaxis(self.nodes, axis, -1)
        batch = _batch()
        rows = nodes.reshape(-1, nodes.shape[-1])
        sums = [apply("sum", tuple(row), batch, i) for i, row in enumerate(rows)]
        return Traced(_filled(sums, nodes.shape[:-1]))

    def min(self) -> float:
        """Below every value that the formulas may take: what holds for these may not for others."""
        return -np.inf

    def max(self) -> float:
        """Above every value that the formulas may take."""
        return np.inf

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, where: Any = True
    ) -> Any:
        if method != "__call__" or not (ufunc.__name__ in ELEMENTWISE or ufunc is np.matmul):
            return NotImplemented
        if ufunc is np.matmul:
            return matmul(*inputs)
        result = elementwise(ufunc.__name__, *inputs)
        if out is None:
            return result
        (target,) = out
        if where is not True:
            result = elementwise("where", where, result, target)
        target.nodes[...] = result.nodes
        return target

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        if function in STRUCTURAL:
            return Traced(function(*_unwrapped(args), **kwargs))
        if function in IN_WORDS:
            return function(*(_plain(arg) for arg in args), **kwargs)
        if function in OWN:
            own: Any = OWN[function](*args, **kwargs)
            return own
        return NotImplemented


def elementwise(op: str, *inputs: Any) -> Traced:
    """A function of nodes, element by element, with numpy's broadcasting."""
    arrays = np.broadcast_arrays(*(nodes_of(x) for x in inputs))
    batch = _batch()
    rows = zip(*(array.ravel() for array in arrays), strict=True)
    return Traced(
        _filled([apply(op, row, batch, i) for i, row in enumerate(rows)], arrays[0].shape)
    )


def matmul(a: Any, b: Any) -> Traced:
    """Sums of products over the last axis of `a` and the first of `b`."""
    left, right = Traced(nodes_of(a)), Traced(nodes_of(b))
    if right.ndim == 1:
        return elementwise("multiply", left, right).sum(axis=-1)
    columns = [matmul(left, right[:, i]).nodes for i in range(right.shape[1])]
    return Traced(np.stack(columns, axis=-1))


def nodes_of(x: Any) -> Nodes:
    """The nodes of an array, traced or of plain numbers."""
    if isinstance(x, Traced):
        return x.nodes
    plain = np.asarray(x, dtype=np.float64)
    return _filled([number(v) for v in plain.ravel()], plain.shape)


def _filled(nodes: list[Node], shape: tuple[int, ...]) -> Nodes:
    made = np.empty(len(nodes), dtype=object)
    made[:] = nodes
    return made.reshape(shape)


def _array(found: Any) -> Nodes:
    return found if isinstance(found, np.ndarray) else _filled([found], ())


def _plain(x: Any) -> Any:
    return x.values if isinstance(x, Traced) else x


def _plain_index(index: Any) -> Any:
    """Months may choose columns: they do not depend on any input."""
    if isinstance(index, tuple):
        return tuple(_plain_index(part) for part in index)
    if isinstance(index, Traced):
        assert not any(inputs_behind(node) for node in index.nodes.ravel())
        return index.values.astype(np.intp)
    return index


def inputs_behind(*nodes: Node) -> frozenset[str]:
    """Paths of all inputs that nodes come from, through frozen numbers too."""
    paths: set[str] = set()
    seen: set[int] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node.serial not in seen:
            seen.add(node.serial)
            paths |= node.behind | ({node.name} if node.op == "input" else set())
            waiting += node.args
    return frozenset(paths)


def _is_condition(x: Traced) -> bool:
    return any(node.op in CONDITIONS for node in x.nodes.ravel())


def _unwrapped(args: Any) -> Any:
    if isinstance(args, Traced):
        return args.nodes
    if isinstance(args, tuple | list):
        return type(args)(nodes_of(a) if isinstance(a, np.ndarray) else _unwrapped(a) for a in args)
    return args


def _clip(x: Any, low: Any, high: Any) -> Traced:
    return elementwise("minimum", elementwise("maximum", x, low), high)


def _diff(x: Traced, axis: int = -1) -> Traced:
    nodes = np.moveaxis(x.nodes, axis, -1)
    steps = elementwise("subtract", Traced(nodes[..., 1:]), Traced(nodes[..., :-1]))
    return Traced(np.moveaxis(steps.nodes, -1, axis))


def _searchsorted(x: Traced, value: float, side: Literal["left", "right"] = "left") -> Any:
    """Of what is below or above every value: any other place would hold for these values only."""
    assert np.isinf(value)
    return np.searchsorted(x.values, value, side)


STRUCTURAL: set[Callable[..., Any]] = {
    np.atleast_1d,
    np.atleast_2d,
    np.broadcast_to,
    np.concatenate,
    np.repeat,
    np.reshape,
    np.stack,
    np.empty_like,
}
"""Functions that only move numbers about."""
IN_WORDS: set[Callable[..., Any]] = {np.median, np.quantile, np.mean, np.size}
"""Functions over draws, of which there is one here: the model uses them for notes in words."""
OWN: dict[Callable[..., Any], Callable[..., Any]] = {
    np.where: lambda condition, yes, no: elementwise("where", condition, yes, no),
    np.clip: _clip,
    np.diff: _diff,
    np.searchsorted: _searchsorted,
    np.zeros_like: lambda x: Traced(nodes_of(np.zeros(x.shape))),
    np.ones_like: lambda x: Traced(nodes_of(np.ones(x.shape))),
    np.any: lambda x: True,  # a line that could have money is written, even if it has none now
    np.all: lambda x: False,  # a short cut that holds for these values may not for others
}


def _batch() -> Batch:
    """A new row, named after the function of the model that asks for it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        name = frame.f_code.co_name
        if module.startswith(MODEL) and not name.startswith("<"):
            return Batch(name.strip("_").replace("_", " "), _first_line(frame))
        frame = frame.f_back
    return Batch("", "")


def _first_line(frame: FrameType) -> str:
    """The first line of the docstring of the function that a frame runs."""
    constants = frame.f_code.co_consts
    documented = bool(constants) and isinstance(constants[0], str)
    text = constants[0].strip().splitlines()[0] if documented else ""
    return _OF_DRAWS.split(text)[0].rstrip(".:,;")
