"""Rows of a JSON file, one at a time: an array of any length, or values one after another."""

import codecs
import json
import re
from collections.abc import Iterator

from estimator.dataset.records import CHAT_FIELDS
from estimator.dataset.rows import MAX_ROW_BYTES, BadRow, DamagedFile, Row

MOST_BROKEN = 20_000
"""Broken values after which a file is given up: finding the end of each costs time."""
_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")
_OUTSIDE_STRING = re.compile(r'["\[\]{},]')
# A raw line break cannot stand in a JSON string: there, a string that was never closed ends.
_INSIDE_STRING = re.compile(r'["\\\n]')
# The longest token that raw_decode may find cut off at the end of its text: "\uD83D\uDE00".
_LONGEST_CUT_TOKEN = 16


def json_rows(chunks: Iterator[bytes]) -> Iterator[Row | BadRow]:
    """The elements of a top-level array, or top-level values one after another.

    A single object that holds one list of objects, as in `{"data": [...]}`, stands for its list.
    Memory holds one element at a time. A broken element is skipped by its brackets.
    """
    window = _Window(chunks)
    in_array = window.skip_space() == "["
    if in_array:
        window.at += 1
    first: Row | None = None
    for count, item in enumerate(_values(window, in_array=in_array)):
        if count == 0 and not in_array and isinstance(item, Row):
            first = item  # held back until a second value shows that it is a row itself
            continue
        if first is not None:
            yield first
            first = None
        yield item
    if first is not None:
        yield from _unwrapped(first)


def _unwrapped(row: Row) -> Iterator[Row]:
    record = row.value if isinstance(row.value, dict) else {}
    tables = [value for value in record.values() if _is_table(value)]
    if len(tables) != 1 or any(name in CHAT_FIELDS for name in record):
        yield row
        return
    for number, value in enumerate(tables[0], start=1):
        yield Row(number, value)


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


class _Window:
    """The part of a text being looked at; the only state of this reader."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        # Bytes that are not UTF-8 become lone surrogates: only the row they stand in is refused.
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="surrogateescape")
        self.text, self.at, self.ended = "", 0, False

    def grow(self) -> bool:
        """Whether there was more text; at least doubles what lies ahead."""
        wanted = max(len(self.text) - self.at, 1)
        pieces = [self.text[self.at :]]
        self.at = 0
        while wanted > 0 and not self.ended:
            chunk = next(self.chunks, None)
            self.ended = chunk is None
            piece = self.decoder.decode(chunk or b"", final=self.ended)
            pieces.append(piece)
            wanted -= len(piece)
        before = len(pieces[0])
        self.text = "".join(pieces)
        return len(self.text) > before

    def skip_space(self) -> str:
        """The next character that is not white space, or nothing at the end."""
        while True:
            match = _SPACE.match(self.text, self.at)
            assert match is not None
            self.at = match.end()
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.grow():
                return ""


def _values(window: _Window, *, in_array: bool) -> Iterator[Row | BadRow]:
    number = broken = 0
    while character := window.skip_space():
        if broken > MOST_BROKEN:
            raise DamagedFile(f"more than {MOST_BROKEN} broken values")
        if character == ",":
            window.at += 1
        elif character == "]" and in_array:
            window.at += 1
            if window.skip_space():
                yield BadRow(number + 1, "text after the end of the array; not read")
            return
        elif character == "]":
            window.at += 1
            number, broken = number + 1, broken + 1
            yield BadRow(number, "']' without '['")
        else:
            number += 1
            found = _value(window, number)
            broken += isinstance(found, BadRow)
            yield found
    if in_array:
        yield BadRow(number + 1, "the array is not closed: the file may be cut off")


def _value(window: _Window, number: int) -> Row | BadRow:
    while True:
        try:
            value, end = _DECODER.raw_decode(window.text, window.at)
        except json.JSONDecodeError as error:
            cut = error.msg.startswith("Unterminated string") or (
                error.pos >= len(window.text) - _LONGEST_CUT_TOKEN
            )
            too_long = len(window.text) - window.at > MAX_ROW_BYTES
            if cut and not too_long and window.grow():
                continue
            _skip_value(window)
            return BadRow(number, f"longer than {MAX_ROW_BYTES} bytes" if too_long else error.msg)
        except (RecursionError, ValueError) as error:
            _skip_value(window)
            return BadRow(number, f"not usable JSON: {type(error).__name__}")
        if end == len(window.text) and window.grow():
            continue  # a number may go on in the next chunk
        window.at = end
        return Row(number, value)


def _skip_value(window: _Window) -> None:
    """Moves past one broken value: to the bracket that closes it, or the comma that ends it."""
    depth, in_string = 0, False
    while True:
        pattern = _INSIDE_STRING if in_string else _OUTSIDE_STRING
        match = pattern.search(window.text, window.at)
        if match is None:
            window.at = len(window.text)
            if not window.grow():
                return
            continue
        character = match.group()
        if depth == 0 and not in_string and character in ",]}":
            window.at = match.start() + (character == "}")
            return
        window.at = match.end()
        if character == "\\":
            if window.at == len(window.text):
                window.grow()
            window.at += 1
        elif character in '"\n':
            in_string = not in_string
            if character == "\n" and window.skip_space() in ("{", "["):
                return  # the closing brackets are lost in the open string: a new line, a new value
        elif character != ",":
            depth += 1 if character in "[{" else -1
            if depth == 0:
                return
