"""Uploaded files on the disk: each under its own name, in a folder of its own, and not for long."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from estimator.errors import InputError

LONGEST_NAME_BYTES = 200
"""Of a name; file systems take 255, and a temporary name beside the file is longer than its own."""


@contextmanager
def uploaded_file(name: str, content: bytes) -> Iterator[Path]:
    """The upload as a file of that name; gone with its folder afterwards."""
    safe = safe_name(name)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, safe)
        place.write_bytes(content)
        yield place


def safe_name(name: str) -> str:
    """The last part of the name that a browser sent, which may be a path of any system.

    InputError where that is no name of a file here, is hidden, or would be read as an option.
    """
    safe = re.split(r"[/\\]", name)[-1]
    length = len(safe.encode("utf-8", "replace"))
    if not safe or not safe.isprintable() or safe[0] in ".-" or length > LONGEST_NAME_BYTES:
        raise InputError(f"{name[:80]!r} is no name of a file; rename it and upload it again")
    return safe
