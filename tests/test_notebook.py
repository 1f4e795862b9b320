"""What a notebook shows: harmless HTML with the numbers of the draws, and a short text."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from estimator import (
    Comparison,
    PlanWish,
    Scenario,
    ServingNeed,
    compare,
    figures,
    plan,
    plan_serving,
    resolve_model,
    template,
    typed_profile,
)
from estimator.decision.wording import money, percent
from estimator.markup import breakable, html_table, short
from estimator.quantity import Quantity
from estimator.report.document import document
from estimator.scenario.edit import with_inputs
from estimator.training.planning.costs import Effort
from estimator.training.planning.market import Limits
from pricing.offers import gpu_offers

NASTY = "</div><script>alert(1)</script> & <img src=x>"
MODEL = resolve_model("llama-3.1-8b").architecture


class Shown(HTMLParser):
    """Tags and cells of tables, where every element is closed."""

    def __init__(self, made: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.cells: list[str] = []
        self._open: list[str] = []
        self.feed(made)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {"src", "href", "onload", "onclick"} & {name for name, _ in attrs}
        if tag != "wbr":
            self._open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "td" in self._open:
            self.cells[-1] += data


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    scenario = template("support-assistant")
    named = {**scenario.model_dump(), "name": NASTY, "description": NASTY}
    return compare(Scenario.model_validate(named), n=512)


def test_a_comparison_shows_its_verdict_a_picture_and_a_table(comparison: Comparison) -> None:
    made = comparison._repr_html_()
    shown = Shown(made)
    assert made.count(comparison.verdict.sentence.replace("'", "&#x27;")) == 1
    assert "script" not in shown.tags and "img" not in shown.tags
    for outcome in comparison.outcomes.values():
        row = shown.cells.index(outcome.account.label)
        assert shown.cells[row + 1 : row + 3] == [
            percent(outcome.probability_best),
            money(float(np.median(outcome.npv_usd))),
        ]
    assert len(shown.cells) == 7 * len(comparison.outcomes)


def test_the_picture_places_medians_on_one_scale(comparison: Comparison) -> None:
    svg = re.search(r"<svg.*</svg>", comparison._repr_html_(), re.DOTALL)
    assert svg is not None
    picture = ElementTree.fromstring(svg[0])
    space = {"s": "http://www.w3.org/2000/svg"}
    names = [text.text for text in picture.iterfind("s:text", space)]
    dots = [float(dot.attrib["cx"]) for dot in picture.iterfind("s:circle", space)]
    off = list(picture.iterfind("s:path", space))
    assert len(names) == len(dots) + len(off) == len(comparison.outcomes)
    zero = float(picture.find("s:line", space).attrib["x1"])  # type: ignore[union-attr]
    by_label = {o.account.label: float(np.median(o.npv_usd)) for o in comparison.outcomes.values()}
    medians = np.array([by_label[str(name)] for name in names])[: len(dots)]
    slope, at_zero = np.polyfit(medians, dots, 1)
    assert slope > 0 and at_zero == pytest.approx(zero, abs=0.5)
    assert slope * medians + at_zero == pytest.approx(dots, abs=0.5)


def test_amounts_stand_in_the_currency_of_the_scenario(comparison: Comparison) -> None:
    euros = compare(with_inputs(comparison.scenario, {"currency": "EUR"}), n=256)
    assert "€" in euros._repr_html_() and "$" not in euros._repr_html_()


def test_a_comparison_is_a_line_of_text(comparison: Comparison) -> None:
    assert comparison.verdict.sentence in repr(comparison)
    assert len(repr(comparison)) < 1000
    assert repr(comparison.outcomes["rag"]).startswith("<Outcome of 'rag'")


def test_figures_are_those_of_the_report(comparison: Comparison) -> None:
    from plotly.graph_objects import Figure

    found = figures(comparison)
    assert list(found) == [
        "chance",
        "value",
        "cash_flow",
        "information",
        "own_cost",
        "total_cost",
    ]
    assert all(isinstance(figure, Figure) for figure in found.values())
    findings = [
        block.finding
        for section in document(comparison).sections
        for block in section.blocks
        if hasattr(block, "finding")
    ]
    assert [figure.layout.meta for figure in found.values()] == findings


def test_a_figure_without_anything_to_show_is_left_out(comparison: Comparison) -> None:
    alone = with_inputs(comparison.scenario, {"alternatives": ["status_quo"]})
    assert set(figures(compare(alone, n=256))) == {"chance", "value", "total_cost"}


def test_naming_the_figures_loads_no_plotly() -> None:
    code = "from estimator import figures; import sys; print('plotly' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "False"


def test_plans_and_a_run_show_what_they_take() -> None:
    wish = PlanWish(effort=Effort(epochs=Quantity(value=1)))
    found = plan(MODEL, typed_profile(total_tokens=1e7), wish, listed=3)
    shown = Shown(found._repr_html_())
    best = found.plans[0]
    assert shown.cells[0].startswith(best.offer.id) and shown.cells[1] == str(best.gpus)
    assert shown.cells[3] == short(best.cost.cost_usd.p50)
    assert len(shown.cells) == 8 * len(found.plans)
    assert best.takes in repr(found) and len(repr(found)) < 300
    run = best.cost.run
    rows = Shown(run._repr_html_()).cells
    assert rows[:2] == ["Cost, USD", short(run.cost_usd.p50)]
    assert short(run.wall_clock_hours.p50) in repr(run)


def test_plans_say_where_nothing_is_feasible() -> None:
    wish = PlanWish(effort=Effort(epochs=Quantity(value=1)), limits=Limits(budget_usd=1e-6))
    found = plan(MODEL, typed_profile(total_tokens=1e7), wish)
    assert "Nothing is feasible" in repr(found)
    shown = Shown(found._repr_html_())
    assert "table" not in shown.tags and "refused" in found._repr_html_()


def test_a_serving_plan_shows_its_options() -> None:
    need = ServingNeed(requests_per_month=1e6, input_tokens=500, output_tokens=200, peak_to_mean=3)
    found = plan_serving(MODEL, need, gpu_offers()[:20])
    shown = Shown(found._repr_html_())
    ids = [option.offer.id for option in found.options]
    assert shown.cells[::9] == ids[:10]
    assert shown.cells[6] == short(found.options[0].usd_per_month.p50)
    assert ids[0] in repr(found)
    hasty = replace(need, ttft_seconds=1e-6)
    none = plan_serving(MODEL, hasty, gpu_offers()[:3])
    assert "no offer can" in repr(none) and "table" not in Shown(none._repr_html_()).tags


def test_text_of_a_table_is_escaped_and_long_paths_may_break() -> None:
    made = html_table(("<b>",), [("<script>",)])
    assert "<script>" not in made and "<b>" not in made
    assert breakable("demand.in_scope") == "demand.<wbr>in_<wbr>scope"
    assert breakable("1.5 at a/b & v1.2") == "1.5 at a/<wbr>b &amp; v1.2"


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (0, "0"),
        (0.03123, "0.0312"),
        (4.2, "4.20"),
        (999.7, "1,000"),
        (12345.6, "12,300"),
        (-17.94, "-17.9"),
        (float("inf"), "inf"),
    ],
)
def test_short_numbers(x: float, words: str) -> None:
    assert short(x) == words
