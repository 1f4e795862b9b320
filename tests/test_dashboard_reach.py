"""A server that others reach reads none of its own files for them; one's own machine does."""

import json
from pathlib import Path

import pytest

pytest.importorskip("streamlit")
import streamlit
from test_dashboard_app import opened, verdict
from test_dashboard_plan import CONFIG, with_model

from estimator.dashboard import reach
from estimator.dashboard.plans import model_of
from estimator.dashboard.reach import is_shared, refuse_paths
from estimator.errors import InputError
from estimator.llm.catalogue import catalogue

SHARED, ALONE = "0.0.0.0", "127.0.0.1"
SAID = "reads no file of its own"


def listens_on(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.setattr(streamlit, "get_option", lambda name: address)


@pytest.fixture
def config(tmp_path: Path) -> str:
    """A folder with the config.json of a model, as its owner may have one."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return str(tmp_path)


@pytest.mark.parametrize("address", [ALONE, "127.0.0.5", "::1", "localhost"])
def test_ones_own_machine_is_not_shared(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    listens_on(monkeypatch, address)
    assert not is_shared()


@pytest.mark.parametrize("address", [SHARED, "::", "192.168.1.7", "gpu-box.local", "", None])
def test_any_other_address_is_shared(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    listens_on(monkeypatch, address)
    assert is_shared()


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "/no/such", "/x", "~/model", "../model", ".", "a/b/c", "config.json",
     "org/config.json", r"C:\models", " /etc/passwd", "estimator", "estimator/llm"],
)  # fmt: skip
def test_what_may_be_a_path_is_refused_where_others_reach_the_server(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(Path(__file__).parent.parent)  # where the last two names exist
    listens_on(monkeypatch, SHARED)
    with pytest.raises(InputError, match=SAID) as refused:
        refuse_paths(name)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=SAID):
        model_of(name, "", b"")
    listens_on(monkeypatch, ALONE)
    refuse_paths(name)


def test_names_ids_and_sizes_are_never_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    listens_on(monkeypatch, SHARED)
    for name in (*catalogue(), "7B", "1.5b", "some-org/some-model", "no such model"):
        refuse_paths(name)


def test_a_link_to_a_file_is_answered_on_ones_own_machine_only(
    monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.setattr(reach, "is_shared", lambda: False)
    own = opened(model=config)
    assert not own.error
    assert own.session_state["_shown"].scenario.model == config
    monkeypatch.setattr(reach, "is_shared", lambda: True)
    shared = opened(model=config)
    assert len(shared.error) == 1 and SAID in shared.error[0].value
    assert verdict(shared) == verdict(opened())


def test_an_uploaded_scenario_that_names_a_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.setattr(reach, "is_shared", lambda: True)
    app = opened()
    before = verdict(app)
    text = f"model: {config}\ndemand: {{requests_per_month: 400}}\n"
    app.file_uploader(key="file").upload("a.yaml", text.encode(), "application/yaml").run()
    assert len(app.error) == 1 and SAID in app.error[0].value
    assert verdict(app) == before


def test_the_training_plans_box_takes_a_file_on_ones_own_machine_only(
    monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.setattr(reach, "is_shared", lambda: True)
    app = with_model(config)
    assert len(app.error) == 1 and SAID in app.error[0].value
    monkeypatch.setattr(reach, "is_shared", lambda: False)
    assert not with_model(config).error
