"""The README shows what the commands really print: UPDATE_README=1 writes it anew."""

import os
import re
from pathlib import Path

import pytest
from command import Tuneroi

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- demo -->\n```text\n)(.*?)(```\n<!-- /demo -->)", re.DOTALL)


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("estimator.cli.show.PIPE_WIDTH", 100)
    return Tuneroi(monkeypatch, capsys)


def test_the_readme_shows_the_demo_as_it_prints(tuneroi: Tuneroi) -> None:
    shown = BLOCK.search(README.read_text("utf-8"))
    assert shown is not None
    printed = tuneroi("compare", "examples/support-assistant.yaml").out
    printed = printed.split("\nTo know\n")[0].rstrip() + "\n"
    if os.environ.get("UPDATE_README"):
        text = BLOCK.sub(lambda m: m[1] + printed + m[3], README.read_text("utf-8"))
        README.write_text(text, "utf-8")
        return
    assert shown[2] == printed, "run: UPDATE_README=1 python -m pytest tests/test_readme.py"


def test_commands_in_the_readme_exist(tuneroi: Tuneroi) -> None:
    text = README.read_text("utf-8")
    for name in set(re.findall(r"^tuneroi ([a-z]+)", text, re.MULTILINE)):
        assert tuneroi(name, "--help").status == 0, name


def test_the_python_of_the_readme_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    code = re.search(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert code is not None
    exec(code[1], {})
