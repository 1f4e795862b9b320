"""A report as one HTML file that needs nothing else: charts work offline, and it prints well."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from estimator.markup import html_table
from estimator.report.charts import Chart
from estimator.report.document import Block, Document, Figures, Folded, Listing

PAPER_SCALE = 0.72  # of charts, so that their labels are as large as the text
PAPER_PIXELS = round(672 / PAPER_SCALE)  # A4 less its margins: 178 mm at 96 pixels an inch
STYLE = """
:root { color-scheme: light dark; --ink: #22262b; --faint: #59616b; --rule: #d5dade;
  --ground: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7ea; --faint: #a3acb5; --rule: #3d444b;
  --ground: #15181b; } }
body { font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 62rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.9rem; line-height: 1.25; margin: 0.6rem 0; text-wrap: pretty; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 0; }
h2, p.under, p.before { break-after: avoid; }
p.under, p.kicker, footer { color: var(--faint); font-size: 0.92rem; margin: 0.2rem 0 0.8rem; }
p, li { orphans: 3; widows: 3; overflow-wrap: break-word; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.86rem;
  font-variant-numeric: tabular-nums; margin: 0.6rem 0; }
th, td { padding: 0.3rem 0.6rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid var(--rule); }
td { white-space: nowrap; }
.words { text-align: left; white-space: normal; overflow-wrap: break-word; }
td.words:first-child { min-width: 9em; } .wide td.words:first-child { min-width: 17em; }
thead th { font-weight: 600; vertical-align: bottom; }
tr, .chart { break-inside: avoid; }
details.same, details.table { margin-bottom: 1.2rem; }
details summary { cursor: pointer; color: var(--faint); font-size: 0.92rem; }
footer { border-top: 1px solid var(--rule); margin-top: 3rem; padding-top: 0.8rem; }
@media (max-width: 40rem) { body { margin: 1rem auto; } h1 { font-size: 1.45rem; }
  table.wide { min-width: 44rem; } .wide td.words:first-child { min-width: 10em; } }
@page { size: A4; margin: 16mm 16mm 18mm; @bottom-right { font: 8pt system-ui, sans-serif;
  color: #59616b; content: counter(page) " / " counter(pages); } }
@media print { :root { color-scheme: light; --ink: #22262b; --faint: #59616b; --rule: #d5dade;
  --ground: #fff; font-size: 11px; }
  body { margin: 0; padding: 0; max-width: none; line-height: 1.4; }
  h1 { font-size: 1.65rem; } h2 { margin-top: 1.6rem; } footer { margin-top: 1.2rem; }
  tbody tr:nth-child(-n+2) { break-after: avoid; } details.table { break-inside: avoid; }
  th, td { padding: 0.2rem 0.5rem; } thead { display: table-header-group; }
  .chart { zoom: PAPER_SCALE; } .scroll { overflow: visible; }
  details.same, details > summary { display: none; }
  details.long > summary { display: block; font-weight: 600; list-style: none; margin-top: 1rem;
    break-after: avoid; } footer { break-inside: avoid; } }
""".replace("PAPER_SCALE", str(PAPER_SCALE))
# Charts are drawn to the width of the window, and again, in dark ink, to that of the paper.
SCRIPT = """
const places = [...document.querySelectorAll('[data-figure]')];
const ink = () => getComputedStyle(document.body).color;
for (const place of places) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, figure.data, {...figure.layout, font: {color: ink()}},
    {displayModeBar: false, responsive: true});
}
const redraw = (change) => { for (const place of places) Plotly.relayout(place, change); };
const toScreen = () => redraw({autosize: true, width: null, 'font.color': ink()});
const folded = () => document.querySelectorAll('details:not([open])');
let opened = [];
addEventListener('beforeprint', () => {
  opened = [...folded()];
  for (const details of opened) details.open = true;
  redraw({autosize: false, width: PAPER_PIXELS, 'font.color': '#22262b'});
});
addEventListener('afterprint', () => {
  for (const details of opened) details.open = false;
  toScreen();
});
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', toScreen);
""".replace("PAPER_PIXELS", str(PAPER_PIXELS))
GRID = {"gridcolor": "rgba(140,150,160,0.3)"}
SEE_THROUGH = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)"}
TEMPLATE = {"layout": {"xaxis": GRID, "yaxis": GRID, **SEE_THROUGH}}
WIDE = 5


def html(report: Document) -> str:
    """The whole report; every text of the scenario is escaped, and no request leaves the file."""
    from plotly.offline import get_plotlyjs

    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.title)}</title>",
            f"<style>{STYLE}</style></head><body>",
            *_body(report),
            f"<script>{get_plotlyjs()}</script>",
            f"<script>{SCRIPT}</script>",
            "</body></html>",
            "",
        )
    )


def _body(report: Document) -> Iterator[str]:
    yield f'<p class="kicker">{escape(report.title)}</p>'
    yield f"<h1>{_words(report.verdict)}</h1>"
    yield f"<p>{_words(report.sure)}</p>"
    if report.about:
        yield f'<p class="under">{escape(report.about)}</p>'
    number = 0
    for section in report.sections:
        yield f"<h2>{escape(section.title)}</h2>"
        yield f'<p class="under">{escape(section.under)}</p>'
        for block in section.blocks:
            number += 1
            yield from _block(block, f"figure-{number}")
    yield f"<footer>{'<br>'.join(map(escape, report.footer))}</footer>"


def _words(text: str) -> str:
    """A sentence, escaped; no line begins with its "%"."""
    return escape(text.replace(" %", "\u00a0%"))


def _block(block: Block, name: str) -> Iterator[str]:
    match block:
        case str():
            yield f'<p class="before">{_words(block)}</p>'
        case Listing():
            yield f"<ul>{''.join(f'<li>{_words(line)}</li>' for line in block.lines)}</ul>"
        case Figures():
            yield _table(block)
        case Folded():
            yield f'<details class="long"><summary>{escape(block.title)}</summary>'
            yield f"{_table(block.table)}</details>"
        case Chart():
            yield from _chart(block, name)


def _chart(chart: Chart, name: str) -> Iterator[str]:
    """The figure, and its table folded; one of two columns is not printed beside its bars."""
    layout = {**chart.figure["layout"], "template": TEMPLATE, "autosize": True}
    label = escape(chart.finding, quote=True)
    yield f'<div class="chart" role="img" aria-label="{label}" data-figure="{name}"></div>'
    figure = _as_script({"data": chart.figure["data"], "layout": layout})
    yield f'<script type="application/json" id="{name}">{figure}</script>'
    kind = "same" if len(chart.columns) == 2 else "table"
    yield f'<details class="{kind}"><summary>The same as a table</summary>'
    yield _table(Figures(columns=chart.columns, rows=chart.rows))
    yield "</details>"


def _as_script(data: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026")


def _table(table: Figures) -> str:
    made = html_table(table.columns, table.rows, table.left)
    if len(table.columns) >= WIDE or len(table.left) > 1:
        made = made.replace("<table>", '<table class="wide">', 1)
    return f'<div class="scroll">{made}</div>'
