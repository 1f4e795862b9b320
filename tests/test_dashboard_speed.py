"""What one move of a slider costs: each thing is computed once, and little besides the comparison.

Processor time, not the clock's, and as a ratio to the work that cannot be done without. How long a
browser takes is measured by `benchmarks/dashboard_speed.py`.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")
import streamlit as st
from streamlit.testing.v1 import AppTest

from estimator.dashboard import results, views
from estimator.dashboard.inputs import sliders
from estimator.decision.simulate import compare
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario
from estimator.scenario.templates import template, template_text

ROOT = Path(__file__).parent.parent
COST = "value.human_cost_usd_per_request"
START = template("support-assistant")
INPUT = next(sliders(START, (COST,)))
VALUES = [value for value in INPUT.options if value != INPUT.default][-12:]
SECONDS = 120
EMPTY_PAGES = 60  # it is about 40: twenty sliders, five charts, and the reading of a scenario


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was computed and drawn, in order."""
    order: list[str] = []

    def watched(module: Any, name: str) -> None:
        work: Callable[..., Any] = getattr(module, name)

        def noted(*given: Any, **named: Any) -> Any:
            order.append(name)
            return work(*given, **named)

        monkeypatch.setattr(module, name, noted)

    for name in ("compare", "lead_curves", "sparklines", "cash_flow_chart", "value_chart"):
        watched(results, name)
    watched(views, "rows_svg")
    return order


def opened() -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=SECONDS).run()
    assert not app.exception
    return app


def moved(app: AppTest, value: float) -> AppTest:
    app.select_slider(key=COST).set_value(value).run()
    assert not app.exception and not app.error
    return app


def test_a_move_computes_everything_once_and_a_second_look_nothing(done: list[str]) -> None:
    app = opened()
    done.clear()
    moved(app, VALUES[0])
    count = Counter(done)
    assert count["compare"] == count["cash_flow_chart"] == 1
    assert count["value_chart"] == 2, "to be seen at once, and with dates in the table below"
    assert count["lead_curves"] == count["sparklines"] <= 2, "the sidebar's, and those of the flips"
    done.clear()
    moved(app, INPUT.default)
    moved(app, VALUES[0])
    assert set(done) == {"rows_svg"}, "both answers are known"


def test_another_page_needs_no_other_comparison(done: list[str]) -> None:
    app = opened()
    done.clear()
    app.switch_page("estimator/dashboard/pages/costs.py").run()
    app.switch_page("estimator/dashboard/pages/decide.py").run()
    assert not app.exception
    assert "compare" not in done and "sparklines" not in done


def test_the_first_charts_are_drawn_before_what_stands_below_or_beside(done: list[str]) -> None:
    app = opened()
    done.clear()
    moved(app, VALUES[1])
    charts_at = [place for place, what in enumerate(done) if what == "rows_svg"][:2]
    later = [done.index(name) for name in ("lead_curves", "sparklines", "cash_flow_chart")]
    assert done.index("compare") < min(charts_at) and max(charts_at) < min(later)


def cpu_seconds(work: Callable[..., Any], *given: Any, **named: Any) -> float:
    start = time.process_time()
    work(*given, **named)
    return time.process_time() - start


def test_a_move_costs_little_more_than_its_comparison() -> None:
    app = opened()
    compare(START, n=results.DRAWS, seed=results.SEED)
    moves, comparisons = [], []
    for value in VALUES[2:6]:
        scenario = with_inputs(START, INPUT.change(value))
        comparisons.append(cpu_seconds(compare, scenario, n=results.DRAWS, seed=results.SEED))
        moves.append(cpu_seconds(moved, app, value))
    assert min(moves) < 3 * min(comparisons)


def test_an_answer_seen_before_costs_a_few_readings_of_the_scenario() -> None:
    app = opened()
    text = template_text("support-assistant")
    for value in VALUES[8:10]:
        moved(app, value)
    moves = [cpu_seconds(moved, app, value) for value in VALUES[8:10] * 4]
    readings = [cpu_seconds(parse_scenario, text) for _ in moves]
    assert min(moves) < 6 * min(readings)


def test_an_answer_seen_before_costs_a_bounded_number_of_empty_pages() -> None:
    app = opened()
    for value in VALUES[8:10]:
        moved(app, value)
    empty = AppTest.from_string("import streamlit as st; st.write('nothing')").run()
    moves = [cpu_seconds(moved, app, value) for value in VALUES[8:10] * 4]
    pages = [cpu_seconds(empty.run) for _ in moves]
    print(f"a move to a known answer: {min(moves) / min(pages):.1f} empty pages")
    assert min(moves) < EMPTY_PAGES * min(pages)
