"""The site builds without a warning, and its generated pages are what their scripts write."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import estimator

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["generate_cli", "generate_json"])
def test_a_generated_page_is_what_its_script_writes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    written = script(name)
    assert written.PAGE.read_text("utf-8") == written.page(), f"run python docs/{name}.py"


def test_the_reference_names_every_command() -> None:
    import typer

    from estimator.cli.main import app

    page = (DOCS / "reference" / "cli.md").read_text("utf-8")
    shapes = (DOCS / "reference" / "json.md").read_text("utf-8")
    found = list(script("generate_cli").commands(typer.main.get_command(app)))
    assert len(found) > 20
    for name, command in found:
        assert f"\n## {name}\n" in page
        if any("--json" in parameter.opts for parameter in command.params):
            short = name.removeprefix("tuneroi ").replace("prices show", "prices")
            assert re.search(rf"^## {short}( |$)|`{short}`", shapes, re.MULTILINE), name


def test_the_python_reference_has_every_public_name() -> None:
    page = (DOCS / "reference" / "python.md").read_text("utf-8")
    shown = re.findall(r"^::: ([\w.]+)\.(\w+)$", page, re.MULTILINE)
    assert {name for _, name in shown} | {"__version__"} == set(estimator.__all__)
    for home, name in shown:
        assert getattr(importlib.import_module(home), name) is getattr(estimator, name)


def test_every_named_file_of_the_repository_exists() -> None:
    folders = "estimator|pricing|tests|examples|benchmarks|docs"
    for page in [ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("how-to/*.md")]:
        for path in re.findall(rf"`((?:{folders})/[\w./-]+\.\w+)`", page.read_text("utf-8")):
            if path.split("/")[-1] != "your_way.py":
                assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_figures_quoted_from_other_pages_are_theirs() -> None:
    accuracy = (DOCS / "accuracy.md").read_text("utf-8")
    ours = re.search(
        r"^\| the same, llm-foundry \| 216 \| ([\d.]+ %) \| ([\d.]+ %)", accuracy, re.M
    )
    assert ours is not None
    beside = (DOCS / "beside.md").read_text("utf-8")
    assert (
        f"| **tuneroi, a fit without the row's model** | 100 % | {ours[1]} | {ours[2]} |" in beside
    )
    tried = (DOCS / "method" / "serving-tried.md").read_text("utf-8")
    quoted = (DOCS / "method" / "serving.md").read_text("utf-8")
    for row in ("shipped constants", "each source left out", "blind: LMDeploy"):
        found = re.search(rf"^\| {row}[^|]*\| (\d+) \| ([\d.]+ %)", tried, re.M)
        assert found is not None
        assert found[2] in quoted


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    for name in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(name)
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", tmp_path / "site"],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert built.stderr.strip() == ""
    page = (tmp_path / "site" / "reference" / "python.html").read_text("utf-8")
    assert "Every alternative of the scenario" in page
    assert not (tmp_path / "site" / "generate_cli.py").exists()
