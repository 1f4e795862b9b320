"""Tokens of a text estimated from its characters, for when the model's tokenizer is not at hand.

    tokens = sum over kinds of (tokens per character of the kind) x (characters of the kind)

Kinds are those of `characters.py`. The tokens per character, one column per family of tokenizers,
stand in `data/tokens_per_character.csv`; where they come from, and the spread of their errors on
text that took no part in the fit, in `data/token_estimate.json` and `data/held_out_error.csv`.
"""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from estimator.dataset.characters import KINDS, count_kinds
from estimator.errors import unknown
from estimator.quantity import FloatArray

TYPICAL = "typical"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """Tokens that a chat template adds around the text: an assumption, not a count."""

    name: str
    tokens_per_message: float
    """Role, start and end marks."""
    tokens_per_example: float
    """Begin- or end-of-text mark."""
    source: str = "given by the user"


@cache
def estimate_data() -> dict[str, Any]:
    """Where the coefficients come from, their errors, the tokenizer families, the templates."""
    text = files("estimator.dataset").joinpath("data/token_estimate.json").read_text("utf-8")
    data: dict[str, Any] = json.loads(text)
    return data


@cache
def _table() -> list[dict[str, str]]:
    text = files("estimator.dataset").joinpath("data/tokens_per_character.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(row["kind"] for row in rows) == KINDS, "the coefficients are of other kinds"
    return rows


@cache
def scripts() -> tuple[str, ...]:
    """The scripts that characters are grouped by, each with its own error."""
    return tuple(dict.fromkeys(row["script"] for row in _table()))


@cache
def _tokens_per_character(family: str) -> FloatArray:
    """Tokens per character, shape (kinds, scripts): each kind counts in its own script's column."""
    coefficients = np.zeros((len(KINDS), len(scripts())))
    for index, row in enumerate(_table()):
        coefficients[index, scripts().index(row["script"])] = float(row[family])
    return coefficients


def estimate_tokens(texts: Sequence[str], family: str = TYPICAL) -> FloatArray:
    """Estimated tokens of each text by script, shape (texts, scripts); add a row for the total."""
    return np.asarray(count_kinds(texts) @ _tokens_per_character(family))


def log_sd_by_script(family: str = TYPICAL) -> FloatArray:
    """Standard deviation of ln(count / estimate) for a whole corpus, by script."""
    which = "unknown_tokenizer" if family == TYPICAL else "known_tokenizer"
    spread = estimate_data()["log_sd"][which]
    return np.array([spread[script] for script in scripts()])


def family_of(model: str | None) -> str:
    """The family of tokenizers that a model's name tells, or `typical`."""
    name = (model or "").rstrip("/").rsplit("/", 1)[-1].lower()
    for row in estimate_data()["families"]:
        if name and re.search(row["model_names"], name):
            return str(row["family"])
    return TYPICAL


def chat_template(name: str) -> ChatTemplate:
    """A chat template by its name in `data/token_estimate.json`."""
    templates = {row["name"]: row for row in estimate_data()["templates"]}
    if name not in templates:
        raise unknown("chat template", name, templates)
    row = templates[name]
    return ChatTemplate(**{key: row[key] for key in ChatTemplate.__dataclass_fields__})


def template_of(family: str) -> ChatTemplate:
    """The chat template usual with a family of tokenizers."""
    rows = {row["family"]: row for row in estimate_data()["families"]}
    return chat_template((rows.get(family) or estimate_data()[TYPICAL])["template"])
