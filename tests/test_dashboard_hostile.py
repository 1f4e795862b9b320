"""Hostile names, paths and contents against a served dashboard; and what it asks of the network."""

import io
import os
import socketserver
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytest.importorskip("streamlit")
pytest.importorskip("websockets")
from visitor import Visitor, get, served, visiting

from estimator.dashboard.uploads import safe_name, uploaded_file
from estimator.errors import InputError

SECRET = "nobody-may-read-this-file"
INSIDE_FAULT = "inside tuneroi"
ROWS = b'{"text": "hello world"}\n' * 5


class Proxy(socketserver.BaseRequestHandler):
    """Stands where every request to the internet would go, and answers none."""

    asked: list[bytes]

    def handle(self) -> None:
        type(self).asked.append(self.request.recv(1000))


@pytest.fixture(scope="module")
def proxy() -> Iterator[str]:
    Proxy.asked = []
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@dataclass(frozen=True)
class Place:
    """A served dashboard, and the folder that everything of it lies in."""

    port: int
    root: Path

    def files(self) -> set[Path]:
        """Every file below the root but the log, and what the caches of libraries keep."""
        found = {path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file()}
        return {path for path in found if path.parts[:2] not in {("deep", "server"), ("home",)}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, proxy: str) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("served")
    (root / "secret.jsonl").write_text(f'{{"text": "{SECRET}"}}\n')
    for name in ("deep", "deep/temporary", "home", "data"):
        (root / name).mkdir()
    environment = {
        "HOME": str(root / "home"),
        "PATH": os.environ["PATH"],
        "TMPDIR": str(root / "deep" / "temporary"),
        "TUNEROI_DATA": str(root / "data"),
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), proxy),
    }
    with served("0.0.0.0", root / "deep" / "server", environment) as port:
        yield Place(port, root)


@pytest.fixture(scope="module")
def visitor(place: Place) -> Iterator[Visitor]:
    with visiting(place.port, "dataset") as visitor:
        assert visitor.uploader is not None
        yield visitor


NAMES = (
    b"../../../secret.jsonl",
    b"..\\\\..\\\\secret.jsonl",
    b"%2e%2e%2fescaped.jsonl",
    b"C:\\\\Windows\\\\System32\\\\escaped.jsonl",
    b"\\\\\\\\host\\\\share\\\\escaped.jsonl",
    b"CON.jsonl",
    b"a\x1b[31mb.jsonl",
    b"x" * 5000 + b".jsonl",
    "\N{ELEPHANT}".encode() * 60 + b".jsonl",
    b"\xff\xfe.jsonl",
    b"-rf.jsonl",
    b".hidden.jsonl",
    b"<img src=x onerror=alert(1)>.jsonl",
    b"[click](https://example.com).jsonl",
)


def shown_once(page: list[str]) -> None:
    """The page answered: a profile, or a refusal; not a fault of ours."""
    text = "".join(page)
    assert INSIDE_FAULT not in text and "exception {" not in text, text[-2000:]
    assert SECRET not in text
    assert "tokens estimated" in text or "alert {" in text or "how long are they" in text


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:30])
def test_a_name_leads_nowhere(visitor: Visitor, place: Place, name: bytes) -> None:
    before = place.files()
    _, page = visitor.upload(name, ROWS)
    shown_once(page)
    assert place.files() == before, "nothing is left or written, inside or outside"


def test_an_absolute_name_leads_nowhere(visitor: Visitor, place: Place) -> None:
    before = place.files()
    for name in ("escaped.jsonl", "secret.jsonl", "deep/temporary/escaped.jsonl"):
        _, page = visitor.upload(str(place.root / name).encode(), ROWS)
        shown_once(page)
    assert place.files() == before
    assert SECRET in (place.root / "secret.jsonl").read_text()


@pytest.mark.parametrize("name", [b"../../a\0b.jsonl", b"..", b""], ids=repr)
def test_what_no_browser_sends_harms_only_who_sent_it(
    visitor: Visitor, place: Place, name: bytes
) -> None:
    """Streamlit itself refuses a NUL and an extension that was not asked for, without a reason."""
    before = place.files()
    with visiting(place.port, "dataset") as other:
        text = "".join(other.upload(name, ROWS)[1])
        assert "error message is redacted" in text
        assert "Traceback" not in text and str(place.root) not in text
    shown_once(visitor.upload(b"good.jsonl", ROWS)[1])
    assert place.files() == before


def test_an_upload_to_another_place_is_refused(visitor: Visitor, place: Place) -> None:
    before = place.files()
    for target in (
        f"/_stcore/upload_file/{visitor.session}/..%2f..%2fescaped",
        "/_stcore/upload_file/no-such-session/x",
        "/_stcore/upload_file/../../x",
        f"/media/{visitor.session}",
        "/app/static/x",
    ):
        assert visitor.put(target, b"x.jsonl", ROWS) in {204, 400, 404, 405}, target
    assert place.files() == before


def test_no_path_serves_a_file_of_the_machine(place: Place) -> None:
    up = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%5c", "..%c0%af", "%252e%252e%252f", "....//")
    outside = str(place.root / "secret.jsonl").lstrip("/")
    bases = (
        *("/", "/static/", "/static/js/", "/media/", "/component/", "/component/streamlit/"),
        *("/app/static/", "/_stcore/bidi-components/", "/_stcore/", "/~/", "//"),
    )
    for base in bases:
        for step in up:
            for wanted in (outside, "etc/passwd", "secret.jsonl"):
                status, content = get(place.port, f"{base}{step * 12}{wanted}")
                assert SECRET.encode() not in content and b"root:" not in content, (base, step)
                assert status in {200, 400, 403, 404, 405}, (base, step, status)
        for wanted in (f"/{outside}", f"%2f{outside}", f"{outside}%00.png", f"file:///{outside}"):
            assert SECRET.encode() not in get(place.port, base + wanted)[1]


def test_a_bomb_is_refused_in_the_page(visitor: Visitor) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("xl/worksheets/sheet1.xml", b"0" * 30_000_000)
    for content in (packed.getvalue(), b"[" * 200_000, b"\0" * 200_000, b'"' * 200_000):
        for name in (b"bomb.jsonl", b"bomb.json", b"bomb.csv", b"bomb.parquet", b"bomb.jsonl.gz"):
            _, page = visitor.upload(name, content)
            shown_once(page)


def test_the_server_asks_nothing_of_the_network(visitor: Visitor) -> None:
    """Not even its own address, for the greeting of a server that all machines may reach."""
    visitor.run()
    assert Proxy.asked == []


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/data.jsonl", "data.jsonl"),
        ("C:\\Users\\me\\data.jsonl", "data.jsonl"),
        ("\\\\host\\share\\data.jsonl", "data.jsonl"),
        ("/data.jsonl", "data.jsonl"),
        ("Daten für März.csv", "Daten für März.csv"),
    ],
)
def test_only_the_last_part_of_a_name_counts(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    with uploaded_file(name, b"x") as path:
        assert path.read_bytes() == b"x" and path.name == safe
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "name", ["", "..", "a/", "-rf", ".x", "a\0b", "a\nb", "x" * 201, "\udc80.csv", "é" * 101]
)
def test_what_is_no_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(InputError, match="no name of a file") as refused:
        safe_name(name)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 500
