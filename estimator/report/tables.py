"""Rows as a table in a file: CSV or Parquet, by the name's ending."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from estimator.errors import InputError
from estimator.files import write_atomically, write_bytes_atomically

ENDINGS = (".csv", ".parquet")


def check_table_name(path: Path) -> None:
    """Refuse a file that a table cannot be written to, before any work is done."""
    if path.suffix not in ENDINGS:
        raise InputError(f"{path}: must end in {' or '.join(ENDINGS)}")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist")


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with equal keys, whole or not at all."""
    check_table_name(path)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), buffer)
        write_bytes_atomically(path, buffer.getvalue())
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue())
