"""Figures that the tables state are computed again from the rows they come from."""

import csv

import numpy as np
import pytest
from scipy.stats import norm, truncpareto

import pricing
from pricing.table import DATA

SCORES = pricing.tuned_scores()
FAMILIES = {
    "classic_nlp": ("Classic NLP", 70),
    "knowledge": ("Knowledge", 80),
    "reasoning": ("Reasoning", 130),
    "coding": ("Coding", 20),
    "math": ("Math", 10),
}


def of_family(family):
    name, count = FAMILIES[family]
    scores = [score for score in SCORES if score.category == name]
    assert len(scores) == count
    return scores


def value(assumption):
    (number,) = pricing.assumption(assumption).numbers
    return number


@pytest.mark.parametrize("family", FAMILIES)
def test_tuning_gains_are_percentiles_of_lora_land(family):
    gains = [score.gain_over_gpt4 for score in of_family(family)]
    stated = pricing.assumption(f"quality.tuning_gain.{family}")
    assert stated.numbers == pytest.approx(np.percentile(gains, [10, 50, 90]), abs=6e-5)
    assert stated.evidence == "measured"


@pytest.mark.parametrize("family", FAMILIES)
def test_shares_that_beat_gpt4(family):
    scores = of_family(family)
    wins = sum(score.finetuned_score > score.gpt4_score for score in scores)
    assert value(f"quality.tuning_beats_gpt4.{family}") == pytest.approx(
        wins / len(scores), abs=6e-5
    )
    assert str(wins) in (pricing.assumption(f"quality.tuning_beats_gpt4.{family}").note or "")


def test_shares_over_all_of_lora_land():
    assert len(SCORES) == 310
    gpt4 = [score.finetuned_score > score.gpt4_score for score in SCORES]
    gpt35 = [score.finetuned_score > score.gpt35_turbo_score for score in SCORES]
    worse = [score.finetuned_score < score.base_score for score in SCORES]
    assert value("quality.tuning_beats_gpt4.overall") == pytest.approx(np.mean(gpt4), abs=6e-5)
    assert value("quality.tuning_beats_gpt35.overall") == pytest.approx(np.mean(gpt35), abs=6e-5)
    assert value("quality.tuning_worse_than_base") == pytest.approx(np.mean(worse), abs=6e-5)


def test_best_of_ten_bases_per_task():
    tasks = {score.task for score in SCORES}
    wins = [
        max(s.finetuned_score - s.gpt4_score for s in SCORES if s.task == task) > 0
        for task in tasks
    ]
    assert len(tasks) == 31
    assert value("quality.tuning_beats_gpt4.best_of_ten") == pytest.approx(np.mean(wins), abs=6e-5)


def test_lora_land_is_rectangular():
    assert len({(score.task, score.base_model) for score in SCORES}) == 310
    for task in {score.task for score in SCORES}:
        assert len({score.gpt4_score for score in SCORES if score.task == task}) == 1
    assert all(0 <= s.finetuned_score <= 1 and 0 <= s.gpt4_score <= 1 for s in SCORES)


def finding(finding_id):
    (found,) = (f for fs in pricing.evidence_topics().values() for f in fs if f.id == finding_id)
    return found


def test_memorised_share_follows_from_the_ovadia_rows():
    shares = []
    for model in ("mistral-7b", "llama-2-7b", "orca-2-7b"):
        retrieval = finding(f"ovadia-{model}-retrieval")
        for arm in ("tuned", "tuned-paraphrases"):
            tuned = finding(f"ovadia-{model}-{arm}")
            assert tuned.baseline == retrieval.baseline
            shares.append((tuned.value - tuned.baseline) / (retrieval.value - retrieval.baseline))
    low, mode, high = pricing.assumption("quality.memorised_share").numbers
    assert min(shares) < 0 == low  # where tuning hurt, nothing was memorised
    assert mode == pytest.approx(np.median(shares), abs=0.005)
    assert high == pytest.approx(max(shares), abs=0.005)
    note = pricing.assumption("quality.memorised_share").note
    for share in shares:
        assert f"{share:.2f}" in note


def test_tuning_on_top_of_retrieval_lowered_accuracy():
    for model in ("mistral-7b", "llama-2-7b", "orca-2-7b"):
        assert (
            finding(f"ovadia-{model}-tuned-retrieval").value
            < finding(f"ovadia-{model}-retrieval").value
        )


def test_incident_multiplier_follows_from_the_safety_rows():
    benign = [f for f in pricing.evidence("safety") if f.condition == "benign"]
    assert len(benign) == 5
    ratios = [f.value / f.baseline for f in benign if f.baseline]
    assert len(ratios) == 4
    stated = pricing.assumption("quality.tuning_incident_multiplier").numbers
    assert stated == pytest.approx(np.percentile(ratios, [10, 50, 90]), rel=1e-3)


def test_error_rate_of_retrieval_spans_best_summaries_and_worst_product():
    low, _, high = pricing.assumption("quality.error_rate.rag").numbers
    summaries = [f.value for f in pricing.evidence("hallucination") if f.id.startswith("vectara")]
    assert low == min(summaries)
    assert np.median(summaries) == pytest.approx(0.0465)
    assert high == finding("legal-rag").high


def test_overruns_are_a_lognormal_body_and_a_cut_pareto_tail():
    """0.82 lognormal(median 1.05, sigma 0.35) and 0.18 Pareto(1.5, alpha 1.5) cut at 8."""
    body = np.exp(np.log(1.05) + 0.35 * norm.ppf([0.1, 0.9]))
    assert pricing.assumption("project.overrun_factor").numbers == pytest.approx(body, abs=1e-3)
    tail = truncpareto(b=1.5, c=8 / 1.5, scale=1.5).ppf([0.1, 0.5, 0.9])
    assert pricing.assumption("project.black_swan_factor").numbers == pytest.approx(tail, rel=1e-3)
    assert pricing.assumption("project.black_swan").numbers == (finding("it-overrun").value,)


def test_interruptions_of_llama_3():
    interruptions = finding("llama3-interruptions").value
    rate = interruptions / (16_384 * 54 * 24)
    assert value("training.interruptions_per_gpu_hour") == pytest.approx(rate, rel=0.01)


def test_employer_costs_from_the_published_hourly_figures():
    assert pricing.assumption("people.load_factor").numbers[1] == pytest.approx(
        46.60 / 32.60, abs=1e-3
    )


def test_alpaca_lies_inside_the_price_of_synthetic_examples():
    low, _, high = pricing.assumption("labelling.synthetic_usd_per_example").numbers
    assert low < 500 / 52_000 < high


def test_serving_default_is_the_market_price_of_an_h100():
    market = pricing.gpu_price("h100-sxm5-80gb").numbers
    assert pricing.assumption("serving.gpu_usd_per_gpu_hour").numbers == pytest.approx(
        market, rel=1e-3
    )


def test_gpu_price_is_the_spread_of_its_rows():
    with (DATA / "gpu_offers.csv").open(encoding="utf-8", newline="") as file:
        prices = [
            float(row["price_usd_per_gpu_hour"])
            for row in csv.DictReader(file)
            if row["gpu"] == "h200-sxm-141gb" and row["tier"] == "on_demand"
        ]
    quantity = pricing.gpu_price("h200")
    assert quantity.numbers == pytest.approx(np.percentile(prices, [10, 50, 90]))
    assert f"{len(prices)} on_demand offers" in quantity.note
