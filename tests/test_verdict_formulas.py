"""Rules behind the verdict's words: digits, drivers, what is worth knowing; amounts by hand."""

from typing import Literal

import numpy as np
import pytest

from estimator.decision.currency import shown_in
from estimator.decision.flips import Flip
from estimator.decision.verdict import Context, Verdict, flip_sentence, verdict
from estimator.decision.wording import (
    chance_adverb,
    confidence,
    money,
    significant,
    value_with_unit,
)
from pricing.currency import exchange_rate

Components = dict[str, dict[str, float]]


def decide(
    payoffs: dict[str, list[float]],
    components: Components | None = None,
    worth: dict[str, float] | None = None,
) -> Verdict:
    context = Context(materiality_usd=25_000, horizon_months=12, components=components or {})
    draws = {name: np.array(u) for name, u in payoffs.items()}
    return verdict(draws, {}, context, evppi_usd=worth or {})


def flip(value: float, median: float, side: Literal["above", "below", "at"] = "above") -> Flip:
    return Flip(input="x", value=value, side=side, alternative="rag", median=median, evppi_usd=1.0)


@pytest.mark.parametrize(
    ("found", "unit", "words"),
    [
        (
            flip(15_234, 8_123),
            "requests/month",
            "above 15,000 requests per month (expected: 8,100)",
        ),
        (flip(8_041, 8_012), "requests/month", "above 8,040 requests per month (expected: 8,010)"),
        (flip(8_014, 8_012), "requests/month", "above 8,014 requests per month (expected: 8,012)"),
        (flip(8_012.4, 8_012), "count", "above 8,012 (expected: 8,012)"),
        (flip(0.4242, 0.4244, "below"), "share", "below 42.42 % (expected: 42.44 %"),
        (flip(0.3, 0.2, "below"), "share", "30 % (expected: 20 %, so more likely than not)"),
        (flip(3, 1, "at"), "count", "if x is 3 (expected: 1)."),
    ],
)
def test_a_flip_has_as_many_digits_as_tell_it_from_the_median(
    found: Flip, unit: str, words: str
) -> None:
    context = Context(materiality_usd=0, horizon_months=12, units={"x": unit})
    assert words in flip_sentence(found, context)


def test_an_event_flips_the_answer_if_or_unless_it_happens() -> None:
    context = Context(materiality_usd=0, horizon_months=12, units={"x": "probability"})
    assert flip_sentence(flip(1, 0, "at"), context).endswith("best choice if x.")
    assert flip_sentence(flip(0, 0, "at"), context).endswith("best choice unless x.")


@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        ({"fees": -10.0}, {"fees": -90.0, "people": -5.0}, ", mostly by spending less on fees."),
        ({}, {"a": -40.0, "b": -35.0, "c": -25.0}, ", above all by spending less on a."),
        ({}, {"b": -50.0, "a": -50.0}, ", mostly by spending less on a."),
        ({"gain": 0.8}, {"fees": -0.5}, ", mostly from gain."),
        ({"avoided": 0.5}, {"avoided": -0.3}, ", mostly from avoided."),
        ({"fees": -0.1}, {"fees": 0.5, "people": -0.3}, ", mostly by spending less on people."),
        ({"fees": -9.0}, {"fees": -9.0}, " than saas."),
        ({}, {}, " than saas."),
    ],
)
def test_the_driver_is_the_component_that_helps_most(
    ours: dict[str, float], theirs: dict[str, float], words: str
) -> None:
    answer = decide({"rag": [90e3] * 4, "saas": [10e3] * 4}, {"rag": ours, "saas": theirs})
    assert answer.sentence.endswith(words)


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ({"a": -1.0, "b": -3.0, "c": -2.0, "gain": 9.0}, " (its largest cost: b)."),
        ({"b": -3.0, "a": -3.0}, " (its largest cost: a)."),
        ({"gain": 0.5, "none": 0.0}, " over 12 months."),
    ],
)
def test_the_largest_cost_of_the_next_best_is_named(costs: dict[str, float], words: str) -> None:
    answer = decide({"status_quo": [0.0] * 4, "rag": [-90e3] * 4}, {"rag": costs})
    assert answer.sentence.endswith(words)
    assert decide({"status_quo": [0.0] * 4, "rag": [-90e3] * 4}).sentence.endswith("12 months.")


