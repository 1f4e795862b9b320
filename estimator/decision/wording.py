"""Numbers in words, rounded to what is known: money, chances, values with their unit."""

from collections.abc import Sequence
from math import floor, isfinite, log10

from estimator.decision.currency import shown_rate

SHARE_UNITS = ("share", "probability")
SCALES = ((1e9, "B"), (1e6, "M"), (1e4, "k"))  # from $10,000 on in thousands
CONFIDENCE = (
    (0.99, "almost certainly", "almost certain"),
    (0.90, "very likely", "very likely"),
    (0.66, "likely", "likely"),
    (0.50, "probably", "more likely than not"),
)


def money(usd: float, digits: int = 2) -> str:
    """Money to two significant digits: "$1.2M", "$35k", "$1,200", "$4.20", "-$0.042"; "n/a".

    Within `shown_in(currency)` the same amount in that currency: "€1.1M".
    """
    if not isfinite(usd):
        return "n/a"
    rate = shown_rate()
    shown, symbol = (usd, "$") if rate is None else (usd * rate.units_per_usd, rate.symbol)
    return _money(shown, symbol, digits)


def _money(amount: float, symbol: str, digits: int) -> str:
    size, decimals = _rounded(amount, digits)
    sign = "-" if amount < 0 and size else ""
    for scale, letter in SCALES:
        if size >= scale:
            divisor = 1e3 if letter == "k" else scale
            return f"{sign}{symbol}{significant(abs(amount) / divisor, digits)}{letter}"
    return f"{sign}{symbol}{size:,.{max(decimals, 2) if decimals else 0}f}"


def about(usd: float) -> str:
    """An amount without its sign in a sentence: "about $1.2M"."""
    return f"about {money(abs(usd))}"


def percent(probability: float) -> str:
    """A simulated chance in whole percent, never certain: "78 %", ">99 %", "<1 %"."""
    if not isfinite(probability):
        return "n/a"
    whole = round(100 * probability)
    if whole in (0, 100):
        return "<1 %" if whole == 0 else ">99 %"
    return f"{whole} %"


def significant(x: float, digits: int = 2) -> str:
    """A number to so many significant digits, with thousands separators: "12,000", "0.042"."""
    size, decimals = _rounded(x, digits)
    return f"{'-' if x < 0 and size else ''}{size:,.{decimals}f}"


def value_with_unit(x: float, unit: str | None, digits: int = 2) -> str:
    """A value in its unit: "32 %", "$0.042 per request", "12,000 requests per month", "3.0"."""
    what, _, per = (unit or "").partition("/")
    per = f" per {per}" if per else ""
    if what in SHARE_UNITS:
        return f"{significant(100 * x, digits)} %{per}"
    if what == "USD":
        return f"{money(x, digits)}{per}"
    if what in ("count", "factor", "score", ""):
        return f"{significant(x, digits)}{per}"
    return f"{significant(x, digits)} {what}{per}"


def chance_adverb(probability: float) -> str | None:
    """The word for how likely something is, as in "is likely the best"; None below one half."""
    shown = round(probability, 2)  # so that the word fits the printed percentage
    return next((adverb for least, adverb, _ in CONFIDENCE if shown >= least), None)


def confidence(probability: float) -> str:
    """How sure an answer is, in a word and a number: "likely, 78 %"."""
    shown = round(probability, 2)
    word = next((word for least, _, word in CONFIDENCE if shown >= least), "uncertain")
    return f"{word}, {percent(probability)}"


def listed(words: Sequence[str]) -> str:
    """Words as a list in a sentence: "a, b and c"."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def capitalised(words: str) -> str:
    """The words with a capital first letter, the rest as it is ("RAG" stays "RAG")."""
    return words[:1].upper() + words[1:]


def _rounded(x: float, digits: int) -> tuple[float, int]:
    """Size of x to so many significant digits, and how many decimals that needs."""
    size = abs(float(f"{x:.{digits - 1}e}"))
    if size == 0 or float(x).is_integer():
        return size, 0
    return size, max(0, digits - 1 - floor(log10(size)))
