"""The dashboard in a real browser: the main journeys, both themes, a phone, and no request out.

Needs playwright and the system's Chromium; without them the module is skipped, or fails where
TUNEROI_REQUIRE_BROWSER is set. Pictures are left in the folder that TUNEROI_SCREENSHOTS names.
"""

import importlib
import json
import os
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

from visitor import served  # noqa: E402

from estimator.cli.dashboard import ENVIRONMENT  # noqa: E402
from estimator.dashboard.main import PAGES  # noqa: E402

ROOT = Path(__file__).parent.parent.parent
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
PATIENCE_MS = 60_000
COST = "value.human_cost_usd_per_request"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    environment = {**ENVIRONMENT, **os.environ, "TUNEROI_DATA": str(folder / "data")}
    with served("127.0.0.1", folder / "run", environment) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One visitor's page, and all that it asked of the network or complained about."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.address, self.asked, self.complaints = address, [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", self._heard)

    def _heard(self, message: Any) -> None:
        probing = "/_stcore/" in message.location.get("url", "")  # Streamlit looks for its root
        if message.type == "error" and not probing:
            self.complaints.append(message.text)

    def open(self, query: str = "", ready: str = ".st-key-chart-costs svg text") -> "Visit":
        self.page.goto(f"{self.address}/{query}")
        self.page.wait_for_selector(".verdict, p.sure")
        self.page.wait_for_selector(ready)
        return self

    @property
    def verdict(self) -> str:
        return str(self.page.inner_text(".verdict"))

    def wait_for_another(self, verdict: str) -> None:
        self.page.wait_for_function(
            "old => document.querySelector('.verdict')?.innerText !== old", arg=verdict
        )

    def slider(self, path: str) -> Any:
        return self.page.locator(f".st-key-{path.replace('.', '-')} input[type=range]")

    def picture(self, name: str) -> None:
        if folder := os.environ.get("TUNEROI_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Any]:
    visits: list[Visit] = []

    def start(query: str = "", *, ready: str = "", **options: Any) -> Visit:
        visits.append(Visit(browser, address, **options))
        return visits[-1].open(query, ready) if ready else visits[-1].open(query)

    yield start
    for one in visits:
        outside = [u for u in one.asked if not u.startswith((one.address, "data:", "blob:", "ws:"))]
        one.context.close()
        assert not outside, "a request left the machine"
        assert not one.complaints


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "width", "height"), [("wide", 1400, 900), ("phone", 390, 844)])
def test_verdict_first_and_nothing_wider_than_the_screen(
    visit: Any, scheme: str, device: str, width: int, height: int
) -> None:
    one = visit(viewport={"width": width, "height": height}, color_scheme=scheme)
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    top = one.page.locator(".verdict").bounding_box()["y"]
    drawn = one.page.locator("[data-testid=stPlotlyChart], svg.rows")
    places = (chart.bounding_box() for chart in drawn.all())
    charts = [box["y"] for box in places if box]
    assert 0 <= top < min(charts) and top < height / 2
    one.picture(f"decide-{device}-{scheme}")


def test_a_slider_changes_the_verdict_and_a_link_restores_it(visit: Any) -> None:
    one = visit()
    before = one.verdict
    slider = one.slider(COST)
    slider.focus()
    slider.press("Home")
    one.wait_for_another(before)
    one.page.get_by_role("button", name="Reset all").wait_for()
    one.page.wait_for_function("() => location.search.includes('human_cost')")
    one.picture("decide-changed")
    other = visit(one.page.url.removeprefix(f"{one.address}/"))
    assert other.verdict == one.verdict != before
    other.page.get_by_role("button", name="Reset all").click()
    other.wait_for_another(one.verdict)
    assert other.verdict == before
    other.page.wait_for_function("() => !location.search.includes('human_cost')")


def test_a_bad_file_is_explained_and_a_good_one_shown_and_saved(visit: Any, tmp_path: Path) -> None:
    one = visit()
    before = one.verdict
    one.page.get_by_text("Open or save a scenario file").click()
    upload = one.page.locator("[data-testid=stFileUploader] input[type=file]")
    bad, good = tmp_path / "bad.yaml", tmp_path / "good.yaml"
    bad.write_text("demand: {requests_per_month: 1, growht_per_year: 0.1}")
    good.write_text("name: Our desk\ndemand: {requests_per_month: 400}\nalternatives: [rag]\n")
    upload.set_input_files(bad)
    alert = one.page.get_by_role("alert")
    alert.get_by_text("growth_per_year").wait_for()
    assert one.verdict == before
    one.picture("decide-bad-file")
    upload.set_input_files(good)
    one.wait_for_another(before)
    assert "Our desk" in one.page.inner_text("p.kicker")
    settled(one)
    with one.page.expect_download(timeout=PATIENCE_MS) as download:
        one.page.get_by_role("button", name="Download this scenario").click()
    assert download.value.suggested_filename == "our-desk.yaml"
    assert "Our desk" in Path(download.value.path()).read_text("utf-8")


