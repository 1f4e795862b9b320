"""Numbers that depend on nothing but the inputs, and secrets that never leave."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from estimator import compare, template, with_inputs
from estimator.scenario import ALTERNATIVES, Scenario
from estimator.scenario.templates import template_names

SECRET = "hf_neverShowThisToAnyone0123456789"
DIGEST = """
import hashlib
from estimator import compare, template
found = compare(template("support-assistant"), n=512, seed=3)
said = hashlib.sha256()
for name, outcome in found.outcomes.items():
    said.update(name.encode() + outcome.npv_usd.tobytes() + outcome.tco_usd.tobytes())
said.update(repr((found.evpi_usd, list(found.evppi_usd.items()), found.verdict)).encode())
print(said.hexdigest())
"""


def raising() -> np.errstate:
    return np.errstate(over="raise", invalid="raise", divide="raise")


def strict_compare(scenario: Scenario) -> None:
    """Comparing raises no numpy warning; warnings are errors in every thread of the tests."""
    with raising():
        found = compare(scenario, n=256, seed=5)
    for name, outcome in found.outcomes.items():
        assert np.isfinite(outcome.npv_usd).all(), name
        assert np.isfinite(outcome.tco_usd).all(), name


@pytest.mark.parametrize("name", template_names())
def test_no_numpy_warning_in_any_template(name: str) -> None:
    strict_compare(template(name))


@given(
    st.sampled_from(template_names()),
    st.floats(0, 1e7),
    st.floats(-0.5, 3),
    st.integers(1, 60),
    st.floats(0, 1),
    st.floats(0, 1e4),
)
@settings(deadline=None, max_examples=8)
def test_no_numpy_warning_in_random_scenarios(
    name: str, requests: float, growth: float, months: int, discount: float, cost: float
) -> None:
    changes = {
        "demand.requests_per_month": requests if requests > 1e-6 else 0.0,
        "demand.growth_per_year": growth if abs(growth) > 1e-6 else 0.0,
        "horizon_months": months,
        "discount_rate_per_year": discount,
        "value.human_cost_usd_per_request": cost if cost > 1e-6 else 0.0,
    }
    strict_compare(with_inputs(template(name), changes))


def digest(**environment: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", DIGEST],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_the_same_seed_gives_the_same_bytes_in_every_process() -> None:
    """Whatever the hash seed of Python and the number of threads of the linear algebra."""
    found = {
        digest(PYTHONHASHSEED=seed, OPENBLAS_NUM_THREADS=threads, OMP_NUM_THREADS=threads)
        for seed, threads in (("1", "1"), ("2", "4"), ("random", "2"))
    }
    assert len(found) == 1


def test_the_number_of_threads_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of our own threads, which share out alternatives, reviews and inputs."""
    from estimator.decision import evaluate, information, simulate

    said = set()
    for threads in (1, 2, 4):
        for module in (evaluate, information, simulate):
            monkeypatch.setattr(module, "THREADS", threads)
        found = compare(template("support-assistant"), n=512, seed=3)
        values = b"".join(outcome.npv_usd.tobytes() for outcome in found.outcomes.values())
        said.add((values, repr((found.evpi_usd, found.evppi_usd, found.verdict))))
    assert len(said) == 1


def test_the_order_of_alternatives_does_not_matter() -> None:
    scenario = template("support-assistant")
    turned = with_inputs(scenario, {"alternatives": list(reversed(ALTERNATIVES))})
    one, other = compare(scenario, n=256, seed=5), compare(turned, n=256, seed=5)
    assert one.verdict == other.verdict and one.evppi_usd == other.evppi_usd
    for name, outcome in one.outcomes.items():
        assert outcome.npv_usd.tobytes() == other.outcomes[name].npv_usd.tobytes()


def test_an_alternative_is_worth_the_same_in_any_company() -> None:
    """Common draws: leaving others out changes no value."""
    scenario = template("support-assistant")
    few = with_inputs(scenario, {"alternatives": ["rag", "saas"]})
    one, other = compare(scenario, n=256, seed=5), compare(few, n=256, seed=5)
    for name in ("status_quo", "rag", "saas"):
        assert one.outcomes[name].npv_usd.tobytes() == other.outcomes[name].npv_usd.tobytes()


class Hub(BaseHTTPRequestHandler):
    """A hub that refuses, and echoes what it was told where a client might repeat it."""

    seen: list[str]
    status = 401

    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "")
        type(self).seen.append(token)
        body = json.dumps({"error": f"bad token {token}"}).encode()
        self.send_response(self.status, f"refused {token}")
        self.send_header("X-Error-Message", f"bad token {token}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server asks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_hub_token_is_never_printed(hub: str, status: int, tmp_path: Path) -> None:
    Hub.status = status
    environment = os.environ | {
        "HF_TOKEN": SECRET,
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path),
        "HF_HUB_OFFLINE": "0",
        "TUNEROI_DATA": str(tmp_path),
    }
    (tmp_path / "data.jsonl").write_text('{"text": "hello"}\n')
    command = [sys.executable, "-c", "from estimator.cli import main; main()"]
    for arguments in (
        ["model", "some-maker/some-model"],
        ["dataset", str(tmp_path / "data.jsonl"), "--tokenizer", "some-maker/some-model"],
    ):
        ran = subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in ran.stderr
        assert SECRET not in ran.stdout + ran.stderr
    # The fault is one that a leak could show: the token was sent to the hub.
    assert any(SECRET in token for token in Hub.seen)


def test_no_note_on_a_cached_model_repeats_a_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A note is part of a result: no command stands between it and a notebook or a JSON file."""
    from estimator.llm import hub

    cached = tmp_path / "config.json"
    cached.write_text('{"model_type": "llama"}')
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", "http://me:pass-word@127.0.0.1:9")
    monkeypatch.setattr(hub, "_cached", lambda *_: cached)
    (note,) = hub.fetch_config("some-maker/some-model").notes
    assert "no connection to http://***@127.0.0.1:9" in note and "pass-word" not in note


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["library", "list"], "TUNEROI_LIBRARY", "nothing://me:{}@127.0.0.1:9/runs"),
        (["prices", "refresh"], "https_proxy", "http://me:{}@127.0.0.1:9"),
    ],
)
def test_a_password_is_never_printed(
    arguments: list[str], name: str, value: str, tmp_path: Path
) -> None:
    """Not even with the tracebacks that a developer asks for."""
    given = {name: value.format("pass-word-of-mine"), "TUNEROI_DATA": str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, "-c", "from estimator.cli import main; main()", *arguments],
        env=os.environ | given | {"TUNEROI_DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in {2, 3}, ran.stderr
    assert "pass-word-of-mine" not in ran.stdout + ran.stderr


def test_no_report_holds_a_secret_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from estimator.report.comparison import as_dict
    from estimator.report.document import document
    from estimator.report.html import html
    from estimator.report.markdown import markdown

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "TUNEROI_LIBRARY"):
        monkeypatch.setenv(name, SECRET)
    found = compare(template("support-assistant"), n=256, seed=5)
    report = document(found)
    for text in (html(report), markdown(report), json.dumps(as_dict(found), default=str)):
        assert SECRET not in text


def test_a_password_in_an_address_is_not_repeated() -> None:
    from estimator.cli.main import one_line

    said = one_line(f"no connection to https://me:{SECRET}@hub.example/x\n\x1b[31mred {SECRET}")
    assert said == "no connection to https://***@hub.example/x \\x1b[31mred ***"
    assert len(one_line("x" * 10_000)) < 1300 and one_line(" \n ") == ""
