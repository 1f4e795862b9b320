"""How well each way answers: resolution, errors and incidents per draw.

One small model for all ways, so that what they share moves them together: a request is resolved
when the model has the skill for it and, where it needs the company's knowledge, has that too.
"""

from typing import Literal

import numpy as np
from scipy.special import pdtrik

from estimator.quantity import FloatArray
from estimator.sampling import Draws

Way = Literal["prompting", "rag", "finetune", "finetune_rag", "saas"]
FEW_INCIDENTS = 20.0  # expected; up to here they are counted one by one
MOST_INCIDENTS = 200  # more than can happen where 20 are expected, at double precision
INCIDENT_CHANCE = "chance.incidents"
PILOT_CHANCE = "chance.pilot"
CHANCES = (INCIDENT_CHANCE, PILOT_CHANCE)
"""Uniform numbers that are luck, not inputs that anybody could find out."""


def skill(draws: Draws, way: Way) -> FloatArray:
    """Share of requests resolved when all needed knowledge is at hand, shape (n,).

    A tuned model has the general model's skill plus the gain of tuning (which may be negative) as
    far as it survives careful prompting of the general model, at `data.reference_examples`; its
    failures then follow the learning curve. A share stays within 0 and 1.
    """
    base = draws["quality.skill"]
    if way in ("finetune", "finetune_rag"):
        gain = draws["quality.tuning_gain"]
        kept = np.where(gain > 0, gain * draws["quality.tuning_gain_kept"], gain)
        failures = (1 - np.clip(base + kept, 0.0, 1.0)) * learning_curve(draws)
        return np.clip(1 - failures, 0.0, 1.0)
    return base


def learning_curve(draws: Draws) -> FloatArray:
    """Failures with the training set at hand over those with the reference set, shape (n,).

    errors(m) = a + b m ** -c, so errors(m) / errors(m0) = s + (1 - s) (m / m0) ** -c with
    s = a / errors(m0). Source: Figueroa et al., BMC Med. Inform. 12:8, 2012; Hestness et al., arXiv
    1712.00409. Left out: labels of different worth, as in active learning.
    """
    irreducible = draws["data.irreducible_error_share"]
    size = draws["data.examples"] / draws["data.reference_examples"]
    return np.asarray(irreducible + (1 - irreducible) * size ** -draws["data.curve_exponent"])


def mean_stale_share(changed_share_per_month: FloatArray, every_months: FloatArray) -> FloatArray:
    """Mean share of knowledge out of date when it is renewed every so many months.

    The mean of min(1, c t) over t in 0..M: c M / 2, or 1 - 1 / (2 c M) once all has changed.
    """
    grown = np.asarray(changed_share_per_month * every_months)
    return np.where(grown <= 1, grown / 2, 1 - 0.5 / np.maximum(grown, 1.0))


def reindex_months(draws: Draws) -> FloatArray:
    """Months between two re-indexings: tolerated stale share / share that changes in a month."""
    changed = np.maximum(draws["knowledge.changed_share_per_month"], 1e-6)
    return np.asarray(draws["knowledge.tolerated_stale_share"] / changed)


def retraining_months(draws: Draws) -> FloatArray:
    """Months between retrainings: a few come out worse than their base and are repeated."""
    return np.asarray(
        draws["training.retrain_months"] * (1 - draws["quality.tuning_worse_than_base"])
    )


def access(draws: Draws, way: Way) -> FloatArray:
    """Share of knowledge-bound requests for which the model has the knowledge, shape (n,).

    Tuning stores a part of what retrieval would bring (Ovadia et al., arXiv 2312.05934), on top of
    what a fixed prompt holds. What an index holds ages until it is rebuilt, what a model has learnt
    until it is retrained; a prompt is kept current.
    """
    prompt, recall = draws["quality.prompt_knowledge_share"], draws["quality.retrieval_recall"]
    if way == "prompting":
        return prompt
    if way == "finetune":
        changed = draws["knowledge.changed_share_per_month"]
        fresh = 1 - mean_stale_share(changed, draws["training.retrain_months"])
        gap = np.maximum(recall - prompt, 0.0)
        return np.asarray(prompt + draws["quality.memorised_share"] * gap * fresh)
    fresh = 1 - draws["knowledge.tolerated_stale_share"] / 2
    return np.maximum(recall * fresh, prompt)


def resolution_rate(draws: Draws, way: Way) -> FloatArray:
    """Share of in-scope requests that the assistant closes without a person, shape (n,).

    skill x (1 - k + k x access), with k the share of requests that need the company's knowledge.
    A bought assistant is measured against RAG built in-house.
    """
    k = draws["quality.knowledge_share"]
    if way == "saas":
        own = draws["quality.skill"] * (1 - k + k * access(draws, "rag"))
        return np.minimum(own * draws["quality.saas_skill_ratio"], 1.0)
    return np.asarray(skill(draws, way) * (1 - k + k * access(draws, way)))


def right_share(draws: Draws, way: Way) -> FloatArray:
    """Share of in-scope requests answered, and rightly, shape (n,): what a pilot measures."""
    wrong = draws[f"quality.error_rate.{way}"]
    return np.asarray(resolution_rate(draws, way) * (1 - wrong))


def reviewed_share(draws: Draws, answers_per_month: FloatArray) -> FloatArray:
    """Share of an assistant's answers that a person reviews, shape (n,): at most all of them."""
    reviewed = draws["quality.reviewed_answers_per_month"]
    return np.minimum(reviewed / np.maximum(answers_per_month, 1e-9), 1.0)


def incident_rate(draws: Draws, way: Way) -> FloatArray:
    """Expected incidents per answer, shape (n,): more from a tuned model, as far as none is caught.

    The rate is that of an untuned, guarded model; tuning multiplies it, and a guard catches a share
    of what tuning adds: rate x (1 + (multiplier - 1)(1 - share)).
    Source of the multiplier: Qi et al., arXiv 2310.03693 (harmful answers after benign tuning).
    """
    rate = draws["quality.incidents_per_million_answers"] / 1e6
    if way in ("finetune", "finetune_rag"):
        added = draws["quality.tuning_incident_multiplier"] - 1
        rate = rate * (1 + added * (1 - draws["quality.moderated_share"]))
    return np.asarray(rate)


def incident_count(expected: FloatArray, uniform: FloatArray) -> FloatArray:
    """Incidents per draw by inverse Poisson CDF at a uniform common to all alternatives.

    Common uniforms make the riskier way have at least as many incidents in every draw.
    """
    expected, uniform = np.broadcast_arrays(expected, uniform)
    count = np.zeros(expected.shape)
    few = expected <= FEW_INCIDENTS
    count[few] = _counted(expected[few], uniform[few])
    many = ~few & (uniform > np.exp(-expected))
    count[many] = np.maximum(np.ceil(pdtrik(uniform[many], expected[many])), 1.0)
    return count


def _counted(expected: FloatArray, uniform: FloatArray) -> FloatArray:
    """The smallest count whose cumulative Poisson probability reaches the uniform, term by term.

    For small numbers this is ten times faster than the inverse of the incomplete gamma function.
    """
    count = np.zeros(expected.shape)
    term = np.exp(-expected)
    left = np.flatnonzero(uniform > term)
    rate, term, missing = expected[left], term[left], uniform[left] - term[left]
    number = 0
    while left.size and number < MOST_INCIDENTS:
        number += 1
        term = term * rate / number
        missing = missing - term
        count[left] = number
        going = missing > 0
        left, rate, term, missing = left[going], rate[going], term[going], missing[going]
    return count
