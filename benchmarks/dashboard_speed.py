"""How long a slider takes to repaint the dashboard, in the system's Chromium.

    python benchmarks/dashboard_speed.py [--moves 30]

Counts from the key press that moves a slider until verdict and chart of the new answer are painted.
The answers are new each time: nothing comes from a cache. Needs the extra `browser` and chromium.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from estimator.cli.dashboard import ENVIRONMENT, server_command

ROOT = Path(__file__).parent.parent
SLIDER = "value.human_cost_usd_per_request"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
PAINTED = """(before) => new Promise(done => {
  const look = () => {
    const verdict = document.querySelector('h1.verdict');
    const label = [...document.querySelectorAll('.st-key-chart-values svg text')]
      .map(t => t.textContent).join('|');
    const idle = document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]');
    if (verdict && label !== before && idle) done(performance.now());
    else requestAnimationFrame(look);
  };
  look();
})"""
LABEL = """() => [...document.querySelectorAll('.st-key-chart-values svg text')]
  .map(t => t.textContent).join('|')"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=16, help="of a slider with some twenty steps")
    moves = parser.parse_args().moves
    with served() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=FLAGS
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(address)
        page.wait_for_selector("h1.verdict")
        page.wait_for_selector(".st-key-chart-costs svg text")
        seconds = [
            moved(page, "ArrowRight" if i < moves // 2 else "ArrowLeft") for i in range(moves)
        ]
        new, known = seconds[: moves // 2], seconds[moves // 2 :]
        for name, found in (("new answers", new), ("answers seen before", known)):
            print(
                f"slider to repaint, {name}: median {np.median(found) * 1e3:.0f} ms, "
                f"P95 {np.quantile(found, 0.95) * 1e3:.0f} ms of {len(found)} moves"
            )
        browser.close()


def moved(page: Any, key: str) -> float:
    """Seconds from the key press until the chart of the new answer is painted."""
    page.locator(f".st-key-{SLIDER.replace('.', '-')} input").last.focus()
    before = page.evaluate(LABEL)
    start = time.perf_counter()
    page.keyboard.press(key)
    page.evaluate(PAINTED, before)
    seconds = time.perf_counter() - start
    page.wait_for_timeout(300)
    return seconds


@contextmanager
def served() -> Iterator[str]:
    """The address of a dashboard that runs as long as it is needed."""
    with tempfile.NamedTemporaryFile("w+") as log:
        server = subprocess.Popen(
            server_command(0, "127.0.0.1"), stdout=log, stderr=log, cwd=ROOT, env={**environment()}
        )
        try:
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", Path(log.name).read_text())):
                time.sleep(0.1)
            yield found.group(0)
        finally:
            server.terminate()
            server.wait(10)


def environment() -> dict[str, str]:
    import os

    return {**ENVIRONMENT, **os.environ}


if __name__ == "__main__":
    main()