@pytest.mark.parametrize(("worth", "verb"), [(-0.5, "loses"), (0.5, "saves")])
def test_one_alternative_alone_saves_or_loses(worth: float, verb: str) -> None:
    assert f"it {verb} about $0.50 over" in decide({"rag": [worth] * 4}).sentence


def test_a_loss_is_said_and_a_gain_is_not() -> None:
    lost = decide({"rag": [-0.5] * 4, "saas": [-90e3] * 4}).sentence
    assert "though it still loses about $0.50 against status_quo" in lost
    assert "loses" not in decide({"rag": [0.5] * 4, "saas": [-90e3] * 4}).sentence


@pytest.mark.parametrize(
    ("bad_draw_usd", "words"),
    [  # one draw of ten in which doing nothing is better by this much: EVPI is a tenth of it
        (-9.0, "Go ahead: nothing that may turn out would change the answer."),
        (-15.0, "even knowing everything would be worth only about $1.50."),
        (-100e3, "Go ahead: even knowing everything would be worth only about $10k."),
        (-250e3, "even knowing everything would be worth only about $25k."),
        (-400e3, "though knowing everything would be worth about $40k."),
    ],
)
def test_go_ahead_says_what_knowing_everything_is_worth(bad_draw_usd: float, words: str) -> None:
    answer = decide({"status_quo": [0.0] * 10, "rag": [1e6] * 9 + [bad_draw_usd]})
    assert answer.evpi_usd == pytest.approx(-bad_draw_usd / 10)
    assert answer.next_step.endswith(words)


def test_the_input_most_worth_knowing_is_named_if_it_is_worth_more_than_matters() -> None:
    payoffs = {"status_quo": [0.0] * 10, "rag": [1e6] * 9 + [-1e6]}
    answer = decide(payoffs, worth={"a": 30e3, "m": 90e3, "z": 50e3})
    assert answer.next_step == "First find out: m; knowing it is worth up to about $90k."
    tie = decide(payoffs, worth={"z": 50e3, "a": 50e3})
    assert tie.next_step.startswith("First find out: a;")
    assert decide(payoffs, worth={"a": 25e3}).next_step.startswith("Go ahead")


@pytest.mark.parametrize(
    ("chance", "adverb", "word"),
    [
        (0.9851, "almost certainly", "almost certain, 99 %"),
        (0.98, "very likely", "very likely, 98 %"),
        (0.90, "very likely", "very likely, 90 %"),
        (0.894, "likely", "likely, 89 %"),
        (0.66, "likely", "likely, 66 %"),
        (0.654, "probably", "more likely than not, 65 %"),
        (0.4951, "probably", "more likely than not, 50 %"),
        (0.494, None, "uncertain, 49 %"),
    ],
)
def test_the_word_fits_the_printed_percentage(chance: float, adverb: str | None, word: str) -> None:
    assert chance_adverb(chance) == adverb
    assert confidence(chance) == word


def test_more_digits_on_request() -> None:
    assert (money(1_234_567, 3), money(85_520), money(0)) == ("$1.23M", "$86k", "$0")
    assert (money(12_340, 3), significant(12_345), significant(-1.26)) == (
        "$12.3k",
        "12,000",
        "-1.3",
    )
    shown = [value_with_unit(x, unit, 3) for x, unit in VALUES]
    assert shown == ["32.4 %", "$0.0416 per request", "1.26", "12,300 requests per month"]


VALUES = (
    (0.3244, "share"),
    (0.04156, "USD/request"),
    (1.264, "factor"),
    (12_345, "requests/month"),
)


def test_money_in_another_currency_is_worth_the_same() -> None:
    per_dollar = exchange_rate("JPY").units_per_usd
    assert per_dollar > 20  # multiplied or divided by: no doubt which
    with shown_in("JPY"):
        shown = money(1e6)
    assert float(shown.strip("¥M").replace(",", "")) == pytest.approx(per_dollar, rel=0.05)
    assert money(1e6) == "$1M"
