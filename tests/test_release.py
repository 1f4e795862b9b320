"""What is released: a wheel with every file that it needs, which runs with no repository around."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import pytest

import estimator

ROOT = Path(__file__).parent.parent
PACKAGES = ("estimator", "pricing")
VERSION = re.compile(r"\d+\.\d+\.\d+")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `python -m build` makes, by the same back end."""
    pytest.importorskip("hatchling")
    code = "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))"
    place = tmp_path_factory.mktemp("dist")
    made = subprocess.run(
        [sys.executable, "-c", code, str(place)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return place / made.stdout.split()[-1]


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return set(file.namelist())


def tracked() -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *PACKAGES],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(wheel: Path) -> None:
    packed = {name for name in names(wheel) if not name.startswith("tuneroi-")}
    assert packed == tracked()
    for needed in ("estimator/py.typed", "pricing/py.typed", "pricing/data/gpus.csv"):
        assert needed in packed
    assert any(name.endswith("support-assistant.yaml") for name in packed)


def test_the_version_has_one_place(wheel: Path) -> None:
    assert VERSION.fullmatch(estimator.__version__)
    assert wheel.name == f"tuneroi-{estimator.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        metadata = file.read(f"tuneroi-{estimator.__version__}.dist-info/METADATA").decode()
        scripts = file.read(f"tuneroi-{estimator.__version__}.dist-info/entry_points.txt").decode()
    assert f"\nVersion: {estimator.__version__}\n" in metadata
    assert "tuneroi = estimator.cli:main" in scripts
    assert 'version = "' not in (ROOT / "pyproject.toml").read_text().split("[tool.")[0]


def test_the_wheel_runs_with_no_repository_around(wheel: Path, tmp_path: Path) -> None:
    """Unpacked, which is all that the installation of a pure wheel does beside its script."""
    place, empty = tmp_path / "site", tmp_path / "empty"
    empty.mkdir()
    with zipfile.ZipFile(wheel) as file:
        file.extractall(place)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON")
    }
    environment |= {
        "PYTHONPATH": str(place),
        "TUNEROI_DATA": str(tmp_path / "data"),
        "HF_HUB_OFFLINE": "1",
    }

    def run(*arguments: str) -> str:
        code = "import sys, estimator.cli as c; print(c.__file__, file=sys.stderr); c.main()"
        ran = subprocess.run(
            [sys.executable, "-P", "-c", code, *arguments],
            cwd=empty,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        assert ran.stderr.splitlines()[0].startswith(str(place))
        return ran.stdout

    assert estimator.__version__ in run("--version")
    run("init", "support-assistant")
    told = run("compare", "support-assistant.yaml", "--draws", "256", "--html", "report.html")
    assert "status quo" in told.lower() or "Best" in told
    assert (empty / "report.html").stat().st_size > 10_000
    assert {path.name for path in empty.iterdir()} == {"support-assistant.yaml", "report.html"}


def test_the_public_interface_is_what_is_listed() -> None:
    listed = list(estimator.__all__)
    assert listed == sorted(set(listed)), "in alphabetical order, each once"
    for name in listed:
        found = getattr(estimator, name)
        assert name == "__version__" or (found.__doc__ or "").strip(), f"{name} says nothing"
    typed = {
        alias.name
        for node in ast.walk(ast.parse(Path(str(estimator.__file__)).read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("estimator.")
        for alias in node.names
    }
    homes = set(estimator._HOMES)
    assert homes | {"__version__"} == set(listed)
    assert typed == homes, "what type checkers see"
    for name, home in estimator._HOMES.items():
        assert getattr(import_module(home), name) is getattr(estimator, name)


def test_the_changelog_tells_of_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings and (estimator.__version__ in headings or headings[0] == "Unreleased")
