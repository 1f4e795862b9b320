"""HTML for reports and for what a notebook shows; every text is escaped."""

import re
from collections.abc import Sequence
from html import escape
from math import floor, isfinite, log10
from typing import Protocol

_JOINTS = re.compile(r"(?<=[^\W\d])([._/])(?=\w)")

STYLE = (
    "<style>.tuneroi { overflow-x: auto } .tuneroi table { border-collapse: collapse; "
    "font-variant-numeric: tabular-nums } .tuneroi td, .tuneroi th { padding: 0.25em 0.7em; "
    "white-space: nowrap; text-align: right } .tuneroi .words { text-align: left !important } "
    ".tuneroi p { line-height: 1.45; max-width: 56em }</style>"
)


def html_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)
) -> str:
    """A table element; cells of the columns in `left` are words and have that class."""

    def kind(column: int) -> str:
        return ' class="words"' if column in left else ""

    head = "".join(
        f'<th scope="col"{kind(i)}>{escape(name)}</th>' for i, name in enumerate(columns)
    )
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{kind(i)}>{breakable(cell)}</td>" for i, cell in enumerate(row))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"


def breakable(text: str) -> str:
    """Escaped text whose paths may go on in the next line after a dot, a slash or an underscore."""
    return _JOINTS.sub(r"\1<wbr>", escape(text))


def for_notebook(*parts: str) -> str:
    """Elements as one piece of HTML that a notebook shows; its styles touch nothing else."""
    return f'{STYLE}<div class="tuneroi">{"".join(parts)}</div>'


def paragraph(text: str, *, bold: bool = False) -> str:
    """A paragraph."""
    return f"<p><b>{escape(text)}</b></p>" if bold else f"<p>{escape(text)}</p>"


class HasRange(Protocol):
    """A number with its 80 % range."""

    @property
    def p10(self) -> float:
        """One case of ten is lower."""

    @property
    def p50(self) -> float:
        """The median."""

    @property
    def p90(self) -> float:
        """One case of ten is higher."""


def range_cells(found: HasRange) -> tuple[str, str]:
    """The median, and P10 to P90, to three digits."""
    return short(found.p50), f"{short(found.p10)} to {short(found.p90)}"


def short(x: float) -> str:
    """A number to three digits and without an exponent: "0.0312", "4.20", "12,300"."""
    if x == 0 or not isfinite(x):
        return f"{x:.0f}"
    decimals = 2 - floor(log10(abs(x)))
    return f"{round(x, decimals):,.{max(decimals, 0)}f}"
