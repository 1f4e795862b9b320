"""The page "Training plan" as a user meets it: limits, uploads, what cannot be done."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest

from estimator.scenario.templates import template

ROOT = Path(__file__).parent.parent
PAGE = "estimator/dashboard/pages/plan.py"
CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 22,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path))


def opened(page: str = PAGE, **link: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    app.switch_page(page).run()
    assert not app.exception
    return app


def with_model(model: str) -> AppTest:
    """The page with a model that the list lacks; the test's own selectbox cannot type it."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120).run()
    app.session_state["_plan.model.start"] = template("support-assistant").model
    app.session_state["plan.model"] = model
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
    getattr(app, kind)(key=f"plan.{key}").set_value(value).run()
    assert not app.exception


def test_it_answers_from_the_scenario_before_any_input() -> None:
    app = opened()
    scenario = template("support-assistant")
    assert scenario.model in headline(app) and "LoRA" in headline(app)
    assert not app.error and not app.warning
    assert app.number_input(key="plan.examples").value == round(scenario.data.examples.median())
    assert app.number_input(key="plan.epochs").value == pytest.approx(3.0)
    alts = [str(chart.proto.alt) for chart in app.get("plotly_chart")]
    assert len(alts) == 3 and all(len(alt) > 40 for alt in alts)
    labels = [button.label for button in app.get("download_button")]
    assert {"accelerate.yaml", "task.yaml", "train.sh"} <= set(labels)


@pytest.mark.parametrize(
    ("kind", "key", "value", "said"),
    [
        ("number_input", "examples", 500_000, ""),
        ("number_input", "mean", 4000.0, ""),
        ("number_input", "epochs", 12.0, ""),
        ("number_input", "deadline", 0.5, "before the deadline"),
        ("segmented_control", "objective", "time", "the fastest of"),
        ("pills", "methods", ["full"], "Full fine-tuning of"),
        ("toggle", "spot", True, "spot"),
        ("selectbox", "model", "Qwen/Qwen3-14B", ""),
    ],
)
def test_each_main_input_changes_the_answer(kind: str, key: str, value: Any, said: str) -> None:
    app = opened()
    before = headline(app)
    set_to(app, kind, key, value)
    assert not app.error
    assert headline(app) != before
    assert said in words(app)


def test_inputs_survive_a_look_at_another_page_and_follow_a_new_template() -> None:
    app = opened()
    set_to(app, "number_input", "examples", 500_000)
    answer = headline(app)
    app.switch_page("estimator/dashboard/pages/costs.py").run()
    app.switch_page(PAGE).run()
    assert headline(app) == answer
    assert app.number_input(key="plan.examples").value == 500_000
    app.selectbox(key="template").set_value("code-assistant").run()
    own = template("code-assistant")
    assert app.number_input(key="plan.examples").value == round(own.data.examples.median())
    assert app.selectbox(key="plan.model").value == own.model


def test_another_plan_can_be_looked_at() -> None:
    app = opened()
    first = [str(chart.proto.alt) for chart in app.get("plotly_chart")]
    set_to(app, "selectbox", "chosen", len(app.selectbox(key="plan.chosen").options) - 1)
    second = [str(chart.proto.alt) for chart in app.get("plotly_chart")]
    assert first[0] == second[0] and first[1:] != second[1:]


def test_an_infeasible_plan_says_the_way_out_and_the_way_out_is_one() -> None:
    app = opened()
    set_to(app, "number_input", "deadline", 0.05)
    assert not app.error and "None of the" in headline(app)
    [warning] = app.warning
    hours = re.search(r"deadline to ([\d.,]+) hours", str(warning.value))
    assert hours, warning.value
    assert not app.get("plotly_chart")
    set_to(app, "number_input", "deadline", float(hours.group(1)))
    assert not app.warning and "LoRA" in headline(app)


def test_what_no_number_of_gpus_allowed_can_hold_is_said() -> None:
    app = opened(template="Domain expert")
    set_to(app, "number_input", "gpus", 1)
    set_to(app, "pills", "methods", ["full"])
    assert "None of the" in headline(app) and "would do" in str(app.warning[0].value)
    assert any("does not fit" in reason for reason in app.dataframe[0].value.iloc[:, -1])


def test_no_method_is_asked_for_in_words() -> None:
    app = opened()
    set_to(app, "pills", "methods", [])
    assert "at least one method" in app.error[0].value


def test_offers_can_be_found_by_a_word() -> None:
    app = opened()
    every = len(app.dataframe[0].value)
    set_to(app, "text_input", "find", "spot may be taken away")
    found = app.dataframe[0].value
    assert 0 < len(found) < every
    assert not any("--" in reason for reason in found.iloc[:, -1])


def test_a_config_json_takes_the_place_of_the_name() -> None:
    app = opened()
    before = headline(app)
    upload = app.file_uploader(key="plan.config")
    upload.upload("mine.json", json.dumps(CONFIG).encode(), "application/json").run()
    assert not app.exception and not app.error
    assert "mine.json" in headline(app) and headline(app) != before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{not json", "not JSON"),
        (b"[1, 2]", "not an object"),
        (b'{"model_type": "no-such-model"}', "no-such-model"),
        (json.dumps(CONFIG | {"hidden_size": "wide"}).encode(), "hidden"),
    ],
)
def test_a_bad_config_json_gives_one_message_that_names_it(content: bytes, said: str) -> None:
    app = opened()
    app.file_uploader(key="plan.config").upload("mine.json", content, "application/json").run()
    assert not app.exception
    assert len(app.error) == 1
    message = str(app.error[0].value).replace("\\", "")
    assert "mine.json" in message and said in message and "tmp" not in message


def test_a_bare_size_will_do_and_an_unknown_model_gives_one_message() -> None:
    app = with_model("7B")
    assert not app.error and "LoRA of 7B" in headline(app)
    app = with_model("meta-llama/Llama-3.1-8")
    assert len(app.error) == 1 and "Llama-3.1-8B" in str(app.error[0].value)


def rows(n: int) -> bytes:
    lines = [f'{{"prompt": "what is {i}?", "completion": "{i} {i} {i}"}}\n' for i in range(n)]
    return "".join(lines).encode()


def test_a_dataset_can_be_uploaded_here() -> None:
    app = opened()
    before = headline(app)
    app.file_uploader(key="plan.data").upload("mine.jsonl", rows(200)).run()
    assert not app.exception and not app.error
    assert headline(app) != before
    assert "mine.jsonl" in " ".join(str(code.value) for code in app.code)
    app.file_uploader(key="plan.data").set_value(("bad.jsonl", b"\x00\x01", "x")).run()
    assert not app.exception and "bad.jsonl" in app.error[0].value


def test_the_dataset_pages_upload_is_used_unless_it_is_not_wanted() -> None:
    app = opened("estimator/dashboard/pages/dataset.py")
    app.file_uploader(key="dataset.file").upload("theirs.jsonl", rows(200)).run()
    app.switch_page(PAGE).run()
    assert not app.exception and not app.error
    [use] = [toggle for toggle in app.toggle if "theirs.jsonl" in toggle.label]
    with_file = headline(app)
    use.set_value(False).run()
    assert headline(app) != with_file
    assert "theirs.jsonl" not in " ".join(str(code.value) for code in app.code)
