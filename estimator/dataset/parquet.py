"""Rows of a Parquet file, a few at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from estimator.dataset.rows import MAX_ROW_BYTES, BadRow, DamagedFile, Row, check_unpacked
from estimator.dataset.streams import Report
from estimator.errors import InputError

_BATCH_ROWS = 256
_ROW_BYTES = 64
"""What a row counts for beside its text, so that a billion empty rows count too."""


def parquet_rows(path: Path, report: Report) -> Iterator[Row | BadRow]:
    """The rows of the columns that can hold text; numbers and embeddings in lists stay unread.

    Text columns stay in their dictionary encoding and cells are decoded one at a time: a file
    whose few long texts repeat a million times costs the memory of the few.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    size = _readable_size(path)
    try:
        schema = pq.read_schema(path)
        columns = [field.name for field in schema if _can_hold_text(field.type)]
        texts = [field.name for field in schema if _is_string(field.type)]
        file = pq.ParquetFile(path, read_dictionary=texts)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFile(f"not Parquet: {_first_line(error)}") from error
    with file:
        total_rows = max(file.metadata.num_rows, 1)
        check_unpacked(_stated_bytes(file.metadata), size)
        number = unpacked = 0
        batches = file.iter_batches(batch_size=_BATCH_ROWS, columns=columns, use_threads=False)
        while True:
            try:
                batch = next(batches, None)
            except (pa.ArrowException, OSError, MemoryError) as error:
                raise DamagedFile(f"reading stopped: {_first_line(error)}") from error
            if batch is None:
                return
            for index in range(batch.num_rows):
                number += 1
                row, row_bytes = _row(batch, index, number)
                unpacked += row_bytes
                check_unpacked(unpacked, size)
                yield row
            report(size * number // total_rows)


def _readable_size(path: Path) -> int:
    try:
        with path.open("rb"):
            return path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _stated_bytes(metadata: Any) -> int:
    """Bytes of all pages once decompressed, as the file states them.

    Asked of the row groups: Arrow ends the whole process where it is asked for a damaged column.
    """
    groups = range(metadata.num_row_groups)
    return sum(metadata.row_group(index).total_byte_size for index in groups)


def _row(batch: Any, index: int, number: int) -> tuple[Row | BadRow, int]:
    """One row, and about how many bytes it takes once unpacked."""
    values = {}
    row_bytes = _ROW_BYTES
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        scalar = column[index]
        cell = scalar.value if hasattr(scalar, "dictionary") else scalar
        if hasattr(cell, "as_buffer") and cell.is_valid:
            cell_bytes = cell.as_buffer().size
            row_bytes += cell_bytes
            if cell_bytes > MAX_ROW_BYTES:
                return BadRow(
                    number, f"field {name!r} is longer than {MAX_ROW_BYTES} bytes"
                ), row_bytes
        try:
            values[name] = scalar.as_py()
        except UnicodeDecodeError as error:
            return BadRow(
                number, f"field {name!r} is not UTF-8 at byte {error.start + 1}"
            ), row_bytes
    return Row(number, values), row_bytes


def _is_string(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _can_hold_text(kind: Any) -> bool:
    """Text or a plain number; a list, struct or dictionary when it holds text and no bytes."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_string(kind.value_type)
    if types.is_nested(kind):
        leaves = list(_leaves(kind))
        return any(map(_is_string, leaves)) and not any(map(_is_bytes, leaves))
    return not _is_bytes(kind)


def _leaves(kind: Any) -> Iterator[Any]:
    from pyarrow import types

    if not types.is_nested(kind):
        yield kind
        return
    for index in range(kind.num_fields):
        yield from _leaves(kind.field(index).type)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
