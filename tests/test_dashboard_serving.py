"""The page "Serving" as a user meets it: load, limits, and what cannot be done."""

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest

from estimator.llm.resolve import resolve_model
from estimator.scenario.served import serving_need
from estimator.scenario.templates import template, template_names

ROOT = Path(__file__).parent.parent
PAGE = "estimator/dashboard/pages/serving.py"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path))


def opened(**link: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def with_model(model: str) -> AppTest:
    """The page with a model that the list lacks; the test's own selectbox cannot type it."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.session_state["_serving.model.start"] = template("support-assistant").model
    app.session_state["serving.model"] = model
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def headline(app: AppTest) -> str:
    bodies = [str(element.proto.body) for element in app.get("html")]
    found = next(body for body in bodies if 'class="verdict"' in body)
    return re.search(r'class="verdict">(.*?)</', found).group(1)  # type: ignore[union-attr]


def words(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def set_to(app: AppTest, kind: str, key: str, value: Any) -> None:
    getattr(app, kind)(key=f"serving.{key}").set_value(value).run()
    assert not app.exception


def test_it_answers_from_the_scenario_before_any_input() -> None:
    app = opened()
    scenario = template("support-assistant")
    need = serving_need(scenario)
    assert scenario.model in headline(app) and scenario.api.model in headline(app)
    assert not app.error and not app.warning
    asked = app.number_input(key="serving.requests").value
    assert asked == round(need.requests_per_month)
    assert asked == pytest.approx(
        scenario.demand.requests_per_month.median() * scenario.demand.in_scope_share.median(),
        abs=0.5,
    )
    alts = [str(chart.proto.alt) for chart in app.get("plotly_chart")]
    assert len(alts) == 2 and all(len(alt) > 40 for alt in alts)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("number_input", "requests", 5e6),
        ("number_input", "input", 6000.0),
        ("number_input", "output", 2000.0),
        ("number_input", "tpot", 0.02),
        ("number_input", "spares", 3),
        ("segmented_control", "weights", "int4"),
        ("selectbox", "model", "Qwen/Qwen3-14B"),
        ("pills", "tiers", ["spot"]),
        ("toggle", "autoscale", True),
    ],
)
def test_each_main_input_changes_the_answer(kind: str, key: str, value: Any) -> None:
    app = opened()
    before = words(app)
    set_to(app, kind, key, value)
    assert not app.error and not app.warning
    assert words(app) != before


def test_ten_times_the_requests_cost_less_each() -> None:
    def per_request() -> float:
        found = re.search(r"\$([\d.]+) a request", words(app))
        assert found
        return float(found.group(1))

    app = opened()
    few = per_request()
    set_to(app, "number_input", "requests", 10.0 * app.number_input(key="serving.requests").value)
    assert per_request() < few


def test_inputs_survive_a_look_at_another_page_and_follow_a_new_template() -> None:
    app = opened()
    set_to(app, "number_input", "requests", 5e6)
    app.switch_page("estimator/dashboard/pages/costs.py").run()
    app.switch_page(PAGE).run()
    assert app.number_input(key="serving.requests").value == 5e6
    app.selectbox(key="template").set_value("code-assistant").run()
    own = serving_need(template("code-assistant"))
    assert app.number_input(key="serving.requests").value == round(own.requests_per_month)
    assert app.number_input(key="serving.ttft").value == own.ttft_seconds


def test_what_cannot_be_served_says_the_way_out() -> None:
    app = opened()
    set_to(app, "number_input", "ttft", 0.001)
    assert not app.error and "None of the" in headline(app)
    assert "more time to the first token" in str(app.warning[0].value)
    assert "cannot meet TTFT" in words(app)
    assert not app.get("plotly_chart")
    set_to(app, "number_input", "ttft", 2.0)
    assert not app.warning and app.get("plotly_chart")


def test_no_kind_of_price_and_an_unknown_model_are_mistakes_in_words() -> None:
    app = opened()
    set_to(app, "pills", "tiers", [])
    assert len(app.error) == 1 and "kind of price" in app.error[0].value
    app = with_model("meta-llama/Llama-3.1-8")
    assert len(app.error) == 1 and "Llama-3.1-8B" in str(app.error[0].value)


@pytest.mark.parametrize("name", template_names())
def test_the_load_is_that_of_the_scenario(name: str) -> None:
    scenario = template(name)
    need = serving_need(scenario)
    d = scenario.demand
    assert need.requests_per_month < d.requests_per_month.median()
    assert need.input_tokens > d.input_tokens_per_request.median()
    assert need.output_tokens == d.output_tokens_per_request.median()
    assert need.redundancy == scenario.serving.spare_replicas
    assert resolve_model(scenario.model, offline=True).architecture.context_length
