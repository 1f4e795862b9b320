"""The verdict in words: every kind of answer reads well, and says no more than is known."""

import numpy as np
import pytest
from scipy.stats import norm, qmc

from estimator.decision.flips import flips
from estimator.decision.verdict import Context, Verdict, verdict
from estimator.quantity import FloatArray

N = 8192
LABELS = {
    "status_quo": "doing nothing",
    "rag": "RAG",
    "saas": "a SaaS",
    "tuned": "a managed fine-tune",
    "demand": "demand",
    "rise": "the vendor raises its price",
    "build": "build",
}
UNITS = {"demand": "requests/month", "rise": "probability", "share": "share"}


def draws() -> dict[str, FloatArray]:
    u = np.clip(qmc.Sobol(3, rng=np.random.default_rng(7)).random(N), 2.0**-33, 1 - 2.0**-33).T
    rise = (u[1] > 0.8).astype(np.float64)
    return {"demand": 8000 * np.exp(0.5 * norm.ppf(u[0])), "rise": rise, "idle": u[2]}


def decide(payoffs: dict[str, FloatArray], materiality_usd: float = 25_000.0) -> Verdict:
    components = {
        "rag": {"requests resolved": 400e3, "people": -100e3, "tokens": -50e3},
        "saas": {"requests resolved": 390e3, "people": -20e3, "fees": -420e3},
        "tuned": {"requests resolved": 450e3, "people": -500e3, "build": -300e3},
    }
    context = Context(
        materiality_usd=materiality_usd,
        horizon_months=36,
        labels=LABELS,
        units=UNITS,
        components=components,
    )
    return verdict(payoffs, draws(), context)


def zeros() -> FloatArray:
    return np.zeros(N)


def test_a_clear_winner_says_how_sure_how_much_and_why() -> None:
    x = draws()
    gain = 40 * x["demand"] - 200_000
    answer = decide({"status_quo": zeros(), "rag": gain, "saas": gain - 4 * x["demand"] - 20_000})
    assert norm.cdf(np.log(8 / 5) / 0.5) == pytest.approx(0.83, abs=0.005)
    assert answer.sentence == (
        "RAG is likely the best choice (83 %) because it saves about $56k more over 36 months "
        "than a SaaS, mostly by spending less on fees."
    )
    assert answer.confidence == "likely, 83 %"
    assert (answer.alternative, answer.runner_up, answer.too_close) == ("rag", "saas", False)
    assert answer.gain_usd == pytest.approx(20_000 + 4 * x["demand"].mean())


def test_doing_nothing_reads_well() -> None:
    x = draws()
    payoffs = {"status_quo": zeros(), "tuned": 40 * x["demand"] - 600_000}
    answer = decide(payoffs)
    assert norm.cdf(np.log(15 / 8) / 0.5) == pytest.approx(0.90, abs=0.005)
    assert answer.sentence == (
        "Doing nothing is very likely the best choice (90 %) because even a managed fine-tune, the "
        "next best, costs about $240k more than it brings in over 36 months (its largest cost: "
        "people)."
    )
    assert answer.flip_sentences == (
        "A managed fine-tune becomes the best choice if demand is above 15,000 requests per month "
        "(expected: 8,000).",
    )


def test_a_flip_that_is_likelier_than_not_says_so() -> None:
    """The mean of a skewed demand carries RAG, though it loses at its median."""
    x = draws()
    answer = decide({"status_quo": zeros(), "rag": 40 * x["demand"] - 340_000})
    assert 40 * x["demand"].mean() > 340_000 > 40 * 8000
    assert answer.flip_sentences == (
        "Doing nothing becomes the best choice if demand is below 8,500 requests per month "
        "(expected: 8,000, so more likely than not).",
    )


def test_the_chance_is_of_all_alternatives_that_took_part() -> None:
    payoffs = {"rag": np.full(N, 2e6), "saas": zeros()}
    context = Context(materiality_usd=0, horizon_months=12, labels=LABELS)
    answer = verdict(payoffs, draws(), context, chances={"rag": 0.7, "saas": 0.1, "staged": 0.2})
    assert "(70 %)" in answer.sentence
    assert (answer.probability_best, answer.confidence) == (0.7, "likely, 70 %")


def test_the_runner_up_may_be_doing_nothing() -> None:
    answer = decide({"status_quo": zeros(), "rag": np.full(N, 231_000.0)})
    assert answer.sentence == (
        "RAG is almost certainly the best choice (>99 %) because it saves about $230k over 36 "
        "months against doing nothing, mostly from requests resolved."
    )
    assert answer.next_step == "Go ahead: nothing that may turn out would change the answer."


