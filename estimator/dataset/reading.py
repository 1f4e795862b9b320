"""Rows of a data file or of a folder of them, streamed with bounded memory."""

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from estimator.dataset.json_stream import json_rows
from estimator.dataset.parquet import parquet_rows
from estimator.dataset.rows import MAX_ROW_BYTES, BadRow, Row
from estimator.dataset.streams import Report, lines, utf8_chunks
from estimator.errors import InputError

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
TEXT_SUFFIXES = (".txt", ".md")
SUPPORTED = ", ".join((*RECORD_SUFFIXES, *TEXT_SUFFIXES)) + " (each but .parquet also as .gz)"
# What the Hugging Face datasets library writes beside the data.
_METADATA_FILES = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"}
# A text file longer than this becomes several examples.
MAX_DOCUMENT_CHARACTERS = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files of a dataset, in a fixed order, and what was left out."""

    root: Path
    files: tuple[Path, ...]
    size_bytes: int
    notes: tuple[str, ...] = ()

    def name(self, file: Path) -> str:
        """The file as shown to the user: relative to the folder that was asked for."""
        return file.name if file == self.root else file.relative_to(self.root).as_posix()


def find_sources(path: Path) -> Sources:
    """The files to read at `path`: itself, or those of the folder and its subfolders by name."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot read dataset {path}: {reason}") from error
    if path.is_dir():
        return _find_in_folder(path)
    if not path.is_file():
        raise InputError(f"dataset {path} is not a regular file")
    if data_suffix(path) is None:
        suffix = "".join(path.suffixes[-2:]) or "no extension"
        raise InputError(f"dataset {path} has {suffix}; supported: {SUPPORTED}, or a folder")
    return Sources(root=path, files=(path,), size_bytes=status.st_size)


def _find_in_folder(folder: Path) -> Sources:
    found = sorted(_files_below(folder))
    records = [f for f in found if data_suffix(f) in RECORD_SUFFIXES]
    texts = [f for f in found if data_suffix(f) in TEXT_SUFFIXES]
    files = records or texts
    if not files:
        raise InputError(f"folder {folder} holds no dataset file; supported: {SUPPORTED}")
    notes = []
    if records and texts:
        notes.append(f"{len(texts)} .txt or .md files beside the records were not read")
    if left_out := len(found) - len(records) - len(texts):
        notes.append(f"{left_out} files of other kinds were not read")
    held_out = [f.name for f in files if "test" in f.stem.lower() or "valid" in f.stem.lower()]
    if held_out:
        notes.append(f"files named as held out are counted too, such as {held_out[0]}")
    size = sum(f.stat().st_size for f in files)
    return Sources(root=folder, files=tuple(files), size_bytes=size, notes=tuple(notes))


def _files_below(folder: Path) -> Iterator[Path]:
    """Files in a folder and its subfolders; hidden ones left out, no folder entered twice."""
    seen: set[tuple[int, int]] = set()
    for here, subfolders, names in os.walk(folder, onerror=_refuse, followlinks=True):
        status = Path(here).stat()
        # A symbolic link to a folder above would lead round for ever.
        if (status.st_dev, status.st_ino) in seen:
            subfolders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        files = (Path(here, name) for name in names if not name.startswith("."))
        yield from (f for f in files if f.name not in _METADATA_FILES and f.is_file())


def _refuse(error: OSError) -> None:
    raise InputError(f"cannot read folder {error.filename}: {error.strerror}") from error


