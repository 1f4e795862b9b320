"""Writing the sheets of formulas: one per alternative, and the workings that several share."""

from collections import Counter
from collections.abc import Sequence

from estimator.quantity import FloatArray
from estimator.report.workbook.cell import CONDITIONS, Node
from estimator.report.workbook.formula import Reference, factor, written
from estimator.report.workbook.ledger import (
    BENEFITS,
    CHANGES,
    COSTS,
    DISCOUNT,
    FIRST_ITEM,
    NET,
    OWED,
    OWED_TODAY,
    OWN,
    TODAY,
    TOTALS,
    Ledger,
    Line,
    months_of,
    total_formula,
)
from estimator.report.workbook.paper import Paper
from estimator.report.workbook.places import SHARED
from estimator.report.workbook.references import (
    AMOUNT,
    FIRST,
    KIND,
    MONTH_ROW,
    NAME,
    PRESENT,
    References,
    numbered,
)

GO_LIVE_ROW = 1
HEADS = ("Line item", "Kind", "How it comes about", "Amount", "In today's money")
SHARED_FIRST = MONTH_ROW + 1
DISCOUNTED = (BENEFITS, COSTS, OWN, NET)
WIDTHS = (38, 30, 54)
"""Of the columns of words."""
MONTHS_ON_A_PAGE, PRINTED_PERCENT = 12, 60
LARGEST = (OWED, OWED_TODAY)
ADDED = (TODAY, CHANGES)


def write_ledger(paper: Paper, made: Ledger, references: References) -> None:
    """The whole sheet of an alternative."""
    refer = references.on(made.account.id)
    paper.text(0, NAME, made.account.label, "title")
    paper.text(0, KIND, "money in US dollars, month by month", "faint")
    paper.text(GO_LIVE_ROW, NAME, "Months until it serves", "bold")
    _node(paper, GO_LIVE_ROW, AMOUNT, made.go_live, factor(made.go_live, refer))
    _months(paper, HEADS, made.months, last_printed=made.row(len(TOTALS)) - 1)
    for i, line in enumerate(made.lines):
        _write_line(paper, FIRST_ITEM + i, line, made, refer)
    _write_totals(paper, made)
    paper.text(made.first_working - 1, NAME, "Workings", "title")
    _workings(paper, made.account.id, references, made.first_working)
    notes = made.first_working + sum(r.sheet == made.account.id for r in references.plan.rows) + 1
    for i, note in enumerate(made.account.notes):
        paper.text(notes + i, NAME, f"At the time of export: {note}", "faint")


def write_shared(paper: Paper, months: int, references: References) -> None:
    """The workings that more than one alternative uses."""
    paper.text(0, NAME, "Workings that several alternatives share", "title")
    heads = ("Working", "Kind", "What it is", "Value", "")
    _months(paper, heads, months, last_printed=MONTH_ROW)
    _workings(paper, SHARED, references, SHARED_FIRST)


def _months(paper: Paper, heads: Sequence[str], months: int, *, last_printed: int) -> None:
    """The head of a sheet of formulas: months are counted from 0, the month of the decision.

    Printed are the rows down to `last_printed`, a year on a page: workings are for the screen.
    """
    paper.texts(MONTH_ROW, NAME, tuple(heads[:AMOUNT]), "head")
    paper.texts(MONTH_ROW, AMOUNT, tuple(heads[AMOUNT:]), "figure_head")
    for month in range(months + 1):
        paper.number(MONTH_ROW, FIRST + month, month, "figure_head")
    paper.sheet.freeze_panes(MONTH_ROW + 1, NAME + 1)
    paper.widths(*WIDTHS, 14, 14)
    paper.sheet.set_column(FIRST, FIRST + months, 11)
    years = range(FIRST, FIRST + months, MONTHS_ON_A_PAGE)
    last = (last_printed, FIRST + months - 1)
    paper.print_by_parts(head_row=MONTH_ROW, last=last, parts=years, percent=PRINTED_PERCENT)


def _node(paper: Paper, row: int, column: int, node: Node, formula: str) -> None:
    """A node in its cell; a month that never comes is left open."""
    if node.value != node.value:
        paper.text(row, column, "none")
    else:
        value = bool(node.value) if node.op in CONDITIONS else node.value
        paper.formula(row, column, formula, value, "number")


def _write_line(paper: Paper, row: int, line: Line, made: Ledger, refer: Reference) -> None:
    item, cash = line.item, line.cash_usd
    words = (item.name, f"{item.kind}: {item.category}", item.formula)
    paper.texts(row, NAME, words, "wrapped")
    paper.height(row, words, WIDTHS)
    _node(paper, row, AMOUNT, line.amount, factor(line.amount, refer))
    discount = months_of(made.row(DISCOUNT), made.months)
    present = f"SUMPRODUCT({months_of(row, made.months)},{discount})"
    paper.formula(row, PRESENT, present, float(cash @ made.discount()), "money")
    for month in range(made.months):
        factors = [factor(row_of[month], refer) for row_of in line.factors]
        formula = "0" if "0" in factors else "*".join([f"$D{row + 1}", *factors])
        paper.formula(row, FIRST + month, formula, float(cash[month]), "money")


def _write_totals(paper: Paper, made: Ledger) -> None:
    values = made.totals()
    for total, title in enumerate(TOTALS):
        row = made.row(total)
        style = "number" if total == DISCOUNT else "money"
        paper.text(row, NAME, title, "bold")
        _write_whole(paper, made, total, values[total])
        for month in range(made.months):
            formula, value = total_formula(made, total, month), float(values[total][month])
            paper.formula(row, FIRST + month, formula, value, style)


def _write_whole(paper: Paper, made: Ledger, total: int, values: FloatArray) -> None:
    """What one of the `TOTALS` comes to over all months, where that says something."""
    row = made.row(total)
    cells, discount = (months_of(r, made.months) for r in (row, made.row(DISCOUNT)))
    if total in DISCOUNTED:
        worth = float(values @ made.discount())
        paper.formula(row, PRESENT, f"SUMPRODUCT({cells},{discount})", worth, "total")
    elif total in LARGEST:
        paper.formula(row, PRESENT, f"MAX({cells})", float(values.max()), "total")
    elif total in ADDED:
        paper.formula(row, PRESENT, f"SUM({cells})", float(values.sum()), "total")


def _workings(paper: Paper, sheet: str, references: References, first_row: int) -> None:
    """The rows of workings of one sheet; a label that comes again has the number of its step."""
    seen: Counter[str] = Counter()
    refer = references.on(sheet)
    rows = [row for row in references.plan.rows if row.sheet == sheet]
    for row, at in numbered(rows, {sheet: first_row}):
        seen[row.batch.label] += 1
        step = seen[row.batch.label]
        label = row.batch.label + (f", step {step}" if step > 1 else "")
        words = (label, "working", row.batch.words)
        paper.texts(at, NAME, words, "wrapped")
        paper.height(at, words, WIDTHS)
        for node in row.nodes:
            column = AMOUNT if row.is_single else FIRST + node.place
            _node(paper, at, column, node, written(node, refer))
