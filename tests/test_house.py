"""The house stands: imports go downward only, stay light, and the data stays in data files."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS: tuple[tuple[int, str], ...] = (
    (7, "app"),
    (7, "estimator.dashboard"),
    (7, "estimator.dashboard_app"),
    (7, "estimator.cli"),
    (6, "estimator.report"),
    (6, "estimator.library"),
    (5, "estimator.decision"),
    (4, "estimator.alternatives"),
    (3, "estimator.project"),
    (3, "estimator.scenario"),
    (3, "estimator.validation"),
    (2, "estimator.training"),
    (2, "estimator.serving"),
    (2, "estimator.benchmark"),
    (2, "estimator.dataset"),
    (1, "estimator.llm"),
    (1, "estimator.hardware"),
    (1, "pricing"),
    (0, "estimator.normal"),
    (0, "estimator.quantity"),
    (0, "estimator.sampling"),
    (0, "estimator.errors"),
    (0, "estimator.files"),
    (0, "estimator.markup"),
)
HEAVY = {"torch", "streamlit", "plotly", "transformers", "pandas"}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted([*ROOT.glob("estimator/**/*.py"), *ROOT.glob("pricing/**/*.py")]):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), path
    if (app := ROOT / "app.py").exists():
        yield "app", app


def floor(module: str) -> int | None:
    for number, prefix in FLOORS:
        if module == prefix or module.startswith(f"{prefix}."):
            return number
    return None


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize(("module", "path"), list(modules()), ids=lambda x: str(x))
def test_imports_go_downward_only(module: str, path: Path) -> None:
    own = floor(module)
    if module == "estimator":
        return
    assert own is not None, f"{module} stands on no floor"
    for other in imported(path):
        below = floor(other)
        assert below is None or below <= own, f"{module} (floor {own}) imports {other} ({below})"


def test_the_check_would_see_an_upward_import() -> None:
    assert floor("estimator.decision.finance") == 5
    assert floor("estimator.alternatives.rag") == 4
    assert floor("estimator.quantity") == 0
    assert floor("numpy") is None


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout


@pytest.mark.parametrize(
    "statement",
    [
        "import estimator",
        "import pricing",
        "import estimator.cli",
        "import estimator.scenario.files",
        "from estimator.decision.simulate import compare",
        "from estimator.llm.resolve import resolve_model",
    ],
)
def test_the_core_loads_nothing_heavy(statement: str) -> None:
    loaded = run(f"{statement}; import sys; print(' '.join(sys.modules))").split()
    assert HEAVY.isdisjoint(loaded)


def test_help_loads_no_model_of_the_core() -> None:
    code = (
        "import sys; sys.argv = ['tuneroi', '--help']\n"
        "from estimator.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "print('LOADED', ' '.join(sys.modules))"
    )
    loaded = set(run(code).split("LOADED")[1].split())
    assert loaded.isdisjoint(HEAVY | {"numpy", "scipy", "pydantic", "genai_prices"})


def test_no_price_stands_in_code() -> None:
    money = re.compile(r"_usd\w*(:\s*float)?\s*=\s*\d*\.?\d*[1-9]")
    for module, path in modules():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if "materiality_usd" in line:
                continue
            assert not money.search(line), f"{module}:{number}: {line.strip()}"


def test_the_project_names_no_machine_of_its_makers() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=False
    ).stdout.split()
    pattern = re.compile("|".join(f"/{word}/" for word in ("wo" + "rk", "ro" + "ot")))
    for name in tracked or []:
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".csv", ".yaml", ".json"} and path.exists():
            assert not pattern.search(path.read_text("utf-8")), name


def test_type_information_is_shipped() -> None:
    assert (ROOT / "estimator" / "py.typed").exists()
    assert (ROOT / "pricing" / "py.typed").exists()
