"""No formula lives in the dashboard: it edits inputs, calls the core once, and shows."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = [ROOT / "app.py", *sorted((ROOT / "estimator" / "dashboard").rglob("*.py"))]
ARITHMETIC = (ast.Mult, ast.Div, ast.FloorDiv, ast.Pow, ast.Mod, ast.MatMult, ast.Sub)
EDITS_INPUTS = {"adjust.py", "inputs.py", "typed.py"}  # a slider's steps, how a range moves
CALLS_THE_CORE = {"results.py"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_arithmetic_but_on_a_sliders_own_scale(path: Path) -> None:
    found = [
        f"{path.name}:{node.lineno}"
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.BinOp) and isinstance(node.op, ARITHMETIC) and not is_path(node)
    ]
    assert not found or path.name in EDITS_INPUTS, found


def is_path(node: ast.BinOp) -> bool:
    """Whether a division joins parts of a path."""
    return isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_only_one_module_calls_the_core_and_none_touches_draws(path: Path) -> None:
    names = {
        name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in imported(node)
    }
    assert "numpy" not in names and "scipy" not in names
    below = {name for name in names if name.startswith("estimator.alternatives")}
    assert below <= {"estimator.alternatives.account"}, "only what the alternatives are called"
    if path.name not in CALLS_THE_CORE:
        assert "estimator.decision.simulate" not in names


def imported(node: ast.ImportFrom | ast.Import) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names]


def test_caches_are_bounded() -> None:
    for path in MODULES:
        text = path.read_text("utf-8")
        assert "@st.cache" not in text, f"{path.name}: use results._keep, which bounds the cache"
