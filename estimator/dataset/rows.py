"""What a file reader hands on: a row, or the reason why there is none."""

from typing import NamedTuple

MAX_ROW_BYTES = 16 * 2**20
"""Longest row read, in bytes; a longer one is counted as malformed, so that memory is bounded."""


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
