"""Reports that leave the tool: complete, self-contained, and harmless whatever a scenario says."""

import json
import re
from html.parser import HTMLParser

import pytest

from estimator import Scenario, compare, template
from estimator.decision.simulate import Comparison
from estimator.report.document import Document, Figures, document, scenario_hash
from estimator.report.html import html
from estimator.report.markdown import escape, markdown

NASTY = "</script><script>alert(1)</script> | a*b_c` $x$ <img src=x>"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    scenario = template("support-assistant")
    named = {**scenario.model_dump(), "name": NASTY, "description": NASTY}
    return compare(Scenario.model_validate(named), n=256)


@pytest.fixture(scope="module")
def report(comparison: Comparison) -> Document:
    return document(comparison)


class Reader(HTMLParser):
    """Elements, their attributes, and the text of the data elements."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[str] = []
        self._is_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._is_data = ("type", "application/json") in attrs

    def handle_data(self, data: str) -> None:
        if self._is_data:
            self.data.append(data)
            self._is_data = False


def test_html_has_every_chart_and_asks_for_nothing_outside(report: Document) -> None:
    reader = Reader()
    reader.feed(html(report))
    places = [attrs["data-figure"] for _, attrs in reader.elements if "data-figure" in attrs]
    assert len(places) == len(reader.data) >= 4
    for text in reader.data:
        assert {"data", "layout"} <= set(json.loads(text))
    assert not [tag for tag, attrs in reader.elements if {"src", "href"} & set(attrs)]


def test_html_shows_a_nasty_name_as_text(report: Document) -> None:
    made = html(report)
    assert NASTY not in made
    assert "&lt;/script&gt;" in made
    scripts = [tag for tag, _ in _elements(made) if tag == "script"]
    assert len(scripts) == len(re.findall("<script", made)) == made.count("</script>")
    assert "img" not in {tag for tag, _ in _elements(made)}


def _elements(made: str) -> list[tuple[str, dict[str, str | None]]]:
    reader = Reader()
    reader.feed(made)
    return reader.elements


def test_markdown_tables_keep_their_columns(report: Document) -> None:
    for before, line in zip(
        markdown(report).splitlines(), markdown(report).splitlines()[1:], strict=False
    ):
        if re.fullmatch(r"\|(-+:?\|)+", line):
            columns = len(re.findall(r"(?<!\\)\|", before)) - 1
            assert columns == line.count("|") - 1


def test_escaped_markdown_is_on_one_line() -> None:
    assert escape("a|b\n*c*") == r"a\|b \*c\*"


def test_every_input_and_line_item_is_in_the_report(
    comparison: Comparison, report: Document
) -> None:
    cells = [
        row[0]
        for section in report.sections
        for block in section.blocks
        if isinstance(block, Figures)
        for row in block.rows
    ]
    for path in comparison.scenario.inputs():
        assert any(cell.endswith(f"({path})") for cell in cells)
    for outcome in comparison.outcomes.values():
        assert {item.name for item in outcome.account.items} <= set(cells)


def test_equal_scenarios_have_equal_hashes() -> None:
    one, other = template("support-assistant"), template("support-assistant")
    assert scenario_hash(one) == scenario_hash(other)
    changed = one.model_copy(update={"horizon_months": one.horizon_months + 1})
    assert scenario_hash(changed) != scenario_hash(one)
