"""A served dashboard, and a visitor that speaks to it as a browser does, but says what it likes."""

import contextlib
import http.client
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect

from estimator.cli.dashboard import server_command

ROOT = Path(__file__).parent.parent
SECONDS = 60.0


def die_with_parent() -> None:
    """Let the server end with the tests, however they end (Linux)."""
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


@contextlib.contextmanager
def served(address: str, folder: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """The port of a dashboard that runs in `folder` as `tuneroi dashboard --address` would."""
    folder.mkdir()
    log = folder / "log.txt"
    with (
        log.open("w") as sink,
        subprocess.Popen(
            server_command(0, address),
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
            preexec_fn=die_with_parent,
        ) as server,
    ):
        try:
            yield _port(server, log)
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()


def _port(server: "subprocess.Popen[bytes]", log: Path) -> int:
    for _ in range(600):
        if found := re.search(r"URL: http://\S+:(\d+)", log.read_text("utf-8")):
            return int(found.group(1))
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
            break
    raise AssertionError(f"the server did not start: {log.read_text('utf-8')}")


def get(port: int, target: str) -> tuple[int, bytes]:
    """Status and content of a GET of exactly this target, which no library tidies up."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection._validate_path = lambda _: None  # type: ignore[attr-defined]
    with contextlib.closing(connection):
        connection.putrequest("GET", target, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(2_000_000)


class Visitor:
    """One open page: it runs pages, uploads files under any name, and hears what is shown."""

    def __init__(self, port: int, page: str, socket: ClientConnection) -> None:
        self.port, self.page, self.socket = port, page, socket
        self.session = ""
        self.uploader: Any = None
        self.uploads = 0

    def run(self, file: tuple[str, str, int] | None = None) -> list[str]:
        """Every text that one run of the page shows; `file` is name, id and size of an upload."""
        asked = BackMsg()
        asked.rerun_script.page_name = self.page
        if file is not None:
            state = asked.rerun_script.widget_states.widgets.add(id=self.uploader.id)
            name, id, size = file
            info = state.file_uploader_state_value.uploaded_file_info.add(size=size)
            info.name, info.file_id, info.file_urls.file_id = name, id, id
        self.socket.send(asked.SerializeToString())
        shown: list[str] = []
        while True:
            heard = ForwardMsg.FromString(self.socket.recv(timeout=SECONDS))
            kind = heard.WhichOneof("type")
            if kind == "new_session":
                self.session = heard.new_session.initialize.session_id
            elif kind == "script_finished":
                return shown
            elif kind == "delta":
                shown.append(str(heard.delta))
                uploader = heard.delta.new_element.file_uploader
                if "jsonl" in str(uploader.type):
                    self.uploader = uploader

    def upload(self, name: bytes, content: bytes) -> tuple[int, list[str]]:
        """Status of the upload, and what the page then shows."""
        self.uploads += 1
        id = f"upload-{self.uploads}"
        status = self.put(f"/_stcore/upload_file/{self.session}/{id}", name, content)
        return status, self.run(("shown-name.jsonl", id, len(content)))

    def put(self, target: str, name: bytes, content: bytes) -> int:
        """Status of an upload to any target, with the token that every page is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", "/_stcore/health")
            answer = connection.getresponse()
            cookie = (answer.getheader("Set-Cookie") or "").split(";")[0]
            assert answer.read() == b"ok"
        start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="' + name
        body = start + b'"\r\nContent-Type: text/plain\r\n\r\n' + content + b"\r\n--x--\r\n"
        headers = {
            "Cookie": cookie,
            "X-Xsrftoken": cookie.partition("=")[2],
            "Content-Type": "multipart/form-data; boundary=x",
        }
        with contextlib.closing(connection):
            connection.request("PUT", target, body, headers)
            return connection.getresponse().status


@contextlib.contextmanager
def visiting(port: int, page: str) -> Iterator[Visitor]:
    """A visitor with that page open."""
    stream = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(stream, max_size=None, open_timeout=SECONDS) as socket:
        visitor = Visitor(port, page, socket)
        visitor.run()
        yield visitor
