"""Profiles a dataset by reading it once, with bounded memory."""

import hashlib
import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from estimator.dataset.estimate import ChatTemplate, chat_template, template_of
from estimator.dataset.profile import (
    SHOWN_MALFORMED,
    DatasetProfile,
    MalformedRow,
    Split,
)
from estimator.dataset.reading import Sources, find_sources, read_rows
from estimator.dataset.records import BadRecordError, Example, Message, read_record
from estimator.dataset.rows import MAX_ROW_BYTES, BadRow, DamagedFile, Row
from estimator.dataset.sequences import LengthDistribution, fit_sequences
from estimator.dataset.tokens import TokenCounter, token_counter
from estimator.errors import InputError
from estimator.files import user_path
from estimator.quantity import Z90, FloatArray, Quantity

Progress = Callable[[int, int], None]
"""Called with bytes read so far and bytes in all."""

_BATCH_CHARACTERS = 2**18
_BATCH_EXAMPLES = 4096
_HASH_BYTES = 16


def profile_dataset(
    path: str | Path,
    *,
    tokenizer: str | Path | None = None,
    sequence_length: int = 2048,
    micro_batch_size: int = 8,
    split: Split | None = None,
    text_fields: Sequence[str] | None = None,
    template: ChatTemplate | None = None,
    progress: Progress | None = None,
) -> DatasetProfile:
    """The profile of a JSON Lines, JSON, CSV or Parquet file, a text, or a folder of them.

    `tokenizer` is a tokenizer.json, its folder or a model id; without one, or when it cannot be
    had, tokens are estimated with a range. `text_fields` names the fields to read instead of the
    shapes known. Malformed and empty rows are counted; only a dataset without one usable row is
    an error. Memory: 20 bytes per example while reading, about 60 while sorting at the end, beside
    one row and one batch.
    """
    sources = find_sources(user_path(path))
    counter = token_counter(tokenizer)
    tally = _Tally(counter, template, text_fields)
    done_bytes = 0
    for file in sources.files:

        def report(file_bytes: int, before: int = done_bytes) -> None:
            if progress:
                progress(min(before + file_bytes, sources.size_bytes), sources.size_bytes)

        tally.read(file, sources.name(file), report)
        done_bytes += file.stat().st_size
    tally.count_batch()
    if progress:
        progress(sources.size_bytes, sources.size_bytes)
    if not tally.lengths:
        raise InputError(_no_usable_row(sources, tally))
    return _profile(sources, tally, split or Split(), sequence_length, micro_batch_size)


class _Tally:
    """What has been seen so far."""

    def __init__(
        self,
        counter: TokenCounter,
        template: ChatTemplate | None,
        text_fields: Sequence[str] | None,
    ) -> None:
        self.counter, self.text_fields = counter, text_fields
        self.chat_template = template or template_of(counter.family)
        self.document_template = chat_template("document")
        self.batch: list[Example] = []
        self.batch_characters = 0
        self.lengths: list[np.ndarray[tuple[int], np.dtype[np.int32]]] = []
        self.tokens_by_part = np.zeros(len(counter.log_sd))
        self.target_tokens = self.template_tokens = 0.0
        self.characters = self.bytes = self.empty = self.malformed = 0
        self.shown: list[MalformedRow] = []
        self.shapes: Counter[str] = Counter()
        self.fields: dict[str, None] = {}
        self.hashes = bytearray()
        self.chats = 0

    def read(self, file: Path, name: str, report: Callable[[int], None]) -> None:
        number = 0
        try:
            for row in read_rows(file, report):
                number = row.number
                if isinstance(row, BadRow):
                    self.refuse(f"{name}:{number}", row.reason)
                elif row.value == "":
                    self.empty += 1
                else:
                    self.add(row, name)
        except DamagedFile as error:
            self.refuse(f"{name}:{number + 1}", f"{error}; the rest of the file is not counted")

    def refuse(self, place: str, reason: str) -> None:
        self.malformed += 1
        if len(self.shown) < SHOWN_MALFORMED:
            self.shown.append(MalformedRow(place=place, reason=reason))

    def add(self, row: Row, name: str) -> None:
        try:
            example = read_record(row.value, self.text_fields)
            encoded = _checked_bytes(example.messages)
        except (BadRecordError, RecursionError) as error:
            self.refuse(f"{name}:{row.number}", str(error))
            return
        if not any(message.text.strip() for message in example.messages):
            self.empty += 1
            return
        self.shapes[example.shape] += 1
        self.fields.update(dict.fromkeys(example.fields))
        self.chats += example.is_chat
        characters = sum(len(message.text) for message in example.messages)
        self.characters += characters
        self.bytes += len(encoded) - len(example.messages) + 1
        self.hashes += _content_hash(example.messages)
        self.batch.append(example)
        self.batch_characters += characters
        if self.batch_characters >= _BATCH_CHARACTERS or len(self.batch) >= _BATCH_EXAMPLES:
            self.count_batch()

    def count_batch(self) -> None:
        """Counts the tokens of the waiting examples and forgets their text."""
        if not self.batch:
            return
        messages = [message for example in self.batch for message in example.messages]
        sizes = np.array([len(example.messages) for example in self.batch])
        chats = np.array([example.is_chat for example in self.batch])
        by_part = self.counter.count([message.text for message in messages])
        tokens = by_part.sum(axis=1)
        added = np.where(
            chats,
            self.chat_template.tokens_per_example + sizes * self.chat_template.tokens_per_message,
            self.document_template.tokens_per_example,
        )
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        per_example = _exact(np.add.reduceat(tokens, starts) + added)
        self.lengths.append(np.maximum(np.rint(per_example), 1).astype(np.int32))
        self.tokens_by_part += by_part.sum(axis=0)
        self.target_tokens += float(tokens[[message.is_target for message in messages]].sum())
        self.template_tokens += float(added.sum())
        self.batch, self.batch_characters = [], 0


