"""`tuneroi dataset`: counts checked by hand on small files, with a real tokenizer and without."""

import json
from pathlib import Path

import numpy as np
import pytest
from command import Tuneroi

from estimator.dataset import LengthDistribution
from estimator.report.dataset import length_histogram


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A tokenizer that counts words."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Five documents of 9, 4, 4, 2 and 4 words (one a repeat), an empty one, and two bad rows."""
    texts = ["a b c d e f g h i", "a b c d", "e f g h", "a b", "a b c d", "  "]
    rows = [json.dumps({"text": text}) for text in texts]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join([*rows[:3], "{broken", *rows[3:], "[1, 2"]) + "\n", "utf-8")
    return path


def test_a_dataset_is_counted_by_its_tokenizer(tuneroi: Tuneroi, file: Path, words: Path) -> None:
    data = tuneroi("dataset", file, "--tokenizer", words, "--seq-len", 10, "--json").json
    tokens = 9 + 4 + 4 + 2 + 4 + 5  # and an end-of-text token each
    assert data["total_tokens"] == {"p10": tokens, "p50": tokens, "p90": tokens}
    assert (data["examples"], data["duplicates"]) == (5, 1)
    assert (data["empty_rows"], data["malformed_rows"]) == (1, 2)
    assert [row["place"] for row in data["malformed_shown"]] == ["data.jsonl:4", "data.jsonl:8"]
    assert data["tokens_per_example"]["max"] == 10
    assert data["fit"]["packed_sequences"] == 3  # 10; 5 + 5; 5 + 3
    assert data["fit"]["packing_efficiency"] == pytest.approx(tokens / 30)
    assert sum(data["split"].values()) == 5


def test_the_text_says_the_same(tuneroi: Tuneroi, file: Path, words: Path) -> None:
    ran = tuneroi("dataset", file, "--tokenizer", words, "--seq-len", 10)
    assert ran.status == 0 and not ran.err and "\x1b" not in ran.out
    for said in (
        "exact",
        "1 repeat an earlier one; besides: 1 empty and 2 malformed rows",
        "data.jsonl:4",
        "93.3% filled",
        "3 sequences",
    ):
        assert said in ran.out


def test_without_a_tokenizer_tokens_are_a_range_and_say_why(tuneroi: Tuneroi, file: Path) -> None:
    ran = tuneroi("dataset", file, "--model", "nobody/nothing", "--json")
    total = ran.json["total_tokens"]
    assert total["p10"] < total["p50"] < total["p90"]
    assert "nobody/nothing cannot be had" in ran.json["token_source"]
    assert "P10 to P90" in tuneroi("dataset", file).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.jsonl",), "missing.jsonl"),
        ((), "PATH"),
        (("{file}", "--tokenizer", "missing.json"), "missing.json"),
        (("{file}", "--tokenizer", "{file}"), "not a tokenizer.json"),
        (("{file}", "--model", "a/b", "--tokenizer", "t"), "give one of them"),
        (("{file}", "--seq-len", "0"), "'0'"),
        (("{file}", "--seq-len", "many"), "'many'"),
        (("{file}", "--micro-batch", "-2"), "'-2'"),
        (("{empty}",), "no usable row"),
    ],
)
def test_mistakes(
    tuneroi: Tuneroi, file: Path, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_text("{nothing\n", "utf-8")
    given = [argument.format(file=file, empty=empty) for argument in arguments]
    assert said in tuneroi("dataset", *given).refusal


@pytest.mark.parametrize("longest", [1, 7, 30, 999, 123_456])
def test_a_histogram_holds_every_example(longest: int) -> None:
    lengths = np.random.default_rng(1).integers(1, longest + 1, 500)
    rows = length_histogram(LengthDistribution.of(lengths))
    assert sum(count for _, count in rows) == 500
    assert len(rows) <= 12