def data_suffix(path: Path) -> str | None:
    """The extension that names the file's format, without .gz; None when it is not supported."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    suffix = (suffixes[:-1] if zipped else suffixes)[-1:]
    if not suffix or suffix[0] not in RECORD_SUFFIXES + TEXT_SUFFIXES:
        return None
    return None if zipped and suffix[0] == ".parquet" else suffix[0]


def read_rows(path: Path, report: Report) -> Iterator[Row | BadRow]:
    """The rows of one file. `report` is called with the bytes of it read so far."""
    suffix = data_suffix(path)
    if suffix == ".parquet":
        return parquet_rows(path, report)
    chunks = utf8_chunks(path, report)
    if suffix in TEXT_SUFFIXES:
        return _documents(chunks)
    if suffix in (".csv", ".tsv"):
        return _csv_rows(lines(chunks), tabs=suffix == ".tsv")
    if suffix == ".json":
        first = next(chunks, b"")
        chunks = chain((first,), chunks)
        return _json_lines(chunks) if _is_json_lines(first) else json_rows(chunks)
    return _json_lines(chunks)


def _is_json_lines(first_chunk: bytes) -> bool:
    """Whether the first line is a whole object with more text after it: JSON Lines in a .json."""
    line, _, rest = first_chunk.lstrip().partition(b"\n")
    try:
        return bool(rest.strip()) and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _json_lines(chunks: Iterator[bytes]) -> Iterator[Row | BadRow]:
    for number, line in lines(chunks):
        if line is None:
            yield BadRow(number, f"line longer than {MAX_ROW_BYTES} bytes")
            continue
        try:
            text = line.decode()
            yield Row(number, json.loads(text) if text.strip() else "")
        except UnicodeDecodeError as error:
            yield BadRow(number, f"not UTF-8 at byte {error.start + 1}")
        except json.JSONDecodeError as error:
            yield BadRow(number, f"not JSON: {error.msg} at character {error.pos + 1}")
        except (RecursionError, ValueError) as error:
            yield BadRow(number, f"not usable JSON: {type(error).__name__}")


def _csv_rows(
    numbered: Iterator[tuple[int, bytes | None]], *, tabs: bool
) -> Iterator[Row | BadRow]:
    """Rows of a table whose first line names its columns; a field may hold line breaks."""
    number, header_line = next(numbered, (1, b""))
    if not header_line:
        yield BadRow(number, "no header line")
        return
    header_text = header_line.decode("utf-8", "surrogateescape")
    delimiter = "\t" if tabs else max(",;\t", key=header_text.count)
    try:
        names = next(csv.reader([header_text], delimiter=delimiter), [])
    except csv.Error as error:
        yield BadRow(number, f"header is not CSV: {error}")
        return
    header = [name.strip() for name in names]
    bad: list[BadRow] = []
    csv.field_size_limit(MAX_ROW_BYTES)
    reader = csv.reader(_csv_lines(numbered, bad), delimiter=delimiter)
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            yield BadRow(reader.line_num + 1, f"not CSV: {error}")
            continue
        yield from bad
        bad.clear()
        if fields is None:
            return
        if fields and len(fields) != len(header):
            yield BadRow(reader.line_num + 1, f"{len(fields)} fields, the header has {len(header)}")
        else:
            yield Row(reader.line_num + 1, dict(zip(header, fields, strict=True)) if fields else "")


def _csv_lines(numbered: Iterator[tuple[int, bytes | None]], bad: list[BadRow]) -> Iterator[str]:
    for number, line in numbered:
        if line is None:
            bad.append(BadRow(number, f"line longer than {MAX_ROW_BYTES} bytes"))
            yield "\n"
        else:
            yield line.decode("utf-8", "surrogateescape") + "\n"


def _documents(chunks: Iterator[bytes]) -> Iterator[Row | BadRow]:
    """One document, cut at line ends where it is longer than a mebibyte."""
    number, parts, size = 1, list[str](), 0
    for line_number, line in lines(chunks):
        if line is None:
            yield BadRow(line_number, f"line longer than {MAX_ROW_BYTES} bytes")
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            yield BadRow(line_number, f"not UTF-8 at byte {error.start + 1}")
            continue
        if size and size + len(text) > MAX_DOCUMENT_CHARACTERS:
            yield Row(number, "\n".join(parts))
            number, parts, size = line_number, [], 0
        parts.append(text)
        size += len(text) + 1
    yield Row(number, "\n".join(parts))
