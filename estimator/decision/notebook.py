"""What a notebook shows of a comparison: the verdict, a chart that needs no script, and a table."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from estimator.decision.currency import shown_in
from estimator.decision.wording import capitalised, money, percent
from estimator.markup import for_notebook, html_table, paragraph
from estimator.quantity import FloatArray

if TYPE_CHECKING:
    from estimator.decision.simulate import Comparison, Outcome

COLUMNS = ("", "Best in", "Worth", "P10 to P90", "All costs", "Live in", "Paid back")
WIDTH, ROW, LABELS = 720, 22, 210
"""Of the chart, in pixels: whole width, height of a row, width of the labels."""
RANGE = (0.1, 0.9)
BLUE, GREY = "#0072B2", "#8C96A0"


def comparison_html(comparison: "Comparison") -> str:
    """The verdict, each alternative's worth against doing nothing, and what would change it."""
    with shown_in(comparison.scenario.currency):
        best_first = sorted(
            comparison.outcomes.values(), key=lambda outcome: -float(outcome.npv_usd.mean())
        )
        verdict, months = comparison.verdict, comparison.scenario.horizon_months
        flips = "".join(f"<li>{escape(capitalised(flip))}</li>" for flip in verdict.flip_sentences)
        return for_notebook(
            paragraph(verdict.sentence, bold=True),
            paragraph(f"How sure: {verdict.confidence}. {verdict.next_step}"),
            _chart(comparison, best_first),
            html_table(COLUMNS, [_row(outcome) for outcome in best_first]),
            paragraph(
                f"Against doing nothing, over {months} months, in today's money: the median of "
                f"{comparison.draws.n:,} simulated futures, and what 8 of 10 of them lie between."
            ),
            f"<ul>{flips}</ul>" if flips else "",
        )


def _row(outcome: "Outcome") -> tuple[str, ...]:
    low, high = np.quantile(outcome.npv_usd, RANGE)
    return (
        outcome.account.label,
        percent(outcome.probability_best),
        money(float(np.median(outcome.npv_usd))),
        f"{money(low)} to {money(high)}",
        money(float(np.median(outcome.tco_usd))),
        _months(outcome.account.go_live_months),
        _months(outcome.payback_months) if outcome.account.project else "–",
    )


def _months(sample: FloatArray) -> str:
    """The median in words; nan is "never"."""
    never_last = np.where(np.isnan(sample), np.inf, sample)
    median = float(np.quantile(never_last, 0.5, method="inverted_cdf"))
    if not np.isfinite(median):
        return "never"
    return "now" if median == 0 else f"{median:.0f} months" if median >= 1 else "< 1 month"


def _chart(comparison: "Comparison", outcomes: Sequence["Outcome"]) -> str:
    """Worth of every alternative as an SVG picture: its range, its median, and a line at zero.

    The scale is that of what is better than nothing; an arrow is further left.
    """
    ranges = np.array([np.quantile(o.npv_usd, [RANGE[0], 0.5, RANGE[1]]) for o in outcomes])
    most = max(float(ranges.max()), 1.0)
    least = min(0.0, max(float(ranges.min()), -most))
    at = np.interp(ranges, [least, most], [LABELS, WIDTH - 8])
    zero = float(np.interp(0.0, [least, most], [LABELS, WIDTH - 8]))
    height = ROW * len(outcomes)
    marks = []
    for i, (outcome, places) in enumerate(zip(outcomes, at, strict=True)):
        colour = BLUE if outcome.account.id == comparison.verdict.alternative else GREY
        is_off = float(np.median(outcome.npv_usd)) < least
        marks.append(_row_marks(outcome.account.label, places, ROW * i + ROW // 2, colour, is_off))
    line = f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}" stroke="{GREY}"/>'
    named = 'role="img" aria-label="Worth against doing nothing, as in the table below"'
    size = f'width="{WIDTH}" viewBox="0 0 {WIDTH} {height}" style="max-width:100%"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {named}>{line}{"".join(marks)}</svg>'


def _row_marks(label: str, at: FloatArray, y: int, colour: str, is_off: bool) -> str:
    """A label, a bar from P10 to P90, and a dot at the median, or an arrow where it is off."""
    low, median, high = at
    median_mark = (
        f'<path d="M{median - 6:.1f} {y} l10 -6 v12 z" fill="{colour}"/>'
        if is_off
        else f'<circle cx="{median:.1f}" cy="{y}" r="5" fill="{colour}"/>'
    )
    return (
        f'<text x="0" y="{y + 4}" font-size="13" fill="currentColor">{escape(label)}</text>'
        f'<rect x="{low:.1f}" y="{y - 4}" width="{high - low:.1f}" height="8" '
        f'fill="{colour}" fill-opacity="0.5"/>{median_mark}'
    )
