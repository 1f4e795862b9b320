"""Writing cells: text that stays text, formulas with the values they have now."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

LONGEST_TEXT = 32_000  # Excel holds 32,767 characters in a cell
MONEY = "#,##0;-#,##0"
NUMBER = "General"
SHARE = "0.0%"
OPTIONS = {
    "in_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
}
STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14},
    "head": {"bold": True, "bottom": 1, "text_wrap": True, "valign": "top"},
    "text": {},
    "wrapped": {"text_wrap": True, "valign": "top"},
    "faint": {"font_color": "#595959", "italic": True},
    "bold": {"bold": True},
    "input": {"font_color": "#0000FF", "bg_color": "#FFF2CC", "num_format": NUMBER},
    "input_partly": {"font_color": "#0000FF", "bg_color": "#FCE4D6", "num_format": NUMBER},
    "input_not": {"font_color": "#595959", "bg_color": "#D9D9D9", "num_format": NUMBER},
    "frozen": {"bg_color": "#D9D9D9", "num_format": NUMBER},
    "number": {"num_format": NUMBER},
    "money": {"num_format": MONEY},
    "total": {"num_format": MONEY, "bold": True, "top": 1},
    "share": {"num_format": SHARE},
    "months": {"num_format": "0.0"},
}


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

    def number(self, row: int, column: int, value: float, style: str = "number") -> None:
        """A number that stands for itself."""
        self.sheet.write_number(row, column, value, self.styles[style])

    def formula(self, row: int, column: int, formula: str, value: float | str, style: str) -> None:
        """A formula (without the equals sign) with its value now; nan: #N/A."""
        shown = value if isinstance(value, str) or np.isfinite(value) else "#N/A"
        self.sheet.write_formula(row, column, f"={formula}", self.styles[style], shown)


def styles(book: Workbook) -> dict[str, Format]:
    """The styles of a workbook by name."""
    return {name: book.add_format(properties) for name, properties in STYLES.items()}