def _exact(tokens: FloatArray) -> FloatArray:
    """Sums of estimates without the trace of the order they were added in.

    Tokens per character have three decimals, so every true sum is a multiple of a thousandth.
    """
    return np.asarray(np.round(tokens, 3))


def _checked_bytes(messages: Sequence[Message]) -> bytes:
    """The text in UTF-8, messages parted by one byte; refuses what no tokenizer could take."""
    try:
        encoded = "\x1f".join(message.text for message in messages).encode()
    except UnicodeEncodeError as error:
        raise BadRecordError(f"not UTF-8 at character {error.start + 1}") from error
    if len(encoded) > MAX_ROW_BYTES:
        raise BadRecordError(f"text longer than {MAX_ROW_BYTES} bytes")
    if b"\0" in encoded:
        raise BadRecordError("NUL byte: binary data, not text")
    return encoded


def _content_hash(messages: Sequence[Message]) -> bytes:
    """128-bit hash of the messages in Unicode form NFC, runs of white space as one space."""
    text = "\x1f".join(" ".join(message.text.split()) for message in messages)
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    return hashlib.blake2b(text.encode(), digest_size=_HASH_BYTES).digest()


def _distinct(hashes: bytearray) -> tuple[int, str]:
    """Number of distinct hashes, and a hash of all of them in ascending order."""
    pairs = np.frombuffer(hashes, dtype=np.uint64).reshape(-1, 2)
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    new = np.any(pairs[1:] != pairs[:-1], axis=1)
    digest = hashlib.blake2b(pairs.tobytes(), digest_size=_HASH_BYTES).hexdigest()
    return 1 + int(new.sum()), digest


def _profile(
    sources: Sources, tally: _Tally, split: Split, sequence_length: int, micro_batch_size: int
) -> DatasetProfile:
    lengths = LengthDistribution.of(np.concatenate(tally.lengths))
    distinct, fingerprint = _distinct(tally.hashes)
    by_part = _exact(tally.tokens_by_part)
    return DatasetProfile(
        source=str(sources.root),
        token_source=tally.counter.source,
        total_tokens=_total(lengths, by_part, tally.counter),
        examples=lengths.examples,
        lengths=lengths,
        fit=fit_sequences(
            lengths, sequence_length=sequence_length, micro_batch_size=micro_batch_size
        ),
        split=split.sizes(lengths.examples),
        template_tokens=tally.template_tokens,
        target_share=round(tally.target_tokens, 3) / by_part.sum() if by_part.any() else None,
        characters=tally.characters,
        text_bytes=tally.bytes,
        files=len(sources.files),
        duplicates=lengths.examples - distinct,
        empty_rows=tally.empty,
        malformed_rows=tally.malformed,
        malformed_shown=tuple(tally.shown),
        shapes=tuple(sorted(tally.shapes.items())),
        fields=tuple(sorted(tally.fields)),
        fingerprint=fingerprint,
        notes=(*sources.notes, *_notes(tally)),
    )


def _total(lengths: LengthDistribution, by_part: FloatArray, counter: TokenCounter) -> Quantity:
    """Tokens of an epoch. Errors of different scripts are taken to go together: the wider range."""
    total, text_tokens = lengths.total, by_part.sum()
    if counter.is_exact or not text_tokens:
        return Quantity(value=total, unit="tokens", source=counter.source)
    spread = math.exp(Z90 * float(by_part @ counter.log_sd / text_tokens))
    return Quantity(
        p10=total / spread,
        p50=total,
        p90=total * spread,
        unit="tokens",
        source=counter.source,
    )


def _notes(tally: _Tally) -> list[str]:
    notes = []
    if tally.chats:
        template = tally.chat_template
        notes.append(
            f"assumed chat template {template.name}: {template.tokens_per_message:g} tokens per "
            f"message and {template.tokens_per_example:g} per example"
        )
    if tally.chats < sum(tally.shapes.values()):
        notes.append("documents end with one end-of-text token each")
    if not tally.target_tokens:
        notes.append("no message has a role known as the assistant's: no reply to learn from")
    if "all string fields" in tally.shapes:
        notes.append("records of unknown shape: all their string fields count as one document")
    return notes


def _no_usable_row(sources: Sources, tally: _Tally) -> str:
    what = f"dataset {sources.root} has no usable row"
    if tally.shown:
        first = tally.shown[0]
        return f"{what}: {tally.malformed} malformed, first {first.place}: {first.reason}"
    return f"{what}: {tally.empty} empty rows" if tally.empty else f"{what}: it is empty"
