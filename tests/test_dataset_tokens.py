"""Token counts: exact by a real tokenizer, and estimates against real tokenizers' counts."""

import csv
import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from estimator.dataset import chat_template, profile_dataset
from estimator.dataset.characters import KINDS, count_kinds
from estimator.dataset.estimate import (
    TYPICAL,
    estimate_data,
    estimate_tokens,
    family_of,
    scripts,
    template_of,
)
from estimator.dataset.records import read_record
from estimator.dataset.tokens import token_counter
from estimator.errors import CatalogError, InputError

DATA = Path(__file__).parent / "data" / "dataset"
FAMILIES = [row["family"] for row in estimate_data()["families"]]


def excerpt(name: str) -> list[str]:
    text = (DATA / name).read_text("utf-8")
    rows = json.loads(text) if name.endswith(".json") else map(json.loads, text.splitlines())
    return [message.text for row in rows for message in read_record(row).messages]


def counted() -> dict[tuple[str, str], int]:
    with (DATA / "excerpt_token_counts.csv").open() as file:
        return {(row["file"], row["family"]): int(row["tokens"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def byte_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level BPE tokenizer trained on the English excerpt."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2500,
        show_progress=False,
        special_tokens=["<s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(excerpt("gsm8k_excerpt.jsonl"), trainer)
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=100)
    folder = tmp_path_factory.mktemp("Llama-3-tiny")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def word_piece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A WordPiece tokenizer, which cuts quite differently."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=2500, show_progress=False, special_tokens=["[UNK]"]
    )
    tokenizer.train_from_iterator(excerpt("gsm8k_excerpt.jsonl"), trainer)
    path = tmp_path_factory.mktemp("wordpiece") / "tokenizer.json"
    tokenizer.save(str(path))
    return path


def exact_tokens(tokenizer: Path, texts: list[str]) -> list[int]:
    library = Tokenizer.from_file(str(tokenizer))
    library.no_truncation()
    library.no_padding()
    return [len(library.encode(text, add_special_tokens=False).ids) for text in texts]


def test_a_tokenizer_counts_exactly(byte_pair: Path, word_piece: Path) -> None:
    texts = [*excerpt("gsm8k_excerpt.jsonl"), "", "日本語 ok"]
    for given_path, file in ((byte_pair, byte_pair / "tokenizer.json"), (word_piece, word_piece)):
        counter = token_counter(given_path)
        assert counter.is_exact
        assert counter.count(texts).ravel().tolist() == exact_tokens(file, texts)


def test_a_profile_with_a_tokenizer_has_a_fixed_total(byte_pair: Path) -> None:
    profile = profile_dataset(DATA / "gsm8k_excerpt.jsonl", tokenizer=byte_pair)
    texts = excerpt("gsm8k_excerpt.jsonl")
    counts = exact_tokens(byte_pair / "tokenizer.json", texts)
    template = chat_template("llama-3")  # known by the folder's name
    added = len(texts) * template.tokens_per_message + 40 * template.tokens_per_example
    assert profile.total_tokens.is_fixed
    assert profile.total_tokens.median() == sum(counts) + added
    assert profile.template_tokens == added
    assert profile.target_share == pytest.approx(sum(counts[1::2]) / sum(counts))
    assert profile.lengths is not None
    assert (
        profile.lengths.longest == max(map(sum, zip(counts[::2], counts[1::2], strict=True))) + 11
    )
    assert "counted by the tokenizer" in profile.token_source


def test_a_long_text_is_counted_in_pieces_almost_exactly(byte_pair: Path) -> None:
    text = "\n".join(excerpt("gsm8k_excerpt.jsonl")) * 20
    assert len(text) > 5 * 2**16
    exact = exact_tokens(byte_pair / "tokenizer.json", [text])[0]
    assert token_counter(byte_pair).count([text]).sum() == pytest.approx(exact, rel=2e-4)
    estimate = token_counter(None).count(["x", text, "y"])[1].sum()
    assert estimate == pytest.approx(estimate_tokens([text]).sum(), abs=14)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "allowed"), [("gsm8k_excerpt.jsonl", 0.04), ("oasst1_zh_excerpt.json", 0.12)]
)
def test_the_estimate_for_a_known_tokenizer_is_close(
    family: str, name: str, allowed: float
) -> None:
    estimate = estimate_tokens(excerpt(name), family).sum()
    assert estimate / counted()[name, family] - 1 == pytest.approx(0, abs=allowed)


