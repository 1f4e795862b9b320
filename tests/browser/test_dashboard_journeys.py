"""Whole journeys through the dashboard in a real browser: an analyst's, and a benchmark's.

As in the module beside it, no request leaves the machine, and pictures are left where
TUNEROI_SCREENSHOTS says.
"""

import io
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from test_dashboard_browser import (  # the fixtures are used by name
    COST,
    PATIENCE_MS,
    Visit,
    address,  # noqa: F401
    browser,  # noqa: F401
    settled,
    visit,  # noqa: F401
)

from estimator.dashboard.main import PAGES

LOW, MIDDLE, HIGH = 1, 2, 3  # columns of the table on the page "Assumptions"
WIDTHS, FIRST_ROW = (290, 84, 84, 84), 52  # of its columns, and where its first row is: pixels
BENCHMARK_MS = 300_000
SMALL_MODEL = "EleutherAI/pythia-14m"


def test_an_analyst_picks_a_template_moves_a_slider_and_takes_the_workbook_away(
    visit: Any,  # noqa: F811
) -> None:
    one = visit(viewport={"width": 1900, "height": 1000})  # the whole menu in sight
    first = one.verdict
    one.page.locator(".st-key-template input").click()
    one.page.get_by_role("option", name="Internal search").click()
    one.wait_for_another(first)
    second = one.verdict
    slider = one.slider(COST)
    slider.focus()
    slider.press("Home")
    one.wait_for_another(second)
    third = one.verdict.split(" because ")[0]
    settled(one)  # the verdict is painted before the buttons below it are
    with one.page.expect_download(timeout=PATIENCE_MS) as download:
        one.page.get_by_role("button", name="Workbook (Excel)").click()
    book = openpyxl.load_workbook(io.BytesIO(Path(download.value.path()).read_bytes()))
    cells = [str(c.value) for sheet in book for row in sheet.iter_rows() for c in row if c.value]
    assert sum(cell.startswith("=") for cell in cells) > 100
    assert any("set in the dashboard" in cell for cell in cells), "the change is in the workbook"
    for name, title, _ in PAGES[1:]:
        one.page.get_by_role("link", name=title, exact=True).click()
        one.page.wait_for_url(f"**/{name}?*")
        settled(one)
        assert third in said(one)
    one.picture("journey-method")


def test_an_edit_in_the_table_changes_the_verdict_and_the_link_restores_it(
    visit: Any,  # noqa: F811
) -> None:
    one = visit("assumptions", ready="[data-testid=stDataFrame]")
    before = said(one)
    find(one, COST)
    type_into(one, MIDDLE, "-3")
    one.page.get_by_role("alert").get_by_text("at least 0").wait_for()
    assert said(one) == before
    one.picture("assumptions-refused")
    type_into(one, MIDDLE, "1")
    one.page.get_by_role("alert").wait_for(state="detached")
    one.page.wait_for_function(
        "old => document.querySelector('p.sure').innerText !== old", arg=before
    )
    assert cell(one, LOW) not in ("4.5", ""), "the range has gone along"
    type_into(one, LOW, "0.5")
    one.page.wait_for_function("() => location.search.includes('~0.5~1~')")
    settled(one)
    one.picture("assumptions-edited")
    other = visit(one.page.url.removeprefix(f"{one.address}/"), ready="[data-testid=stDataFrame]")
    assert said(other) == said(one) != before
    other.page.get_by_role("link", name="Decide").click()
    other.page.wait_for_selector(".verdict")
    settled(other)
    place = f".st-key-reset-{COST.replace('.', '-')}"
    alone = "place => document.querySelectorAll(place).length === 1"
    other.page.wait_for_function(alone, arg=place)  # until the page before has gone
    back = other.page.locator(f"{place} button").first
    other.picture("decide-edited")
    edited = other.verdict
    back.click()
    other.wait_for_another(edited)
    other.page.wait_for_function("() => !location.search.includes('edits')")
    assert before.startswith(other.verdict)


def said(one: Visit) -> str:
    return str(one.page.locator("p.sure").first.inner_text())


def cell(one: Visit, column: int) -> str:
    """What the table's first row says there, as a screen reader hears it."""
    return str(one.page.locator(f"[data-testid=glide-cell-{column}-0]").inner_text())


def find(one: Visit, words: str) -> None:
    box = one.page.get_by_placeholder("a word, a path, a source")
    box.fill(words)
    box.press("Enter")
    one.page.get_by_text("1 of ").wait_for()
    settled(one)


def choose(one: Visit, column: int) -> None:
    """Click on a cell of the first row; the table is a canvas, so by its place."""
    place = one.page.locator("[data-testid=stDataFrame] canvas").first.bounding_box()
    left = sum(WIDTHS[:column]) + WIDTHS[column] / 2
    one.page.mouse.click(place["x"] + left, place["y"] + FIRST_ROW)
    chosen = f"[data-testid=glide-cell-{column}-0][aria-selected=true]"
    one.page.wait_for_selector(chosen, state="attached")


def type_into(one: Visit, column: int, number: str) -> None:
    """Type over a cell of the table's first row by keyboard, as in a spreadsheet."""
    choose(one, 0)  # else a click on a cell that is chosen already opens its editor at once
    choose(one, column)
    one.page.keyboard.press("Enter")
    editor = one.page.locator("#portal input")
    editor.fill(number)
    editor.press("Enter")
    editor.wait_for(state="detached")
    settled(one)


def test_a_short_benchmark_runs_is_watched_and_leaves_figures(visit: Any) -> None:  # noqa: F811
    pytest.importorskip("torch")
    one = visit("benchmark", ready=".st-key-benchmark-start")
    page = one.page
    page.get_by_text("None yet").wait_for()
    model = page.locator(".st-key-benchmark-model input")
    model.click()
    model.fill(SMALL_MODEL)
    page.get_by_role("option", name=SMALL_MODEL, exact=True).click()
    length = page.locator(".st-key-benchmark-length input")
    length.fill("16")
    length.press("Enter")
    budget = page.locator(".st-key-benchmark-budget input[type=range]")
    budget.focus()
    budget.press("Home")
    settled(one)
    page.locator(".st-key-benchmark-start button").click()
    page.locator("[data-testid=stProgress]").get_by_text(f"{SMALL_MODEL}: ").wait_for()
    page.locator("[data-testid=stProgress]").get_by_text("s to go").wait_for()
    one.picture("benchmark-running")
    page.locator(".st-key-benchmark-stop").wait_for(state="detached", timeout=BENCHMARK_MS)
    page.get_by_text("Seconds of a step").wait_for()
    page.get_by_text("None yet").wait_for(state="detached")
    settled(one)
    one.picture("benchmark-ended")