def test_the_least_bad_of_those_compared_is_called_so() -> None:
    answer = decide({"rag": np.full(N, -50e3), "saas": np.full(N, -150e3)})
    assert "though it still loses about $50k against doing nothing" in answer.sentence
    alone = decide({"rag": np.full(N, -50e3)})
    assert alone.sentence == (
        "RAG is the only alternative compared: it loses about $50k over 36 months against doing "
        "nothing."
    )
    assert (alone.runner_up, alone.gain_usd, alone.flips) == (None, None, ())


def test_too_close_to_call_names_the_contenders_and_what_would_settle_it() -> None:
    x = draws()
    rag = 40 * x["demand"] - 200_000
    saas = rag + 8_000 - 500_000 * (x["rise"] - x["rise"].mean())
    answer = decide({"status_quo": zeros() - 1e6, "rag": rag, "saas": saas})
    assert answer.too_close
    assert answer.sentence == (
        "Too close to call: a SaaS and RAG differ by about $8,000 over 36 months, less than the "
        "$25k that matters to you; knowing whether the vendor raises its price would do most to "
        "settle it."
    )
    assert answer.contenders == ("saas", "rag")
    assert answer.confidence == "too close to call, 80 %"
    assert answer.next_step.startswith("First find out: whether the vendor raises its price")
    assert answer.flip_sentences == ("RAG becomes the best choice if the vendor raises its price.",)


def test_three_equals_and_nothing_to_settle_it() -> None:
    answer = decide({"rag": zeros(), "saas": zeros() - 9_000, "tuned": zeros() - 2_000})
    assert answer.sentence == (
        "Too close to call: RAG, a managed fine-tune and a SaaS lie within about $9,000 of each "
        "other over 36 months, less than the $25k that matters to you; nothing worth finding out "
        "would settle it, so take what is easiest to undo."
    )
    same = decide({"rag": zeros(), "saas": zeros()}, materiality_usd=0.0)
    assert "RAG and a SaaS are worth the same over 36 months" in same.sentence


def test_a_gap_within_the_simulation_error_asks_for_more_draws() -> None:
    noise = np.random.default_rng(0).normal(size=N) * 1e7
    answer = decide({"rag": noise - noise.mean() + 50e3, "status_quo": zeros()})
    assert "within the simulation's own error; more draws would tell them apart" in answer.sentence


def test_the_highest_mean_need_not_win_most_often() -> None:
    x = draws()
    answer = decide({"status_quo": zeros(), "rag": 1e6 * x["rise"] - 100_000})
    assert answer.sentence.startswith(
        "RAG is the best choice on average, though it comes out best in only 20 % of cases, because"
    )
    assert answer.confidence == "uncertain, 20 %"
    assert answer.flip_sentences == (
        "Doing nothing becomes the best choice unless the vendor raises its price.",
    )


def test_flips_find_the_value_where_expectations_cross() -> None:
    x = draws()
    u = np.argsort(np.argsort(x["idle"])) / N
    inputs = x | {"low": u}
    payoffs = {
        "a": zeros(),
        "b": 100 * (x["demand"] - 12_000),
        "c": 4e6 * (0.2 - u),
    }
    found = {flip.input: flip for flip in flips(payoffs, inputs, "a", n=5)}
    assert set(found) == {"demand", "low", "idle"}
    assert found["demand"].value == pytest.approx(12_000, rel=0.05)
    assert (found["demand"].side, found["demand"].alternative) == ("above", "b")
    assert found["demand"].median == pytest.approx(8000, rel=0.01)
    assert found["low"].value == pytest.approx(0.2, abs=0.02)
    assert (found["low"].side, found["low"].alternative) == ("below", "c")
    ranked = flips(payoffs, inputs, "a", n=5)
    assert [f.evppi_usd for f in ranked] == sorted((f.evppi_usd for f in ranked), reverse=True)
    assert flips(payoffs, inputs, "a", n=1) == ranked[:1]


@pytest.mark.parametrize("names", [("tuned", "saas", "rag", "status_quo"), ("rag", "tuned")])
def test_the_order_of_alternatives_changes_no_word(names: tuple[str, ...]) -> None:
    x = draws()
    payoffs = {
        "status_quo": zeros(),
        "rag": 40 * x["demand"] - 300_000,
        "saas": 35 * x["demand"] - 250_000 - 40_000 * x["rise"],
        "tuned": 60 * x["demand"] - 600_000,
    }
    kept = {name: payoffs[name] for name in names}
    assert decide(kept) == decide(dict(sorted(kept.items())))
