"""Charts of risk, break-even, buying and measurements: their numbers are those of the draws."""

import json
from pathlib import Path

import numpy as np
import pytest
from test_calibration_file import file_of

from estimator.decision.buy_or_rent import HOURS_PER_MONTH, BuyOrRent, buy_or_rent
from estimator.decision.indices import Index
from estimator.decision.sensitivity import Bar, Separation
from estimator.decision.simulate import Comparison, compare
from estimator.decision.thresholds import BreakEven, find_break_even
from estimator.decision.worth import Worth, value_of_information
from estimator.quantity import Quantity
from estimator.report.benchmark_charts import agreement_chart, own_run_chart
from estimator.report.breakeven_chart import break_even_chart, chance_lines
from estimator.report.buy_or_rent import WAYS
from estimator.report.buy_or_rent_chart import usage_chart, usage_lines
from estimator.report.charts import Chart
from estimator.report.figures import BLUE, ORANGE
from estimator.report.kept_runs import file_row, kept_comparisons, step_row, used_share
from estimator.report.risk_charts import distribution_chart, index_chart, study_chart
from estimator.report.tornado_charts import (
    lead_separation,
    lead_tornado,
    pair,
    separation_chart,
    tornado_chart,
    worth_tornado,
)
from estimator.scenario.edit import with_inputs
from estimator.scenario.templates import template
from estimator.training.recipe import TrainingRecipe
from estimator.validation.own_runs import Compared
from estimator.validation.scoring import Prediction, Validation

REQUESTS = "demand.requests_per_month"


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return compare(template("support-assistant"), n=1024)


@pytest.fixture(scope="module")
def worth(comparison: Comparison) -> Worth:
    return value_of_information(comparison)


@pytest.fixture(scope="module")
def crossing(comparison: Comparison) -> BreakEven:
    return find_break_even(comparison.scenario, REQUESTS, "rag", "status_quo")


def used(hours: float) -> BuyOrRent:
    return buy_or_rent("h100-sxm5-80gb", 8, hours_per_month=hours, years=3)


def present(chart: Chart | None) -> Chart:
    assert chart is not None
    return chart


RUN = Compared(name="a.json", measured=100.0, before=(60, 80, 100), after=(90, 98, 106))
ROWS = Validation(
    rows=2,
    suspect_left_out=0,
    unexpressed={},
    unit="GiB",
    predictions=(
        Prediction(row_id="x", source="s", method="full", measured=10, p10=9, p50=11, p90=12),
        Prediction(row_id="y", source="s", method="lora", measured=100, p10=40, p50=50, p90=60),
    ),
)


def test_plotly_accepts_every_figure_and_each_has_words_and_a_table(
    comparison: Comparison, worth: Worth, crossing: BreakEven
) -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    index = Index(inputs=(REQUESTS,), first_order=0.3, total=0.5, first_order_error=0.1,
                  total_error=0.1)  # fmt: skip
    for chart in (
        distribution_chart(comparison),
        worth_tornado(comparison, "rag", at_medians=False),
        worth_tornado(comparison, "rag", at_medians=True),
        lead_tornado(comparison, "rag", "saas", at_medians=False),
        lead_tornado(comparison, "rag", "saas", at_medians=True),
        lead_separation(comparison, "rag", "saas"),
        study_chart(worth),
        index_chart([index]),
        break_even_chart(crossing),
        usage_chart(used(0), used(HOURS_PER_MONTH), used(200)),
        own_run_chart([RUN]),
        agreement_chart(ROWS, "GiB"),
    ):
        drawn = present(chart)
        graph_objects.Figure(drawn.figure)
        json.dumps(drawn.figure, allow_nan=False)
        assert drawn.finding.endswith(".") and len(drawn.finding) > 20
        assert drawn.rows and all(len(row) == len(drawn.columns) for row in drawn.rows)


def test_histograms_hold_nearly_all_futures_on_one_scale(comparison: Comparison) -> None:
    bars = present(distribution_chart(comparison)).figure["data"][0]
    n = len(comparison.outcomes) - 1
    heights = -np.array(bars["y"]).reshape(n, -1)
    tallest = heights.max()
    assert tallest == pytest.approx(0.5)
    best = comparison.payoffs()[comparison.verdict.alternative]
    centres = np.array(bars["x"]).reshape(n, -1)[0]
    half = bars["width"] / 2
    inside = ((best >= centres[0] - half) & (best <= centres[-1] + half)).mean()
    assert inside >= 0.97
    # The heights of a row are its shares on a scale common to all rows.
    counts = np.histogram(best, np.append(centres - half, centres[-1] + half))[0]
    assert heights[0] / heights[0].sum() == pytest.approx(counts / counts.sum(), abs=2e-3)


