"""Bytes of a file as bounded chunks of UTF-8, and the lines in them."""

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from estimator.dataset.rows import MAX_ROW_BYTES, DamagedFile, check_unpacked
from estimator.errors import InputError

CHUNK_BYTES = 2**18
_SNIFFED_BYTES = 1024
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

Report = Callable[[int], None]
"""Called with the number of bytes of a file read so far."""


def utf8_chunks(path: Path, report: Report) -> Iterator[bytes]:
    """The file as UTF-8 in chunks of about 256 KiB: unzipped, recoded, without byte order mark.

    UTF-16 and UTF-32 are known by their byte order mark, UTF-16 also by its zero bytes. What
    cannot be recoded comes out as bytes that are not UTF-8, so that the row it stands in fails.
    """
    chunks = _raw_chunks(path, report)
    first = next(chunks, b"")
    mark, encoding = _encoding(first)
    first = first[len(mark) :]
    if encoding == "utf-8":
        yield first
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)(errors="surrogatepass")
    try:
        yield decoder.decode(first).encode("utf-8", "surrogatepass")
        for chunk in chunks:
            yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise DamagedFile(f"not {encoding}: {error.reason}") from error


def _raw_chunks(path: Path, report: Report) -> Iterator[bytes]:
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    with raw:
        stream: IO[bytes] = raw
        if path.suffix.lower() == ".gz":
            stream = gzip.GzipFile(fileobj=raw)  # type: ignore[assignment]
        unzipped = 0
        try:
            while chunk := stream.read(CHUNK_BYTES):
                unzipped += len(chunk)
                check_unpacked(unzipped, raw.tell())
                report(raw.tell())
                yield chunk
        except (OSError, EOFError, zlib.error) as error:
            raise DamagedFile(f"reading stopped: {error}") from error


def _encoding(head: bytes) -> tuple[bytes, str]:
    """Byte order mark (or nothing) and encoding of a file that begins with `head`."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return mark, encoding
    head = head[:_SNIFFED_BYTES]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    # UTF-16 text that is mostly ASCII has a zero in nearly every other byte.
    if odd > 0.4 * len(head) / 2 and even == 0:
        return b"", "utf-16-le"
    if even > 0.4 * len(head) / 2 and odd == 0:
        return b"", "utf-16-be"
    return b"", "utf-8"


def lines(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Line number from 1 and line without its newline; None for one over `MAX_ROW_BYTES`."""
    number, parts, size = 1, list[bytes](), 0
    for chunk in chunks:
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            size += len(piece)
            yield number, None if size > MAX_ROW_BYTES else b"".join((*parts, piece))
            number, parts, size = number + 1, [], 0
        size += len(rest)
        parts = [*parts, rest] if size <= MAX_ROW_BYTES else []
    if size:
        yield number, None if size > MAX_ROW_BYTES else b"".join(parts)
