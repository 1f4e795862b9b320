"""The whole workbook as the bytes of an .xlsx file."""

import datetime
from io import BytesIO

from xlsxwriter import Workbook
from xlsxwriter.utility import xl_rowcol_to_cell

from estimator import __version__
from estimator.decision.simulate import Comparison
from estimator.hardware.calibration import Calibration
from estimator.report.workbook.assumptions import (
    ASSUMPTIONS,
    COMPUTED,
    write_assumptions,
    write_computed,
)
from estimator.report.workbook.base_case import base_case
from estimator.report.workbook.ledger import ledger
from estimator.report.workbook.paper import OPTIONS, Paper, styles
from estimator.report.workbook.places import SHARED, plan
from estimator.report.workbook.references import placed
from estimator.report.workbook.sheets import SHARED_FIRST, write_ledger, write_shared
from estimator.report.workbook.summary import write_summary
from estimator.scenario import Scenario

SUMMARY = "Summary"
CREATED = datetime.datetime(1980, 1, 1)  # as the zip's own files: equal inputs, equal bytes


def workbook(
    scenario: Scenario,
    *,
    calibration: Calibration | None = None,
    comparison: Comparison | None = None,
) -> bytes:
    """The base case of a scenario as a workbook with live formulas, every input at its median.

    An .xlsx file: a summary, the assumptions as named cells, what stays fixed, one sheet for each
    alternative, and the workings that these share. Equal inputs give equal bytes.
    `comparison`: of the same scenario, whose verdict then stands first.
    """
    base = base_case(scenario, calibration)
    months, rate = scenario.horizon_months, scenario.discount_rate_per_year
    ledgers = [ledger(a, months=months, rate_per_year=rate) for a in base.accounts.values()]
    planned = plan({made.account.id: made.roots for made in ledgers})
    first_rows: dict[str, int] = {made.account.id: made.first_working for made in ledgers}
    references = placed(planned, {SHARED: SHARED_FIRST} | first_rows)

    content = BytesIO()
    book = Workbook(content, OPTIONS)
    book.set_properties({"comments": f"tuneroi {__version__}", "created": CREATED})
    formats = styles(book)

    def sheet(title: str) -> Paper:
        return Paper(book.add_worksheet(title), formats)

    names = {
        SUMMARY: write_summary(
            sheet(SUMMARY), scenario, ledgers, book.add_chart({"type": "bar"}), comparison
        ),
        ASSUMPTIONS: write_assumptions(sheet(ASSUMPTIONS), base, planned),
        COMPUTED: write_computed(sheet(COMPUTED), base, references),
    }
    for made in ledgers:
        write_ledger(sheet(made.title), made, references)
    write_shared(sheet(SHARED), months, references)
    for title, cells in names.items():
        for name, (row, column) in cells.items():
            cell = xl_rowcol_to_cell(row, column, row_abs=True, col_abs=True)
            book.define_name(name, f"='{title}'!{cell}")
    book.close()
    return content.getvalue()
