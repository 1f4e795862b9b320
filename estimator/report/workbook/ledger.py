"""The account of one alternative as rows of a sheet: line items, and the totals under them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from estimator.alternatives.account import Account
from estimator.alternatives.items import LineItem
from estimator.decision.finance import discount_factors
from estimator.decision.resolved import NOT_OWN
from estimator.quantity import FloatArray
from estimator.report.workbook.cell import Node, number
from estimator.report.workbook.references import FIRST, MONTH_ROW, PRESENT, TITLES
from estimator.report.workbook.traced import nodes_of

FIRST_ITEM = MONTH_ROW + 1
DIGITS = 6  # net cash is rounded to so many, so that equal sums cancel to 0
TOTALS = (
    "Benefits",
    "Costs",
    "Own costs, requests and errors apart",
    "Net cash",
    "Discount factor",
    "Net cash in today's money",
    "Cumulative net cash",
    "Cumulative in today's money",
    "Month at whose end money is still owed",
    "The same in today's money",
    "Sign of the net cash so far",
    "Changes of sign",
)
BENEFITS, COSTS, OWN, NET, DISCOUNT, TODAY, CUMULATIVE, CUMULATIVE_TODAY = range(8)
OWED, OWED_TODAY, SIGN, CHANGES = range(8, 12)
IS_OWED = 1e-6  # US dollars below which nothing is owed


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A line item as nodes."""

    item: LineItem
    amount: Node
    factors: tuple[tuple[Node, ...], ...]
    """By factor, then by month."""

    @property
    def cash_usd(self) -> FloatArray:
        """Money in each month, shape (months,)."""
        rows = [[node.value for node in row] for row in self.factors]
        return np.asarray(self.amount.value * np.prod(np.array(rows), axis=0))

    @property
    def group(self) -> int:
        """The block of the sheet it stands in: `BENEFITS`, `OWN`, or other `COSTS`."""
        if self.item.kind == "benefit":
            return BENEFITS
        return COSTS if self.item.category in NOT_OWN else OWN


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """The lines of one alternative: benefits, then own costs, then other costs."""

    account: Account
    lines: tuple[Line, ...]
    months: int
    rate_per_year: float

    @property
    def title(self) -> str:
        """Of its sheet."""
        return TITLES[self.account.id]

    @property
    def go_live(self) -> Node:
        """Months until it serves."""
        node: Node = nodes_of(self.account.go_live_months).ravel()[0]
        return node

    @property
    def roots(self) -> Iterable[Node]:
        """Every node that the sheet refers to."""
        yield self.go_live
        for line in self.lines:
            yield line.amount
            for row in line.factors:
                yield from row

    def row(self, total: int) -> int:
        """Row of one of the `TOTALS`."""
        return FIRST_ITEM + len(self.lines) + 1 + total

    @property
    def first_working(self) -> int:
        """Row of the first of the workings."""
        return self.row(len(TOTALS)) + 2

    def across(self, total: int) -> str:
        """The cells of all months of one of the `TOTALS`, with the name of the sheet."""
        return f"'{self.title}'!{months_of(self.row(total), self.months)}"

    def whole(self, total: int) -> str:
        """The cell of what one of the `TOTALS` comes to over all months."""
        return f"'{self.title}'!{xl_rowcol_to_cell(self.row(total), PRESENT, True, True)}"

    def discount(self) -> FloatArray:
        """Discount factors of the months."""
        return discount_factors(self.months, self.rate_per_year)

    def totals(self) -> list[FloatArray]:
        """The rows of `TOTALS` as they are now, each of shape (months,)."""
        in_group = [self._sum(BENEFITS), self._sum(OWN), self._sum(COSTS)]
        benefits, own, others = in_group
        net = np.round(benefits - (own + others), DIGITS)
        today = net * self.discount()
        cumulative, cumulative_today = np.cumsum(net), np.cumsum(today)
        month_ends = np.arange(1.0, self.months + 1)
        owed = [np.where(c < -IS_OWED, month_ends, 0.0) for c in (cumulative, cumulative_today)]
        signs = _signs(net)
        changes = np.concatenate([[0.0], (signs[1:] * signs[:-1] < 0).astype(np.float64)])
        whole = (benefits, own + others, own, net, self.discount(), today)
        return [*whole, cumulative, cumulative_today, *owed, signs, changes]

    def _sum(self, group: int) -> FloatArray:
        found = [line.cash_usd for line in self.lines if line.group == group]
        return np.sum(found, axis=0) if found else np.zeros(self.months)


