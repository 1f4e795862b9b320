"""`tuneroi prices refresh` against a server that plays the remote catalogues, well and badly."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command import Tuneroi

import pricing
from pricing.own import CONTRACT, REFRESHED, TOKENS, own_price_files

pytest.importorskip("gpuhunt")
HEADER = (
    "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size,"
    "gpu_vendor,flags,cpu_arch,provider_data"
)
AWS = [
    "p5.48xlarge,us-east-1,{p5},192,2048,8,H100,80.0,False,,nvidia,,x86,{{}}",
    "p5.48xlarge,us-west-2,{p5},192,2048,8,H100,80.0,False,,nvidia,,x86,{{}}",
    "p5.48xlarge,eu-north-1,70.0,192,2048,8,H100,80.0,False,,nvidia,,x86,{{}}",
    "p5.48xlarge,us-east-1,22.0,192,2048,8,H100,80.0,True,,nvidia,,x86,{{}}",
    "g6.xlarge,us-east-1,0.8048,4,16,1,L4,24.0,False,,nvidia,,x86,{{}}",
    "g6.xlarge,us-east-1,0.3,4,16,1,L4,24.0,True,,nvidia,,x86,{{}}",
    "m7i.large,us-east-1,0.1,2,8,0,,,False,,,,x86,{{}}",
    "x9.large,us-east-1,3.0,2,8,1,Q7000,48.0,False,,nvidia,,x86,{{}}",
]


class Remote:
    """Both remote catalogues on one local port; `answers` maps a path to what is sent."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.drips = False
        self.asked, self.done = threading.Event(), threading.Event()
        remote = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = remote.answers.get(self.path)
                self.send_response(200 if body is not None else 404)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                if remote.drips and body and not self.path.endswith("version"):
                    self.wfile.write(body[:1])
                    self.wfile.flush()
                    remote.asked.set()
                    remote.done.wait(60)
                else:
                    self.wfile.write(body or b"")

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        serve = partial(self.server.serve_forever, poll_interval=0.02)
        threading.Thread(target=serve, daemon=True).start()

    def publish(self, rows: list[str], provider: str = "aws", **prices: float) -> None:
        lines = [row.format(**({"p5": 60.0} | prices)) for row in rows]
        self.publish_text("\n".join([HEADER, *lines]), provider)

    def publish_text(self, text: str, provider: str = "aws") -> None:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as file:
            file.writestr(f"{provider}.csv", text)
        self.answers[f"/{provider}/version"] = b"20261101-7"
        self.answers[f"/{provider}/20261101-7/catalog.zip"] = packed.getvalue()

    def publish_tokens(self, book: Any) -> None:
        self.answers["/tokens.json"] = json.dumps(book).encode()


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    server = Remote()
    monkeypatch.setenv("GPUHUNT_CATALOG_URL", server.url)
    monkeypatch.setenv("GENAI_PRICES_URL", f"{server.url}/tokens.json")
    yield server
    server.done.set()
    server.server.shutdown()
    server.server.server_close()


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path))
    return tmp_path / "prices"


