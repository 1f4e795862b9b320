"""Reports that leave the tool: complete, self-contained, and harmless whatever a scenario says."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from estimator import Scenario, compare, template
from estimator.decision.simulate import Comparison
from estimator.report.charts import Chart
from estimator.report.document import Document, Figures, Folded, document, scenario_hash
from estimator.report.html import html
from estimator.report.markdown import escape, markdown
from estimator.scenario.edit import with_inputs

NASTY = "</script><script>alert(1)</script> | a*b_c` $x$ <img src=x>"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    scenario = template("support-assistant")
    requests = {"p10": 38_000, "p90": 54_000, "note": NASTY}
    scenario = with_inputs(scenario, {"demand.requests_per_month": requests})
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


def test_wide_tables_scroll_and_tables_beside_bars_are_not_printed(report: Document) -> None:
    kinds = [attrs.get("class") for tag, attrs in _elements(html(report)) if tag == "details"]
    charts = [b for s in report.sections for b in s.blocks if isinstance(b, Chart)]
    assert kinds.count("same") == sum(len(chart.columns) == 2 for chart in charts) == 1
    assert kinds.count("long") == 1
    wide = [attrs for tag, attrs in _elements(html(report)) if tag == "table" if attrs]
    assert len(wide) > 10


def test_markdown_tables_keep_their_columns(report: Document) -> None:
    for before, line in zip(
        markdown(report).splitlines(), markdown(report).splitlines()[1:], strict=False
    ):
        if re.fullmatch(r"\|(-+:?\|)+", line):
            columns = len(re.findall(r"(?<!\\)\|", before)) - 1
            assert columns == line.count("|") - 1


def test_escaped_markdown_is_on_one_line() -> None:
    assert escape("a|b\n*c*") == r"a\|b \*c\*"


def tables(report: Document) -> list[Figures]:
    """Every table, folded ones too."""
    blocks = [block for section in report.sections for block in section.blocks]
    folded = [block.table for block in blocks if isinstance(block, Folded)]
    return [block for block in blocks if isinstance(block, Figures)] + folded


def test_every_input_and_line_item_is_in_the_report(
    comparison: Comparison, report: Document
) -> None:
    cells = [row[0] for table in tables(report) for row in table.rows]
    for path in comparison.scenario.inputs():
        assert any(cell.endswith(f"({path})") for cell in cells)
    for outcome in comparison.outcomes.values():
        assert {item.name for item in outcome.account.items} <= set(cells)


def test_own_inputs_come_before_shipped_ones(comparison: Comparison, report: Document) -> None:
    inputs = comparison.scenario.inputs()
    own, shipped = (
        next(section for section in report.sections if section.title == title).blocks[0]
        for title in ("What it stands on", "All other inputs")
    )
    assert isinstance(own, Figures) and isinstance(shipped, Folded)
    named = {path for path, quantity in inputs.items() if quantity.evidence is None}
    assert {row[0].rsplit("(", 1)[1].rstrip(")") for row in own.rows} == named
    assert len(shipped.table.rows) == len(inputs) - len(named)
    assert [row[3] for row in own.rows if NASTY in row[3]] == [
        f"the scenario (your figure); {NASTY}"
    ]


def test_no_amount_is_minus_nothing_and_no_time_is_no_number(report: Document) -> None:
    cells = [cell for table in tables(report) for row in table.rows for cell in row]
    assert cells and not {"-$0", "nan", "None", "inf"} & set(cells)


def test_a_pilot_that_ends_nowhere_in_some_futures_still_has_its_times() -> None:
    found = compare(template("support-assistant"), n=256)
    pilot = found.outcomes["staged"].account
    never = np.isnan(pilot.go_live_months)
    assert 0 < never.mean() < 0.2
    (table,) = next(s for s in document(found).sections if s.title == "Time and people").blocks
    assert isinstance(table, Figures)
    row = next(row for row in table.rows if row[0] == pilot.label)
    below = np.mean(pilot.go_live_months[~never] <= float(row[2]) + 0.05) * np.mean(~never)
    assert below == pytest.approx(0.8, abs=0.03)


def test_markdown_fits_a_comment_and_folds_its_details(report: Document) -> None:
    made = markdown(report)
    assert len(made) < 65_536
    assert made.count("<details>") == made.count("</details>") == made.count("<summary>") > 5
    assert NASTY not in made and "Line by line" in made
    for chart in (b for s in report.sections for b in s.blocks if isinstance(b, Chart)):
        shown = escape(chart.finding) if len(chart.columns) == 2 else escape(chart.rows[0][0])
        assert shown in made


def test_equal_scenarios_have_equal_hashes() -> None:
    one, other = template("support-assistant"), template("support-assistant")
    assert scenario_hash(one) == scenario_hash(other)
    changed = one.model_copy(update={"horizon_months": one.horizon_months + 1})
    assert scenario_hash(changed) != scenario_hash(one)