def _signs(net: FloatArray) -> FloatArray:
    """The sign of each month's cash; of a month without any, that of the month before."""
    signs = np.sign(net)
    for month in range(1, signs.size):
        signs[month] = signs[month] or signs[month - 1]
    return signs


def ledger(account: Account, *, months: int, rate_per_year: float) -> Ledger:
    """The lines of an account that was built from traced draws."""
    lines = [_line(item, months) for item in account.items]
    order = (BENEFITS, OWN, COSTS)
    lines.sort(key=lambda line: order.index(line.group))
    return Ledger(account, tuple(lines), months, rate_per_year)


def _line(item: LineItem, months: int) -> Line:
    amount: Node = nodes_of(item.amount_usd).ravel()[0]
    factors = []
    for table in item.profile.factors:
        row = tuple(np.broadcast_to(nodes_of(table).reshape(-1), (months,)))
        if any(not node.is_number or node.value != 1 for node in row):
            factors.append(row)
    return Line(item, amount, tuple(factors) or ((number(1),) * months,))


def months_of(row: int, months: int) -> str:
    """The cells of all months in a row, such as $F$7:$AO$7."""
    first, last = xl_col_to_name(FIRST), xl_col_to_name(FIRST + months - 1)
    return f"${first}${row + 1}:${last}${row + 1}"


def total_formula(made: Ledger, total: int, month: int) -> str:
    """The formula of one of the `TOTALS` in one month."""
    here, before = xl_col_to_name(FIRST + month), xl_col_to_name(FIRST + month - 1)

    def cell(which: int, column: str = here) -> str:
        return f"{column}{made.row(which) + 1}"

    first = month == 0
    return {
        BENEFITS: _block(made, here, BENEFITS),
        COSTS: f"{cell(OWN)}+{_block(made, here, COSTS)}",
        OWN: _block(made, here, OWN),
        NET: f"ROUND({cell(BENEFITS)}-{cell(COSTS)},{DIGITS})",
        DISCOUNT: f"(1+discount_rate_per_year)^(-{here}${MONTH_ROW + 1}/12)",
        TODAY: f"{cell(NET)}*{cell(DISCOUNT)}",
        CUMULATIVE: cell(NET) if first else f"{cell(CUMULATIVE, before)}+{cell(NET)}",
        CUMULATIVE_TODAY: (
            cell(TODAY) if first else f"{cell(CUMULATIVE_TODAY, before)}+{cell(TODAY)}"
        ),
        OWED: _owed(cell(CUMULATIVE), here),
        OWED_TODAY: _owed(cell(CUMULATIVE_TODAY), here),
        SIGN: (
            f"SIGN({cell(NET)})"
            if first
            else f"IF({cell(NET)}=0,{cell(SIGN, before)},SIGN({cell(NET)}))"
        ),
        CHANGES: "0" if first else f"IF({cell(SIGN, before)}*{cell(SIGN)}<0,1,0)",
    }[total]


def _block(made: Ledger, column: str, group: int) -> str:
    """The sum of the lines of a group, which stand under each other."""
    rows = [FIRST_ITEM + i + 1 for i, line in enumerate(made.lines) if line.group == group]
    return f"SUM({column}{rows[0]}:{column}{rows[-1]})" if rows else "0"


def _owed(cell: str, column: str) -> str:
    return f"IF({cell}<-{IS_OWED:.6f},{column}${MONTH_ROW + 1}+1,0)"