def test_orange_is_below_zero_and_the_share_of_losses_is_that_of_the_draws(
    comparison: Comparison,
) -> None:
    chart = present(distribution_chart(comparison))
    bars = chart.figure["data"][0]
    for x, colour in zip(bars["x"], bars["marker"]["color"], strict=True):
        assert colour == (ORANGE if x < 0 else BLUE)
    best = next(o for name, o in comparison.outcomes.items() if name == first_of(comparison))
    assert chart.rows[0][0] == best.account.label
    lost = round(100 * float((best.npv_usd < 0).mean()))
    assert chart.rows[0][1] in (f"{lost} %", "<1 %")


def first_of(comparison: Comparison) -> str:
    means = {k: float(v.mean()) for k, v in comparison.payoffs().items() if k != "status_quo"}
    return max(means, key=lambda name: means[name])


def test_nothing_but_nothing_has_no_spread(comparison: Comparison) -> None:
    alone = comparison.scenario.model_copy(update={"alternatives": ("status_quo",)})
    assert distribution_chart(compare(alone, n=256)) is None


def test_a_tornado_runs_from_low_to_high_around_the_middle() -> None:
    bar = Bar(input=REQUESTS, low_value=1e4, high_value=3e4, payoff_at_low=-5e3, payoff_at_high=2e4)
    still = Bar(input="horizon", low_value=0, high_value=1, payoff_at_low=7, payoff_at_high=7)
    drawn = present(tornado_chart(template("support-assistant"), [bar, still], 7.0, "the lead"))
    low, high = drawn.figure["data"]
    assert low["base"] + low["x"][0] == pytest.approx(-5e3)
    assert high["base"] + high["x"][0] == pytest.approx(2e4)
    assert (low["marker"]["color"], high["marker"]["color"]) == (ORANGE, BLUE)
    assert len(drawn.rows) == 1, "what moves nothing is not shown"
    assert drawn.finding.startswith("The lead is $7;")
    assert tornado_chart(template("support-assistant"), [still], 7.0, "it") is None


def test_the_lead_at_medians_is_the_difference_of_two_worths(comparison: Comparison) -> None:
    fixed = {p: q.median() for p, q in comparison.scenario.inputs().items() if not q.is_fixed}
    path = "value.human_cost_usd_per_request"
    quantity = comparison.scenario.inputs()[path]
    lead = present(lead_tornado(comparison, "prompting", "status_quo", at_medians=True))
    alone = present(worth_tornado(comparison, "prompting", at_medians=True))
    assert lead.rows == alone.rows, "doing nothing is worth nothing"
    low = float(quantity.ppf(np.array([0.1]))[0])
    given = {p: v for p, v in fixed.items() if p != path} | {path: low}
    worth = compare(with_inputs(comparison.scenario, given), n=256).payoffs()["prompting"]
    row = next(i for i, row in enumerate(alone.rows) if row[-1] == path)
    bars = alone.figure["data"][0]
    assert bars["base"] + bars["x"][row] == pytest.approx(float(np.median(worth)), rel=0.2)


def test_only_what_chance_does_not_explain_is_said_to_decide() -> None:
    def one(distance: float) -> Separation:
        return Separation(input=REQUESTS, distance=distance, noise=0.1, auc=0.7,
                          typical_when_winning=2e4, typical_when_losing=1e4)  # fmt: skip

    scenario = template("support-assistant")
    drawn = present(separation_chart(scenario, [one(0.4), one(0.05)], "RAG"))
    assert drawn.figure["data"][0]["x"] == [0.4]
    assert "20,000 against 10,000" in drawn.finding
    assert separation_chart(scenario, [one(0.05)], "RAG") is None


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        ("requests/month", "10 to 20 requests"),
        ("USD/GPU", "$10 to $20"),
        ("share", "1,000 % to 2,000 %"),
        ("factor", "10 to 20"),
        (None, "10 to 20"),
    ],
)
def test_a_pair_says_its_unit_once(unit: str | None, said: str) -> None:
    assert pair(10.0, "to", 20.0, unit) == said


def test_studies_show_their_worth_and_their_cost(worth: Worth) -> None:
    drawn = present(study_chart(worth))
    bars, costs = drawn.figure["data"]
    helpful = [one for one in worth.studies if one.evsi_usd >= 1][: len(bars["x"])]
    assert bars["x"] == [one.evsi_usd for one in helpful]
    assert costs["x"] == [one.cost_usd for one in helpful]
    paying = [colour == BLUE for colour in bars["marker"]["color"]]
    assert paying == [one.evsi_usd > one.cost_usd for one in helpful]


