"""Writing files so that nothing is ever lost: whole or not at all."""

import os
import tempfile
from pathlib import Path

from estimator.errors import InputError

DATA_FOLDER = "TUNEROI_DATA"
"""Environment variable that names another folder for what the user's own runs leave behind."""


def user_data_folder() -> Path:
    """Folder for the user's own calibrations and prices, made where it is missing.

    The operating system's usual place for data of applications, or what `TUNEROI_DATA` names.
    """
    from platformdirs import user_data_path  # not needed by most commands

    named = os.environ.get(DATA_FOLDER)
    folder = Path(named) if named else user_data_path("tuneroi", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder}: cannot make this folder: {error.strerror or error}; "
            f"set {DATA_FOLDER} to one that can be written"
        ) from None
    return folder


def write_atomically(path: Path, text: str) -> None:
    """Write text to a temporary name beside `path`, then rename: never half a file."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """The same for bytes."""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise InputError(f"{path}: cannot write there: {error.strerror or error}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
