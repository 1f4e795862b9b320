"""The whole profile: real excerpts, duplicates, splits, order and additivity."""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from estimator.dataset import ChatTemplate, DatasetProfile, Split, profile_dataset, typed_profile
from estimator.dataset.typed import lognormal_lengths
from estimator.errors import InputError

DATA = Path(__file__).parent / "data" / "dataset"
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60)
records = st.fixed_dictionaries({"prompt": words, "completion": words}) | st.fixed_dictionaries(
    {"text": words}
)


def profile_of(rows: Sequence[object], **options: object) -> DatasetProfile:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return profile_dataset(path, **options)  # type: ignore[arg-type]


def without_place(profile: DatasetProfile) -> dict[str, object]:
    return {k: v for k, v in profile.as_dict().items() if k not in ("source", "files")}


def test_real_questions_and_answers() -> None:
    profile = profile_dataset(DATA / "gsm8k_excerpt.jsonl")
    assert (profile.examples, profile.duplicates, profile.malformed_rows) == (40, 0, 0)
    assert profile.shapes == (("question and answer", 40),)
    assert profile.fields == ("answer", "question")
    assert 0.5 < (profile.target_share or 0) < 0.8
    assert profile.notes == (
        "assumed chat template chatml: 5 tokens per message and 0 per example",
    )


def test_real_conversations_in_chinese() -> None:
    profile = profile_dataset(DATA / "oasst1_zh_excerpt.json", tokenizer="Qwen/Qwen2-7B-offline")
    assert profile.examples == 15
    assert profile.fields == ("history", "input", "instruction", "output")
    tokens = profile.total_tokens.median() - (profile.template_tokens or 0)
    assert 1.2 < (profile.characters or 0) / tokens < 2.2  # English has more than 4


