"""Writing cells: text that stays text, formulas with the values they have now."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

LONGEST_TEXT = 32_000  # Excel holds 32,767 characters in a cell
A4 = 9
LINE_POINTS = 14.5
LETTER = 0.95  # width of a letter over that of a digit, which columns are measured in
MONEY = "#,##0;-#,##0"
NUMBER, SHARE = "#,##0.00##", "#,##0.0%"
# No format has a condition in brackets: not every program shows the minus of a number under one.
OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14},
    "head": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom"},
    "figure_head": {
        "bold": True, "bottom": 1, "text_wrap": True, "valign": "bottom", "align": "right"
    },
    "text": {},
    "wrapped": {"text_wrap": True},
    "after_number": {"text_wrap": True, "align": "left", "indent": 1},
    "faint": {"font_color": "#595959", "italic": True},
    "bold": {"bold": True},
    "verdict": {"bold": True, "text_wrap": True},
    "note": {"font_color": "#595959", "italic": True, "text_wrap": True},
    "input": {"font_color": "#0000FF", "bg_color": "#FFF2CC", "num_format": NUMBER},
    "input_partly": {"font_color": "#0000FF", "bg_color": "#FCE4D6", "num_format": NUMBER},
    "input_not": {"font_color": "#595959", "bg_color": "#D9D9D9", "num_format": NUMBER},
    "frozen": {"bg_color": "#D9D9D9", "num_format": NUMBER},
    "number": {"num_format": NUMBER, "align": "right"},
    "money": {"num_format": MONEY, "align": "right"},
    "total": {"num_format": MONEY, "bold": True, "top": 1, "align": "right"},
    "rate": {"num_format": "0.000%", "align": "right"},
    "share": {"num_format": SHARE, "align": "right"},
    "months": {"num_format": "0.0", "align": "right"},
}  # fmt: skip


SIZES = (0.0, 1e-4, 0.5, 1000.0, 1000.5, 1e7)
"""Numbers of every kind that `number_digits` tells apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Paper:
    """A sheet to write on."""

    sheet: Worksheet
    styles: dict[str, Format]

    def text(self, row: int, column: int, text: str, style: str = "text") -> None:
        """Text, whatever it starts with."""
        self.sheet.write_string(row, column, text[:LONGEST_TEXT], self.styles[style])

    def texts(self, row: int, column: int, texts: tuple[str, ...], style: str = "text") -> None:
        """Text in neighbouring cells; nothing where there is none."""
        for i, text in enumerate(texts):
            if text:
                self.text(row, column + i, text, style)

    def merged(self, row: int, last_column: int, text: str, style: str) -> None:
        """Text over all columns up to the last."""
        self.sheet.merge_range(row, 0, row, last_column, "", self.styles[style])
        self.text(row, 0, text, style)

    def number(self, row: int, column: int, value: float, style: str = "number") -> None:
        """A number that stands for itself."""
        self.sheet.write_number(row, column, value, self._style(style, value))

    def formula(self, row: int, column: int, formula: str, value: float | str, style: str) -> None:
        """A formula (without the equals sign) with its value now; nan: #N/A."""
        shown = value if isinstance(value, str) or np.isfinite(value) else "#N/A"
        self.sheet.write_formula(row, column, f"={formula}", self._style(style, value), shown)

    def widths(self, *widths: float) -> None:
        """Widths of the first columns, in characters."""
        for column, width in enumerate(widths):
            self.sheet.set_column(column, column, width)

    def height(self, row: int, texts: Sequence[str], widths: Sequence[float]) -> None:
        """As many lines in a row as wrapped texts need, which not every program works out."""
        lines = max(ceil(len(t) * LETTER / w) for t, w in zip(texts, widths, strict=True))
        if lines > 1:
            self.sheet.set_row(row, LINE_POINTS * lines)

    def print_on_one_width(self, *, head_row: int | None = None) -> None:
        """On landscape pages as wide as the sheet; `head_row`: of the heads that each repeats."""
        self._print(head_row)
        self.sheet.fit_to_pages(1, 0)

    def print_by_parts(
        self, *, head_row: int, last: tuple[int, int], parts: Sequence[int], percent: int
    ) -> None:
        """On landscape pages that begin at the columns of `parts`; the first column repeats.

        `last`: row and column of the last cell on paper.
        """
        self._print(head_row)
        self.sheet.print_area(0, 0, *last)
        self.sheet.repeat_columns(0)
        self.sheet.set_v_pagebreaks(list(parts))
        self.sheet.set_print_scale(percent)

    def _print(self, head_row: int | None) -> None:
        self.sheet.set_landscape()
        self.sheet.set_paper(A4)
        self.sheet.set_margins(left=0.5, right=0.5, top=0.5, bottom=0.7)
        self.sheet.set_footer("&L&8&A&R&8&P / &N")
        if head_row is not None:
            self.sheet.repeat_rows(head_row)

    def _style(self, style: str, value: float | str) -> Format:
        """The style with as many digits as the number has now."""
        usual = STYLES[style].get("num_format")
        if isinstance(value, str) or usual not in (NUMBER, SHARE):
            return self.styles[style]
        return self.styles[f"{style} {number_digits(value, usual)}"]


def number_digits(value: float, usual: str) -> str:
    """The format in which a number, or a share, can be read and fits its cell."""
    size = abs(value)
    if usual == SHARE:
        return SHARE if size < 10 else "#,##0%" if size < 1e7 else "0.0E+00"
    if float(value).is_integer():
        return "General" if size < 1000 else "#,##0"
    if size < 1000:
        return "0.00E+00" if size < 0.001 else NUMBER
    return "#,##0.00" if size < 1e5 else "#,##0"


def styles(book: Workbook) -> dict[str, Format]:
    """The styles of a workbook by name; those of numbers also by name and digits."""
    every = dict(STYLES)
    for name, look in STYLES.items():
        usual = look.get("num_format", "")
        if usual in (NUMBER, SHARE):
            formats = {number_digits(value, usual) for value in SIZES}
            every |= {f"{name} {digits}": look | {"num_format": digits} for digits in formats}
    return {name: book.add_format({"valign": "top"} | look) for name, look in every.items()}
