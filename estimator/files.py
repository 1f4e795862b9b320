"""Reading files within bounds, and writing them whole or not at all."""

import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from estimator.errors import InputError

DATA_FOLDER = "TUNEROI_DATA"
"""Environment variable that names another folder for what the user's own runs leave behind."""
STANDARD_INPUT = "-"
FROM_THE_SHELL = re.compile(r"/dev/(stdin|fd/\d+)")
"""Pipes that the shell has opened for us, so that somebody writes to them."""
PART_PREFIX, PART_SUFFIX = ".tuneroi-", ".part"
"""Names of temporary files begin and end so."""
LEFT_BEHIND_SECONDS = 24 * 3600.0
"""A temporary file of this age belongs to a process that was killed."""


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


def user_path(name: str | Path) -> Path:
    """The path that a user typed; ~ is the home folder, and stays as it is where there is none."""
    return Path(os.path.expanduser(name))  # noqa: PTH111 - Path.expanduser fails where there is none


def read_text(path: Path, *, most_bytes: int, kind: str) -> str:
    """The text of a UTF-8 file; `kind` says in a refusal what was to be read, "a scenario file".

    Read are files and what a shell pipes in: `-`, /dev/stdin, `<(...)`. Another pipe or a device
    is refused, since nobody may ever write to it, and so is more than `most_bytes`. A byte order
    mark is left out.
    """
    content = read_bytes(path, most_bytes=most_bytes, kind=kind)
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text; give {kind}") from None


def read_bytes(path: Path, *, most_bytes: int, kind: str) -> bytes:
    """The same as bytes, whatever they mean."""
    place = Path("/dev/stdin") if str(path) == STANDARD_INPUT else path
    try:
        mode = place.stat().st_mode
        piped = stat.S_ISFIFO(mode) and FROM_THE_SHELL.fullmatch(str(place))
        if not (piped or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(f"{path}: is not a regular file; give {kind}")
        with place.open("rb") as file:
            content = file.read(most_bytes + 1)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}; give {kind}") from None
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{path}: {error}; give {kind}") from None
    if len(content) > most_bytes:
        raise InputError(f"{path}: larger than {most_bytes / 1e6:g} MB; give {kind}")
    return content


def write_atomically(path: Path, text: str) -> None:
    """Write text to a temporary name beside `path`, then rename: never half a file."""
    write_bytes_atomically(path, text.encode("utf-8"))


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """The same for bytes."""
    try:
        target = _target(path)
        temporary = _written_beside(target, content)
        try:
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None


def write_new_file(path: Path, text: str) -> bool:
    """Write text to a file that is not there yet, whole or not at all; False where it is there."""
    try:
        temporary = _written_beside(path, text.encode("utf-8"))
        try:
            os.link(temporary, path)  # unlike a rename, it never replaces
        except FileExistsError:
            return False
        finally:
            temporary.unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from None
    return True


def _target(path: Path) -> Path:
    """The file behind a symbolic link; a device or a pipe must never be replaced by a file."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise InputError(f"{path}: cannot write there: it is not a regular file")
    return target


def _written_beside(path: Path, content: bytes) -> Path:
    """A temporary file with the content, safely on the disk, in the same folder as `path`."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=PART_PREFIX, suffix=PART_SUFFIX)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            now = os.fstat(file.fileno()).st_mtime  # by the clock that dates the others too
        Path(name).chmod(0o644)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _remove_left_behind(path.parent, now)
    return Path(name)


def _remove_left_behind(folder: Path, now: float) -> None:
    """Remove temporary files that killed processes left in a folder over a day ago.

    Writing takes seconds, so that none of them is still in use; what cannot be removed stays.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            named = entry.name.startswith(PART_PREFIX) and entry.name.endswith(PART_SUFFIX)
            if named and entry.is_file(follow_symlinks=False):
                age_seconds = now - entry.stat(follow_symlinks=False).st_mtime
                if age_seconds > LEFT_BEHIND_SECONDS:
                    with suppress(OSError):
                        Path(entry.path).unlink()


def _unwritable(path: Path, error: OSError | ValueError) -> InputError:
    reason = getattr(error, "strerror", None) or error
    return InputError(f"{path}: cannot write there: {reason}")
