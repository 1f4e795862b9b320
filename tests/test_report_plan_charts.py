"""Charts and tables of plans: plotly accepts them, and their numbers are those of the plans."""

import json
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from estimator.dataset import typed_profile
from estimator.decision.currency import shown_in
from estimator.decision.wording import money
from estimator.llm.resolve import resolve_model
from estimator.quantity import Quantity
from estimator.report import plan_charts, plan_tables, serving_charts
from estimator.report.charts import Chart
from estimator.scenario.served import serving_need
from estimator.scenario.templates import template
from estimator.serving.plan import ServingPlan, plan_serving
from estimator.serving.rivals import Rival, rivals
from estimator.training.planning.costs import Effort, level_of
from estimator.training.planning.forms import FormWish
from estimator.training.planning.market import Limits
from estimator.training.planning.plan import Plans, PlanWish, plan
from pricing.offers import gpu_offers, matching_offers

LLAMA = resolve_model("meta-llama/Llama-3.1-8B", offline=True).architecture
GPUS = ("l4-24gb", "h100-sxm5-80gb", "b200-sxm-180gb", "t4-16gb")
FEW = tuple(offer for offer in gpu_offers() if offer.gpu in GPUS)
DATA = typed_profile(total_tokens=5e7)
FREE = Limits()
API = ("openai", "gpt-4.1-mini")


def wish(limits: Limits, **form: object) -> PlanWish:
    forms = FormWish(**form)  # type: ignore[arg-type]
    return PlanWish(effort=Effort(epochs=Quantity(value=3.0)), limits=limits, form=forms)


@cache
def plans(limits: Limits = FREE) -> Plans:
    return plan(LLAMA, DATA, wish(limits), offers=FEW)


@cache
def serving() -> tuple[ServingPlan, tuple[Rival, ...]]:
    need = replace(
        serving_need(template("support-assistant")), requests_per_month=3e6, autoscale=True
    )
    found = plan_serving(LLAMA, need, matching_offers(tiers=["on_demand"], offers=FEW))
    return found, rivals(found, LLAMA, also=[API])


def api_prices() -> list[Rival]:
    return [rival for rival in serving()[1] if (rival.provider, rival.name) == API]


def every_chart() -> list[Chart]:
    found = plans()
    assert found.best is not None
    made = [
        plan_charts.pareto_chart(found),
        plan_charts.memory_chart(found.best),
        plan_charts.step_chart(found.best),
        serving_charts.day_chart(serving()[0]),
        serving_charts.volume_chart(serving()[0], api_prices()),
    ]
    assert None not in made
    return [chart for chart in made if chart is not None]


def test_plotly_accepts_every_figure_and_each_has_words_and_a_table() -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for chart in every_chart():
        graph_objects.Figure(chart.figure)
        json.dumps(chart.figure, allow_nan=False)
        assert chart.finding.endswith(".")
        assert chart.rows and all(len(row) == len(chart.columns) for row in chart.rows)


def test_the_line_is_the_front_and_every_plan_is_a_point() -> None:
    found = plans()
    chart = plan_charts.pareto_chart(found)
    assert chart is not None
    others, front = chart.figure["data"]
    assert front["x"] == [p.cost.wall_clock_hours.p50 for p in found.front]
    assert front["y"] == [p.cost.cost_usd.p50 for p in found.front]
    assert front["y"] == sorted(front["y"]) and front["x"] == sorted(front["x"], reverse=True)
    assert len(others["x"]) + len(front["x"]) == len(found.plans) == len(chart.rows)
    for rank, one in zip(front["text"], found.front, strict=True):
        assert not rank or found.plans[int(rank) - 1] is one
    low, high = chart.figure["layout"]["xaxis"]["range"]
    assert all(low < np.log10(hours) < high for hours in (*front["x"], *others["x"]))


@pytest.mark.parametrize("value", [1e-3, 0.02, 0.7, 1.0, 4.9, 33.0, 700.0, 6e4])
def test_even_the_shortest_scale_has_a_tick(value: float) -> None:
    ends = plan_charts.log_ends([value])
    made = plan_charts.log_axis("", ends, plan_charts.round_numbers(ends), money)
    assert made["tickvals"]
    if 1 / 60 <= value < 365 * 24:
        times = plan_charts.log_axis("", ends, plan_charts.DURATION_TICKS, str)
        assert times["tickvals"]


def test_limits_are_drawn_where_they_lie_on_the_scale() -> None:
    slowest = max(one.cost.wall_clock_hours.p50 for one in plans().plans)
    found = plans(Limits(deadline_hours=1.8 * slowest, budget_usd=1e9))
    chart = plan_charts.pareto_chart(found)
    assert chart is not None
    words = [a["text"].strip() for a in chart.figure["layout"]["annotations"]]
    assert words == ["deadline"]
    assert [s["x0"] for s in chart.figure["layout"]["shapes"]] == [1.8 * slowest]


def test_the_memory_bar_is_the_median_peak_on_the_card() -> None:
    best = plans().best
    assert best is not None
    chart = plan_charts.memory_chart(best)
    peak = float(best.cost.memory.peak_bytes[1]) / 2**30
    assert sum(trace["x"][0] for trace in chart.figure["data"]) == pytest.approx(peak)
    capacity = best.option.candidate.machine.gpu.memory_gib
    assert chart.figure["layout"]["xaxis"]["range"][1] == pytest.approx(capacity)
    assert "other" not in plan_charts.memory_groups(best.cost.memory)