@pytest.fixture
def tuneroi(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


def gpus(tuneroi: Tuneroi, *options: str) -> Any:
    return tuneroi("prices", "refresh", "--gpu-offers", "--json", *options).json["gpu_offers"]


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_good_catalogue_becomes_offers(tuneroi: Tuneroi, remote: Remote, folder: Path) -> None:
    remote.publish(AWS)
    done = gpus(tuneroi)
    assert done["status"] == "refreshed" and done["as_of"] == "2026-11-01"
    written = {(r["instance"], r["tier"], r["region"]): r for r in rows(folder / REFRESHED)}
    p5 = written["p5.48xlarge", "on_demand", "us-east-1; us-west-2"]
    assert float(p5["price_usd_per_gpu_hour"]) == 60 / 8
    assert (p5["gpu"], p5["gpus_per_node"], p5["minimum_gpus"]) == ("h100-sxm5-80gb", "8", "8")
    assert len(written) == done["prices"] == 5
    assert any("Q7000" in remark for remark in done["remarks"])
    shipped = {
        (o.gpu, o.tier): o.price_usd_per_gpu_hour
        for o in pricing.gpu_offers()
        if o.provider == "AWS" and o.instance in ("p5.48xlarge", "g6.xlarge")
    }
    (spot,) = (c for c in done["changes"]["down"] if c["key"] == ["AWS", "l4-24gb", "spot"])
    assert spot["before"] == shipped["l4-24gb", "spot"] and spot["after"] == 0.3
    assert spot["change"] == pytest.approx(0.3 / spot["before"] - 1)


def test_the_command_uses_what_was_refreshed_and_the_library_only_when_asked(
    tuneroi: Tuneroi, remote: Remote, folder: Path
) -> None:
    before = pricing.gpu_price("h100")
    remote.publish(AWS)
    gpus(tuneroi)
    shown = tuneroi("prices", "--gpu", "h100-sxm", "--provider", "aws", "--json").json["offers"]
    by_origin = {(o["instance"], o["tier"]): o["from"] for o in shown}
    assert by_origin["p5.48xlarge", "on_demand"] == "refreshed"
    assert by_origin["p5.48xlarge", "reserved_3y"] == "shipped"  # no catalogue lists it
    assert ("p5.4xlarge", "on_demand") not in by_origin
    assert pricing.gpu_price("h100") == before
    own = pricing.load_offers(own_price_files())
    price = pricing.gpu_price("h100", offers=own)
    assert price != before and "refreshed 2026-11-01" in (price.note or "")
    (p5,) = (o for o in own if o.instance == "p5.48xlarge" and "us-west-2" in (o.region or ""))
    assert p5.network_gbit_per_second == 3200  # the link that the shipped table knows


def test_the_next_refresh_says_what_changed(tuneroi: Tuneroi, remote: Remote) -> None:
    remote.publish(AWS)
    gpus(tuneroi)
    remote.publish([AWS[0], AWS[3], AWS[4], AWS[4].replace("L4,24", "L40S,48")], p5=72.0)
    changes = gpus(tuneroi)["changes"]
    assert changes["new"] == [["AWS", "l40s-48gb", "on_demand"]]
    assert changes["gone"] == [["AWS", "l4-24gb", "spot"]]
    (up,) = changes["up"]
    assert up["key"] == ["AWS", "h100-sxm5-80gb", "on_demand"]
    assert up["change"] == pytest.approx(9 / ((7.5 + 8.75) / 2) - 1)
    assert changes["down"] == [] and changes["unchanged"] == 2
    text = tuneroi("prices", "refresh", "--gpu-offers").out
    assert "as before  4" in text and "GPU offers of 2026-11-01" in text


def test_an_absurd_jump_is_refused_until_confirmed(
    tuneroi: Tuneroi, remote: Remote, folder: Path
) -> None:
    remote.publish(AWS)
    gpus(tuneroi)
    kept = (folder / REFRESHED).read_bytes()
    remote.publish([AWS[0], *AWS[3:]], p5=400.0)
    ran = tuneroi("prices", "refresh", "--gpu-offers")
    assert "h100-sxm5-80gb on_demand 6.2 times as dear" in ran.refusal and "--yes" in ran.err
    assert (folder / REFRESHED).read_bytes() == kept
    assert gpus(tuneroi, "--yes")["changes"]["up"][0]["after"] == 50.0


def truncated(remote: Remote) -> None:
    remote.publish(AWS)
    path = "/aws/20261101-7/catalog.zip"
    remote.answers[path] = remote.answers[path][:-200]


def wrong_schema(remote: Remote) -> None:
    remote.publish_text("name,usd\np5,3\ng6,1\n")


def negative(remote: Remote) -> None:
    remote.publish([row.replace("{p5}", "-1") for row in AWS])


def not_a_zip(remote: Remote) -> None:
    remote.publish(AWS)
    remote.answers["/aws/20261101-7/catalog.zip"] = b"<html>maintenance</html>"


def nothing(remote: Remote) -> None:
    remote.answers.clear()


@pytest.mark.parametrize("spoil", [truncated, wrong_schema, negative, not_a_zip, nothing])
def test_a_bad_catalogue_leaves_what_is_there(
    tuneroi: Tuneroi, remote: Remote, folder: Path, spoil: Any
) -> None:
    remote.publish(AWS)
    gpus(tuneroi)
    kept = (folder / REFRESHED).read_bytes()
    spoil(remote)
    ran = tuneroi("prices", "refresh", "--gpu-offers")
    assert ran.status == 3
    assert ran.out.count("\n") == 1 and "the prices of 2026-11-01 stay" in ran.out
    assert (folder / REFRESHED).read_bytes() == kept


def test_a_provider_that_fails_keeps_its_earlier_prices(
    tuneroi: Tuneroi, remote: Remote, folder: Path
) -> None:
    lambda_rows = ["gpu_8x_h100_sxm5,us-1,24,208,1800,8,H100,80.0,False,,nvidia,,x86,{{}}"]
    remote.publish(AWS)
    remote.publish(lambda_rows, provider="lambdalabs")
    gpus(tuneroi)
    remote.publish_text("name,usd\np5,3\n", provider="lambdalabs")
    remote.publish(AWS, p5=61.0)
    done = gpus(tuneroi)
    assert done["changes"]["gone"] == []
    assert any(r.startswith("Lambda not refreshed") for r in done["remarks"])
    prices = {r["provider"]: r["price_usd_per_gpu_hour"] for r in rows(folder / REFRESHED)}
    assert prices["Lambda"] == "3.0" and len(rows(folder / REFRESHED)) == 6


def test_a_slow_server_is_left_at_the_deadline(
    tuneroi: Tuneroi, remote: Remote, folder: Path
) -> None:
    remote.publish(AWS)
    remote.drips = True
    ran = tuneroi("prices", "refresh", "--gpu-offers", "--timeout", "3")
    assert ran.status == 3 and "no complete answer within 3 seconds" in ran.out
    assert "the shipped prices stay" in ran.out and not (folder / REFRESHED).exists()


def test_offline_is_said_in_one_line(
    tuneroi: Tuneroi, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPUHUNT_CATALOG_URL", "http://127.0.0.1:9")
    ran = tuneroi("prices", "refresh", "--gpu-offers")
    assert ran.status == 3 and ran.out.count("\n") == 1 and "refused" in ran.out


DIES_AT_RENAME = (
    "import os, pathlib\n"
    "pathlib.Path.replace = lambda *_: os.kill(os.getpid(), 9)\n"
    "from estimator.cli import main\n"
    "main()\n"
)


@pytest.mark.parametrize("while_", ["downloading", "renaming"])
def test_a_killed_refresh_leaves_the_earlier_file(
    tuneroi: Tuneroi, remote: Remote, folder: Path, while_: str
) -> None:
    remote.publish(AWS)
    gpus(tuneroi)
    kept = (folder / REFRESHED).read_bytes()
    remote.publish(AWS, p5=62.0)
    remote.drips = while_ == "downloading"
    code = DIES_AT_RENAME if while_ == "renaming" else "from estimator.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "prices", "refresh", "--gpu-offers"],
        env=os.environ | {"PYTHONPATH": str(Path(pricing.__file__).parent.parent)},
        stdout=subprocess.PIPE,
    )
    with process:
        if while_ == "downloading":
            assert remote.asked.wait(60)
            process.kill()
        assert process.wait(60) == -signal.SIGKILL
    remote.done.set()
    assert (folder / REFRESHED).read_bytes() == kept


BOOK = [
    {
        "id": "acme",
        "name": "Acme",
        "api_pattern": "https://api\\.acme\\.test",
        "models": [
            {
                "id": "acme-small",
                "match": {"equals": "acme-small"},
                "prices": {"input_mtok": 0.5, "output_mtok": 1.5},
            }
        ],
    }
]


def openai(factor: float) -> list[dict[str, Any]]:
    models = [
        {
            "id": name,
            "match": {"equals": name},
            "prices": {
                "input_mtok": factor * pricing.token_price("openai", name).input_usd_per_mtok,
                "output_mtok": factor * pricing.token_price("openai", name).output_usd_per_mtok,
            },
        }
        for name in ("gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini")
    ]
    return [{"id": "openai", "name": "OpenAI", "api_pattern": "x", "models": models}]


def tokens(tuneroi: Tuneroi, *options: str) -> Any:
    return tuneroi("prices", "refresh", "--tokens", "--json", *options).json["token_prices"]


def test_a_refreshed_price_book_is_read_where_it_is_asked_for(
    tuneroi: Tuneroi, remote: Remote, folder: Path
) -> None:
    remote.publish_tokens([*BOOK, *openai(1.5)])
    done = tokens(tuneroi, "--yes")
    today = datetime.now(tz=UTC).date().isoformat()
    assert done["as_of"] == today and ["acme", "acme-small", "input"] in done["changes"]["new"]
    dearer = {tuple(change["key"]): change["change"] for change in done["changes"]["up"]}
    assert dearer["openai", "gpt-4.1-mini", "output"] == pytest.approx(0.5)
    book = own_price_files().tokens
    price = pricing.token_price("acme", "acme-small", book=book)
    assert (price.input_usd_per_mtok, price.output_usd_per_mtok) == (0.5, 1.5)
    assert price.as_of == today and today in price.source
    with pytest.raises(pricing.tokens.CatalogError, match="acme"):
        pricing.token_price("acme", "acme-small")
    shown = tuneroi("prices", "--tokens", "acme", "--json").json["tokens"]
    assert [row["model"] for row in shown] == ["acme-small"]


@pytest.mark.parametrize("book", [{"providers": []}, [], [{"id": "x"}], "soon"])
def test_a_price_book_of_another_shape_is_not_taken(
    tuneroi: Tuneroi, remote: Remote, folder: Path, book: Any
) -> None:
    remote.publish_tokens(book)
    ran = tuneroi("prices", "refresh", "--tokens")
    assert ran.status == 3 and "the shipped prices stay" in ran.out
    assert not (folder / TOKENS).exists()


def test_absurd_token_prices_are_refused(tuneroi: Tuneroi, remote: Remote, folder: Path) -> None:
    remote.publish_tokens(openai(1000))
    refusal = tuneroi("prices", "refresh", "--tokens").refusal
    assert "openai 1000.0 times as dear" in refusal and "openai lost" in refusal
    assert not (folder / TOKENS).exists()


def test_a_stored_book_that_broke_says_how_to_mend_it(
    tuneroi: Tuneroi, folder: Path, remote: Remote
) -> None:
    folder.mkdir()
    (folder / TOKENS).write_text("{", encoding="utf-8")
    assert "refresh --tokens" in tuneroi("prices", "--tokens", "openai").refusal
    remote.publish_tokens(openai(1.0))
    assert tokens(tuneroi, "--yes")["prices"] == 8
    assert CONTRACT not in {path.name for path in folder.iterdir()}
