"""How the workbook looks: the answer first, numbers that can be read, and pages that print."""

import io
from typing import Any

import numpy as np
import openpyxl
import pytest
from xlsxwriter import Workbook

from estimator import Comparison, compare, template
from estimator.report.workbook.book import SUMMARY, workbook
from estimator.report.workbook.ledger import TOTALS
from estimator.report.workbook.paper import LINE_POINTS, NUMBER, SHARE, number_digits, styles
from estimator.report.workbook.places import SHARED
from estimator.report.workbook.references import MONTH_ROW
from estimator.report.workbook.summary import FIRST_ROW, HEAD_ROW, NPV, VERDICT_ROW
from estimator.scenario.edit import with_inputs

MONTHS = 24


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    scenario = with_inputs(template("support-assistant"), {"horizon_months": MONTHS})
    return compare(scenario, n=256)


@pytest.fixture(scope="module")
def book(comparison: Comparison) -> Any:
    content = workbook(comparison.scenario, comparison=comparison)
    return openpyxl.load_workbook(io.BytesIO(content))


def test_the_summary_begins_with_the_verdict(comparison: Comparison, book: Any) -> None:
    assert book.sheetnames[0] == SUMMARY
    shown = book[SUMMARY].cell(VERDICT_ROW + 1, 1).value
    assert shown.startswith(comparison.verdict.sentence) and "256 simulated" in shown
    without = openpyxl.load_workbook(io.BytesIO(workbook(comparison.scenario)))
    assert without[SUMMARY].cell(VERDICT_ROW + 1, 1).value is None


def test_its_chart_follows_the_cells_of_the_values(comparison: Comparison, book: Any) -> None:
    (chart,) = book[SUMMARY]._charts
    (series,) = chart.series
    last = FIRST_ROW + len(comparison.outcomes)
    column = "ABC"[NPV]
    assert series.val.numRef.f == f"{SUMMARY}!${column}${FIRST_ROW + 1}:${column}${last}"
    assert series.cat.strRef is None or str(FIRST_ROW + 1) in series.cat.strRef.f
    below = chart.anchor._from.row
    assert below >= FIRST_ROW + len(comparison.outcomes)


def test_no_number_loses_its_minus_and_none_has_ten_digits(book: Any) -> None:
    """A format with a condition would show negative numbers without their sign in LibreOffice."""
    for sheet in book:
        for cell in (cell for row in sheet.iter_rows() for cell in row):
            assert "[" not in cell.number_format, f"{sheet.title} {cell.coordinate}"
            value = cell.value
            if isinstance(value, float) and not value.is_integer():
                assert cell.number_format != "General", f"{sheet.title} {cell.coordinate}"


def test_sheets_print_on_landscape_pages_with_their_heads(book: Any) -> None:
    for sheet in book:
        assert sheet.page_setup.orientation == "landscape", sheet.title
        assert sheet.freeze_panes, sheet.title
        if sheet.title == SUMMARY or sheet["B3"].value == "Name of the cell":
            assert (
                sheet.sheet_properties.pageSetUpPr.fitToPage and sheet.page_setup.fitToHeight == 0
            )
        else:
            assert sheet.print_title_rows == f"${MONTH_ROW + 1}:${MONTH_ROW + 1}"
            assert sheet.print_title_cols == "$A:$A"
            breaks = [found.id for found in sheet.col_breaks.brk]
            assert breaks == [5, 17]


def test_totals_are_printed_and_workings_are_not(book: Any) -> None:
    sheet = book["RAG on an API model"]
    rows = {sheet.cell(row, 1).value: row for row in range(1, sheet.max_row + 1)}
    last = int(str(sheet.print_area).rsplit("$", 1)[1])
    assert rows[TOTALS[-1]] == last < rows["Workings"]
    assert int(str(book[SHARED].print_area).rsplit("$", 1)[1]) == MONTH_ROW + 1


@pytest.mark.parametrize(
    ("value", "usual", "digits"),
    [
        (24.0, NUMBER, "General"),
        (45_000.0, NUMBER, "#,##0"),
        (0.680894, NUMBER, NUMBER),
        (-1234.567, NUMBER, "#,##0.00"),
        (2e-8, NUMBER, "0.00E+00"),
        (-0.843, SHARE, SHARE),
        (1236.15, SHARE, "#,##0%"),
        (4.5e7, SHARE, "0.0E+00"),
        (201_990_098.77, NUMBER, "#,##0"),
    ],
)
def test_digits_are_as_many_as_a_number_needs(value: float, usual: str, digits: str) -> None:
    assert number_digits(value, usual) == digits


def test_every_size_of_number_has_its_style() -> None:
    made = styles(Workbook(io.BytesIO()))
    for value in 10.0 ** np.linspace(-12, 12, 60):
        for usual, style in ((NUMBER, "input"), (SHARE, "share")):
            assert f"{style} {number_digits(float(value), usual)}" in made


@pytest.mark.parametrize(("title", "first"), [("Assumptions", 4), ("Computed by tuneroi", 4)])
def test_words_fit_their_rows(book: Any, title: str, first: int) -> None:
    """By a count of letters that is generous to none: 1.2 letters to the width of a digit."""
    sheet = book[title]
    for row in range(first, first + 30):
        lines = 1
        for cell in sheet[row]:
            if cell.alignment.wrap_text and isinstance(cell.value, str):
                width = sheet.column_dimensions[cell.column_letter].width
                lines = max(lines, -(-len(cell.value) // int(1.2 * width)))
        height = sheet.row_dimensions[row].height or LINE_POINTS
        assert height >= 0.9 * LINE_POINTS * lines, sheet.cell(row, 1).value


def test_heads_stand_over_every_column(comparison: Comparison, book: Any) -> None:
    sheet = book[SUMMARY]
    for column in range(1, sheet.max_column + 1):
        filled = sheet.cell(FIRST_ROW + 2, column).value is not None
        assert filled == (sheet.cell(HEAD_ROW + 1, column).value is not None)
