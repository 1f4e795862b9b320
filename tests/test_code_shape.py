"""The code's shape: short functions, and every option of the command declared once."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from estimator.cli.main import app

ROOT = Path(__file__).parent.parent
LONGEST = 60
"""Lines of a function, signature and docstring included."""
LONGER = {"retrieval"}
"""Functions that may be longer."""
ALIKE = ("model", "plan", "train", "fit", "serve")
"""Commands in which an option that means the same must read the same."""
OTHER_MEANINGS = {
    "--gpu": "the GPU to train on, or those whose offers are looked at",
    "--tier": "the kind of one price, or those of the offers that are looked at",
    "--method": "one method, several, or all that exist",
    "--stack": "one program, or several",
    "--lora-rank": "given, or only where an adapter is",
    "--micro-batch": "the fastest, or the largest that fits",
    "--checkpointing": "the fastest, or each kind",
    "--precision": "of training, or of the weights that are served",
}
"""Options that two of these commands mean differently, and how."""


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield node


def length(function: ast.FunctionDef) -> int:
    return (function.end_lineno or 0) - function.lineno + 1


def product() -> list[Path]:
    return sorted([*ROOT.glob("estimator/**/*.py"), *ROOT.glob("pricing/**/*.py")])


def commands() -> list[Path]:
    return sorted(ROOT.glob("estimator/cli/*.py"))


def test_no_function_is_long() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}": length(function)
        for path in product()
        for function in functions(path)
        if length(function) > LONGEST and function.name not in LONGER
    }
    assert not long


def test_most_functions_are_short() -> None:
    lengths = sorted(length(function) for path in product() for function in functions(path))
    assert lengths[len(lengths) // 2] <= 12
    assert lengths[len(lengths) * 9 // 10] <= 40


def declared(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Name and whole text of each option that a module declares."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            if isinstance(name, str) and name.startswith("--"):
                yield name, ast.unparse(node)


def test_no_option_is_declared_twice() -> None:
    places = defaultdict(list)
    for path in commands():
        for name, text in declared(ast.parse(path.read_text("utf-8"))):
            help_text = text.partition("help=")[2]
            places[name, help_text].append(path.name)
    assert len(places) > 100
    assert {option: found for option, found in places.items() if len(found) > 1} == {}


@pytest.mark.parametrize("path", commands(), ids=lambda path: path.name)
def test_no_signature_declares_an_option(path: Path) -> None:
    for function in functions(path):
        for argument in (*function.args.args, *function.args.kwonlyargs):
            inside = ast.walk(argument.annotation) if argument.annotation else ()
            calls = [node for node in inside if isinstance(node, ast.Call)]
            at_root = path.name == "main.py" and function.name == "_root"
            assert not calls or at_root, f"{function.name}: {argument.arg}"


def texts() -> dict[str, dict[str, Any]]:
    """What each option says, by option and command."""
    found: dict[str, dict[str, Any]] = defaultdict(dict)
    group: Any = typer.main.get_command(app)
    for command in ALIKE:
        for option in group.commands[command].params:
            name = option.opts[0]
            found[name if name.startswith("--") else "argument"][command] = (
                option.help,
                option.metavar,
                getattr(option, "rich_help_panel", None),
            )
    return found


def test_an_option_reads_the_same_in_every_command() -> None:
    said = texts()
    assert len(said["--offline"]) == len(said["argument"]) == len(ALIKE)
    differing = {name for name, by_command in said.items() if len(set(by_command.values())) > 1}
    assert differing == set(OTHER_MEANINGS)


def test_the_checks_see_what_is_wrong() -> None:
    tree = ast.parse('a = data("--tokens", help="Tokens.")\nb = offers("--tokens", help="Tokens.")')
    assert [name for name, _ in declared(tree)] == ["--tokens", "--tokens"]
    assert length(ast.parse("def f():\n    return 1\n").body[0]) == 2  # type: ignore[arg-type]
