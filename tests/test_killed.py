"""Writers killed at any moment: what was there before stays whole, nothing new is half-written."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from estimator.errors import InputError
from estimator.files import read_text, write_atomically, write_new_file
from estimator.scenario.templates import template_text

COMMAND = (sys.executable, "-c", "from estimator.cli import main; main()")
OLD = "what was there before"
KILLS = 3


def torchtitan_log(folder: Path) -> Path:
    log = folder / "run.log"
    log.write_text("".join(f"step: {i} loss: 1.0 tps: 9,000\n" for i in range(1, 60)))
    return log


def init(folder: Path) -> list[object]:
    return ["init", "support-assistant", "--force", "-o", folder / "out.yaml"]


def compare_html(folder: Path) -> list[object]:
    (folder / "s.yaml").write_text(template_text("support-assistant"))
    target = folder / "out.html"
    return ["compare", folder / "s.yaml", "--draws", "256", "--html", target]


def trace(folder: Path) -> list[object]:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "vocab_size": 100,
    }
    (folder / "tiny.json").write_text(json.dumps(config))
    options = ["--method", "full", "--checkpointing", "none", "--seq-len", "8", "--offline"]
    return ["trace", folder / "tiny.json", "-o", folder / "out.csv", *options]


def calibrate_import(folder: Path) -> list[object]:
    options = "--model llama-3.1-8b --gpu h100-sxm --gpus 1 --method lora --seq-len 2048 "
    options += "--micro-batch 1 --accumulation 1 --checkpointing full --offline"
    return ["calibrate", "import", torchtitan_log(folder), *options.split()]


def run(folder: Path, arguments: list[object]) -> subprocess.Popen[bytes]:
    environment = os.environ | {"TUNEROI_DATA": str(folder / "data"), "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def visible(folder: Path) -> dict[str, bytes]:
    """Every file but the hidden ones, among which a killed writer may leave its temporary name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


@pytest.mark.parametrize(
    "make", [init, compare_html, calibrate_import, pytest.param(trace, marks=pytest.mark.slow)]
)
def test_a_killed_command_leaves_the_old_or_the_new(
    tmp_path: Path, make: Callable[[Path], list[object]]
) -> None:
    arguments = make(tmp_path)
    (out,) = [part for part in arguments if Path(str(part)).name.startswith("out.")] or [None]
    if isinstance(out, Path):
        out.write_text(OLD)
    before = visible(tmp_path)
    start = time.monotonic()
    whole = run(tmp_path, arguments)
    assert whole.wait(120) == 0
    took = time.monotonic() - start
    after = visible(tmp_path)
    chance = random.Random(7)
    for _ in range(KILLS if make is not trace else 2):
        for name in set(visible(tmp_path)) - set(before):
            (tmp_path / name).unlink()
        if isinstance(out, Path):
            out.write_text(OLD)
        process = run(tmp_path, arguments)
        time.sleep(took * chance.uniform(0.6, 1.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        for name, content in visible(tmp_path).items():
            if content == before.get(name):
                continue
            if name.startswith("data"):  # named and dated by the second: whole is what it must be
                assert json.loads(content)["schema_version"] == 1
            else:
                assert len(content) == len(after[name]), f"{name} is half-written"


WRITER = """
import sys
from pathlib import Path
from estimator.files import write_atomically, write_new_file
path, number = Path(sys.argv[1]), 0
print("ready", flush=True)
while True:
    number += 1
    write_atomically(path, f"{number}\\n" * 200_000)
    write_new_file(path.with_name(f"new-{number}"), f"{number}\\n" * 200_000)
"""


SLEEPING_WRITER = """
import os, sys, time
from pathlib import Path
from estimator.files import write_atomically

def wait(handle):
    print("written", flush=True)
    time.sleep(600)

os.fsync = wait
write_atomically(Path(sys.argv[1]), "half")
"""


def test_a_killed_writer_leaves_whole_files(tmp_path: Path) -> None:
    """Killed again and again in the middle of writing, every visible file is whole."""
    chance = random.Random(11)
    path = tmp_path / "file"
    for _ in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        time.sleep(chance.uniform(0.0, 0.08))
        process.kill()
        process.communicate()
        for name, content in visible(tmp_path).items():
            lines = content.splitlines()
            assert len(lines) == 200_000 and len(set(lines)) == 1, name


def test_what_a_killed_writer_left_is_removed_a_day_later(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPING_WRITER, str(tmp_path / "file")], stdout=subprocess.PIPE
    )
    assert process.stdout is not None and process.stdout.readline() == b"written\n"
    process.kill()
    process.communicate()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    write_atomically(tmp_path / "other", "new")
    assert left.exists(), "it may still be in use"
    day_ago = time.time() - 25 * 3600
    for name in (left, tmp_path / ".theirs.part", tmp_path / ".tuneroi-notes"):
        name.touch()
        os.utime(name, (day_ago, day_ago))
    (tmp_path / ".tuneroi-link.part").symlink_to(tmp_path / "other")
    os.utime(tmp_path / ".tuneroi-link.part", (day_ago, day_ago), follow_symlinks=False)
    assert write_new_file(tmp_path / "third", "new")
    kept = {".theirs.part", ".tuneroi-notes", ".tuneroi-link.part", "other", "third"}
    assert {path.name for path in tmp_path.iterdir()} == kept


def test_a_folder_that_nothing_can_be_removed_from_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / ".tuneroi-1.part"
    old.touch()
    os.utime(old, (0, 0))
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == old.name:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new" and old.exists()


def test_a_new_file_never_replaces_another(tmp_path: Path) -> None:
    assert write_new_file(tmp_path / "a", "one")
    assert not write_new_file(tmp_path / "a", "two")
    assert visible(tmp_path) == {"a": b"one"} and len(list(tmp_path.iterdir())) == 1


def test_a_link_is_written_through_and_a_pipe_never(tmp_path: Path) -> None:
    (tmp_path / "real").write_text(OLD)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    for place in ("pipe", ".", "missing/file", "a\0b", "x" * 300):
        with pytest.raises(InputError, match="cannot write there"):
            write_atomically(tmp_path / place, "new")
    assert (tmp_path / "pipe").is_fifo()


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text(OLD)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match="No space left"):
        write_atomically(tmp_path / "file", "new")
    with pytest.raises(InputError, match="No space left"):
        write_new_file(tmp_path / "other", "new")
    assert visible(tmp_path) == {"file": OLD.encode()} and len(list(tmp_path.iterdir())) == 1


def test_text_is_read_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc")
    assert read_text(path, most_bytes=9, kind="a text") == "a\nb\nc"
    with pytest.raises(InputError, match="larger than 8e-06 MB; give a text"):
        read_text(path, most_bytes=8, kind="a text")
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        read_text(path, most_bytes=9, kind="a text")
