"""A report as one HTML file that needs nothing else: charts work offline, and it prints well."""

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from estimator.report.charts import Chart
from estimator.report.document import Block, Document, Figures, Listing

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #22262b; background: #fff;
  max-width: 62rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.9rem; line-height: 1.25; text-wrap: pretty; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 0; break-after: avoid; }
p.under, p.kicker, footer { color: #59616b; font-size: 0.92rem; margin: 0.2rem 0 0.8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.86rem;
  font-variant-numeric: tabular-nums; margin: 0.6rem 0; }
th, td { padding: 0.3rem 0.6rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid #d5dade; }
th.words, td.words, tbody th { text-align: left; font-weight: 400; overflow-wrap: anywhere; }
thead th { font-weight: 600; }
tr { break-inside: avoid; }
.chart { break-inside: avoid; }
details summary { cursor: pointer; color: #59616b; font-size: 0.92rem; }
footer { border-top: 1px solid #d5dade; margin-top: 3rem; padding-top: 0.8rem; }
@page { size: A4; margin: 16mm; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h1 { font-size: 1.5rem; }
  details > summary { display: none; } .scroll { overflow: visible; } }
"""
# Charts are drawn to the width of the window, and again to that of the paper.
SCRIPT = """
for (const place of document.querySelectorAll('[data-figure]')) {
  const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
  Plotly.newPlot(place, figure.data, figure.layout,
    {displayModeBar: false, responsive: true, staticPlot: false});
}
const resize = () => { for (const p of document.querySelectorAll('[data-figure]'))
  Plotly.Plots.resize(p); };
const open = (all) => { for (const d of document.querySelectorAll('details')) d.open = all; };
addEventListener('beforeprint', () => { open(true); resize(); });
addEventListener('afterprint', () => { open(false); resize(); });
"""


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
    yield f"<h1>{escape(report.verdict)}</h1>"
    yield f"<p>{escape(report.sure)}</p>"
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


def _block(block: Block, name: str) -> Iterator[str]:
    match block:
        case str():
            yield f"<p>{escape(block)}</p>"
        case Listing():
            yield f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in block.lines)}</ul>"
        case Figures():
            yield from _table(block.columns, block.rows, block.left)
        case Chart():
            yield from _chart(block, name)


def _chart(chart: Chart, name: str) -> Iterator[str]:
    layout = {**chart.figure["layout"], "font": {"color": "#22262b"}, "autosize": True}
    label = escape(chart.finding, quote=True)
    yield f'<div class="chart" role="img" aria-label="{label}" data-figure="{name}"></div>'
    figure = _as_script({"data": chart.figure["data"], "layout": layout})
    yield f'<script type="application/json" id="{name}">{figure}</script>'
    yield "<details><summary>The same as a table</summary>"
    yield from _table(chart.columns, chart.rows, (0,))
    yield "</details>"


def _as_script(data: Any) -> str:
    """JSON that cannot end the script element that it stands in."""
    return json.dumps(data, allow_nan=False).replace("<", "\\u003c").replace("&", "\\u0026")


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]
) -> Iterator[str]:
    def kind(column: int) -> str:
        return ' class="words"' if column in left else ""

    head = "".join(
        f'<th scope="col"{kind(i)}>{escape(name)}</th>' for i, name in enumerate(columns)
    )
    yield f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>'
    for row in rows:
        cells = "".join(f"<td{kind(i)}>{escape(cell)}</td>" for i, cell in enumerate(row))
        yield f"<tr>{cells}</tr>"
    yield "</tbody></table></div>"