@pytest.mark.parametrize("name", ["gsm8k_excerpt.jsonl", "oasst1_zh_excerpt.json"])
def test_the_range_for_an_unknown_tokenizer_holds_most_current_ones(name: str) -> None:
    profile = profile_dataset(DATA / name)
    template = profile.template_tokens or 0
    p10, _, p90 = profile.total_tokens.p10_p50_p90()
    current = ["o200k", "qwen", "llama-3", "llama-4", "tekken", "deepseek-v3"]
    inside = [p10 <= counted()[name, family] + template <= p90 for family in current]
    assert sum(inside) >= 4


def test_the_estimate_is_of_the_order_of_a_small_tokenizer(byte_pair: Path) -> None:
    texts = excerpt("gsm8k_excerpt.jsonl")
    exact = sum(exact_tokens(byte_pair / "tokenizer.json", texts))
    assert 0.8 < estimate_tokens(texts).sum() / exact < 1.25


unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
mixed_text = unicode_text | st.text("aB3 .\n中あ한ж\u0641\u0915ñ", max_size=30)


@given(st.lists(mixed_text, max_size=8))
def test_every_character_is_of_one_kind_whatever_stands_beside_it(texts: list[str]) -> None:
    counts = count_kinds(texts)
    assert counts.shape == (len(texts), len(KINDS))
    assert counts.sum(axis=1).tolist() == [len(text) for text in texts]
    assert (counts >= 0).all()
    for text, row in zip(texts, counts, strict=True):
        assert count_kinds([text])[0].tolist() == row.tolist()


def test_kinds_of_a_known_text() -> None:
    row = dict(
        zip(KINDS, count_kinds(["Paid 12345 US$... for\n\n  camelCase 中文"])[0], strict=True)
    )
    assert {kind: int(n) for kind, n in row.items() if n} == {
        "capital_first": 3,  # P, U, C
        "capital_rest": 1,  # S
        "letter_first": 2,  # f, c
        "letter_2_to_4": 11,  # aid, or, ame, ase
        "letter_5_to_7": 1,  # l
        "space_before_word": 2,  # before US and for
        "space_before_digit": 1,
        "space_alone": 1,  # before 中
        "digit_first": 2,  # 1, 4
        "digit_rest": 3,
        "punctuation_first": 1,
        "punctuation_rest": 1,
        "punctuation_repeated": 2,
        "newline_first": 1,
        "newline_rest": 1,
        "spaces_first": 1,
        "spaces_rest": 1,
        "han_first": 1,
        "han_rest": 1,
    }


