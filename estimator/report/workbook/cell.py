"""One number of a workbook: its value, and how it comes about from others.

A node is an input, a month, a number that stays as it is, or a function of other nodes. Values are
computed with the node, so that the workbook shows them before anything recalculates it.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import pdtrik

_serial = itertools.count()


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Nodes that were computed together, such as one for each month: a row of the workbook."""

    label: str
    """The function of the model that computed them."""
    words: str
    """What that function says it returns."""
    serial: int = field(default_factory=lambda: next(_serial))


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A number with its origin."""

    op: str
    """"number", "input", "month", "frozen", or a function of `FUNCTIONS`."""
    args: tuple["Node", ...]
    value: float
    name: str = ""
    """Of an input, its path; of a frozen number, what it is."""
    behind: frozenset[str] = frozenset()
    """Of a frozen number: paths of the inputs that it was computed from."""
    batch: Batch | None = None
    place: int = 0
    """Position in the batch."""
    serial: int = field(default_factory=lambda: next(_serial))

    @property
    def is_number(self) -> bool:
        """Whether it is a plain number, the same whatever the inputs are."""
        return self.op == "number"

    @property
    def is_leaf(self) -> bool:
        """Whether it depends on no other node."""
        return not self.args


def median_count(expected: float) -> float:
    """Median of a Poisson distribution: the smallest k with P(X <= k) >= 1/2."""
    if np.exp(-expected) >= 0.5:
        return 0.0
    return max(float(np.ceil(pdtrik(0.5, expected))), 1.0)


FUNCTIONS: dict[str, Callable[..., float]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "floor_divide": np.floor_divide,
    "negative": np.negative,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "exp": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "cos": np.cos,
    "floor": np.floor,
    "ceil": np.ceil,
    "absolute": np.abs,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "equal": np.equal,
    "not_equal": np.not_equal,
    "bitwise_or": lambda a, b: float(bool(a) or bool(b)),
    "bitwise_and": lambda a, b: float(bool(a) and bool(b)),
    "where": lambda condition, yes, no: yes if condition else no,
    "sum": lambda *terms: float(np.sum(terms)),
    "median_count": median_count,
}
"""What a node may compute, by the name of numpy's own function."""

CONDITIONS = frozenset(
    {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
    | {"bitwise_or", "bitwise_and"}
)
"""Of these, the functions that are true or false."""


def number(value: float) -> Node:
    """A number that stays as it is."""
    return Node("number", (), float(value))


def apply(op: str, args: Sequence[Node], batch: Batch | None = None, place: int = 0) -> Node:
    """The node of a function of others; what needs no formula is shortened to a number."""
    known = _shortened(op, args)
    if known is not None:
        return known
    if op == "exp" and args[0].op == "multiply" and args[0].args[0].op == "log1p":
        log, exponent = args[0].args
        return apply("power", (apply("add", (number(1), log.args[0])), exponent), batch, place)
    with np.errstate(all="ignore"):
        value = float(FUNCTIONS[op](*(arg.value for arg in args)))
    if all(arg.is_number for arg in args):
        return number(value)
    return Node(op, tuple(args), value, batch=batch, place=place)


def _shortened(op: str, args: Sequence[Node]) -> Node | None:
    """The same without a needless step: x * 1, x + 0, IF(TRUE, x, y)."""
    if op == "sum":
        terms = [arg for arg in args if not (arg.is_number and arg.value == 0)]
        return terms[0] if len(terms) == 1 else None if terms else number(0)
    if op == "where":
        return _branch(*args)
    if op not in ("add", "subtract", "multiply", "divide"):
        return None
    left, right = args
    neutral = 1.0 if op in ("multiply", "divide") else 0.0
    if right.is_number and right.value == neutral:
        return left
    if op in ("add", "multiply") and left.is_number and left.value == neutral:
        return right
    if op == "multiply" and any(arg.is_number and arg.value == 0 for arg in args):
        return number(0)
    return None


def _branch(condition: Node, yes: Node, no: Node) -> Node | None:
    return (yes if condition.value else no) if condition.is_number else None
