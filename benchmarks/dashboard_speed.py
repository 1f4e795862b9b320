"""How long a slider takes to repaint the dashboard, in the system's Chromium.

    python benchmarks/dashboard_speed.py [--moves 30]

Counts from the key press that moves a slider, once until verdict and chart "What each is worth" of
the new answer are painted, once until nothing on the page changes any more. What counts is what the
page ends up with: a chart that is taken away to be drawn anew is not painted. The first half of the
moves gives answers that nobody has seen before. Needs the extra `browser` and chromium.
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
WATCH = """() => {
  const chart = '.chart-values svg ';
  const all = (what, read) => [...document.querySelectorAll(what)].map(read).join('|');
  const seen = () => [
    all('.verdict, p.sure', e => e.textContent),
    all(chart + 'text', e => e.textContent),
    all(chart + ':is(path, rect, circle)', e =>
      ['d', 'x', 'width', 'cx'].map(name => e.getAttribute(name))),
  ].join(' # ');
  const running = () =>
    !document.querySelector('[data-testid=stApp][data-test-script-state=notRunning]');
  const now = window.watched = {start: null, painted: null, changed: null, ran: false, over: false};
  addEventListener('keydown', e => { now.start ??= e.timeStamp; }, {capture: true, once: true});
  const changes = new MutationObserver(() => { now.changed = performance.now(); });
  changes.observe(document.body, {childList: true, characterData: true, subtree: true});
  const painted = new MessageChannel();  // its message comes after the frame's own work
  painted.port1.onmessage = () => { now.painted = performance.now(); };
  const before = seen();
  let last = before;
  const look = () => {
    const found = seen();
    now.ran ||= running();
    if (found !== last) painted.port2.postMessage(last = found);
    const still = performance.now() - Math.max(now.changed, now.painted) > 250;
    if (now.ran && !running() && last !== before && still) {
      changes.disconnect();
      now.over = true;
    } else requestAnimationFrame(look);
  };
  look();
}"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=16, help="of a slider with some twenty steps")
    moves = parser.parse_args().moves
    with served() as address, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=FLAGS
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.goto(address)
        page.wait_for_selector(".verdict")
        page.wait_for_selector(".st-key-chart-costs svg text")
        page.wait_for_timeout(1000)
        keys = ["ArrowRight"] * (moves // 2) + ["ArrowLeft"] * (moves // 2)
        found = np.array([moved(page, key) for key in keys]).reshape(2, moves // 2, 2)
        for answers, halves in zip(("new answers", "seen before"), found, strict=True):
            for part, milliseconds in zip(
                ("verdict and chart", "whole page"), halves.T, strict=True
            ):
                median, p95 = np.quantile(milliseconds, [0.5, 0.95])
                print(
                    f"slider to repaint, {answers}, {part}: median {median:.0f} ms, "
                    f"P95 {p95:.0f} ms of {milliseconds.size} moves"
                )
        browser.close()


def moved(page: Any, key: str) -> tuple[float, float]:
    """Milliseconds from the key press to verdict and chart, and to the whole page, as painted."""
    page.locator(f".st-key-{SLIDER.replace('.', '-')} input").last.focus()
    page.evaluate(WATCH)
    page.keyboard.press(key)
    page.wait_for_function("window.watched.over", polling=100)
    now = page.evaluate("window.watched")
    return now["painted"] - now["start"], max(now["changed"], now["painted"]) - now["start"]


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
