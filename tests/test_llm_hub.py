"""Look-ups on a hub that a local server plays: each failure is one line with the true cause."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from estimator.errors import CatalogError, InputError
from estimator.llm import hub
from estimator.llm.architecture import Architecture
from estimator.llm.hub import compare_with_checkpoint, cross_check, fetch_config
from estimator.llm.parameters import count_parameters
from estimator.llm.resolve import resolve_model

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "tie_word_embeddings": False,
}
COUNTED = count_parameters(Architecture.from_hf_config(CONFIG)).total
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def _refusal(status: int, code: str = "") -> tuple[int, dict[str, str], bytes]:
    return status, {"X-Error-Code": code} if code else {}, b"{}"


def _file(body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"X-Repo-Commit": COMMIT, "ETag": f'"{hash(body)}"', **headers}, body


def _safetensors(shapes: dict[str, list[int]]) -> bytes:
    """A safetensors file without its data: header length, then the header."""
    tensors = {name: {"dtype": "BF16", "shape": shape, "data_offsets": [0, 0]}
               for name, shape in shapes.items()}  # fmt: skip
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header


class _Hub(BaseHTTPRequestHandler):
    """Answers `/{maker}/{case}/resolve/{revision}/{file}` by the name of the case."""

    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str | None]] = []  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        return

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        self.seen.append((self.path, self.headers.get("Authorization")))
        _, _, case, *rest = (*self.path.split("/"), "", "", "")
        if case == "slow" or (case == "stalled" and with_body):
            time.sleep(1.2)
        status, headers, body = self._reply(case, rest)
        self.send_response(status)
        truncated = case == "truncated"
        length = len(body) + (1000 if truncated else 0)
        if case == "huge":
            length = 10**11
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        if truncated:
            self.close_connection = True
        self.end_headers()
        if not with_body:
            return
        if case == "trickle":
            self.close_connection = True
            for byte in body[:8]:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(0.2)
            return
        self.wfile.write(body)

    def _reply(self, case: str, rest: list[str]) -> tuple[int, dict[str, str], bytes]:
        good = json.dumps(CONFIG).encode()
        file = rest[2] if len(rest) > 2 else ""
        if rest[1:2] == ["nowhere"]:
            return _refusal(404, "RevisionNotFound")
        if file == "model.safetensors" and case == "found":
            return _file(_safetensors({"a": [COUNTED - 64], "b": [8, 8]}))
        if file != "config.json" and case != "cdn":
            return _refusal(404, "EntryNotFound")
        if case == "moved":
            return 307, {"Location": "/maker/found/resolve/main/config.json"}, b""
        if case == "redirected":
            address = f"http://localhost:{self.server.server_port}/maker/cdn/config.json"  # type: ignore[attr-defined]
            return 302, {"X-Repo-Commit": COMMIT, "ETag": '"cdn"', "Location": address}, b""
        replies = {
            "gated": _refusal(401, "GatedRepo"),
            "forbidden": _refusal(403, "GatedRepo"),
            "missing": _refusal(404, "RepoNotFound"),
            "private": _refusal(401),
            "empty": _refusal(404, "EntryNotFound"),
            "broken": _refusal(500),
            "nohub": (200, {}, good),
            "notjson": _file(b"<html>sign in</html>"),
            "list": _file(b"[1, 2]"),
            "deep": _file(b"[" * 200_000),
            "layers": _file(json.dumps({**CONFIG, "num_hidden_layers": 10**12}).encode()),
            "strings": _file(json.dumps({**CONFIG, "hidden_size": "4096"}).encode()),
            "strange": _file(json.dumps({**CONFIG, "model_type": "lama"}).encode()),
        }
        return replies.get(case, _file(good))


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


@pytest.fixture
def play(server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The environment of a user of that hub, with an empty cache."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_ENDPOINT", server)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.6)
    _Hub.seen.clear()
    return server


def asked_for(*names: str) -> list[str]:
    """Requests for these models; look-ups that were given up may still be asking for theirs."""
    return [path for path, _ in _Hub.seen if any(name in path for name in names)]


def test_a_model_is_found_and_counted(play: str) -> None:
    model = resolve_model("maker/found", check=True)
    assert (model.source, model.architecture.num_layers) == ("hub", 3)
    assert model.notes == (f"the checkpoint confirms the count of {COUNTED} parameters",)


def test_the_token_goes_to_the_hub_and_not_beyond(
    play: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert fetch_config("maker/redirected").config == CONFIG
    sent = dict(_Hub.seen)
    assert sent["/maker/redirected/resolve/main/config.json"] == "Bearer hf_secret"
    assert sent["/maker/cdn/config.json"] is None


@pytest.mark.parametrize("case", ["moved", "redirected"])
def test_redirects_are_followed(play: str, case: str) -> None:
    assert fetch_config(f"maker/{case}").config == CONFIG


@pytest.mark.parametrize(
    ("case", "error", "cause"),
    [
        ("gated", CatalogError, r"gated \(HTTP 401\); ask for access .*; set HF_TOKEN$"),
        ("forbidden", CatalogError, r"gated \(HTTP 403\); ask for access"),
        ("missing", CatalogError, r"not found on http://127.* \(HTTP 404\)"),
        ("private", CatalogError, r"not found on .* \(HTTP 401\); if it is private, set HF_TOKEN"),
        ("empty", CatalogError, "has no config.json"),
        ("broken", CatalogError, "answered HTTP 500; try again later"),
        ("slow", CatalogError, "too slow"),
        ("stalled", CatalogError, r"too slow \(no complete answer within 1 s\)"),
        ("trickle", CatalogError, r"too slow \(no complete answer within 1 s\)"),
        ("nohub", CatalogError, "does not answer like a hub; check HF_ENDPOINT"),
        ("huge", InputError, "has 100000000000 bytes; allowed: at most 1000000"),
        ("notjson", InputError, "not JSON"),
        ("deep", InputError, "not JSON"),
        ("list", InputError, "holds a list, not an object"),
    ],
)
def test_each_failure_names_its_cause(
    play: str, case: str, error: type[Exception], cause: str
) -> None:
    with pytest.raises(error, match=cause) as caught:
        fetch_config(f"maker/{case}", seconds=1.0)
    assert f"maker/{case}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_said_to_be_incomplete(play: str) -> None:
    with pytest.raises(CatalogError, match=r"sent config\.json incomplete"):
        fetch_config("maker/truncated", seconds=20.0)


@pytest.mark.parametrize(
    ("case", "error", "cause"),
    [
        ("layers", InputError, "num_hidden_layers is 1000000000000; allowed: .* from 1 to 10000"),
        ("strings", InputError, "hidden_size is '4096'; allowed: a whole number"),
        ("strange", CatalogError, "unknown model family 'lama'; nearest known: llama"),
        ("missing", CatalogError, r"unknown model 'maker/missing'.*Hub: .*not found"),
    ],
)
def test_a_hostile_config_is_refused(
    play: str, case: str, error: type[Exception], cause: str
) -> None:
    with pytest.raises(error, match=cause):
        resolve_model(f"maker/{case}")


def test_an_unknown_revision_is_named(play: str) -> None:
    with pytest.raises(CatalogError, match="no revision 'nowhere'"):
        fetch_config("maker/found", revision="nowhere")


def test_without_network_the_cache_stands_in_and_says_so(
    play: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_config("maker/found")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    cached = fetch_config("maker/found")
    assert cached.config == CONFIG
    assert "no connection to http://127.0.0.1:9" in cached.notes[0]
    with pytest.raises(CatalogError, match=r"no connection to http://127.0.0.1:9"):
        fetch_config("maker/other")


@pytest.mark.parametrize("by", ["environment", "argument"])
def test_offline_asks_nobody(play: str, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    fetch_config("maker/found")
    _Hub.seen.clear()
    if by == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = resolve_model("maker/found", offline=by == "argument")
    assert found.notes == ("read from the local cache: the network is off",)
    with pytest.raises(CatalogError, match=r"'meta-lama/Llama-3\.1-8B'; nearest known: meta-llama"):
        resolve_model("meta-lama/Llama-3.1-8B", offline=by == "argument")
    assert asked_for("maker/found", "meta-lama") == []


def test_a_name_that_no_hub_can_have_is_not_asked_for(play: str) -> None:
    with pytest.raises(CatalogError, match="cannot be a name on the hub"):
        fetch_config("a/b/c d")
    assert asked_for("a/b") == []


def test_a_checkpoint_without_safetensors_is_no_failure(play: str) -> None:
    architecture = Architecture.from_hf_config(CONFIG, "maker/other")
    assert "the checkpoint has no safetensors" in cross_check(architecture)


def test_a_disagreement_is_shown_and_a_tied_head_explained() -> None:
    tied = Architecture.from_hf_config({**CONFIG, "tie_word_embeddings": True}, "x")
    counted = count_parameters(tied).total
    twice = compare_with_checkpoint(tied, {"BF16": counted + 100 * 64})
    assert twice.endswith("the tied head stored twice")
    other = compare_with_checkpoint(tied, {"BF16": counted, "F32": 7})
    assert f"holds {counted + 7} parameters, the architecture counts {counted}" in other
    assert "quantised tensors (U8)" in compare_with_checkpoint(tied, {"U8": 5, "BF16": 3})
