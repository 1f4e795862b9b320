"""One log of a past run: which program wrote it, how fast it was, what it says of the settings."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from estimator.errors import InputError, unknown
from estimator.files import read_text
from estimator.validation.logs import torchtitan, torchtune, trainer
from estimator.validation.logs.reading import LogText, RunLog

READERS: Mapping[str, Callable[[LogText], RunLog | None]] = {
    "trainer": trainer.read,
    "torchtune": torchtune.read,
    "torchtitan": torchtitan.read,
}
FORMATS = ("auto", *READERS, "csv")
LARGEST_FILE_BYTES = 20_000_000


def read_log(path: Path, log_format: str = "auto") -> RunLog | None:
    """What a log says; None where it is a table (CSV), which has its own reader.

    `auto` takes the first format whose marks the file bears.
    """
    if log_format not in FORMATS:
        raise unknown("log format", log_format, FORMATS)
    text = _text(path)
    if log_format == "csv":
        return None
    names = READERS if log_format == "auto" else (log_format,)
    for name in names:
        if found := READERS[name](text):
            return found
    if log_format == "auto" and text.looks_like_a_table:
        return None
    expected = "trainer_state.json, trainer_log.jsonl, a torchtune or torchtitan log, or a CSV file"
    raise InputError(f"{path}: is not a log that can be read; allowed: {expected}")


def _text(path: Path) -> LogText:
    text = read_text(path, most_bytes=LARGEST_FILE_BYTES, kind="a log of a run")
    return LogText(path=path, text=text, document=_document(text), records=_records(text))


def _document(text: str) -> Any:
    """The JSON document that the file is; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _records(text: str) -> tuple[Mapping[str, Any], ...]:
    """The JSON objects of a file that has one on each line, half-written ones left out."""
    found = []
    for line in text.splitlines():
        if line.startswith("{"):
            record = _document(line)
            if isinstance(record, dict):
                found.append(record)
    return tuple(found)
