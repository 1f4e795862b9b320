"""The dashboard as a user meets it: templates, sliders, links, uploads, and mistakes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest

from estimator.cli.dashboard import ENVIRONMENT, OPTIONS, server_command
from estimator.dashboard import session
from estimator.dashboard.main import PAGES
from estimator.dashboard.sidebar import FIRST_TEMPLATE
from estimator.errors import InputError
from estimator.scenario import ALTERNATIVES
from estimator.scenario.files import dump_scenario, parse_scenario
from estimator.scenario.templates import template, template_names

ROOT = Path(__file__).parent.parent
COST = "value.human_cost_usd_per_request"
SECONDS = 120


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def opened(**link: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=SECONDS)
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def html(app: AppTest, wanted: str) -> str:
    """The text of the first piece of HTML with this class."""
    bodies = [*(m.value for m in app.markdown), *(str(e.proto.body) for e in app.get("html"))]
    found = next(body for body in bodies if f'class="{wanted}"' in body)
    return re.search(rf'class="{wanted}"[^>]*>(.*?)</', found).group(1)  # type: ignore[union-attr]


def verdict(app: AppTest) -> str:
    return html(app, "verdict")


@pytest.mark.parametrize("name", template_names())
def test_every_template_answers_and_a_slider_changes_the_answer(name: str) -> None:
    app = opened(template=name.replace("-", " ").capitalize())
    before = verdict(app)
    assert template(name).name in html(app, "kicker").replace("&amp;", "&")
    assert len(before) > 60 and not app.error and not app.warning
    slider = app.select_slider(key=COST)
    slider.set_value(min(slider_values(app, COST))).run()
    assert not app.exception and not app.error
    assert verdict(app) != before


def slider_values(app: AppTest, path: str) -> tuple[float, ...]:
    shown = app.session_state["_shown"]
    return next(entry.options for entry in shown.wish.inputs if entry.path == path)


def test_a_change_is_listed_and_can_be_taken_back() -> None:
    app = opened()
    before = verdict(app)
    app.select_slider(key=COST).set_value(30.0).run()
    assert verdict(app) != before
    changed = app.button(key=f"reset.{COST}")
    assert r"\$8.30 → \$30" in changed.label
    changed.click().run()
    assert verdict(app) == before
    assert not [b for b in app.button if b.key == "reset"]


def test_reset_all_takes_every_change_back() -> None:
    app = opened()
    before = verdict(app)
    app.select_slider(key=COST).set_value(30.0).run()
    app.select_slider(key="horizon_months").set_value(12).run()
    assert "12 months" in html(app, "kicker")
    app.button(key="reset").click().run()
    assert verdict(app) == before


def test_a_new_template_starts_from_its_own_inputs() -> None:
    app = opened()
    app.select_slider(key=COST).set_value(30.0).run()
    app.selectbox(key="template").set_value("internal-search").run()
    assert not app.exception
    own = template("internal-search").inputs()[COST].median()
    assert app.select_slider(key=COST).value == own
    assert app.session_state["_shown"].wish.changed == ()


def test_any_other_input_can_be_given_a_slider() -> None:
    app = opened()
    path = "data.examples"
    app.multiselect(key="more").set_value([path]).run()
    before = app.session_state["_shown"].yaml
    app.select_slider(key=path).set_value(max(slider_values(app, path))).run()
    after = app.session_state["_shown"]
    assert after.yaml != before
    assert after.scenario.data.examples.source == "set in the dashboard"


def test_a_link_restores_what_it_carries() -> None:
    changed = opened()
    changed.select_slider(key=COST).set_value(30.0).run()
    restored = opened(**{"template": "Support assistant", COST: "$30"})
    assert restored.select_slider(key=COST).value == 30.0
    assert verdict(restored) == verdict(changed)


def test_a_link_that_asks_for_the_impossible_says_so() -> None:
    app = opened(**{COST: "$1,234,567", "no.such.input": "1", "template": "None such"})
    messages = " ".join(str(warning.value) for warning in app.warning)
    assert COST.replace("_", r"\_") in messages and "no.such.input" in messages
    assert r"\$8.30 stays" in messages
    assert "None such" in messages
    assert len(app.warning) == 3
    app.select_slider(key=COST).set_value(30.0).run()
    assert not app.warning


def test_an_unknown_model_gives_one_message_and_the_unchanged_answer() -> None:
    app = opened(**{"api.model": "openai/gpt-4.1-minni"})
    assert len(app.error) == 1
    assert "gpt-4.1-minni" in str(app.error[0].value) and "nearest" in str(app.error[0].value)
    assert verdict(app) == verdict(opened())


def test_what_does_not_fit_gives_one_message_and_the_last_good_answer() -> None:
    app = opened(template="Domain expert")
    app.select_slider(key=COST).set_value(100.0).run()
    before = verdict(app)
    app.selectbox(key="training.method").set_value("full").run()
    assert not app.exception
    assert len(app.error) == 1 and "does not fit" in str(app.error[0].value)
    assert verdict(app) == before
    app.button(key="reset.training.method").click().run()
    assert not app.error and verdict(app) == before


def test_fewer_ways_can_be_compared_down_to_none() -> None:
    app = opened()
    app.pills(key="alternatives").set_value(["saas", "rag"]).run()
    assert not app.exception and not app.error
    shown = app.session_state["_shown"]
    assert shown.scenario.alternatives == ("status_quo", "rag", "saas")
    assert "8 besides doing nothing → 2" in app.button(key="reset.alternatives").label
    app.pills(key="alternatives").set_value([]).run()
    assert not app.exception and not app.error
    assert "only alternative" in verdict(app)
    app.button(key="reset.alternatives").click().run()
    assert len(app.session_state["_shown"].decision.labels) == len(ALTERNATIVES)


def test_a_fault_of_ours_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened()
    before = verdict(app)

    def broken(_: str) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(session, "decision", broken)
    app.select_slider(key=COST).set_value(30.0).run()
    assert not app.exception
    assert session.OUR_FAULT in str(app.error[0].value)
    assert "secret" not in str(app.error[0].value)
    assert verdict(app) == before


def test_an_upload_replaces_the_template() -> None:
    app = opened()
    text = "name: Tiny <b>desk</b>\ndemand: {requests_per_month: 400}\nalternatives: [rag, saas]\n"
    app.file_uploader(key="file").upload("tiny.yaml", text.encode(), "application/yaml").run()
    assert not app.exception and not app.error
    assert "Tiny &lt;b&gt;desk" in html(app, "kicker")
    assert len(app.session_state["_shown"].decision.labels) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"demand: {requests_per_month: 1, growht_per_year: 0.1}", "growth"),
        (b"demand: {requests_per_month: -5}", "at least 0"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"[1, 2", "not YAML"),
    ],
)
def test_a_bad_upload_gives_one_message_and_keeps_the_page(content: bytes, message: str) -> None:
    app = opened()
    before = verdict(app)
    app.file_uploader(key="file").upload("mine.yaml", content, "application/yaml").run()
    assert not app.exception
    assert len(app.error) == 1
    assert "mine.yaml" in str(app.error[0].value) and message in str(app.error[0].value)
    assert verdict(app) == before


def test_the_shown_scenario_is_a_scenario_file() -> None:
    app = opened()
    app.select_slider(key=COST).set_value(30.0).run()
    shown = app.session_state["_shown"]
    again = parse_scenario(shown.yaml)
    assert dump_scenario(again) == shown.yaml
    assert again.value.human_cost_usd_per_request.median() == pytest.approx(30)


def test_every_chart_says_its_finding_in_words() -> None:
    app = opened()
    alts = [str(chart.proto.alt) for chart in app.get("plotly_chart")]
    rows = [found for m in app.markdown for found in re.findall('aria-label="(.*?)"', m.value)]
    assert len(alts) == 2 and len(rows) == 3
    alts += rows
    assert all(len(alt) > 40 for alt in alts)


def test_the_first_template_exists() -> None:
    assert FIRST_TEMPLATE in template_names()


def test_settings_of_file_and_command_agree() -> None:
    file = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))
    flat = {
        f"{section}.{name}": str(value).lower() if isinstance(value, bool) else str(value)
        for section, entries in file.items()
        for name, value in entries.items()
    }
    assert flat.pop("server.address") == "127.0.0.1"
    assert (ROOT / flat.pop("theme.base")).samefile(theme_of(server_command(0, "::1")))
    assert flat.items() <= dict(OPTIONS).items()
    assert OPTIONS["browser.gatherUsageStats"] == "false"
    assert ENVIRONMENT["HF_HUB_OFFLINE"] == "1"


def theme_of(command: list[str]) -> Path:
    return Path(command[command.index("--theme.base") + 1])


def test_the_command_serves_where_it_is_told() -> None:
    command = server_command(8123, "0.0.0.0")
    assert command[command.index("--server.port") + 1] == "8123"
    assert command[command.index("--server.address") + 1] == "0.0.0.0"
    assert Path(command[command.index("run") + 1]).exists()


def test_a_taken_port_is_a_mistake_in_one_line() -> None:
    import socket

    from estimator.cli.dashboard import dashboard

    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(InputError, match=r"in use; --port 0 takes a free one$"),
    ):
        dashboard(port=taken.getsockname()[1], address="127.0.0.1")


@pytest.mark.parametrize("name", template_names())
def test_every_page_shows_every_template(name: str) -> None:
    app = opened(template=name.replace("-", " ").capitalize())
    sentence = verdict(app).split(" because ")[0]
    for page, _, _ in PAGES:
        app.switch_page(f"estimator/dashboard/pages/{page}.py").run()
        assert not app.exception and not app.error, page
        charts = len(app.get("plotly_chart"))
        assert charts >= CHARTS.get(page, 1), page
        assert sentence in html(app, "verdict" if page == "decide" else "sure"), page


CHARTS = {"assumptions": 0, "benchmark": 0, "scenarios": 0}


def test_a_dataset_page_reads_a_file_and_says_what_is_wrong_with_another() -> None:
    app = opened()
    app.switch_page("estimator/dashboard/pages/dataset.py").run()
    rows = "".join(f'{{"prompt": "what is {i}?", "completion": "{i}"}}\n' for i in range(50))
    app.file_uploader(key="dataset.file").upload("mine.jsonl", rows.encode()).run()
    assert not app.exception and not app.error
    assert "mine.jsonl" in " ".join(str(e.proto.body) for e in app.get("html"))
    app.file_uploader(key="dataset.file").set_value(("bad.jsonl", b"\x00\x01", "x")).run()
    assert not app.exception
    assert "bad.jsonl" in app.error[0].value


def test_assumptions_can_be_found_by_a_word() -> None:
    app = opened()
    app.switch_page("estimator/dashboard/pages/assumptions.py").run()
    every = len(app.data_editor[0].value)
    app.text_input(key="assumptions.find").set_value("gpu").run()
    assert 0 < len(app.data_editor[0].value) < every
