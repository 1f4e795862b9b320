"""What a file reader hands on: a row, or the reason why there is none."""

from typing import NamedTuple

MAX_ROW_BYTES = 16 * 2**20
"""Longest row read, in bytes; a longer one is counted as malformed, so that memory is bounded."""

MOST_UNPACKED = 200
"""Bytes out of one packed byte, beyond the first harmless ones; a .gz bomb reaches 1,032."""
HARMLESS_BYTES = 4_000_000


class Row(NamedTuple):
    """One record of a file as plain Python values; a string is a document."""

    number: int
    """Line of its file; in JSON the element, in Parquet the table row. From 1."""
    value: object


class BadRow(NamedTuple):
    """A row that cannot be used."""

    number: int
    reason: str


class DamagedFile(Exception):  # noqa: N818 - not an error of ours: the rest of one file is unreadable
    """The rest of a file cannot be read; what came before it stands."""


def check_unpacked(unpacked_bytes: int, packed_bytes: int) -> None:
    """Give up a file that unpacks to far more than its size: it is made to exhaust its reader."""
    if unpacked_bytes > HARMLESS_BYTES + MOST_UNPACKED * packed_bytes:
        raise DamagedFile(f"unpacks to more than {MOST_UNPACKED} times its size")
