"""The HTML report in a real browser: both themes, a phone, and on paper.

Needs playwright and the system's Chromium; without them the module is skipped, or fails where
TUNEROI_REQUIRE_BROWSER is set. Pictures are left in the folder that TUNEROI_SCREENSHOTS names.
"""

import importlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if os.environ.get("TUNEROI_REQUIRE_BROWSER"):
    assert CHROMIUM, "TUNEROI_REQUIRE_BROWSER is set, but there is no chromium"
    playwright: Any = importlib.import_module("playwright.sync_api")
else:
    if CHROMIUM is None:
        pytest.skip("the browser tests need the system's chromium", allow_module_level=True)
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="the browser tests need playwright", exc_type=ImportError
    )

from estimator import compare, template  # noqa: E402
from estimator.report.document import document  # noqa: E402
from estimator.report.html import PAPER_PIXELS, html  # noqa: E402

MOST_PAGES = 45
LEAST_PIXELS = 55
"""Width in which a cell of words is readable."""
NARROW_CELLS = """least => [...document.querySelectorAll('td.words')].filter(
  cell => cell.offsetParent && cell.innerText.length > 12 && cell.offsetWidth < least
).map(cell => cell.innerText)"""
LUMINANCE = """name => { const [r, g, b] = getComputedStyle(document.body)[name].match(/\\d+/g);
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255; }"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(html(document(compare(template("support-assistant"), n=256))), "utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        running = started.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield running
        running.close()


def opened(browser: Any, address: str, width: int, scheme: str) -> Any:
    """The report with its charts drawn; an error or a request to elsewhere fails the test."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
    )
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("request", lambda request: request.url == address or pytest.fail(request.url))
    page.goto(address)
    page.wait_for_selector("[data-figure] .main-svg")
    return page


def keep(name: str, content: bytes) -> None:
    if folder := os.environ.get("TUNEROI_SCREENSHOTS"):
        (Path(folder) / name).write_bytes(content)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 390])
def test_the_report_fits_the_window_in_both_themes(
    browser: Any, address: str, width: int, scheme: str
) -> None:
    page = opened(browser, address, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, ground = (page.evaluate(LUMINANCE, name) for name in ("color", "backgroundColor"))
    assert ink < 0.2 < 0.8 < ground if scheme == "light" else ground < 0.2 < 0.8 < ink
    label = page.locator("[data-figure] text").first
    assert label.evaluate("node => getComputedStyle(node).fill") == page.evaluate(
        "getComputedStyle(document.body).color"
    )
    assert page.evaluate(NARROW_CELLS, LEAST_PIXELS) == []
    keep(f"report-{width}-{scheme}.png", page.screenshot(full_page=True))
    page.context.close()


def test_on_paper_nothing_is_cut_and_tables_are_readable(browser: Any, address: str) -> None:
    page = opened(browser, address, 1400, "dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    widths = page.evaluate(
        "[...document.querySelectorAll('[data-figure] .main-svg')].map(svg => svg.clientWidth)"
    )
    assert widths and max(widths) <= PAPER_PIXELS
    assert page.locator("details:not([open])").count() == 0
    assert page.evaluate(LUMINANCE, "color") < 0.2
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    printed = page.pdf(prefer_css_page_size=True)
    keep("report.pdf", printed)
    assert 10 < len(re.findall(rb"/Type\s*/Page\b", printed)) <= MOST_PAGES
    page.context.close()
