"""Record shapes are understood without being told."""

import json

import pytest

from estimator.dataset.records import BadRecordError, read_record

TOOL_CALL = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]


def parts(record: object) -> list[tuple[str, bool]]:
    return [(message.text, message.is_target) for message in read_record(record).messages]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (
            {
                "messages": [
                    {"role": "system", "content": "S"},
                    {"role": "user", "content": "U"},
                    {"role": "assistant", "content": "A"},
                ]
            },
            [("S", False), ("U", False), ("A", True)],
        ),
        (
            {
                "system": "S",
                "conversations": [{"from": "human", "value": "U"}, {"from": "gpt", "value": "A"}],
            },
            [("S", False), ("U", False), ("A", True)],
        ),
        ({"conversation": ["U", "A", "U2"]}, [("U", False), ("A", True), ("U2", False)]),
        (
            {"messages": json.dumps([{"role": "assistant", "content": "A"}])},
            [("A", True)],
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "U"}, {"type": "image"}]},
                    {"role": "assistant", "content": None, "tool_calls": TOOL_CALL},
                ]
            },
            [("U\n", False), (json.dumps(TOOL_CALL), True)],
        ),
        (
            {
                "instruction": "I",
                "input": "in",
                "output": "out",
                "history": [["q", "a"]],
                "system": "S",
            },
            [("S", False), ("q", False), ("a", True), ("I\nin", False), ("out", True)],
        ),
        ({"instruction": "I", "input": "", "output": "out"}, [("I", False), ("out", True)]),
        ({"instruction": "I", "context": "C", "response": "R"}, [("I\nC", False), ("R", True)]),
        ({"prompt": "P", "completion": "C"}, [("P", False), ("C", True)]),
        (
            {
                "prompt": [{"role": "user", "content": "P"}],
                "completion": [{"role": "assistant", "content": "C"}],
            },
            [("P", False), ("C", True)],
        ),
        ({"question": "Q", "answer": 42}, [("Q", False), ("42", True)]),
        ({"question": "Q", "answer": {"a": "ä"}}, [("Q", False), ('{"a": "ä"}', True)]),
        ({"query": "Q", "response": None}, [("Q", False), ("", True)]),
        ({"problem": "P", "solution": "S"}, [("P", False), ("S", True)]),
        ({"prompt": "P", "chosen": "C", "rejected": "R"}, [("P", False), ("C", True)]),
        ({"text": "T", "id": "7", "label": 1}, [("T", True)]),
        ({"title": "A", "n": 1, "body": "B"}, [("A\nB", True)]),
        ("a document", [("a document", True)]),
    ],
)
def test_shapes(record: object, expected: list[tuple[str, bool]]) -> None:
    assert parts(record) == expected


def test_an_unknown_shape_says_which_fields_it_used() -> None:
    example = read_record({"title": "A", "n": 1, "body": "B"})
    assert (example.shape, example.fields) == ("all string fields", ("title", "body"))
    assert not example.is_chat


def test_chosen_fields_win_over_the_shape() -> None:
    example = read_record({"prompt": "P", "completion": "C", "notes": "N"}, ["notes", "prompt"])
    assert [message.text for message in example.messages] == ["N\nP"]
    with pytest.raises(BadRecordError, match="no field 'note'; the row has prompt"):
        read_record({"prompt": "P"}, ["note"])


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (None, "NoneType instead of an object"),
        ([1], "list instead of an object"),
        ({}, "no text field; the row has no field"),
        ({"n": 1, "v": [1.0]}, "no text field; the row has n, v"),
        ({"messages": [{"role": "user"}]}, "turn 1 of 'messages' has no role or no content"),
        ({"messages": [{"content": "x"}]}, "turn 1 of 'messages' has no role or no content"),
        ({"messages": ["a", 3]}, "turn 2 of 'messages' is a int"),
        ({"instruction": "I", "output": "o", "history": ["q"]}, "'history' is not a list of pairs"),
    ],
)
def test_a_record_without_text_says_why(record: object, reason: str) -> None:
    with pytest.raises(BadRecordError, match=reason):
        read_record(record)
