"""Writing files so that nothing is ever lost: whole or not at all."""

import os
import tempfile
from pathlib import Path

from estimator.errors import InputError


def write_atomically(path: Path, text: str) -> None:
    """Write text to a temporary name beside `path`, then rename: never half a file."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path}: cannot write there: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
