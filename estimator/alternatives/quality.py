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
INCIDENT_CHANCE = "chance.incidents"


def skill(draws: Draws, way: Way) -> FloatArray:
    """Share of requests resolved when all needed knowledge is at hand, shape (n,).

    A tuned model has the general model's skill plus the gain of tuning (which may be negative) as
    far as it survives careful prompting of the general model; a share stays within 0 and 1.
    """
    base = draws["quality.skill"]
    if way in ("finetune", "finetune_rag"):
        gain = draws["quality.tuning_gain"]
        kept = np.where(gain > 0, gain * draws["quality.tuning_gain_kept"], gain)
        return np.clip(base + kept, 0.0, 1.0)
    return base


def access(draws: Draws, way: Way) -> FloatArray:
    """Share of knowledge-bound requests for which the model has the knowledge, shape (n,).

    Tuning stores a part of what retrieval would bring (Ovadia et al., arXiv 2312.05934), on top of
    what a fixed prompt holds.
    """
    prompt, recall = draws["quality.prompt_knowledge_share"], draws["quality.retrieval_recall"]
    if way == "prompting":
        return prompt
    if way == "finetune":
        gap = np.maximum(recall - prompt, 0.0)
        return np.asarray(prompt + draws["quality.memorised_share"] * gap)
    return np.maximum(recall, prompt)


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


def incident_rate(draws: Draws, way: Way) -> FloatArray:
    """Expected incidents per answer, shape (n,): more after tuning, fewer behind a guard.

    Source of the multiplier: Qi et al., arXiv 2310.03693 (harmful answers after benign tuning).
    """
    rate = draws["quality.incidents_per_million_answers"] / 1e6
    if way in ("finetune", "finetune_rag"):
        rate = rate * draws["quality.tuning_incident_multiplier"]
    return np.asarray(rate * (1 - draws["quality.moderated_share"]))


def incident_count(expected: FloatArray, uniform: FloatArray) -> FloatArray:
    """Incidents per draw by inverse Poisson CDF at a uniform common to all alternatives.

    Common uniforms make the riskier way have at least as many incidents in every draw.
    """
    raw = np.ceil(pdtrik(uniform, np.maximum(expected, 1e-300)))
    none_expected = uniform <= np.exp(-expected)
    return np.where(none_expected, 0.0, np.maximum(np.nan_to_num(raw, nan=0.0), 1.0))
