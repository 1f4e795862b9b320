"""The text part of a multimodal config: its own nested config, and whether its head is tied."""

from collections.abc import Mapping
from dataclasses import dataclass

_TEXT_KEYS = ("text_config", "llm_config", "language_config")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Whole:
    """What the class of a whole multimodal model assumes."""

    text: str
    """The family of the text part where the config names none."""
    tied: bool = False
    """Whether the head is tied where the whole config does not say: the class looks there only."""
    heeds_text: bool = False
    """Whether a tie stated in the text part alone counts too."""


_WHOLE: dict[str, _Whole] = {
    "gemma3": _Whole(text="gemma3_text", tied=True),
    "llama4": _Whole(text="llama4_text"),
    "llava": _Whole(text="llama", heeds_text=True),
    "llava_next": _Whole(text="llama"),
    "mistral3": _Whole(text="mistral", tied=True),
    "paligemma": _Whole(text="gemma", tied=True),
    "qwen2_vl": _Whole(text="qwen2_vl_text", heeds_text=True),
    "qwen2_5_vl": _Whole(text="qwen2_5_vl_text", heeds_text=True),
    "qwen3_vl": _Whole(text="qwen3_vl_text"),
    "qwen3_vl_moe": _Whole(text="qwen3_vl_moe_text"),
}


def text_part(values: Mapping[str, object]) -> dict[str, object] | None:
    """The nested text config with `model_type` and tying filled in; None where none is nested."""
    nested = next((values[key] for key in _TEXT_KEYS if isinstance(values.get(key), Mapping)), None)
    if not isinstance(nested, Mapping):
        return None
    whole = _WHOLE.get(str(values.get("model_type")))
    text = {str(key): value for key, value in nested.items() if key != "architectures"}
    if not text.get("model_type"):
        text["model_type"] = whole.text if whole else values.get("model_type")
    own = text.get("tie_word_embeddings")
    if "tie_word_embeddings" in values:
        text["tie_word_embeddings"] = values["tie_word_embeddings"]
    elif whole is not None:
        text["tie_word_embeddings"] = whole.tied
    if whole is not None and whole.heeds_text and own is True:
        text["tie_word_embeddings"] = True
    return text
