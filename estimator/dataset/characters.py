"""The kinds of characters a text is made of: what a token estimate is built on.

A byte-pair tokenizer cuts a text into words, numbers, punctuation and white space, then cuts each
of these into pieces it knows. So every character gets exactly one *kind*, by its script and its
place in its run of like characters: the first letter of a Latin word, its 5th to 7th letter, a
digit that opens a group of three, a space before a digit, a Chinese character inside a run, ...
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
ByteArray = NDArray[np.uint8]

# Unicode blocks by script: first and last code point. A later row wins over an earlier one.
_BLOCKS: tuple[tuple[str, int, int], ...] = (
    ("other_3_bytes", 0x0800, 0x10FFFF),
    ("other_2_bytes", 0x0080, 0x07FF),
    ("punctuation", 0x0000, 0x007F),
    ("space", 0x0000, 0x0020),
    ("newline", 0x000A, 0x000D),
    ("digit", 0x0030, 0x0039),
    ("capital", 0x0041, 0x005A),
    ("letter", 0x0061, 0x007A),
    ("symbol", 0x0080, 0x00BF),
    ("accented", 0x00C0, 0x02FF),
    ("symbol", 0x00D7, 0x00D7),
    ("symbol", 0x00F7, 0x00F7),
    ("greek", 0x0370, 0x03FF),
    ("cyrillic", 0x0400, 0x052F),
    ("arabic", 0x0600, 0x06FF),
    ("arabic", 0x0750, 0x077F),
    ("arabic", 0x08A0, 0x08FF),
    ("devanagari", 0x0900, 0x097F),
    ("hangul", 0x1100, 0x11FF),
    ("vietnamese", 0x1E00, 0x1EFF),
    ("greek", 0x1F00, 0x1FFF),
    ("symbol", 0x2000, 0x2BFF),
    ("han", 0x2E80, 0x2FDF),
    ("wide_punctuation", 0x3000, 0x303F),
    ("kana", 0x3040, 0x30FF),
    ("hangul", 0x3130, 0x318F),
    ("kana", 0x31F0, 0x31FF),
    ("han", 0x3400, 0x4DBF),
    ("han", 0x4E00, 0x9FFF),
    ("hangul", 0xAC00, 0xD7AF),
    ("han", 0xF900, 0xFAFF),
    ("arabic", 0xFB50, 0xFDFF),
    ("symbol", 0xFE00, 0xFE2F),
    ("arabic", 0xFE70, 0xFEFE),
    ("symbol", 0xFEFF, 0xFEFF),
    ("wide_punctuation", 0xFF00, 0xFFEF),
    ("emoji", 0x1F000, 0x1FAFF),
    ("han", 0x20000, 0x3FFFF),
)

_LATIN = ("2_to_4", "2_to_4", "2_to_4", "5_to_7", "5_to_7", "5_to_7", "8_on")
# The kind of a character by its place in its run: one name for every place, or the names for
# places 1, 2, ... of which the last holds for all that follow.
_KINDS_BY_PLACE: dict[str, tuple[str, ...]] = {
    "space": ("spaces_first", "spaces_rest"),
    "newline": ("newline_first", "newline_rest"),
    "letter": ("letter_first", *(f"letter_{place}" for place in _LATIN)),
    "capital": ("capital_first", "capital_rest"),
    "accented": ("accented",),
    "vietnamese": ("vietnamese",),
    "digit": ("digit_first", "digit_rest", "digit_rest"),
    "punctuation": ("punctuation_first", "punctuation_rest"),
    "cyrillic": ("cyrillic_first", *("cyrillic_2_to_4",) * 3, "cyrillic_5_on"),
    "arabic": ("arabic_first", "arabic_rest"),
    "devanagari": ("devanagari_first", "devanagari_rest"),
    "hangul": ("hangul_first", "hangul_rest"),
    "kana": ("kana_first", "kana_rest"),
    "han": ("han_first", "han_rest"),
    "wide_punctuation": ("wide_punctuation",),
    "greek": ("greek_first", "greek_rest"),
    "other_2_bytes": ("other_2_bytes",),
    "other_3_bytes": ("other_3_bytes",),
    "symbol": ("symbol",),
    "emoji": ("emoji",),
}
_BY_CONTEXT = ("punctuation_repeated", "space_before_word", "space_before_digit", "space_alone")
_SCRIPTS = tuple(_KINDS_BY_PLACE)
_CODE = {script: code for code, script in enumerate(_SCRIPTS)}
_PLACES = max(map(len, _KINDS_BY_PLACE.values()))
# Scripts whose words a tokenizer joins to the space before them.
_SPACED = (
    "letter",
    "capital",
    "accented",
    "vietnamese",
    "cyrillic",
    "arabic",
    "devanagari",
    "greek",
)

KINDS: tuple[str, ...] = (
    *dict.fromkeys(kind for kinds in _KINDS_BY_PLACE.values() for kind in kinds),
    *_BY_CONTEXT,
)
"""Every kind of character, in the order of the columns that `count_kinds` returns."""
_KIND = {kind: column for column, kind in enumerate(KINDS)}


@cache
def _script_of_code_point() -> ByteArray:
    """Script code of every Unicode code point (1.1 MB, built once)."""
    scripts = np.empty(0x110000, dtype=np.uint8)
    for script, first, last in _BLOCKS:
        scripts[first : last + 1] = _CODE[script]
    return scripts


@cache
def _kind_by_script_and_place() -> ByteArray:
    """Kind of a character, shape (scripts, places)."""
    padded = [kinds + kinds[-1:] * (_PLACES - len(kinds)) for kinds in _KINDS_BY_PLACE.values()]
    return np.array([[_KIND[kind] for kind in kinds] for kinds in padded], dtype=np.uint8)


@cache
def _run_of_script() -> ByteArray:
    """Script code under which characters run together: a Latin word is one run."""
    runs = np.arange(len(_SCRIPTS), dtype=np.uint8)
    runs[[_CODE["capital"], _CODE["accented"], _CODE["vietnamese"]]] = _CODE["letter"]
    return runs


def count_kinds(texts: Sequence[str]) -> IntArray:
    """Characters of each kind in each text, shape (texts, KINDS); a row sums to the text's length.

    All texts are looked at together, a fixed number of array passes over their code points.
    Texts must not hold lone surrogates.
    """
    if not texts:
        return np.zeros((0, len(KINDS)), dtype=np.int64)
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    # One newline after each text keeps runs from crossing; it is not counted.
    code_points = np.frombuffer(("\n".join(texts) + "\n").encode("utf-32-le"), dtype=np.uint32)
    owners = np.repeat(np.arange(len(texts)), lengths + 1)
    separators = np.cumsum(lengths + 1) - 1
    kinds = _kinds(code_points, separators)
    counts = np.bincount(owners * len(KINDS) + kinds, minlength=len(texts) * len(KINDS))
    counts = counts.reshape(len(texts), len(KINDS))
    counts[np.arange(len(texts)), kinds[separators]] -= 1
    return counts


def _kinds(code_points: NDArray[np.uint32], separators: IntArray) -> ByteArray:
    """The kind of every character."""
    scripts = _script_of_code_point()[code_points]
    starts = _run_starts(scripts, separators)
    index = np.arange(len(scripts), dtype=np.int32)
    places = index - np.maximum.accumulate(np.where(starts, index, 0))
    # Digits come in groups of three: a tokenizer takes 1 to 3 at once.
    places = np.where(scripts == _CODE["digit"], places % 3, np.minimum(places, _PLACES - 1))
    kinds: ByteArray = _kind_by_script_and_place()[scripts, places]

    repeated = np.flatnonzero((code_points[1:] == code_points[:-1]) & ~starts[1:]) + 1
    repeated = repeated[scripts[repeated] == _CODE["punctuation"]]
    kinds[repeated] = _KIND["punctuation_repeated"]

    single = np.flatnonzero((code_points[:-1] == 0x20) & starts[:-1] & starts[1:])
    kinds[single] = _kind_of_single_space()[scripts[single + 1]]
    return kinds


def _run_starts(scripts: ByteArray, separators: IntArray) -> NDArray[np.bool_]:
    """Where a run begins: another script, a capital after a small letter, a new text."""
    runs = _run_of_script()[scripts]
    starts = np.ones(len(scripts), dtype=bool)
    starts[1:] = runs[1:] != runs[:-1]
    starts[1:] |= (scripts[1:] == _CODE["capital"]) & (scripts[:-1] == _CODE["letter"])
    starts[separators] = True
    starts[separators[:-1] + 1] = True
    return starts


@cache
def _kind_of_single_space() -> ByteArray:
    """Kind of a lone space by the script of the character after it."""
    kinds = np.full(len(_SCRIPTS), _KIND["space_alone"], dtype=np.uint8)
    kinds[[_CODE[script] for script in _SPACED]] = _KIND["space_before_word"]
    kinds[_CODE["digit"]] = _KIND["space_before_digit"]
    return kinds
