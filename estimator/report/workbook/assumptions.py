"""The sheets of what a workbook stands on: its inputs, and what is computed outside of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel

from estimator.decision.currency import DOLLARS
from estimator.decision.wording import capitalised
from estimator.quantity import Quantity
from estimator.report.workbook.base_case import RATE, BaseCase
from estimator.report.workbook.cell import Node
from estimator.report.workbook.paper import Paper
from estimator.report.workbook.places import Plan
from estimator.report.workbook.references import References, frozen_nodes, input_name
from estimator.report.workbook.summary import CURRENCY
from estimator.scenario import Scenario
from estimator.scenario.inputs import describe_input
from pricing.currency import exchange_rate

Live = Literal["yes", "partly", "no", "not used"]
ASSUMPTIONS, COMPUTED = "Assumptions", "Computed by tuneroi"
VALUE = 2
HEADS = (
    "Input",
    "Name of the cell",
    "Value now (at first the median)",
    "Unit",
    "P10",
    "P90",
    "Source",
    "As of",
    "Evidence",
    "Note",
    "Live",
    "What it also feeds that stays fixed",
)
STYLE: Mapping[Live, str] = {
    "yes": "input",
    "partly": "input_partly",
    "no": "input_not",
    "not used": "input_not",
}
WIDTHS = (46, 40, 15, 17, 13, 13, 48, 11, 15, 34, 9, 34)
COMPUTED_WIDTHS = (60, 36, 90)
"""Of the columns of words of the second sheet."""
FIRST_ROW = 3
HEAD_POINTS = 45
CHOICE = "What follows the pilot"
RATE_QUANTITY = Quantity(value=0, unit="share/year", source="the scenario")


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """Whether changing an input changes the answer, and what it feeds that does not change."""

    live: Live
    fixed: tuple[str, ...]


def liveness(base: BaseCase, plan: Plan) -> dict[str, Liveness]:
    """For every input by path."""
    nodes = plan.standing_for.values()
    live = {node.name for node in nodes if node.op == "input"} | {RATE}
    feeds: dict[str, list[str]] = {path: [] for path in base.inputs}
    for node in frozen_nodes(plan):
        for path in node.behind:
            feeds[path].append(node.name)
    for path in base.choice_behind:
        feeds[path].append(CHOICE)
    return {path: _liveness(path in live, tuple(found)) for path, found in feeds.items()}


def _liveness(drives: bool, fixed: tuple[str, ...]) -> Liveness:
    if drives:
        return Liveness(live="partly" if fixed else "yes", fixed=fixed)
    return Liveness(live="no" if fixed else "not used", fixed=fixed)


def write_assumptions(paper: Paper, base: BaseCase, plan: Plan) -> dict[str, tuple[int, int]]:
    """Every input with its source; the row and column of each by its name."""
    found = liveness(base, plan)
    cells: dict[str, tuple[int, int]] = {}
    paper.text(0, 0, "Assumptions: change a yellow cell, and every sheet follows", "title")
    paper.text(1, 0, _legend(found), "faint")
    paper.texts(FIRST_ROW - 1, 0, HEADS, "head")
    paper.sheet.set_row(FIRST_ROW - 1, HEAD_POINTS)
    row = FIRST_ROW
    quantities = base.scenario.inputs() | {RATE: RATE_QUANTITY}
    for path, node in _ordered(base):
        assert input_name(path) not in cells
        cells[input_name(path)] = (row, VALUE)
        meaning = capitalised(describe_input(Scenario, path))
        paper.texts(row, 0, (meaning, input_name(path)), "wrapped")
        quantity = quantities[path]
        texts = (meaning, input_name(path), quantity.unit or "", *_known(quantity, found[path]))
        paper.height(row, texts, (*WIDTHS[:VALUE], WIDTHS[VALUE + 1], *WIDTHS[VALUE + 4 :]))
        paper.number(row, VALUE, node.value, STYLE[found[path].live])
        _write_range(paper, row, quantity, found[path])
        row += 1
    if base.scenario.currency != DOLLARS:
        cells[CURRENCY] = (row, VALUE)
        _write_rate(paper, row, base.scenario.currency)
    paper.widths(*WIDTHS)
    paper.sheet.freeze_panes(FIRST_ROW, VALUE + 1)
    paper.sheet.autofilter(FIRST_ROW - 1, 0, row - 1, len(HEADS) - 1)
    paper.print_on_one_width(head_row=FIRST_ROW - 1)
    return cells


def _ordered(base: BaseCase) -> Iterator[tuple[str, Node]]:
    """The discount rate first, then every input by path."""
    yield RATE, base.inputs[RATE]
    yield from ((path, node) for path, node in base.inputs.items() if path != RATE)


def _legend(found: Mapping[str, Liveness]) -> str:
    count = {live: sum(f.live == live for f in found.values()) for live in STYLE}
    return (
        f"{count['yes']} inputs drive formulas (yellow), {count['partly']} partly (orange), "
        f"{count['no']} only what is fixed at export and {count['not used']} nothing that is "
        "compared here (grey)"
    )


def _write_range(paper: Paper, row: int, quantity: Quantity, found: Liveness) -> None:
    """Unit, range and origin of an input, and whether it is live."""
    paper.text(row, VALUE + 1, quantity.unit or "", "after_number")
    if not quantity.is_fixed and quantity.form != "probability":
        p10, _, p90 = quantity.p10_p50_p90()
        paper.number(row, VALUE + 2, p10)
        paper.number(row, VALUE + 3, p90)
    paper.texts(row, VALUE + 4, _known(quantity, found), "after_number")


def _known(quantity: Quantity, found: Liveness) -> tuple[str, ...]:
    return (
        quantity.source or "the scenario",
        quantity.as_of or "",
        quantity.evidence or "your figure",
        quantity.note or "",
        found.live,
        "; ".join(found.fixed),
    )


def _write_rate(paper: Paper, row: int, currency: str) -> None:
    rate = exchange_rate(currency)
    paper.texts(row, 0, (f"{rate.name} for one US dollar", CURRENCY))
    paper.number(row, VALUE, rate.units_per_usd, "input")
    paper.text(row, VALUE + 1, f"{rate.currency}/USD")
    paper.texts(row, VALUE + 4, (rate.source, rate.as_of, "", "", "yes"), "after_number")


def write_computed(
    paper: Paper, base: BaseCase, references: References
) -> dict[str, tuple[int, int]]:
    """Numbers that are no formulas, and the settings they follow from; their cells by name."""
    paper.text(0, 0, "Computed by tuneroi: fixed at export", "title")
    paper.text(1, 0, "The physics of training and serving. Export again to change it.", "faint")
    heads = ("Number", "Name of the cell", "Value", "Depends on these inputs")
    paper.texts(FIRST_ROW - 1, 0, heads, "head")
    cells: dict[str, tuple[int, int]] = {}
    row = FIRST_ROW
    for node in frozen_nodes(references.plan):
        name = references.frozen[node.serial]
        cells[name] = (row, VALUE)
        paper.texts(row, 0, (capitalised(node.name), name), "wrapped")
        paper.number(row, VALUE, node.value, "frozen")
        behind = ", ".join(sorted(node.behind)) or "no input, only settings"
        paper.text(row, VALUE + 1, behind, "after_number")
        paper.height(row, (node.name, name, behind), COMPUTED_WIDTHS)
        row += 1
    if "staged" in base.accounts:
        chosen = f"{CHOICE}: {base.accounts['staged'].notes[0]}"
        behind = ", ".join(sorted(base.choice_behind))
        paper.texts(row, 0, (chosen, "", "", behind), "wrapped")
        paper.height(row, (chosen, "", behind), COMPUTED_WIDTHS)
        row += 1
    paper.text(row + 1, 0, "Settings of the scenario", "title")
    for i, (path, value) in enumerate(_settings(base.scenario)):
        paper.texts(row + 2 + i, 0, (path, "", value))
    paper.widths(*COMPUTED_WIDTHS[:2], 16, COMPUTED_WIDTHS[2])
    paper.sheet.freeze_panes(FIRST_ROW, 1)
    paper.print_on_one_width(head_row=FIRST_ROW - 1)
    return cells


def _settings(section: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """What a scenario says besides its inputs, by path: the model, GPUs, plans, the horizon."""
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel) and not isinstance(value, Quantity):
            yield from _settings(value, f"{prefix}{name}.")
        elif isinstance(value, str | int | float):
            yield f"{prefix}{name}", str(value)
