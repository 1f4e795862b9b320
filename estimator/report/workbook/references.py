"""The address of every number in the workbook."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xlsxwriter.utility import xl_col_to_name, xl_rowcol_to_cell

from estimator.alternatives.account import LABELS
from estimator.report.workbook.cell import Node
from estimator.report.workbook.formula import Reference
from estimator.report.workbook.places import SHARED, Plan, Row

NAME, KIND, WORDS, AMOUNT, PRESENT, FIRST = range(6)
"""Columns of every sheet of formulas; months stand from `FIRST` on."""
MONTH_ROW = 3
"""Row of the months 0, 1, 2, ... on every sheet of formulas."""
TITLES: Mapping[str, str] = {SHARED: SHARED, **dict(LABELS.items())}
"""Titles of the sheets of formulas."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class References:
    """Where each node of a plan stands."""

    plan: Plan
    cells: Mapping[int, tuple[str, int, int]]
    """Sheet, row and column by serial number."""
    frozen: Mapping[int, str]
    """Names of the cells of frozen numbers by serial number."""

    def on(self, sheet: str) -> Reference:
        """References as they are written on a sheet."""

        def reference(node: Node) -> str | None:
            node = self.plan.of(node)
            if node.op == "input":
                return input_name(node.name)
            if node.op == "frozen":
                return self.frozen[node.serial]
            if node.op == "month":
                return f"{xl_col_to_name(FIRST + node.place)}${MONTH_ROW + 1}"
            if node.serial not in self.cells:
                return None
            where, row, column = self.cells[node.serial]
            single = column == AMOUNT
            cell = xl_rowcol_to_cell(row, column, row_abs=single, col_abs=single)
            return cell if where == sheet else f"'{TITLES[where]}'!{cell}"

        return reference


def placed(plan: Plan, first_rows: Mapping[str, int]) -> References:
    """Addresses for the rows of a plan, below the `first_rows` of their sheets."""
    cells: dict[int, tuple[str, int, int]] = {}
    for row, number in numbered(plan.rows, first_rows):
        for node in row.nodes:
            column = AMOUNT if row.is_single else FIRST + node.place
            cells[node.serial] = (row.sheet, number, column)
    return References(plan=plan, cells=cells, frozen=frozen_names(plan))


def numbered(rows: Iterable[Row], first_rows: Mapping[str, int]) -> Iterable[tuple[Row, int]]:
    """Rows of workings with the numbers of their rows, counted on each sheet by itself."""
    following = dict(first_rows)
    for row in rows:
        yield row, following[row.sheet]
        following[row.sheet] += 1


def input_name(path: str) -> str:
    """The name of an input's cell: its path."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", path)


def frozen_nodes(plan: Plan) -> list[Node]:
    """Every number that tuneroi computed and a formula uses, in a fixed order."""
    nodes = {n.serial: n for n in plan.standing_for.values() if n.op == "frozen"}
    return [nodes[serial] for serial in sorted(nodes)]


def frozen_names(plan: Plan) -> dict[int, str]:
    """Names such as `computed.training_speed`; the second of a kind ends in `_2`."""
    names: dict[int, str] = {}
    for node in frozen_nodes(plan):
        short = re.sub(r"\W+", "_", node.name.split(":")[0].lower())
        taken = sum(
            re.fullmatch(rf"computed\.{short}(_\d+)?", n) is not None for n in names.values()
        )
        names[node.serial] = f"computed.{short}" + (f"_{taken + 1}" if taken else "")
    return names
