"""What can be taken away from the dashboard says what the page says."""

import io

import pytest

pytest.importorskip("streamlit")
from estimator.dashboard.downloads import FILES, file_stem
from estimator.scenario.files import dump_scenario
from estimator.scenario.templates import template


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    yaml = dump_scenario(template("support-assistant"))
    return {ending: make(yaml) for ending, make, _ in FILES.values()}


def test_reports_carry_the_verdict(made: dict[str, bytes]) -> None:
    assert b"RAG on an API model is" in made["html"]
    assert b"RAG on an API model is" in made["md"]


def test_line_items_are_a_table(made: dict[str, bytes]) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(io.BytesIO(made["csv"]))
    assert {"alternative", "category"} <= set(table.columns) and len(table) > 50


def test_the_workbook_has_a_sheet_for_each_way(made: dict[str, bytes]) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.load_workbook(io.BytesIO(made["xlsx"]))
    assert len(book.sheetnames) >= 2 + len(template("support-assistant").alternatives)
    first = [cell.value for row in book["Summary"]["A1:A4"] for cell in row]
    assert any("RAG on an API model is" in str(text) for text in first)


def test_a_file_is_named_after_the_scenario() -> None:
    scenario = template("support-assistant").model_copy(update={"name": "../Our desk: #1"})
    assert file_stem(scenario) == "our-desk-1"