def test_shares_of_a_step_are_drawn_largest_first_and_sum_to_it() -> None:
    for one in plans().plans:
        shares = plan_charts.step_chart(one).figure["data"][0]["x"]
        assert shares == sorted(shares, reverse=True)
        assert 0.97 < sum(shares) <= 1.0 + 1e-9


def test_sentence_and_facts_are_of_the_first_plan() -> None:
    found = plans()
    best = found.best
    assert best is not None
    sentence = plan_tables.plan_sentence(found, LLAMA.id)
    assert LLAMA.id in sentence and best.offer.gpu in sentence
    assert money(best.cost.cost_usd.p50) in sentence
    facts = {name: value for name, value, _ in plan_tables.plan_facts(best)}
    assert facts["Cost"] == money(best.cost.cost_usd.p50)
    assert facts["Share of the GPU's peak (MFU)"] == f"{best.cost.run.mfu.p50:.0%}"
    assert "Electricity" in facts and "Tokens a second and GPU" in facts


def test_amounts_follow_the_currency() -> None:
    with shown_in("EUR"):
        rows = list(plan_tables.plan_rows(plans()))
        assert all("€" in row[1] and "$" not in row[1] for row in rows)


def test_every_offer_is_listed_or_has_its_fate_without_the_commands_flags() -> None:
    found = plans()
    rows = list(plan_tables.fates(found))
    named = {one.offer.id for one in found.plans} | {row[0] for row in rows}
    assert named == {offer.id for offer in FEW}
    assert not [row for row in rows if "--" in row[-1]]
    assert any("spot" in row[-1] for row in rows)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(deadline_hours=24.0, budget_usd=1.0), "Raise the budget"),
        (Limits(deadline_hours=0.3, budget_usd=150.0), "Extend the deadline"),
        (Limits(deadline_hours=0.01, budget_usd=0.5), "and the budget"),
    ],
)
def test_the_way_out_is_one(limits: Limits, said: str) -> None:
    assert plans(limits).best is None
    relaxed = plans(Limits(objective="both"))
    ways = list(plan_tables.ways_out(limits, relaxed))
    assert ways and said in ways[0] + ways[-1]
    budget = re.search(r"budget to \$([\d.,]+)", ways[0])
    hours = re.search(r"deadline to ([\d.,]+) hours", ways[0])
    changed = replace(
        limits,
        budget_usd=number(budget) if budget else limits.budget_usd,
        deadline_hours=number(hours) if hours else limits.deadline_hours,
    )
    kept = [
        one
        for one in relaxed.plans
        if level_of(one.cost.cost_usd, limits.sure) <= (changed.budget_usd or 0)
        and level_of(one.cost.wall_clock_hours, limits.sure) <= (changed.deadline_hours or 0)
    ]
    assert kept
    assert plans(changed).best is not None


def number(found: re.Match[str]) -> float:
    return float(found.group(1).replace(",", ""))


def test_a_day_and_the_volume_are_those_of_the_cheapest_option() -> None:
    found, _ = serving()
    day, volume = serving_charts.day_chart(found), serving_charts.volume_chart(found, api_prices())
    assert day is not None and volume is not None
    replicas, use = day.figure["data"]
    assert max(replicas["y"]) == found.options[0].replicas
    assert len(use["y"]) == 24 and 0.0 < max(use["y"]) <= 1.0
    own, api = volume.figure["data"]
    now = own["x"].index(pytest.approx(found.need.requests_per_month))
    assert own["y"][now] == pytest.approx(found.options[0].usd_per_request.p50)
    assert set(api["y"]) == {api_prices()[0].usd_per_request.p50}
    [_, crossing] = volume.figure["layout"]["shapes"]
    dearer = [x for x, usd in zip(own["x"], own["y"], strict=True) if usd > api["y"][0]]
    assert crossing["x0"] == next(x for x in own["x"] if x > max(dearer))
    assert "cheaper than openai gpt-4.1-mini from" in volume.finding


def test_few_of_each_kind_and_always_the_named() -> None:
    _, others = serving()
    few = serving_charts.few_of_each(others, api_prices())
    assert api_prices()[0] in few and len(few) < len(others)
    assert {rival.kind for rival in few} == {rival.kind for rival in others}
    usd = [rival.usd_per_month.p50 for rival in few]
    assert usd == sorted(usd)


def test_what_cannot_be_served_says_the_way_out() -> None:
    need = replace(serving()[0].need, ttft_seconds=1e-6)
    found = plan_serving(LLAMA, need, FEW)
    assert not found.options
    assert serving_charts.day_chart(found) is None
    assert serving_charts.volume_chart(found, []) is None
    assert "None of the" in serving_charts.serving_sentence(found, None)
    assert "more time to the first token" in serving_charts.serving_way_out(found)
    counted = sum(int(offers) for _, offers in serving_charts.refusal_rows(found))
    assert counted == len(found.refused) == len(FEW)


@pytest.mark.parametrize(
    ("x", "shown"), [(940.0, "940"), (1300.0, "1.3k"), (694_000.0, "690k"), (2.5e9, "2.5B")]
)
def test_counts_in_short(x: float, shown: str) -> None:
    assert serving_charts.short(x) == shown
