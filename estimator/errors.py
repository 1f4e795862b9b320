"""The errors a user can meet: one line that says what was wrong, where, and what to do.

- EstimatorError
  - InputError: a value or a file that the user gave
  - CatalogError: a name that no catalogue knows
  - InfeasiblePlan: a wish that no hardware or budget can meet
  - MissingExtra: an optional dependency is not installed
"""

import difflib
import re
from collections.abc import Iterable

_SECRET = re.compile(r"(?<=://)[^/@\s]+(?=@)|\bhf_\w{16,}")


class EstimatorError(Exception):
    """A mistake the user can mend; the command prints it as one line and exits with status 2."""


class InputError(EstimatorError):
    """A value or a file that the user gave cannot be used."""


class CatalogError(EstimatorError):
    """A model, GPU, price or place that no catalogue knows."""


class InfeasiblePlan(EstimatorError):  # noqa: N818 - a plan, not an accident
    """What was asked for does not fit; the message names the nearest thing that does."""


class MissingExtra(EstimatorError):  # noqa: N818 - names what is missing
    """An optional dependency is missing; the message names the extra to install."""


def without_secrets(text: str) -> str:
    """The text without passwords in addresses and tokens of the hub, which a library may repeat."""
    return _SECRET.sub("***", text)


def nearest(name: str, choices: Iterable[str], n: int = 3) -> list[str]:
    """Up to `n` known names closest to `name`, best first, ignoring case."""
    by_folded = {choice.casefold(): choice for choice in choices}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=n, cutoff=0.4)
    return [by_folded[folded] for folded in found]


def unknown(kind: str, name: str, choices: Iterable[str], hint: str = "") -> CatalogError:
    """A one-line error for an unknown name: what was asked, the nearest names, what to do."""
    choices = sorted(choices)
    close = nearest(name, choices)
    if close:
        help_text = f"nearest known: {', '.join(close)}"
    else:
        shown = ", ".join(choices[:8]) + (", ..." if len(choices) > 8 else "")
        help_text = f"known: {shown}"
    return CatalogError(f"unknown {kind} {name!r}; {help_text}" + (f". {hint}" if hint else ""))
