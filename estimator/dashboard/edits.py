"""What the user typed over the inputs of the template or file: kept by path, carried by the link.

An edit takes the place of the scenario's own input; a slider in the sidebar then starts from it.
"""

from collections.abc import Mapping

import streamlit as st

from estimator.dashboard.declared import bounds, label
from estimator.dashboard.inputs import Input
from estimator.dashboard.typed import user_quantity
from estimator.decision.wording import significant, value_with_unit
from estimator.errors import InputError
from estimator.quantity import FORMS, Form, Quantity
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs

PARAMETER = "edits"
_EDITS = "_edits"
BETWEEN, WITHIN = "~~", "~"
"""What parts edits, and path and numbers, in a link: signs that stay as they are there."""
LETTERS: Mapping[Form, str] = {"percentiles": "p", "probability": "c"}
"""Told before the numbers where their count does not tell the form."""
BY_COUNT: Mapping[int, Form] = {1: "fixed", 2: "uniform", 3: "pert"}

Edits = Mapping[str, Quantity]


def edits() -> Edits:
    """The edits of this session by path."""
    kept: Edits = st.session_state.get(_EDITS, {})
    return kept


def keep(changed: Edits) -> None:
    """Take these as the session's edits."""
    st.session_state[_EDITS] = dict(changed)


def carry() -> None:
    """Let the page's address carry the edits; Streamlit drops them when the page changes."""
    text = link_text(edits())
    if st.query_params.get(PARAMETER, "") != text:
        if text:
            st.query_params[PARAMETER] = text
        else:
            del st.query_params[PARAMETER]


def link_text(changed: Edits) -> str:
    """The edits as a link carries them: "data.examples~5000~~team.load_factor~1.2~1.3~1.5"."""
    return BETWEEN.join(
        WITHIN.join((path, *filter(None, [LETTERS.get(q.form)]), *map(_short, q.numbers)))
        for path, q in changed.items()
    )


def _short(number: float) -> str:
    return repr(number).removesuffix(".0")


def from_link(text: str, base: Scenario) -> tuple[dict[str, Quantity], list[str]]:
    """The edits that a link carries for a scenario, and in words what cannot be restored."""
    known = base.inputs()
    read: dict[str, Quantity] = {}
    lost: dict[str, str] = {}
    parts = (part.split(WITHIN) for part in text.split(BETWEEN) if part)
    for path, words in {path: words for path, *words in parts}.items():
        try:
            if path not in known:
                raise InputError("this scenario has no such input")
            read[path] = user_quantity(_numbers(words), bounds(path))
        except InputError as error:
            lost[path] = str(error)
    found = _fitting(base, read, lost)
    return found, [f"The link edits {path!r}, which was left out: {lost[path]}." for path in lost]


def _fitting(
    base: Scenario, read: dict[str, Quantity], lost: dict[str, str]
) -> dict[str, Quantity]:
    """Those that the scenario takes: all of them as a rule; else one by one, the others lost."""
    found: dict[str, Quantity] = {}
    for some in (read, *({path: quantity} for path, quantity in read.items())):
        try:
            with_inputs(base, {**found, **some})
        except InputError as error:
            lost |= {path: str(error) for path in some if len(some) == 1}
        else:
            found |= some
        if found == read:
            break
    return found


def _numbers(words: list[str]) -> dict[str, float]:
    """The numbers of one edit by their names in a quantity."""
    form = next((form for form, letter in LETTERS.items() if words[:1] == [letter]), None)
    texts = words if form is None else words[1:]
    try:
        numbers = [float(text) for text in texts]
    except ValueError:
        raise InputError(f"{WITHIN.join(words)!r} is not numbers") from None
    form = form or BY_COUNT.get(len(numbers))
    if form is None:
        raise InputError(f"{len(numbers)} numbers given; allowed: 1 to 3")
    names = FORMS[form]
    if form == "percentiles" and len(numbers) == len(("p10", "p90")):
        names = ("p10", "p90")
    if len(names) != len(numbers):
        raise InputError(f"{len(numbers)} numbers given; {len(names)} needed")
    return dict(zip(names, numbers, strict=True))


def edited(path: str, before: Quantity) -> Input:
    """An edit as the list of changes shows it: what the input was, and how to write what it is."""
    limits = bounds(path)
    return Input(
        path=path,
        label=label(path),
        help="",
        options=(),
        default=before,
        show=lambda quantity: in_words(quantity, limits.unit),
        change=lambda quantity: {path: quantity},
    )


def in_words(quantity: Quantity, unit: str) -> str:
    """A quantity in few words: "$8.30", "$8.00 ($4.50 to $14)", "$5.00 to $12"."""
    what = unit.partition("/")[0]
    known = what if what in ("USD", "share", "probability") else None

    def worded(number: float) -> str:
        return value_with_unit(number, known) if known else significant(number)

    numbers = quantity.numbers
    if quantity.is_fixed or quantity.form == "probability":
        return worded(numbers[0])
    ends = f"{worded(numbers[0])} to {worded(numbers[-1])}"
    return f"{worded(numbers[1])} ({ends})" if len(numbers) == len(FORMS["pert"]) else ends
