"""The page "Risk", and buying against renting on the page "Costs"."""

import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest
from test_dashboard_app import opened

from estimator.dashboard import risk
from estimator.dashboard.results import DRAWS, SEED, comparison
from estimator.decision.choose import ranking
from estimator.decision.thresholds import find_break_even
from estimator.report.breakeven import sentence

RISK = "estimator/dashboard/pages/risk.py"
COSTS = "estimator/dashboard/pages/costs.py"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def at(page: str, **link: str) -> AppTest:
    app = opened(**link)
    app.switch_page(page).run()
    assert not app.exception and not app.error
    return app


def alts(app: AppTest) -> list[str]:
    return [str(chart.proto.alt) for chart in app.get("plotly_chart")]


def words(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def test_what_costs_nothing_is_there_at_once_and_what_is_heavy_is_not() -> None:
    app = at(RISK)
    shown = alts(app)
    assert len(shown) == 4
    assert shown[0].startswith("Spread of the worth")
    assert shown[1].startswith("The lead of RAG on an API model over")
    assert shown[2].startswith("What separates the futures in which RAG on an API model wins")
    assert shown[3].startswith("Worth of finding out")


def test_what_moves_it_can_be_asked_of_any_alternative_and_in_two_ways() -> None:
    app = at(RISK)
    verdict = app.session_state["_shown"].decision.verdict
    key = f"risk.of.{verdict.alternative}.{verdict.runner_up}"
    app.selectbox(key=key).select("saas").run()
    free = alts(app)[1]
    assert free.startswith("The worth of Buy a SaaS assistant")
    app.segmented_control(key="risk.others").set_value("at their medians").run()
    assert not app.exception and alts(app)[1] != free


def test_heavy_work_waits_to_be_asked_for() -> None:
    app = at(RISK)
    app.toggle(key="risk.studies").set_value(True).run()
    assert not app.exception and len(alts(app)) == 5
    assert "to the decision" in words(app)
    app.toggle(key="risk.together").set_value(True).run()
    assert not app.exception and not app.error
    assert any(alt.startswith("Share of the spread") for alt in alts(app))


def test_the_break_even_is_that_of_the_command() -> None:
    app = at(RISK)
    shown = app.session_state["_shown"]
    app.button(key="FormSubmitter:risk.crossing-Find it").click().run()
    assert not app.exception and not app.error
    verdict = shown.decision.verdict
    path = "demand.requests_per_month"
    found = find_break_even(shown.scenario, path, verdict.alternative, verdict.runner_up)
    assert sentence(found) == alts(app)[-1]
    # It stays while sliders move, for the scenario as it then is.
    app.select_slider(key="value.human_cost_usd_per_request").set_value(30.0).run()
    assert not app.exception and len(alts(app)) == 5 and alts(app)[-1] != sentence(found)


def test_a_break_even_with_itself_is_a_mistake_in_one_line() -> None:
    app = at(RISK)
    verdict = app.session_state["_shown"].decision.verdict
    app.selectbox(key=f"risk.crossing.and.{verdict.runner_up}").select(verdict.alternative)
    app.button(key="FormSubmitter:risk.crossing-Find it").click().run()
    assert not app.exception
    assert len(app.error) == 1 and "itself" in app.error[0].value


def test_doing_nothing_alone_has_no_risk_and_one_way_is_enough() -> None:
    app = at(RISK)
    app.pills(key="alternatives").set_value([]).run()
    assert not app.exception and not app.error and not alts(app)
    assert "only alternative" in words(app)
    app.pills(key="alternatives").set_value(["rag"]).run()
    assert not app.exception and not app.error and len(alts(app)) >= 2


def test_a_pair_is_the_two_best_by_expected_worth() -> None:
    app = opened()
    shown = app.session_state["_shown"]
    found = comparison(shown.yaml, DRAWS, SEED)
    verdict = shown.decision.verdict
    pair = risk.best_two(shown.decision.labels, verdict.alternative, verdict.runner_up)
    rivals = [name for name in ranking(found.payoffs()) if name != "staged"]
    assert pair == tuple(rivals[:2])
    assert risk.best_two(shown.decision.labels, verdict.alternative, None) is None


def test_buying_gets_better_with_use() -> None:
    app = at(COSTS)
    app.slider(key="buying.hours").set_value(0).run()
    assert "renting on demand is cheaper in &gt;99 %".replace(" %", "\u00a0%") in words(app)
    app.slider(key="buying.hours").set_value(730).run()
    assert not app.exception and "buying is cheaper in" in words(app)
    gpu = next(box for box in app.selectbox if box.key.startswith("buying.gpu."))
    before = alts(app)[-1]
    gpu.select(next(name for name in gpu.options if name != gpu.value)).run()
    assert not app.exception and not app.error and alts(app)[-1] != before
