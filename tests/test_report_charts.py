"""Charts of a comparison: plotly accepts them, and their numbers are those of the draws."""

import json
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from estimator.decision.simulate import Comparison, compare
from estimator.decision.smoothing import conditional_mean
from estimator.report import charts, figures
from estimator.report.sparkline import lead_curves, sparklines
from estimator.scenario.edit import with_inputs
from estimator.scenario.templates import template

N = 1024


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(template("support-assistant"), n=N)


def every_chart(comparison: Comparison) -> list[charts.Chart]:
    drawn = [
        charts.chance_chart(comparison),
        charts.value_chart(comparison),
        charts.cash_flow_chart(comparison, "rag"),
        charts.information_chart(comparison),
        charts.own_cost_chart(comparison),
        charts.total_cost_chart(comparison),
    ]
    assert None not in drawn
    return [chart for chart in drawn if chart is not None]


def test_plotly_accepts_every_figure_and_each_has_words_and_a_table(
    comparison: Comparison,
) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for chart in every_chart(comparison):
        graph_objects.Figure(chart.figure)
        json.dumps(chart.figure, allow_nan=False)
        assert chart.finding.endswith(".")
        assert chart.rows and all(len(row) == len(chart.columns) for row in chart.rows)


def test_bars_are_the_chances_best_worth_first(comparison: Comparison) -> None:
    chart = charts.chance_chart(comparison)
    bars = chart.figure["data"][0]
    means = {name: float(u.mean()) for name, u in comparison.payoffs().items()}
    order = sorted(means, key=lambda name: -means[name])
    assert bars["x"] == [comparison.outcomes[name].probability_best for name in order]  # type: ignore[index]
    assert sum(bars["x"]) == pytest.approx(1)
    assert bars["marker"]["color"][0] == figures.BLUE
    assert "100 %" not in chart.finding


def test_dots_and_bands_are_mean_p10_and_p90(comparison: Comparison) -> None:
    band, dots = charts.value_chart(comparison).figure["data"]
    best = comparison.payoffs()[comparison.verdict.alternative]
    assert dots["x"][0] == pytest.approx(best.mean())
    assert band["base"][0] == pytest.approx(np.percentile(best, 10))
    assert band["base"][0] + band["x"][0] == pytest.approx(np.percentile(best, 90))


def test_zero_is_labelled_and_inside_the_scale(comparison: Comparison) -> None:
    layout = charts.value_chart(comparison).figure["layout"]
    low, high = layout["xaxis"]["range"]
    assert low < 0 < high
    assert any(a["text"] == "doing nothing" and a["x"] == 0 for a in layout["annotations"])
    assert 0 in layout["xaxis"]["tickvals"]


def test_cumulative_cash_ends_at_the_undiscounted_worth(comparison: Comparison) -> None:
    scenario = with_inputs(comparison.scenario, {"discount_rate_per_year": 0.0})
    undiscounted = compare(scenario, n=N)
    low, high, middle = (
        charts.cash_flow_chart(undiscounted, "saas").figure["data"][i]["y"][-1] for i in (1, 0, 2)
    )
    worth = undiscounted.outcomes["saas"].npv_usd
    assert [low, middle, high] == pytest.approx(np.percentile(worth, [10, 50, 90]).tolist())


def test_go_live_is_marked_at_its_median(comparison: Comparison) -> None:
    layout = charts.cash_flow_chart(comparison, "rag").figure["layout"]
    live = float(np.median(comparison.outcomes["rag"].account.go_live_months))
    assert [s["x0"] for s in layout["shapes"] if s.get("xref") == "x"] == [pytest.approx(live)]
    nothing = charts.cash_flow_chart(comparison, "status_quo")
    assert not [s for s in nothing.figure["layout"]["shapes"] if s.get("xref") == "x"]
    assert "pays back" not in nothing.finding