def test_a_model_nobody_knows_is_explained(visit: Any) -> None:
    one = visit("?api.model=openai%2Fgpt-4.1-minni")
    one.page.get_by_role("alert").get_by_text("gpt-4.1-minni").wait_for()
    one.page.get_by_role("button", name="Reset all").click()
    one.page.get_by_role("alert").wait_for(state="detached")


def test_every_picture_has_words_and_headings_are_in_order(visit: Any) -> None:
    page = visit().page
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.evaluate("[...document.images].every(image => image.alt.length > 20)")
    charts = page.locator("[data-testid=stPlotlyChart][role=figure], svg.rows[role=img]")
    labels = [chart.get_attribute("aria-label") for chart in charts.all()]
    assert len(labels) == 5 and all(len(label) > 40 for label in labels)


PHONE_WIDTH = 390
OTHERS = [name for name, _, _ in PAGES if name != "decide"]
STREAMLITS_OWN = {"svg-img-alt"}
"""What axe finds in Streamlit itself: the mark of a metric's own sparkline."""


def settled(one: Any) -> None:
    """Wait until the script has run and nothing spins any more."""
    one.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    one.page.wait_for_selector(".verdict, h2.section")
    one.page.wait_for_selector("[data-testid=stSpinner]", state="detached")


@pytest.mark.parametrize("name", OTHERS)
def test_every_page_opens_by_its_link_is_accessible_and_fits_a_phone(visit: Any, name: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    one = visit()
    one.page.goto(f"{one.address}/{name}")
    settled(one)
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
    found = axe.run(one.page, options=rules).response["violations"]
    assert not [f"{v['id']}: {v['help']}" for v in found if v["id"] not in STREAMLITS_OWN]
    one.picture(f"{name}-wide-light")
    one.page.set_viewport_size({"width": PHONE_WIDTH, "height": 844})
    one.page.emulate_media(color_scheme="dark")
    settled(one)
    one.page.wait_for_function(
        "width => document.documentElement.scrollWidth <= width", arg=PHONE_WIDTH
    )
    one.picture(f"{name}-phone-dark")


def word_problem(count: int) -> dict[str, str]:
    """A row in the form of GSM8K: sums within double angle brackets, the answer after four #."""
    sold = f"{count}+{count // 2} = <<{count}+{count // 2}={count + count // 2}>>"
    return {
        "question": f"A shop sells {count} pens in May and half as many in June. How many in all?",
        "answer": f"It sells {sold}{count + count // 2} pens.\n#### {count + count // 2}",
    }


def test_a_dataset_is_read_and_the_training_plan_starts_from_it(visit: Any, tmp_path: Path) -> None:
    rows = (json.dumps(word_problem(count)) for count in range(400))
    (tmp_path / "sums.jsonl").write_text("\n".join(rows))
    one = visit()
    one.page.get_by_role("link", name="Dataset").click()
    one.page.wait_for_selector(".st-key-dataset-file")
    one.page.locator(".st-key-dataset-file input[type=file]").set_input_files(
        tmp_path / "sums.jsonl"
    )
    one.page.get_by_text("sums.jsonl: tokens").wait_for()
    one.page.get_by_role("link", name="Training plan").click()
    one.page.get_by_text("sums.jsonl").first.wait_for()
    settled(one)
    one.picture("plan-from-a-dataset")


def test_the_answer_can_be_taken_away(visit: Any) -> None:
    one = visit()
    firsts = {
        "Workbook (Excel)": b"PK",
        "Report (HTML)": b"<!doctype html>",
        "Report (Markdown)": b"# Support assistant",
        "Line items (CSV)": b"alternative,",
    }
    for label, first in firsts.items():
        settled(one)
        with one.page.expect_download(timeout=PATIENCE_MS) as download:
            one.page.get_by_role("button", name=label).click()
        assert download.value.suggested_filename.startswith("support-assistant.")
        assert Path(download.value.path()).read_bytes().startswith(first)
