"""Rows as SVG: what is drawn lies where the figure says, and nothing leaves its place."""

from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from estimator.decision.simulate import Comparison, compare
from estimator.report.charts import Chart, chance_chart, information_chart, value_chart
from estimator.report.svg import Scales, rows_svg
from estimator.scenario.templates import template


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(template("support-assistant"), n=512)


def drawn(chart: Chart) -> ElementTree.Element:
    picture = rows_svg(chart.figure, chart.finding)
    assert "\n" not in picture  # Markdown would end the picture there
    return ElementTree.fromstring(picture)


def percents(found: list[ElementTree.Element], name: str) -> list[float]:
    values = [str(each.get(name)) for each in found]
    assert all(value.endswith("%") for value in values)
    return [float(value[:-1]) for value in values]


def test_bars_and_dots_lie_where_the_figure_says(comparison: Comparison) -> None:
    chart = value_chart(comparison)
    means = chart.figure["data"][1]["x"]
    at = np.array([0.9 * min(means), 1.5 * max(means)])  # the worst is off the scale
    chart.figure["layout"]["xaxis"]["range"] = at.tolist()
    picture, (band, dots) = drawn(chart), chart.figure["data"]
    starts, ends = (
        np.interp(x, at, [0, 100])  # what is beyond the scale ends at its end
        for x in (np.array(band["base"]), np.add(band["base"], band["x"]))
    )
    bars = picture.findall("rect")
    np.testing.assert_allclose(percents(bars, "x"), starts, atol=0.011)
    np.testing.assert_allclose(percents(bars, "width"), ends - starts, atol=0.021)
    on_scale = [x for x in dots["x"] if at[0] <= x <= at[1]]
    circles = picture.findall("circle")
    np.testing.assert_allclose(
        percents(circles, "cx"), np.interp(on_scale, at, [0, 100]), atol=0.011
    )
    assert len(circles) == len(dots["x"]) - 1
    rows = [float(str(circle.get("cy"))) for circle in circles]
    np.testing.assert_allclose(np.diff(rows), 48, atol=0.11)


@pytest.mark.parametrize("made", [chance_chart, value_chart, information_chart])
def test_every_word_stands_inside_and_the_finding_is_its_name(
    comparison: Comparison, made: Any
) -> None:
    chart = made(comparison)
    picture = drawn(chart)
    assert picture.get("role") == "img" and picture.get("aria-label") == chart.finding
    words = " ".join("".join(text.itertext()) for text in picture.findall("text"))
    assert all(set(row[0].split()) <= set(words.split()) for row in chart.rows)
    height = float(str(picture.get("height")))
    assert height == chart.figure["layout"]["height"]
    lines = [float(str(text.get("y"))) for text in picture.findall("text")]
    assert min(lines) > 10 and max(lines) < height
    assert all(0 <= x <= 100 for x in percents(picture.findall("text"), "x"))


def test_text_is_escaped_once_and_lines_stand_above_each_other() -> None:
    scales = {"xaxis": {"range": [0, 1]}, "yaxis": {"range": [0.3, -0.7]}}
    note = {"text": "a &lt; b<br>second", "x": 1, "y": 0, "xref": "paper", "yref": "y"}
    layout = {**scales, "height": 48, "margin": {"t": 0, "b": 0}, "annotations": [note]}
    picture = ElementTree.fromstring(rows_svg({"data": [], "layout": layout}, 'says "so" & <more>'))
    first, second = picture.findall("text")
    assert (first.text, second.text) == ("a < b", "second")
    assert float(str(second.get("y"))) - float(str(first.get("y"))) == 18
    assert picture.get("aria-label") == 'says "so" & <more>'


def test_scales_reach_from_end_to_end() -> None:
    layout = {
        "height": 126,
        "margin": {"t": 26, "b": 4},
        "xaxis": {"range": [-10, 30]},
        "yaxis": {"range": [1.3, -0.7]},
    }
    scales = Scales.of(layout)
    assert [scales.x(-10), scales.x(0), scales.x(30), scales.x(0.5, "paper")] == [0, 25, 100, 50]
    assert [scales.y(-0.7), scales.y(1.3), scales.y(1, "paper"), scales.y(0, "paper")] == [
        26,
        122,
        26,
        122,
    ]
    assert scales.shows(30) and not scales.shows(31)