def test_costs_add_up_to_the_total_cost_of_ownership(comparison: Comparison) -> None:
    chart = charts.total_cost_chart(comparison)
    assert chart is not None
    traces = chart.figure["data"]
    shown = sorted(sum(trace["x"][row] for trace in traces) for row in range(len(traces[0]["x"])))
    tco = sorted(float(outcome.tco_usd.mean()) for outcome in comparison.outcomes.values())
    assert shown == pytest.approx(tco)


def test_own_costs_leave_out_what_doing_nothing_has_too(comparison: Comparison) -> None:
    chart = charts.own_cost_chart(comparison)
    assert chart is not None
    assert "Do nothing" not in [row[0] for row in chart.rows]
    assert len(chart.rows) == len(comparison.outcomes) - 1
    names = {trace["name"] for trace in chart.figure["data"]}
    assert names.isdisjoint({"people handling requests", "errors"})


def test_what_cannot_be_told_from_noise_has_no_bar(comparison: Comparison) -> None:
    chart = charts.information_chart(comparison, most=3)
    assert chart is not None
    assert chart.figure["data"][0]["x"] == sorted(comparison.evppi_usd.values())[:-4:-1]
    alone = with_inputs(comparison.scenario, {"alternatives": ["status_quo"]})
    nothing = compare(alone, n=256)
    assert charts.information_chart(nothing) is None
    assert charts.own_cost_chart(nothing) is None


def test_only_an_outlier_is_cut_off_the_scale() -> None:
    assert figures.without_outlier([5.0, 4.0, 1.0]) == 5
    assert figures.without_outlier([50.0, 4.0, 1.0]) == pytest.approx(1.15 * 4)
    assert figures.without_outlier([50.0, 0.0]) == 50
    assert figures.without_outlier([3.0]) == 3


@pytest.mark.parametrize(("low", "high"), [(0, 1e6), (-3.2e6, 1.1e6), (-7, 0), (0, 0)])
def test_money_ticks_are_round_few_and_inside(low: float, high: float) -> None:
    axis = figures.money_axis(low, high)
    first, last = axis["range"]
    assert first <= low and last >= high
    assert all(first <= tick <= last for tick in axis["tickvals"])
    assert 1 <= len(axis["tickvals"]) <= 10
    assert all(re.fullmatch(r"-?\$[\d.,]+[kMB]?", text) for text in axis["ticktext"])


def test_text_cannot_smuggle_markup_into_a_figure() -> None:
    note = figures.note("<1 %\n<b>x</b>", x=0, y=0)
    assert note["text"] == "&lt;1 %<br>&lt;b&gt;x&lt;/b&gt;"


def test_the_lead_follows_the_smoother_behind_the_flips(comparison: Comparison) -> None:
    path = "quality.error_rate.rag"
    lead = lead_curves(comparison, [path])[path]
    best = comparison.payoffs()[comparison.verdict.alternative]
    others = [u for name, u in comparison.payoffs().items() if name != "rag"]
    assert comparison.verdict.alternative == "rag"
    gaps = np.stack([best - u for u in others], axis=1)
    fitted = conditional_mean(comparison.draws[path], gaps)
    smooth = np.interp(lead.at, fitted.at, fitted.mean.min(axis=1))
    assert np.abs(lead.usd - smooth).max() < 0.15 * np.ptp(smooth)
    assert lead.usd[0] > lead.usd[-1]


def test_fixed_and_unknown_inputs_have_no_lead(comparison: Comparison) -> None:
    fixed = with_inputs(comparison.scenario, {"quality.skill": 0.6})
    assert lead_curves(compare(fixed, n=256), ["quality.skill", "no.such"]) == {}


def test_sparklines_are_well_formed_pictures(comparison: Comparison) -> None:
    leads = lead_curves(comparison, ["quality.error_rate.rag", "quality.skill"])
    for uri in sparklines(leads).values():
        head, _, picture = uri.partition(",")
        assert head == "data:image/svg+xml"
        assert '"' not in picture and "<" not in picture
        assert ElementTree.fromstring(unquote(picture)).tag.endswith("svg")
