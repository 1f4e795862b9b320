"""Scenario files: YAML in and out without loss, and errors that name the place in the file."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from estimator.errors import EstimatorError, InputError, nearest
from estimator.files import read_text, write_atomically
from estimator.scenario import Scenario

MAX_BYTES = 1_000_000
MAX_DIGITS = 300

Location = tuple[str | int, ...]
Lines = dict[Location, int]


class _Loader(yaml.SafeLoader):
    """YAML's safe loader that also reads 1e6 as a number (YAML 1.2 does, PyYAML does not)."""


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    if len(node.value) > MAX_DIGITS:  # Python neither prints nor reads thousands of digits
        problem = f"a number of {len(node.value)} digits"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return int(loader.construct_yaml_int(node))


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d[\d_]*)(\.\d*)?[eE][-+]?\d+$"),
    list("-+0123456789"),
)


def load_scenario(path: str | Path) -> Scenario:
    """The scenario in a YAML file; InputError says what is wrong, and on which line."""
    path = Path(path)
    text = read_text(path, most_bytes=MAX_BYTES, kind="a scenario file")
    return parse_scenario(text, name=str(path))


def parse_scenario(text: str, *, name: str = "scenario") -> Scenario:
    """The scenario in a YAML text; `name` stands for the file in error messages."""
    data, lines = _read_yaml(text, name)
    if not isinstance(data, dict):
        raise InputError(f"{name}: a scenario is a mapping of inputs; see `tuneroi init`")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise InputError(f"{name}: {describe(error, lines)}") from None
    except EstimatorError as error:  # a default that a named catalogue entry could not give
        raise InputError(f"{name}: {error}") from None


def read_value(text: str, *, name: str) -> Any:
    """One value of a scenario as YAML: a number, a word, a list or a mapping."""
    return _read_yaml(text, name)[0]


def dump_scenario(scenario: Scenario) -> str:
    """The scenario as YAML: what was set, and nothing that is a default anyway."""
    data = scenario.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)


def save_scenario(scenario: Scenario, path: str | Path) -> None:
    """Write the scenario to a file, whole or not at all."""
    write_atomically(Path(path), dump_scenario(scenario))


def _read_yaml(text: str, name: str) -> tuple[Any, Lines]:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return {}, {}
        lines = _lines(node, (), {}, set(), name)
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InputError(f"{name}: line {line}: not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(f"{name}: not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise InputError(f"{name}: nested too deeply to be a scenario") from None
    finally:
        if loader is not None:
            loader.dispose()


def _lines(node: yaml.Node, at: Location, lines: Lines, seen: set[int], name: str) -> Lines:
    """Line of every key; refuses aliases (a small file could unfold without end) and doubles."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        _refuse_half_characters(node, name)
        return lines
    if id(node) in seen:
        raise InputError(f"{name}: line {lines[at]}: YAML aliases are not used; write it out")
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            _lines(item, (*at, i), lines, seen, name)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*at, str(key.value))
            _refuse_half_characters(key, name)
            if place in lines:
                raise InputError(
                    f"{name}: line {key.start_mark.line + 1}: {key.value!r} is given twice "
                    f"(first on line {lines[place]})"
                )
            lines[place] = key.start_mark.line + 1
            _lines(value, place, lines, seen, name)
    return lines


def _refuse_half_characters(node: yaml.Node, name: str) -> None:
    """Refuse a lone surrogate, such as "\\ud800": no file and no terminal can show it."""
    try:
        str(node.value).encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"{name}: line {node.start_mark.line + 1}: {node.value!r:.80} holds half of a "
            "character (a lone surrogate); write the character itself"
        ) from None


def describe(error: ValidationError, lines: Lines) -> str:
    """The first problem in one line: place, line, what was found, what is allowed."""
    # A misspelt key also leaves its right name missing: the misspelling is what to mend.
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    where = tuple(part for part in first["loc"] if not str(part).startswith("function-"))
    line = next((lines[where[:k]] for k in range(len(where), 0, -1) if where[:k] in lines), None)
    place = ".".join(map(str, where)) or "scenario"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{f'line {line}: ' if line else ''}{place}: {_say(first, where)}{more}"


def _say(problem: Any, where: Location) -> str:
    if problem["type"] == "extra_forbidden":
        known = _known_keys(where[:-1])
        close = nearest(str(where[-1]), known)
        help_text = f"nearest known: {', '.join(close)}" if close else f"known: {', '.join(known)}"
        return f"unknown key; {help_text}"
    if problem["type"] == "missing":
        return "missing; it has no default"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    given = problem["input"]
    if isinstance(given, str | int | float | bool) and repr(given) not in message:
        return f"{given!r} given; {message[0].lower()}{message[1:]}"
    return str(message)


def _known_keys(at: Location) -> list[str]:
    """Keys that are allowed at a place in the tree."""
    model: type[BaseModel] = Scenario
    for part in at:
        field = model.model_fields.get(str(part))
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
            break
        model = kind
    return list(model.model_fields)