def test_duplicates_ignore_white_space_and_unicode_form_but_not_roles() -> None:
    cafe = "caf\N{LATIN SMALL LETTER E WITH ACUTE} au lait"
    rows = [
        {"prompt": cafe, "completion": "yes"},
        {"prompt": unicodedata.normalize("NFD", cafe), "completion": " yes\n"},
        {"prompt": "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "completion": "au lait yes"},
        {"prompt": cafe.upper(), "completion": "yes"},
    ]
    assert profile_of(rows).duplicates == 1
    assert profile_of(rows * 3).duplicates == 9


@settings(max_examples=30)
@given(st.lists(records, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_order_changes_nothing(rows: list[dict[str, str]], chance: object) -> None:
    shuffled = list(rows)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    try:
        first = profile_of(rows)
    except InputError:
        return
    second = profile_of(shuffled)
    assert without_place(first) == without_place(second)
    assert first.fingerprint == second.fingerprint
    assert first.lengths == second.lengths


@settings(max_examples=20)
@given(st.lists(records, min_size=2, max_size=12), st.integers(1, 11))
def test_tokens_are_additive_over_files(rows: list[dict[str, str]], cut: int) -> None:
    with TemporaryDirectory() as folder:
        parts = [{"text": "some text"}, *rows[:cut]], [{"text": "more text"}, *rows[cut:]]
        for name, part in zip("ab", parts, strict=True):
            text = "".join(json.dumps(row) + "\n" for row in part)
            (Path(folder) / f"{name}.jsonl").write_text(text)
        whole = profile_dataset(folder)
        halves = [profile_dataset(Path(folder) / f"{name}.jsonl") for name in "ab"]
    for field in ("examples", "characters", "text_bytes", "empty_rows", "malformed_rows"):
        assert getattr(whole, field) == sum(getattr(half, field) for half in halves)
    assert whole.lengths is not None
    assert whole.lengths.total == sum(half.lengths.total for half in halves if half.lengths)
    assert whole.fingerprint == profile_of([*parts[0], *parts[1]]).fingerprint


def test_reading_twice_gives_the_same_json() -> None:
    one, two = (json.dumps(profile_dataset(DATA / "gsm8k_excerpt.jsonl").as_dict()) for _ in "ab")
    assert one == two
    assert (
        json.loads(one)["tokens_per_example"]["p95"] >= json.loads(one)["tokens_per_example"]["p50"]
    )


def test_a_chosen_template_replaces_the_assumed_one() -> None:
    bare = ChatTemplate(name="bare", tokens_per_message=0, tokens_per_example=0)
    rows = [{"prompt": "Say yes please", "completion": "yes yes"}] * 10
    with_template, without = profile_of(rows), profile_of(rows, template=bare)
    assert without.template_tokens == 0
    assert with_template.total_tokens.median() - without.total_tokens.median() == pytest.approx(100)
    assert "assumed chat template bare" in without.notes[0]


def test_chosen_fields_that_no_row_has_are_an_error() -> None:
    with pytest.raises(InputError, match="no field 'body'; the row has text"):
        profile_of([{"text": "x"}], text_fields=["body"])


def test_a_chat_without_known_assistant_says_so() -> None:
    profile = profile_of([{"messages": [{"role": "alien", "content": "hm"}]}])
    assert profile.target_share == 0
    assert any("no reply to learn from" in note for note in profile.notes)


@given(
    st.integers(1, 10**9),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda shares: sum(shares) <= 1),
)
def test_split_sizes_sum_and_lie_within_one_of_their_share(
    examples: int, shares: tuple[float, float]
) -> None:
    split = Split(train=1 - sum(shares), validation=shares[0], test=shares[1])
    sizes = split.sizes(examples)
    assert sizes.train + sizes.validation + sizes.test == examples
    for size, share in zip((sizes.validation, sizes.test), shares, strict=True):
        assert abs(size - share * examples) <= 1.001


@pytest.mark.parametrize("shares", [(0.9, 0.2, 0.05), (1.2, -0.1, -0.1), (float("nan"), 0.5, 0.5)])
def test_wrong_splits_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match=r"must lie in 0\.\.1 and sum to 1"):
        Split(train=shares[0], validation=shares[1], test=shares[2])


@settings(max_examples=50)
@given(st.integers(1000, 300_000), st.floats(20, 5000), st.floats(1.05, 3.8))
def test_typed_lengths_have_the_mean_and_p95_typed_in(
    examples: int, mean: float, ratio: float
) -> None:
    lengths = lognormal_lengths(examples, mean, mean * ratio)
    assert lengths.examples == examples
    assert lengths.mean == pytest.approx(mean, abs=0.6)
    assert lengths.quantile(0.95) == pytest.approx(mean * ratio, rel=0.03, abs=1.5)


def test_typed_lengths_are_scipys_lognormal() -> None:
    lengths = lognormal_lengths(100_000, 400, 1000)
    sigma = (np.log(lengths.quantile(0.95)) - np.log(lengths.quantile(0.5))) / stats.norm.ppf(0.95)
    reference = stats.lognorm(s=sigma, scale=lengths.quantile(0.5))
    assert reference.mean() == pytest.approx(400, rel=0.01)
    for share in (0.05, 0.25, 0.75, 0.99):
        assert lengths.quantile(share) == pytest.approx(reference.ppf(share), rel=0.02)


def test_a_typed_profile_says_that_it_is() -> None:
    profile = typed_profile(examples=1000, mean_tokens=400)
    assert profile.source == profile.token_source == "typed in"
    assert profile.total_tokens.is_fixed
    assert profile.total_tokens.median() == pytest.approx(400_000, rel=1e-3)
    assert profile.fit is not None
    assert "assumed P95 of 880 tokens" in profile.notes[1]
    assert profile.as_dict()["malformed_rows"] is None


def test_a_total_alone_leaves_the_rest_unknown() -> None:
    profile = typed_profile(total_tokens={"p10": 1e6, "p90": 2e6})  # type: ignore[arg-type]
    assert profile.total_tokens.unit == "tokens"
    assert (profile.examples, profile.lengths, profile.fit, profile.split) == (None,) * 4
    assert profile.fit_at(512) is None
    assert profile.as_dict()["tokens_per_example"] is None


def test_the_fit_can_be_asked_for_at_another_length() -> None:
    profile = typed_profile(examples=1000, mean_tokens=400, p95_tokens=900)
    short = profile.fit_at(256, 4)
    assert short is not None
    assert profile.fit is not None
    assert short.truncated_tokens > profile.fit.truncated_tokens


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({}, "needs examples and mean_tokens, or total_tokens"),
        ({"examples": 5}, "needs examples and mean_tokens"),
        ({"examples": 0, "mean_tokens": 5}, "must both be at least 1"),
        ({"examples": 5, "mean_tokens": float("nan")}, "must both be at least 1"),
        ({"examples": 5, "mean_tokens": 10, "p95_tokens": 9}, "between the mean 10 and 3.87 times"),
        ({"examples": 5, "mean_tokens": 10, "p95_tokens": 90}, "p95_tokens 90 must lie between"),
        ({"total_tokens": 5, "examples": 1}, "total_tokens alone"),
        ({"total_tokens": 0}, "total_tokens is 0"),
    ],
)
def test_wrong_typed_numbers_are_refused(numbers: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        typed_profile(**numbers)  # type: ignore[arg-type]
