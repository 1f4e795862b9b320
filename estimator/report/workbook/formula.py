"""The text of a node as an Excel formula."""

import re
from collections.abc import Callable

import numpy as np
from xlsxwriter.utility import xl_cell_to_rowcol

from estimator.report.workbook.cell import Node

Reference = Callable[[Node], str | None]
"""Where a node stands: a cell or a name; None where its formula is written out in place."""

COMPARE, ADD, MULTIPLY, POWER, ATOM = range(1, 6)
INFIX: dict[str, tuple[str, int]] = {
    "less": ("<", COMPARE),
    "less_equal": ("<=", COMPARE),
    "greater": (">", COMPARE),
    "greater_equal": (">=", COMPARE),
    "equal": ("=", COMPARE),
    "not_equal": ("<>", COMPARE),
    "add": ("+", ADD),
    "subtract": ("-", ADD),
    "multiply": ("*", MULTIPLY),
    "divide": ("/", MULTIPLY),
    "power": ("^", POWER),
}
CALLS = {
    "maximum": "MAX",
    "minimum": "MIN",
    "exp": "EXP",
    "log": "LN",
    "sqrt": "SQRT",
    "cos": "COS",
    "floor": "INT",
    "absolute": "ABS",
    "where": "IF",
    "bitwise_or": "OR",
    "bitwise_and": "AND",
}
_CELL = re.compile(r"('[^']+'!)?([A-Z]+\d+)")


def written(node: Node, reference: Reference) -> str:
    """The formula of a node, without the equals sign, from where its arguments stand."""
    return _own(node, reference)[0]


def factor(node: Node, reference: Reference) -> str:
    """The node where it stands, to be multiplied with others."""
    return _argument(node, reference, MULTIPLY)


def literal(value: float) -> str:
    """A number as a formula writes it; one without an answer is #N/A."""
    if not np.isfinite(value):
        return "NA()"
    text = repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)
    text = text.replace("e", "E")
    return f"({text})" if value < 0 else text


def _argument(node: Node, reference: Reference, binding: int) -> str:
    """An argument: a reference if it has one, else written out, in brackets where needed."""
    stands = reference(node)
    if stands is not None:
        return stands
    text, own = _own(node, reference)
    return text if own >= binding else f"({text})"


def _own(node: Node, reference: Reference) -> tuple[str, int]:
    """The formula of a node and how tightly its outermost operator binds."""
    if node.is_number:
        return literal(node.value), ATOM
    if node.is_leaf:
        return str(reference(node)), ATOM
    if node.op in INFIX:
        return _infix(node, reference)
    parts = [_argument(arg, reference, COMPARE) for arg in node.args]
    if node.op == "negative":
        return f"(-{_argument(node.args[0], reference, ATOM)})", ATOM
    if node.op == "log1p":
        return f"LN(1+{_argument(node.args[0], reference, MULTIPLY)})", ATOM
    if node.op == "ceil":
        return f"-INT(-{_argument(node.args[0], reference, ATOM)})", ADD
    if node.op == "floor_divide":
        return f"INT({_infix_text('/', MULTIPLY, node, reference)})", ATOM
    if node.op == "median_count":
        return _median_count(parts[0]), ATOM
    if node.op == "sum":
        return _sum([_argument(arg, reference, ADD) for arg in node.args])
    return f"{CALLS[node.op]}({','.join(parts)})", ATOM


def _infix(node: Node, reference: Reference) -> tuple[str, int]:
    sign, binding = INFIX[node.op]
    return _infix_text(sign, binding, node, reference), binding


def _infix_text(sign: str, binding: int, node: Node, reference: Reference) -> str:
    left, right = node.args
    first = _argument(left, reference, binding + (binding in (COMPARE, POWER)))
    return first + sign + _argument(right, reference, binding + (sign not in "+*"))


def _sum(terms: list[str]) -> tuple[str, int]:
    """Terms added up: as a range where they stand side by side."""
    found = [_CELL.fullmatch(term) for term in terms]
    cells = [(m[1] or "", xl_cell_to_rowcol(m[2])) for m in found if m]
    sheet, (row, column) = cells[0] if cells else ("", (0, 0))
    if cells != [(sheet, (row, column + i)) for i in range(len(terms))]:
        return "+".join(terms), ADD
    return f"SUM({terms[0]}:{terms[-1].removeprefix(sheet)})", ATOM


def _median_count(expected: str) -> str:
    """The median of a Poisson distribution lies between x - ln 2 and x + 1/3: one of two counts.

    Source: Choi, Proc. Amer. Math. Soc. 121:245, 1994.
    """
    least = f"MAX(0,-INT(LN(2)-({expected})))"
    return f"IF(POISSON({least},{expected},TRUE)>=0.5,{least},{least}+1)"
