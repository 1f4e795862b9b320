"""The README shows what the commands really print: UPDATE_README=1 writes it anew.

Its other commands, and its Python, are run by tests/test_docs_commands.py.
"""

import os
import re
from pathlib import Path

import pytest
from command import Tuneroi

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
ACCURACY_ROWS = {
    "Throughput of training": (
        "the shipped fit, rows that it saw",
        "each model by a fit without it",
        "each source by a fit without it",
        "the same after 5 own rows",
    ),
    "Peak memory": ("all", "full", "lora", "qlora"),
}
"""Rows of docs/accuracy.md that the README shows, by section."""


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("estimator.cli.show.PIPE_WIDTH", 100)
    return Tuneroi(monkeypatch, capsys)


def check(mark: str, expected: str) -> None:
    """What stands between `<!-- mark -->` and `<!-- /mark -->` is what is expected."""
    block = re.compile(rf"(<!-- {mark} -->\n)(.*?)(<!-- /{mark} -->)", re.DOTALL)
    text = README.read_text("utf-8")
    shown = block.search(text)
    assert shown is not None
    if os.environ.get("UPDATE_README"):
        README.write_text(block.sub(lambda m: m[1] + expected + m[3], text), "utf-8")
        return
    assert shown[2] == expected, "run: UPDATE_README=1 python -m pytest tests/test_readme.py"


def test_the_readme_shows_the_demo_as_it_prints(tuneroi: Tuneroi) -> None:
    printed = tuneroi("compare", "examples/support-assistant.yaml").out
    shown = printed.split("\nTo know\n")[0].rstrip()
    check("demo", f"```text\n{shown}\n```\n")


def test_the_readme_shows_figures_of_the_accuracy_page() -> None:
    page = (ROOT / "docs" / "accuracy.md").read_text("utf-8")
    rows = ["| Predicted | Rows | Median error | P90 error |", "|---|---:|---:|---:|"]
    for section, names in ACCURACY_ROWS.items():
        text = page.split(f"## {section}\n")[1].split("\n## ")[0]
        for name in names:
            found = re.search(rf"^\| {re.escape(name)} (\|[^|]+\|[^|]+\|[^|]+\|)", text, re.M)
            assert found is not None, name
            rows.append(f"| {section}: {name} {found[1]}")
    check("accuracy", "\n".join(rows) + "\n")


def test_files_that_the_readme_links_to_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
