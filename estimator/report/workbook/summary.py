"""The sheet that answers: value, return, payback of every alternative, as Excel's own functions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from xlsxwriter.chart_bar import ChartBar
from xlsxwriter.utility import xl_rowcol_to_cell

from estimator.decision.currency import DOLLARS, shown_in
from estimator.decision.finance import irr, mirr, monthly_rate, payback_months, yearly_rate
from estimator.decision.simulate import Comparison
from estimator.quantity import FloatArray
from estimator.report.figures import BLUE, GREY
from estimator.report.workbook.ledger import (
    CHANGES,
    COSTS,
    CUMULATIVE,
    CUMULATIVE_TODAY,
    NET,
    OWED,
    OWED_TODAY,
    OWN,
    TODAY,
    Ledger,
)
from estimator.report.workbook.paper import Paper
from estimator.report.workbook.sheets import GO_LIVE_ROW
from estimator.scenario import Scenario
from pricing.currency import exchange_rate

MONTHLY = "discount_rate_per_month"
CURRENCY = "currency.units_per_usd"
VERDICT_ROW, BEST_ROW, RATE_ROW, HEAD_ROW, FIRST_ROW = 2, 3, 4, 6, 7
LAST_COLUMN = 11
CHART_ROWS = 17
HIDDEN = 2  # gridlines, on the screen and on paper
NPV, OWN_COSTS = 1, 2
"""Columns that others refer to."""
NONE, NEVER = "none", "never"
GUESS = 0.01
NOTES = (
    "These are the figures of one future, with every input at its median: change a yellow cell of "
    "Assumptions and they follow. The verdict of tuneroi weighs thousands of futures.",
    "Month 0 is now and is not discounted: NPV = NPV(monthly rate, cash) x (1 + monthly rate).",
    "Where the cash changes its sign more than once, the IRR may not be the only one: use the MIRR "
    "(financed and reinvested at the discount rate).",
    "An IRR of thousands of per cent only says that little is spent before benefits come: then "
    "compare by NPV.",
    "Own costs leave out what people still handle and errors; ROI = NPV / own costs.",
    "Assumptions: yellow drives formulas, orange does so in part, grey is fixed at export.",
)


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of the summary for one alternative."""

    head: str
    style: str
    formula: str
    value: float | str


def write_summary(
    paper: Paper,
    scenario: Scenario,
    ledgers: Sequence[Ledger],
    chart: ChartBar,
    comparison: Comparison | None,
) -> dict[str, tuple[int, int]]:
    """The sheet that a reader opens first; its named cells."""
    paper.text(0, 0, scenario.name, "title")
    paper.text(1, 0, scenario.description)
    if comparison is not None:
        paper.merged(VERDICT_ROW, LAST_COLUMN, _verdict(comparison), "verdict")
        paper.sheet.set_row(VERDICT_ROW, 36)
    _write_best(paper, ledgers)
    paper.text(RATE_ROW, 0, "Discount rate per month")
    rate = float(monthly_rate(ledgers[0].rate_per_year))
    paper.formula(RATE_ROW, 1, "(1+discount_rate_per_year)^(1/12)-1", rate, "rate")
    paper.text(HEAD_ROW, 0, "Alternative", "head")
    for i, made in enumerate(ledgers):
        row = FIRST_ROW + i
        paper.text(row, 0, made.title)
        for column, measure in enumerate(_measures(made, scenario.currency, row), 1):
            paper.text(HEAD_ROW, column, measure.head, "figure_head")
            paper.formula(row, column, measure.formula, measure.value, measure.style)
    after = FIRST_ROW + len(ledgers) + 1
    _insert_chart(paper, chart, len(ledgers), after)
    horizon = f"The horizon of {scenario.horizon_months} months is fixed: export to change it."
    for i, note in enumerate((*NOTES, horizon)):
        paper.merged(after + CHART_ROWS + i, LAST_COLUMN, note, "note")
    paper.widths(32, *[15] * LAST_COLUMN)
    paper.sheet.set_row(HEAD_ROW, 64)
    paper.sheet.hide_gridlines(HIDDEN)
    paper.sheet.freeze_panes(FIRST_ROW, 1)
    paper.print_on_one_width()
    return {MONTHLY: (RATE_ROW, 1)}


def _verdict(comparison: Comparison) -> str:
    """The simulated answer, which does not follow the cells."""
    with shown_in(comparison.scenario.currency):
        verdict = comparison.verdict
        return (
            f"{verdict.sentence} How sure: {verdict.confidence}. (At the time of export, from "
            f"{comparison.draws.n:,} simulated futures; the figures below are of one.)"
        )