def test_words_of_the_same_length_in_any_script_are_found_by_the_standard_library() -> None:
    chance = random.Random(2)
    text = "".join(chance.choices("abcXY 12,.\n", k=5000))
    row = dict(zip(KINDS, count_kinds([text])[0].tolist(), strict=True))
    assert row["punctuation_first"] == len(re.findall(r"[,.]+", text))
    assert row["digit_first"] == sum(-(-len(run) // 3) for run in re.findall(r"\d+", text))
    words = re.findall(r"[A-Z]*[a-z]+|[A-Z]+(?![a-z])", text)
    assert row["letter_first"] + row["capital_first"] == len(words)


def test_the_tables_fit_together() -> None:
    data = estimate_data()
    for spread in data["log_sd"].values():
        assert set(spread) == set(scripts())
        assert all(0 < sd < 1 for sd in spread.values())
    for family in [*FAMILIES, TYPICAL]:
        assert template_of(family).source
        assert (estimate_tokens(["plain words, 12 中文 😀"], family) >= 0).all()
    assert data["as_of"] and data["source"] and data["error_note"]


def test_the_errors_published_are_those_the_ranges_are_made_of() -> None:
    path = Path(__file__).parent.parent / "estimator/dataset/data/held_out_error.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    for script in ("latin", "han", "cyrillic"):
        chosen = [row for row in rows if row["script"] == script and row["corpus"] != "chat.emoji"]
        errors = np.array([[float(row[family]) for family in FAMILIES] for row in chosen])
        spread = np.sqrt(np.mean(np.log1p(errors) ** 2) * (1 + 1 / len(chosen)))
        assert spread == pytest.approx(
            estimate_data()["log_sd"]["known_tokenizer"][script], abs=0.001
        )


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("meta-llama/Llama-3.1-8B", "llama-3"),
        ("meta-llama/Meta-Llama-3-70B-Instruct", "llama-3"),
        ("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", "llama-3"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", "qwen"),
        ("deepseek-ai/DeepSeek-R1", "deepseek-v3"),
        ("meta-llama/Llama-2-7b-hf", "mistral-v1"),
        ("garage-bAInd/Platypus-30B", TYPICAL),
        ("huggyllama/llama-30b", TYPICAL),
        ("Qwen/Qwen2.5-7B", "qwen"),
        ("Qwen/Qwen3-8B", "qwen"),
        ("Qwen/Qwen3.5-9B", TYPICAL),
        ("mistralai/Mistral-7B-v0.1", "mistral-v1"),
        ("mistralai/Mistral-Nemo-Base-2407", "tekken"),
        ("mistralai/Mistral-Small-24B-Instruct-2501", "tekken"),
        ("openai/gpt-oss-20b", "o200k"),
        ("gpt-4o-mini", "o200k"),
        ("gpt-4-turbo", "cl100k"),
        ("microsoft/phi-4", "cl100k"),
        ("microsoft/Phi-4-mini-instruct", "o200k"),
        ("google/gemma-3-4b-it", TYPICAL),
        ("7B", TYPICAL),
        (None, TYPICAL),
    ],
)
def test_the_family_is_told_by_the_name(model: str | None, family: str) -> None:
    assert family_of(model) == family
    matching = [
        row["family"]
        for row in estimate_data()["families"]
        if model and re.search(row["model_names"], model.rsplit("/", 1)[-1].lower())
    ]
    assert len(matching) <= 1


def test_a_hub_that_cannot_be_reached_falls_back_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(model: str) -> Path:
        raise OSError("no network\nand more")

    monkeypatch.setattr("estimator.dataset.tokens._from_hub", refuse)
    counter = token_counter("Qwen/Qwen3-8B")
    assert not counter.is_exact
    assert counter.source == (
        "estimated from characters for the qwen tokenizer; "
        "the tokenizer of Qwen/Qwen3-8B cannot be had (no network)"
    )
    assert "names no tokenizer" in token_counter("7B").source
    assert "no tokenizer.json in" in token_counter(tmp_path).source


def test_a_hub_model_is_counted_when_it_can_be_had(
    monkeypatch: pytest.MonkeyPatch, word_piece: Path
) -> None:
    monkeypatch.setattr("estimator.dataset.tokens._from_hub", lambda model: word_piece)
    assert token_counter("some/model").is_exact


def test_a_wrong_tokenizer_path_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    for wrong in ("./nowhere", tmp_path / "nowhere", "org/tokenizer.json"):
        with pytest.raises(InputError, match=r"give a tokenizer\.json, its folder or a model id"):
            token_counter(wrong)
    with pytest.raises(InputError, match=r"is not a tokenizer\.json"):
        token_counter(tmp_path)


def test_an_unknown_template_names_the_nearest() -> None:
    with pytest.raises(CatalogError, match="nearest known: llama-3"):
        chat_template("llama3")
