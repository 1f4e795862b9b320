"""A typical dense model of a bare size, for when only "a 7B" is known."""

import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from estimator.errors import InputError
from estimator.llm.architecture import Architecture
from estimator.llm.catalogue import catalogue, catalogue_architecture
from estimator.llm.parameters import count_parameters

_SIZE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?\s*([kmbt]?)", re.IGNORECASE)
_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_TYPICAL_FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
LEAST, MOST = 50e6, 2e12
"""Parameters between which a typical model can be made."""
_STEP = 16
"""The MLP's width is a multiple of this."""


def parse_size(text: str) -> float | None:
    """Parameters that a bare size such as `7B`, `350M`, `1.5e9` means; None: not a size.

    A plain number without unit or exponent is a size only from a million on.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        return None
    number, exponent, unit = match.groups()
    size = float(number + (exponent or "")) * _UNITS[unit.lower()]
    if not unit and not exponent and size < 1e6:
        return None
    return size


@dataclass(frozen=True, slots=True)
class _Anchors:
    """The shipped dense models of the usual families, one for each distinct shape."""

    models: tuple[Architecture, ...]
    sizes: NDArray[np.float64]
    """Parameters of each."""

    def nearest(self, parameters: float) -> Architecture:
        """The model nearest in size of those that share key heads, as current ones do."""
        shares = [x.num_key_value_heads < x.num_attention_heads for x in self.models]
        apart = np.abs(np.log(self.sizes / parameters)) + np.where(shares, 0.0, np.inf)
        return self.models[int(np.argmin(apart))]

    def local(self, dimension: str, parameters: float) -> float:
        """The mean of a dimension near that size, moved on by the cube root of what is missing.

        Means are of logarithms, weighted by a Gaussian of half an e-fold; layers times width
        squared make the size, so each takes about a third of a change.
        """
        weights = np.exp(-2.0 * np.log(self.sizes / parameters) ** 2)
        weights /= weights.sum()
        values = np.log([getattr(model, dimension) for model in self.models])
        reached = weights @ np.log(self.sizes)
        return float(np.exp(weights @ values + (np.log(parameters) - reached) / 3))


@cache
def _anchors() -> _Anchors:
    distinct: dict[str, str] = {}
    for entry in catalogue().values():
        if entry.config["model_type"] in _TYPICAL_FAMILIES:
            distinct.setdefault(str(entry.config), entry.id)
    models = tuple(catalogue_architecture(id) for id in distinct.values())
    sizes = np.array([count_parameters(model).total for model in models], dtype=np.float64)
    return _Anchors(models, sizes)


def typical_architecture(parameters: float) -> Architecture:
    """A dense decoder of about that many parameters, `typical` and saying so in its notes.

    Width and depth are those of the shipped dense models of about that size; vocabulary, tying,
    width of a head and key heads those of the nearest one; the MLP's width meets the total.
    """
    if not LEAST <= parameters <= MOST:
        raise InputError(
            f"model size {parameters:g} parameters; allowed: {LEAST:g} to {MOST:g} for a typical "
            "model"
        )
    near = _anchors().nearest(parameters)
    group = near.num_key_value_heads
    wished = _anchors().local("hidden_size", parameters) / near.head_dim
    heads = max(1, round(wished / group)) * group
    hidden = heads * near.head_dim
    layers = max(1, round(_anchors().local("num_layers", parameters)))
    config = {
        "model_type": "llama",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": group,
        "head_dim": near.head_dim,
        "vocab_size": near.vocab_size,
        "max_position_embeddings": near.context_length,
        "tie_word_embeddings": near.tied_embeddings,
    }
    name = f"typical-{parameters / 1e9:g}b"
    narrow = Architecture.from_hf_config({**config, "intermediate_size": _STEP}, name)
    missing = parameters - count_parameters(narrow).total
    steps = round(missing / (3 * hidden * layers * _STEP)) + 1
    made = Architecture.from_hf_config({**config, "intermediate_size": max(1, steps) * _STEP}, name)
    note = (
        f"a typical dense model of {count_parameters(made).total / 1e9:.3g}B parameters, not a "
        f"real one: shaped like the shipped models of its size, such as {near.id}"
    )
    return replace(made, typical=True, notes=(note,))
