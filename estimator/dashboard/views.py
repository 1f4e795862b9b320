"""The parts that pages are made of: headings, charts with their words, tables, lists."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import streamlit as st

from estimator.report.charts import Chart
from estimator.report.figures import Figure
from estimator.report.sparkline import Lead
from estimator.report.svg import rows_svg

STYLE = """
<style>
.kicker {margin: 0; font-size: 0.95rem; opacity: 0.75;}
.verdict {font-size: clamp(1.45rem, 1.05rem + 1.5vw, 2.3rem); line-height: 1.25;
  font-weight: 700; letter-spacing: -0.01em; padding: 0.2rem 0 0.6rem; margin: 0;
  max-width: 60rem; text-wrap: pretty;}
p.sure {font-size: 1.05rem; margin: 0; max-width: 60rem;}
h2.section {font-size: 1.2rem; font-weight: 650; margin: 0; padding: 0.6rem 0 0;}
p.under {margin: 0; font-size: 0.9rem; opacity: 0.75;}
p.prose, ul.prose {max-width: 60rem; margin: 0;}
ul.prose {padding-left: 1.2rem;}
ul.prose li {margin: 0 0 0.4rem;}
span.published {font-size: 0.9rem; opacity: 0.75;}
.scroll {overflow-x: auto;}
table.figures {border-collapse: collapse; width: 100%; font-size: 0.9rem;
  font-variant-numeric: tabular-nums;}
table.figures th, table.figures td {padding: 0.3rem 0.6rem; text-align: right; border: 0;
  border-bottom: 1px solid rgba(140,150,160,0.35); white-space: nowrap;}
table.figures th:first-child, table.figures td:first-child {text-align: left;}
table.figures th {font-weight: 600;}
table.figures thead th {white-space: normal; vertical-align: bottom;}
figure.lead {max-width: 36rem; margin: 0 0 0.8rem;}
figure.lead img {display: block; width: 100%; height: 64px;}
figure.lead figcaption {display: flex; justify-content: space-between; gap: 1rem;
  font-size: 0.8rem; opacity: 0.75;}
img.lead {display: block; width: 100%; height: 34px; margin-top: -0.6rem;}
div.beside {display: grid; grid-template-columns: 2fr 3fr; gap: 0.5rem 3rem;
  margin: 0.8rem 0 0;}
@media (max-width: 640px) {
  div.beside {grid-template-columns: 100%;}
  table.figures tbody th {white-space: normal; min-width: 9.5rem; line-height: 1.3;}
}
svg.rows {display: block; overflow: visible;}
svg.rows text {fill: currentColor; font-size: 14px; font-variant-numeric: tabular-nums;}
svg.rows text.tick {font-size: 12px; fill-opacity: 0.75;}
</style>
"""


LIGHT_TEXT = "#31333F"  # the theme's own chart text is too faint on white to read with ease


def text(words: str) -> str:
    """The words safe within HTML, a number never parted from its per cent sign."""
    return escape(words.replace(" %", "\u00a0%"))


def section(title: str, under: str) -> None:
    """A heading and a line that says how to read what follows."""
    st.html(_heading(title, under))


def _heading(title: str, under: str) -> str:
    return f'<h2 class="section">{text(title)}</h2><p class="under">{text(under)}</p>'


def aside(words: str) -> None:
    """A paragraph in small print; Streamlit's own caption is too faint in the light sidebar."""
    st.html(f'<p class="under">{text(words)}</p>')


def prose(words: str) -> None:
    """A paragraph."""
    st.html(f'<p class="prose">{text(words)}</p>')


def finding_list(lines: Iterable[str]) -> None:
    """Sentences as a list."""
    items = "".join(f"<li>{text(line)}</li>" for line in lines)
    st.html(f'<ul class="prose">{items}</ul>')


def chart(key: str, drawn: Chart) -> None:
    """A chart, with its finding for those who cannot see it."""
    layout = dict(drawn.figure["layout"])
    if st.context.theme.type != "dark":
        layout["font"] = {"color": LIGHT_TEXT}
    st.plotly_chart(
        as_it_is({**drawn.figure, "layout": layout}),
        key=f"chart.{key}",
        alt=drawn.finding,
        width="stretch",
        config={"displayModeBar": False},
    )


def rows_chart(key: str, drawn: Chart) -> None:
    """A chart of rows, painted together with the words around it."""
    _piece(_picture(key, drawn))


def answer(
    kicker: str, sentence: str, sure: str, charts: Iterable[tuple[str, str, str, Chart]]
) -> None:
    """The verdict, how sure it is, and charts beside each other: name, heading, line below, chart.

    All in one piece, so that the browser paints them at once.
    """
    columns = "".join(
        f"<div>{_heading(title, under)}{_picture(key, drawn)}</div>"
        for key, title, under, drawn in charts
    )
    _piece(
        f'<p class="kicker">{text(kicker)}</p>'
        f'<div class="verdict" role="heading" aria-level="1">{text(sentence)}</div>'
        f'<p class="sure"><strong>How sure:</strong> {text(sure)}</p>'
        f'<div class="beside">{columns}</div>'
    )


def _picture(key: str, drawn: Chart) -> str:
    return f'<div class="chart-{key}">{rows_svg(drawn.figure, drawn.finding)}</div>'


def _piece(content: str) -> None:
    """HTML with pictures in it, which `st.html` would strip; a blank line would end it."""
    st.markdown(f"<div>{' '.join(content.splitlines())}</div>", unsafe_allow_html=True)


def as_it_is(figure: Figure) -> Any:
    """The figure as plotly's own object, unchecked: to check all five of a page takes 25 ms.

    That they are valid is what the tests of the charts find out.
    """
    from plotly.graph_objects import Figure as PlotlyFigure

    return PlotlyFigure(figure, _validate=False)


def lead_picture(picture: str, lead: Lead) -> None:
    """The best choice's lead along one input, with what the ends of the picture stand for."""
    first, last = map(escape, lead.ends)
    st.html(
        f'<figure class="lead"><img src="{picture}" alt="{text(lead.sentence)}">'
        f"<figcaption><span>{first}</span><span>lead of the best choice over the next</span>"
        f"<span>{last}</span></figcaption></figure>"
    )


def verdict_line(sentence: str) -> None:
    """The verdict, always in view above what explains it."""
    st.html(f'<p class="sure"><strong>{text(sentence)}</strong></p>')


def table(title: str, drawn: Chart) -> None:
    """The chart's figures as a table, folded away."""
    with st.expander(title):
        figures(drawn.columns, drawn.rows)


def listing(rows: Iterable[Sequence[str]]) -> None:
    """What is claimed, what is so here, what was published and where, one claim after another."""
    parts = (
        f"<li><strong>Fine-tuning {text(claim)}.</strong> Here: {text(here)}."
        f'<br><span class="published">{text(published)} ({text(source)}).</span></li>'
        for claim, here, published, source in rows
    )
    st.html(f'<ul class="prose">{"".join(parts)}</ul>')


def figures(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table of figures, its first column naming the rows."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{text(first)}</th>'
        + "".join(f"<td>{text(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in rows
    )
    st.html(
        '<div class="scroll" tabindex="0"><table class="figures">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
