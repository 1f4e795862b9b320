"""What a source's software does that its rows do not state: data in `data/memory_conventions.json`.

A rule applies where every named column matches its pattern; a later rule wins over an earlier one.
Rules speak of software and of what a reading means, never of one row.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from estimator.errors import InputError
from estimator.validation.rows import Row

DATA = Path(__file__).parent / "data" / "memory_conventions.json"


@dataclass(frozen=True, slots=True)
class Rule:
    """A convention and where it is seen."""

    when: Mapping[str, re.Pattern[str]]
    sets: Any

    def applies(self, row: Row) -> bool:
        """Whether every named column matches its pattern."""
        return all(pattern.search(row[column]) for column, pattern in self.when.items())


@cache
def rules(kind: str, path: Path = DATA) -> tuple[Rule, ...]:
    """The rules of a kind; each must state why and from where.

    Kinds: `reading` (what a figure counts), `recipe`, `architecture`, `unmodelled`.
    """
    found = []
    for number, entry in enumerate(json.loads(path.read_text("utf-8"))[kind], start=1):
        missing = {"when", "set", "why", "source"} - set(entry)
        if missing or not (entry.get("why") and entry.get("source")):
            fault = ", ".join(sorted(missing)) or "why or source"
            raise InputError(f"{path.name}, {kind} {number}: {fault} is missing; add it")
        patterns = {column: re.compile(text) for column, text in entry["when"].items()}
        found.append(Rule(patterns, entry["set"]))
    return tuple(found)


def reading_of(row: Row) -> str:
    """What the row's figure counts: `allocated`, `reserved` or `used`."""
    for rule in reversed(rules("reading")):
        if rule.applies(row):
            return str(rule.sets)
    raise InputError(
        f"{row.place}: mem_kind is {row['mem_kind']!r}; known: allocated, reserved, nvidia-smi"
    )


def conventions(kind: str, row: Row) -> dict[str, Any]:
    """What the source's software decides of a `recipe` or an `architecture`."""
    fields: dict[str, Any] = {}
    for rule in rules(kind):
        if rule.applies(row):
            fields |= rule.sets
    return fields


def refuse_unmodelled(row: Row) -> None:
    """Raises `InputError` where a row uses what the closed form lacks."""
    for rule in rules("unmodelled"):
        if rule.applies(row):
            raise InputError(f"{row.place}: {rule.sets} is not modelled")
