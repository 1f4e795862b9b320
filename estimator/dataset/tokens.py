"""Counts the tokens of texts: with the model's tokenizer when it can be had, else by estimate."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from estimator.dataset.estimate import TYPICAL, estimate_tokens, family_of, log_sd_by_script
from estimator.errors import InputError, without_secrets
from estimator.files import read_bytes, user_path
from estimator.quantity import FloatArray

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_HUB_TIMEOUT_SECONDS = 5.0
_MAX_TOKENIZER_BYTES = 100_000_000
_HUB_REFUSALS = {
    401: "no such model, or it needs a login: hf auth login",
    403: "its licence must be accepted on huggingface.co first",
    404: "the model has no tokenizer.json",
}
# A longer text is counted in pieces; a cut inside a word makes one or two tokens more of it.
_PIECE_CHARACTERS = 2**16
_GROUP_CHARACTERS = 2**18


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCounter:
    """A way of counting tokens, and how far it can be trusted."""

    count: Callable[[Sequence[str]], FloatArray]
    """Tokens of each text in parts, shape (texts, parts); special tokens left out."""
    log_sd: FloatArray
    """Standard deviation of ln(true / counted) of each part; zeros when exact."""
    source: str
    """Who counts, for the reader."""
    family: str
    """Family of tokenizers, for the chat template."""

    @property
    def is_exact(self) -> bool:
        """Whether a tokenizer counts."""
        return not self.log_sd.any()


def token_counter(tokenizer: str | Path | None) -> TokenCounter:
    """Counts by a `tokenizer.json`, a folder that holds one or a Hugging Face id; else estimates.

    A hub id that cannot be reached, or a name that is no id, falls back to the estimate for the
    family its name tells, and says why. A path that does not exist is an error.
    """
    if tokenizer is None:
        return _estimating(None, "no tokenizer given")
    name, path = str(tokenizer), user_path(tokenizer)
    if path.is_dir():
        found = path / "tokenizer.json"
        if not found.is_file():
            return _estimating(name, f"no tokenizer.json in {path}")
        return _counting(_load(found), name, family_of(path.resolve().name))
    if path.is_file():
        return _counting(_load(path), name, family_of(path.resolve().parent.name))
    if isinstance(tokenizer, Path) or name.startswith((".", "/", "~")) or name.endswith(".json"):
        raise InputError(f"no tokenizer at {name}: give a tokenizer.json, its folder or a model id")
    if not _HUB_ID.fullmatch(name):
        return _estimating(name, f"{name!r} names no tokenizer")
    try:
        return _counting(_load(_from_hub(name)), name, family_of(name))
    except Exception as error:  # any failure of network, access or file: the estimate stands in
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        reason = shorten(without_secrets(reason), 120, placeholder=" ...")
        return _estimating(name, f"the tokenizer of {name} cannot be had ({reason})")


def _from_hub(model: str) -> Path:
    """The model's tokenizer.json from the local cache, else from the Hugging Face hub."""
    from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.utils import build_hf_headers, get_session

    cached = try_to_load_from_cache(model, "tokenizer.json")
    if isinstance(cached, str):
        return Path(cached)
    # One quick question first: the download itself tries again for half a minute when offline.
    answer = get_session().head(
        hf_hub_url(model, "tokenizer.json"),
        headers=build_hf_headers(),
        timeout=_HUB_TIMEOUT_SECONDS,
    )
    if answer.status_code >= 400:
        raise OSError(_HUB_REFUSALS.get(answer.status_code, f"HTTP status {answer.status_code}"))
    return Path(hf_hub_download(model, "tokenizer.json", etag_timeout=_HUB_TIMEOUT_SECONDS))


def _load(path: Path) -> Any:
    from tokenizers import Tokenizer

    content = read_bytes(path, most_bytes=_MAX_TOKENIZER_BYTES, kind="a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_buffer(content)
    except Exception as error:  # the library raises plain Exception for a malformed file
        raise InputError(f"{path} is not a tokenizer.json: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _counting(tokenizer: Any, name: str, family: str) -> TokenCounter:
    def count(texts: Sequence[str]) -> FloatArray:
        encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        return np.array([[len(encoding)] for encoding in encodings], dtype=np.float64)

    return TokenCounter(
        count=partial(_count_in_pieces, count),
        log_sd=np.zeros(1),
        source=f"counted by the tokenizer of {name} ({tokenizer.get_vocab_size()} entries)",
        family=family,
    )


def _estimating(model: str | None, reason: str) -> TokenCounter:
    family = family_of(model)
    kind = "no tokenizer in particular" if family == TYPICAL else f"the {family} tokenizer"
    return TokenCounter(
        count=partial(_count_in_pieces, partial(estimate_tokens, family=family)),
        log_sd=log_sd_by_script(family),
        source=f"estimated from characters for {kind}; {reason}",
        family=family,
    )


def _count_in_pieces(
    count: Callable[[Sequence[str]], FloatArray], texts: Sequence[str]
) -> FloatArray:
    """Tokens of each text by `count`, which is never given more than a group of pieces at once."""
    starts = [range(0, max(len(text), 1), _PIECE_CHARACTERS) for text in texts]
    owners = np.repeat(np.arange(len(texts)), [len(places) for places in starts])
    pieces = [
        text[start : start + _PIECE_CHARACTERS]
        for text, places in zip(texts, starts, strict=True)
        for start in places
    ]
    ends = np.cumsum([len(piece) for piece in pieces])
    cuts = np.flatnonzero(np.diff(ends // _GROUP_CHARACTERS)) + 1
    bounds = [0, *cuts.tolist(), len(pieces)]
    counted = np.concatenate([count(pieces[a:b]) for a, b in pairwise(bounds)])
    by_text = np.zeros((len(texts), counted.shape[1]))
    np.add.at(by_text, owners, counted)
    return by_text
