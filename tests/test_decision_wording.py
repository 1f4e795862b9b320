"""Rounding to what is known: money, chances, values with their unit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.decision import wording


@pytest.mark.parametrize(
    ("usd", "words"),
    [
        (1_234_567, "$1.2M"),
        (999_600, "$1.0M"),
        (89_098.71, "$89k"),
        (151_000, "$150k"),
        (9_960, "$10k"),
        (1_241, "$1,200"),
        (950, "$950"),
        (42.4, "$42"),
        (4.2, "$4.20"),
        (0.042, "$0.042"),
        (0.5, "$0.50"),
        (3, "$3"),
        (0, "$0"),
        (-0.0, "$0"),
        (-2_345_678_901, "-$2.3B"),
        (float("nan"), "n/a"),
    ],
)
def test_money_has_two_significant_digits(usd: float, words: str) -> None:
    assert wording.money(usd) == words


def test_about_leaves_the_sign_to_the_sentence() -> None:
    assert wording.about(-12_345) == "about $12k"


@pytest.mark.parametrize(
    ("chance", "words"),
    [(0, "<1 %"), (0.004, "<1 %"), (0.78, "78 %"), (0.994, "99 %"), (1, ">99 %")],
)
def test_percent_is_never_certain(chance: float, words: str) -> None:
    assert wording.percent(chance) == words


@given(st.floats(0, 1))
def test_no_chance_is_ever_0_or_100_percent(chance: float) -> None:
    assert wording.percent(chance) not in ("0 %", "100 %")


@given(st.floats(1e-3, 1e11))
def test_money_is_within_five_percent_of_the_amount(usd: float) -> None:
    text = wording.money(usd)
    scale = {"k": 1e3, "M": 1e6, "B": 1e9}.get(text[-1], 1)
    number = float(text.strip("$kMB").replace(",", ""))
    assert number * scale == pytest.approx(usd, rel=0.0501)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.324, "share", "32 %"),
        (0.12, "share/year", "12 % per year"),
        (0.0415, "USD/request", "$0.042 per request"),
        (12_345, "requests/month", "12,000 requests per month"),
        (12_345, "count/month", "12,000 per month"),
        (4, "count", "4"),
        (1.26, "factor", "1.3"),
        (3, "months", "3 months"),
        (3.14, None, "3.1"),
    ],
)
def test_values_carry_their_unit(value: float, unit: str | None, words: str) -> None:
    assert wording.value_with_unit(value, unit) == words


def test_confidence_words() -> None:
    assert wording.confidence(0.78) == "likely, 78 %"
    assert wording.confidence(0.52) == "more likely than not, 52 %"
    assert wording.confidence(1.0) == "almost certain, >99 %"
    assert wording.confidence(0.3) == "uncertain, 30 %"
    assert wording.chance_adverb(0.3) is None


def test_lists_and_capitals() -> None:
    assert wording.listed(["a", "b", "c"]) == "a, b and c"
    assert wording.listed(["a"]) == "a"
    assert wording.capitalised("a SaaS") == "A SaaS"
