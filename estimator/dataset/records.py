"""What an example says: its messages, and which of them the model learns to write.

Common shapes are understood without being told; any other record is the text of all its string
fields. Sources: the dataset formats of Hugging Face TRL (messages, prompt/completion, text) and
of LLaMA-Factory (ShareGPT conversations; Alpaca instruction, input, output, history).
"""

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

CHAT_FIELDS = ("messages", "conversations", "conversation", "dialog", "dialogue", "chat", "chosen")
ROLE_FIELDS = ("role", "from", "speaker")
CONTENT_FIELDS = ("content", "value", "text")
ASSISTANT_ROLES = frozenset(
    {"assistant", "gpt", "model", "bot", "ai", "chatgpt", "function_call", "tool_call"}
)
# The field that tells a shape, other fields of its prompt, fields of its reply (the first found).
PROMPT_SHAPES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("instruction", ("input", "context"), ("output", "response", "completion", "answer")),
    ("prompt", ("context", "input"), ("completion", "response", "answer", "output", "chosen")),
    ("question", ("context",), ("answer", "answers", "response", "solution", "completion")),
    ("query", ("context",), ("response", "answer", "completion", "output")),
    ("problem", (), ("solution", "answer")),
    ("input", (), ("output", "response", "target", "completion")),
)
DOCUMENT_FIELDS = ("text", "content", "document")


class Message(NamedTuple):
    """One turn of an example."""

    text: str
    is_target: bool
    """Whether the model learns to write it: it bears loss."""


class Example(NamedTuple):
    """One record as messages; a document is one message without a chat around it."""

    messages: tuple[Message, ...]
    shape: str
    fields: tuple[str, ...]
    is_chat: bool


class BadRecordError(ValueError):
    """The record holds nothing that could be trained on."""


def read_record(value: object, text_fields: Sequence[str] | None = None) -> Example:
    """The example in one row; raises `BadRecordError` with the reason when there is none."""
    if isinstance(value, str):
        return _document([value], "document", ())
    if not isinstance(value, dict):
        raise BadRecordError(f"{type(value).__name__} instead of an object with fields")
    if text_fields is not None:
        return _given_fields(value, text_fields)
    return _prompt_and_reply(value) or _chat(value) or _plain_text(value) or _all_strings(value)


def _document(texts: Iterable[str], shape: str, fields: tuple[str, ...]) -> Example:
    return Example((Message("\n".join(texts), True),), shape, fields, False)


def _given_fields(record: dict[str, object], fields: Sequence[str]) -> Example:
    if missing := [name for name in fields if name not in record]:
        raise BadRecordError(f"no field {missing[0]!r}; the row has {', '.join(record) or 'none'}")
    return _document((_text(record[name]) for name in fields), "chosen fields", tuple(fields))


def _chat(record: dict[str, object]) -> Example | None:
    for field in CHAT_FIELDS:
        turns = record.get(field)
        if isinstance(turns, str) and turns.lstrip().startswith("["):
            turns = _parsed(turns)
        if isinstance(turns, list) and turns:
            messages = [*_system(record), *_messages(turns, field)]
            used = tuple(name for name in ("system", field) if name in record)
            return Example(tuple(messages), "chat", used, True)
    return None


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _system(record: dict[str, object]) -> list[Message]:
    text = _text(record.get("system"))
    return [Message(text, False)] if text else []


def _messages(turns: Sequence[object], field: str) -> list[Message]:
    """Turns as messages; plain strings take turns, the user first."""
    messages = []
    for number, turn in enumerate(turns):
        if isinstance(turn, str):
            messages.append(Message(turn, number % 2 == 1))
            continue
        if not isinstance(turn, dict):
            raise BadRecordError(f"turn {number + 1} of {field!r} is a {type(turn).__name__}")
        role = next((turn[name] for name in ROLE_FIELDS if name in turn), None)
        content = next((turn[name] for name in CONTENT_FIELDS if name in turn), None)
        if role is None or (content is None and not turn.get("tool_calls")):
            raise BadRecordError(f"turn {number + 1} of {field!r} has no role or no content")
        text = _content(content) + _text(turn.get("tool_calls"))
        messages.append(Message(text, str(role).lower() in ASSISTANT_ROLES))
    return messages


def _content(content: object) -> str:
    """A message's text; of a list of parts, the text parts (images and sound left out)."""
    if isinstance(content, list):
        parts = [part.get("text") if isinstance(part, dict) else part for part in content]
        return "\n".join(_text(part) for part in parts)
    return _text(content)


def _prompt_and_reply(record: dict[str, object]) -> Example | None:
    for key, extra, replies in PROMPT_SHAPES:
        reply = next((name for name in replies if name in record), None)
        if key not in record or reply is None:
            continue
        prompt_fields = [key, *(name for name in extra if name in record and name != reply)]
        prompt = _side(record, prompt_fields, is_target=False)
        messages = (
            *_system(record),
            *_history(record.get("history")),
            *prompt,
            *_side(record, [reply], is_target=True),
        )
        used = [name for name in ("system", "history") if name in record]
        return Example(messages, f"{key} and {reply}", (*used, *prompt_fields, reply), True)
    return None


def _side(record: dict[str, object], fields: list[str], *, is_target: bool) -> list[Message]:
    """The prompt or the reply: one message, or a list of messages as TRL allows."""
    first = record[fields[0]]
    if isinstance(first, list) and first and all(isinstance(turn, dict) for turn in first):
        return [Message(message.text, is_target) for message in _messages(first, fields[0])]
    texts = [text for name in fields if (text := _text(record[name]))]
    return [Message("\n".join(texts), is_target)]


def _history(turns: object) -> list[Message]:
    """Earlier turns, pairs of prompt and reply; LLaMA-Factory learns from these replies too."""
    if not isinstance(turns, list):
        return []
    pairs = [pair for pair in turns if isinstance(pair, list | tuple) and len(pair) == 2]
    if len(pairs) != len(turns):
        raise BadRecordError("'history' is not a list of pairs of prompt and reply")
    return [Message(_text(text), place == 1) for pair in pairs for place, text in enumerate(pair)]


def _plain_text(record: dict[str, object]) -> Example | None:
    for field in DOCUMENT_FIELDS:
        if isinstance(text := record.get(field), str):
            return _document([text], field, (field,))
    return None


def _all_strings(record: dict[str, object]) -> Example:
    fields = tuple(name for name, value in record.items() if isinstance(value, str))
    if not fields:
        raise BadRecordError(f"no text field; the row has {', '.join(record) or 'no field'}")
    return _document((str(record[name]) for name in fields), "all string fields", fields)


def _text(value: object) -> str:
    """A field as the text a model would read: a string itself, nothing for null, else JSON."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
