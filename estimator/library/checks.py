"""What a library can keep: the same in SQLite and in PostgreSQL, refused in one line else."""

import unicodedata
from collections.abc import Mapping
from math import isfinite
from typing import Any, get_args

from estimator.errors import InputError, unknown
from estimator.library.schema import NAME_CHARACTERS, Kind

NOTE_CHARACTERS = 10_000
HIGHEST_SEED = 2**63 - 1
LINE_ENDS = ("Cc", "Zl", "Zp")
"""Unicode categories of control characters and line ends."""


def check_name(name: str) -> None:
    """Refuse a name that cannot be printed on a line, typed, or told from a number."""
    check_text("name", name)
    if not name.strip() or len(name) > NAME_CHARACTERS:
        raise InputError(
            f"name {name[:40]!r}{' ...' if len(name) > 40 else ''}: {len(name):,} characters; "
            f"must be 1 to {NAME_CHARACTERS}, not all blank"
        )
    if name.isascii() and name.isdecimal():
        raise InputError(f"name {name!r}: is a number, as runs have already; add a word")
    if any(unicodedata.category(character) in LINE_ENDS for character in name):
        raise InputError(f"name {name[:40]!r}: must be one line without control characters")


def check_kind(kind: str) -> None:
    """Refuse a kind of run that is not known."""
    if kind not in get_args(Kind):
        raise unknown("kind of run", kind, get_args(Kind))


def check_seed(seed: int | None) -> None:
    """Refuse a seed that no database has room for."""
    if seed is not None and not 0 <= seed <= HIGHEST_SEED:
        raise InputError(f"seed {seed}: must be 0 to {HIGHEST_SEED}")


def check_note(note: str) -> None:
    """Refuse a note that is a document, or that would write to the terminal's controls."""
    check_text("note", note)
    if len(note) > NOTE_CHARACTERS:
        raise InputError(f"note: {len(note):,} characters; at most {NOTE_CHARACTERS:,}")
    if any(unicodedata.category(c) == "Cc" and c not in "\t\r\n" for c in note):
        raise InputError(f"note {note[:40]!r}: holds control characters; take them out")


def check_text(what: str, text: str) -> None:
    """Refuse NUL, which PostgreSQL cannot keep, and what is not Unicode."""
    if "\0" in text:
        raise InputError(f"{what}: holds a NUL character at {text.index(chr(0)):,}; take it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what}: is not Unicode text at character {error.start:,}") from None


def as_json(data: Any) -> Any:
    """The data as JSON can hold it: not-a-number and infinities become null, as in `--json`."""
    if isinstance(data, Mapping):
        return {str(key): as_json(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [as_json(value) for value in data]
    if isinstance(data, float):
        return data if isfinite(data) else None
    return data