def _insert_chart(paper: Paper, chart: ChartBar, alternatives: int, row: int) -> None:
    """NPV of every alternative as bars that follow the cells."""
    title = paper.sheet.get_name()
    last = FIRST_ROW + alternatives - 1
    chart.add_series(
        {
            "categories": [title, FIRST_ROW, 0, last, 0],
            "values": [title, FIRST_ROW, NPV, last, NPV],
            "fill": {"color": BLUE},
            "invert_if_negative": True,
            "invert_if_negative_color": GREY,
            "gap": 60,
        }
    )
    chart.set_title({"name": "NPV against doing nothing, USD", "name_font": {"size": 11}})
    chart.set_legend({"none": True})
    chart.set_y_axis({"reverse": True, "label_position": "low", "major_gridlines": {"visible": 0}})
    chart.set_x_axis({"num_format": "#,##0", "major_gridlines": {"visible": 1}})
    chart.set_size({"width": 900, "height": 20 * (CHART_ROWS - 1)})
    paper.sheet.insert_chart(row, 0, chart)


def _write_best(paper: Paper, ledgers: Sequence[Ledger]) -> None:
    """The alternative of the highest value, found by a formula."""
    first, last = FIRST_ROW + 1, FIRST_ROW + len(ledgers)
    names, worth = f"$A${first}:$A${last}", f"$B${first}:$B${last}"
    best = max(ledgers, key=lambda made: float(made.totals()[TODAY].sum()))
    paper.text(BEST_ROW, 0, "Highest value at these inputs", "bold")
    formula = f"INDEX({names},MATCH(MAX({worth}),{worth},0))"
    paper.formula(BEST_ROW, 1, formula, best.title, "bold")


def _measures(made: Ledger, currency: str, row: int) -> Iterator[Measure]:
    values = made.totals()
    npv = float(values[TODAY].sum())
    own, costs = (float(values[total] @ made.discount()) for total in (OWN, COSTS))
    npv_cell, own_cell = (xl_rowcol_to_cell(row, column) for column in (NPV, OWN_COSTS))
    yield Measure("NPV against doing nothing, USD", "money", _npv(made, NET), npv)
    yield Measure("Own costs in today's money, USD", "money", _npv(made, OWN), own)
    yield Measure("All costs in today's money, USD", "money", _npv(made, COSTS), costs)
    if currency != DOLLARS:
        converted = npv * exchange_rate(currency).units_per_usd
        head = f"NPV against doing nothing, {currency}"
        yield Measure(head, "money", f"{npv_cell}*{CURRENCY}", converted)
    roi = f'IF({own_cell}>0,{npv_cell}/{own_cell},"{NONE}")'
    yield Measure("ROI: NPV over own costs", "share", roi, npv / own if own > 0 else NONE)
    yield from _rates(made, values[NET])
    head = "Payback, months"
    yield _payback(made, head, NET, CUMULATIVE, OWED)
    yield _payback(made, f"{head} (today's money)", TODAY, CUMULATIVE_TODAY, OWED_TODAY)
    live, now = f"'{made.title}'!$D${GO_LIVE_ROW + 1}", made.go_live.value
    yield Measure("Months until it serves", "months", live, NONE if np.isnan(now) else now)


def _npv(made: Ledger, total: int) -> str:
    """NPV() puts the first amount at the end of period 1; the first month here is now."""
    return f"NPV({MONTHLY},{made.across(total)})*(1+{MONTHLY})"


def _rates(made: Ledger, cash: FloatArray) -> Iterator[Measure]:
    """Internal rates per year, from monthly cash."""
    cells, changes = made.across(NET), made.whole(CHANGES)
    roots = irr(cash).rates_per_period
    guess = roots[0] if roots else GUESS
    single = f"(1+IRR({cells},{guess:.6f}))^12-1"
    text = f'IF({changes}=0,"{NONE}",IFERROR({single},"{NONE}"))'
    yield Measure("IRR per year", "share", text, float(yearly_rate(guess)) if roots else NONE)
    count = float(made.totals()[CHANGES].sum())
    yield Measure("Changes of sign of the cash", "money", changes, count)
    rate = float(monthly_rate(made.rate_per_year))
    modified = float(yearly_rate(mirr(cash, rate, rate))) if cash.size > 1 else np.nan
    text = f'IFERROR((1+MIRR({cells},{MONTHLY},{MONTHLY}))^12-1,"{NONE}")'
    yield Measure("MIRR per year", "share", text, NONE if np.isnan(modified) else modified)


def _payback(made: Ledger, head: str, cash: int, cumulative: int, owed: int) -> Measure:
    """Months until nothing is owed for good, linear within the month."""
    last = made.whole(owed)
    debt, earned = (
        f"INDEX({made.across(cumulative)},{last})",
        f"INDEX({made.across(cash)},{last}+1)",
    )
    text = f'IF({last}=0,0,IF({last}={made.months},"{NEVER}",{last}-{debt}/{earned}))'
    months = float(payback_months(np.concatenate([[0.0], made.totals()[cash]])))
    return Measure(head, "months", text, NEVER if np.isnan(months) else months)
