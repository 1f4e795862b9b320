"""Hostile inputs, `--set`, `--vary` and links: an answer, or a refusal in one line."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from limited import Limited

from estimator.scenario.files import load_scenario
from estimator.scenario.templates import template_text

SCENARIO = template_text("support-assistant")
PATHS = sorted(
    load_scenario(Path(__file__).parents[1] / "examples/support-assistant.yaml").inputs()
)
FUZZED = settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = (
    st.floats()
    | st.integers(-(10**20), 10**20)
    | st.sampled_from([0, -1, 1e15, 1e-12, 1e308, 5e-324, 10**400, float("nan"), float("-inf")])
)
RANGES = st.one_of(
    st.fixed_dictionaries({"low": NUMBERS, "high": NUMBERS}),
    st.fixed_dictionaries({"min": NUMBERS, "mode": NUMBERS, "max": NUMBERS}),
    st.fixed_dictionaries({"p10": NUMBERS, "p90": NUMBERS}),
    st.fixed_dictionaries({"p10": NUMBERS, "p50": NUMBERS, "p90": NUMBERS}),
    st.fixed_dictionaries({"probability": NUMBERS}),
)
VALUES = (
    NUMBERS
    | RANGES
    | st.text(max_size=10)
    | st.lists(NUMBERS, max_size=2)
    | st.dictionaries(st.text(max_size=4), NUMBERS, max_size=2)
)


@pytest.fixture(scope="module")
def tuneroi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Limited]:
    limited = Limited(tmp_path_factory.mktemp("data"))
    yield limited
    limited.stop()


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "s.yaml"
    path.write_text(SCENARIO)
    return path


def with_value(path: str, value: Any) -> str:
    data = copy.deepcopy(yaml.safe_load(SCENARIO))
    *sections, name = path.split(".")
    place = data
    for section in sections:
        found = place.get(section)
        place[section] = found if isinstance(found, dict) else {}
        place = place[section]
    place[name] = value
    return yaml.safe_dump(data)


@given(st.sampled_from(PATHS), VALUES)
@example("demand.requests_per_month", 1e308)
@example("demand.requests_per_month", {"p10": 5e-324, "p90": 1e308})
@example("demand.requests_per_month", {"p10": 1e-12, "p90": 1e-6})
@example("demand.requests_per_month", {"low": 0, "high": 1e15})
@example("demand.growth_per_year", 20)
@example("value.error_cost_usd", 1e15)
@FUZZED
def test_any_value_of_any_input(tuneroi: Limited, scenario: Path, path: str, value: Any) -> None:
    changed = scenario.with_name("changed.yaml")
    changed.write_text(with_value(path, value))
    tuneroi("compare", changed, "--draws", 256).check()


@given(st.sampled_from([*PATHS, "name", "model", "training.gpu", "currency"]), st.text(max_size=40))
@example("demand.requests_per_month", "[" * 5000)
@example("demand.requests_per_month", "9" * 5000)
@example("horizon_months", "0x" + "f" * 4500)
@example("name", "2020-99-99")
@example("name", "&a [*a]")
@example("name", "!!python/object/apply:os.system [x]")
@example("training.gpu", "x" * 5000)
@example("model", "/" + "a" * 5000)
@example("model", "~nobody/at/all")
@example("", "")
@FUZZED
def test_any_setting(tuneroi: Limited, scenario: Path, path: str, text: str) -> None:
    text = text.replace("\0", "\x01")  # no shell passes a NUL
    tuneroi("compare", scenario, "--draws", 256, "--set", f"{path}={text}").check()


@given(st.sampled_from(PATHS), st.text("0123456789.,:-+einfa[]{}&*!x", max_size=20))
@example("demand.requests_per_month", "-1e308:1e308:3")
@example("demand.requests_per_month", "1:2:" + "9" * 5000)
@example("demand.requests_per_month", "&a [*a]")
@example("demand.requests_per_month", "1,,")
@example("demand.requests_per_month", "2020-99-99")
@FUZZED
def test_any_variation(tuneroi: Limited, scenario: Path, path: str, text: str) -> None:
    refused = "nowhere=1"  # so that nothing runs
    said = tuneroi("sweep", scenario, "--draws", 256, "--vary", f"{path}={text}", "--vary", refused)
    assert said.refusal


LINKS = st.dictionaries(
    st.sampled_from([*PATHS[:20], "template", "scenario", "page", "x"]),
    st.text(max_size=12) | NUMBERS.map(str),
    min_size=1,
    max_size=4,
)


@given(LINKS)
@example({"demand.requests_per_month": "nan"})
@example({"demand.requests_per_month": "9" * 5000, "template": "../../etc/passwd"})
@example({"demand.requests_per_month": "{low: 1, high: .inf}"})
@settings(FUZZED, max_examples=3)
def test_any_link_shows_a_page(link: dict[str, str]) -> None:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_file(str(Path(__file__).parents[1] / "app.py"), default_timeout=60)
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    assert not any("inside tuneroi" in shown.value for shown in app.error)