def test_the_curve_crosses_zero_where_the_dots_are(crossing: BreakEven) -> None:
    curve, dots = break_even_chart(crossing).figure["data"]
    assert dots["x"], "doing nothing is better for few requests"
    for x in dots["x"]:
        near = np.interp(x, curve["x"], curve["y"])
        assert abs(near) < 0.02 * np.ptp(curve["y"])
    layout = break_even_chart(crossing).figure["layout"]
    assert layout["xaxis"]["type"] == "log"
    low, high = layout["xaxis"]["range"]
    assert all(low <= np.log10(tick) <= high for tick in layout["xaxis"]["tickvals"])
    assert any("chance of 80 %" in line for line in chance_lines(crossing))


def test_ways_of_paying_are_lines_through_any_use_between() -> None:
    chart = usage_chart(used(0), used(HOURS_PER_MONTH), used(300))
    between = used(300)
    ways = {WAYS[way]: way for way in between.usd_per_month}
    for line in chart.figure["data"]:
        way = ways[line["name"]]
        expected = float(np.median(between.usd_per_month[way]))
        assert np.interp(300, line["x"], line["y"]) == pytest.approx(expected, rel=0.03)
    marks = [shape["x0"] for shape in chart.figure["layout"]["shapes"]]
    limit = float(np.median(between.break_even_utilisation))
    assert marks == pytest.approx([300, limit * HOURS_PER_MONTH])
    assert all("  %" not in line for line in usage_lines(between))


def test_buying_that_never_pays_has_no_mark() -> None:
    def cheap(hours: float) -> BuyOrRent:
        given = {"on_demand_usd_per_gpu_hour": Quantity.of(0.01)}
        return buy_or_rent("h100-sxm5-80gb", 8, hours_per_month=hours, years=3, given=given)

    chart = usage_chart(cheap(0), cheap(HOURS_PER_MONTH), cheap(10))
    assert len(chart.figure["layout"]["shapes"]) == 1
    assert "never idle" in chart.finding


def test_a_run_is_drawn_by_how_far_its_prediction_was_off() -> None:
    before, after, dots = own_run_chart([RUN]).figure["data"]
    assert (before["base"], before["x"]) == ([0.6], [0.4])
    assert after["base"][0] + after["x"][0] == pytest.approx(1.06)
    assert dots["x"] == [0.98]
    assert "-20.0 % → -2.0 %" in own_run_chart([RUN]).finding


def test_a_measurement_outside_its_range_is_drawn_so() -> None:
    inside, outside = present(agreement_chart(ROWS, "GiB")).figure["data"]
    assert (inside["x"], inside["y"]) == ([10], [11])
    assert (outside["x"], outside["y"]) == ([100], [50])
    assert present(agreement_chart(ROWS, "GiB")).rows[0][0] == "y"
    nothing = Validation(rows=0, suspect_left_out=0, unexpressed={}, predictions=(), unit="GiB")
    assert agreement_chart(nothing, "GiB") is None


def test_kept_runs_are_predicted_anew_and_the_unknown_left_out() -> None:
    recipe = TrainingRecipe(method="full", sequence_length=2048).model_dump(mode="json")
    run = {"log": "a.json", "model": "meta-llama/Llama-3.1-8B", "gpus": 8, "recipe": recipe}
    run |= {"tokens_per_second_per_gpu": 5000.0}
    runs = {"runs": [run, run | {"model": "nobody/knows-it"}]}
    file, path = file_of(kind="logs", evidence=runs), Path("x.json")
    (found,) = kept_comparisons([(path, file)])
    assert found.measured == 5000 and found.before == found.after
    assert found.before[0] < found.before[1] < found.before[2]
    assert file_row(path, file)[2] == "training logs"
    assert step_row(file) is None


def test_a_benchmark_is_kept_with_its_two_ways_to_a_step() -> None:
    predicted = {"slices_seconds": 2.04, "model_seconds": 1.938}
    file = file_of(evidence={"model": "a/b", "prediction": predicted})
    assert step_row(file) == ("a/b", "2026-11-20 12:00", "2.04", "1.94", "-5.0 %")
    cut_short = {"model": "a/b", "prediction": predicted | {"slices_seconds": None}}
    assert step_row(file_of(evidence=cut_short)) is None


def test_time_used_is_a_share() -> None:
    assert used_share(10, 30) == 0.25
    assert used_share(0, 0) == 0.0
    assert used_share(10, None) == 1.0
