"""What the session shows: the scenario with the user's changes, or the last one that worked."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from estimator.dashboard.declared import plain
from estimator.dashboard.inputs import Input
from estimator.dashboard.reach import refuse_paths
from estimator.dashboard.results import Decision, decision
from estimator.errors import EstimatorError
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import dump_scenario

OUR_FAULT = (
    "Something went wrong inside tuneroi, not in your input; the server's log has the details."
)
_SHOWN, _LAST_GOOD = "_shown", "_last_good"

Answer = tuple[Scenario, str, Decision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the sidebar asks for."""

    base: Scenario
    """The template or file that it starts from."""
    inputs: tuple[Input, ...]
    values: Mapping[str, Any]
    """The value of each input by path."""
    problems: tuple[str, ...] = ()
    """What was wrong with an upload, in words."""
    notices: tuple[str, ...] = ()
    """What a link asked for in vain."""

    @property
    def changed(self) -> tuple[Input, ...]:
        """The inputs that differ from what the template or file says."""
        return tuple(i for i in self.inputs if self.values[i.path] != i.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What every page shows."""

    scenario: Scenario
    yaml: str
    decision: Decision
    wish: Wish
    problems: tuple[str, ...]


def settle(wish: Wish) -> Shown | None:
    """The answer to the wish, or the last good answer with what is wrong; None if there is none."""
    try:
        answer = _answer(wish)
        st.session_state[_LAST_GOOD] = answer
        return _show(wish, answer, wish.problems)
    except EstimatorError as error:
        problem = str(error)
    except Exception:
        logging.getLogger(__name__).exception("the comparison failed")
        problem = OUR_FAULT
    last: Answer | None = st.session_state.get(_LAST_GOOD) or _unchanged(wish)
    if last is None:
        st.error(plain(problem), icon=":material/error:")
        return None
    return _show(wish, last, (*wish.problems, f"{problem} Below is the last good answer."))


def _show(wish: Wish, answer: Answer, problems: tuple[str, ...]) -> Shown:
    scenario, yaml, found = answer
    shown = Shown(scenario=scenario, yaml=yaml, decision=found, wish=wish, problems=problems)
    st.session_state[_SHOWN] = shown
    return shown


def current() -> Shown:
    """What the page that runs now has to show."""
    shown: Shown = st.session_state[_SHOWN]
    return shown


def _answer(wish: Wish) -> Answer:
    changes: dict[str, Any] = {}
    for changed in wish.changed:
        changes |= changed.change(wish.values[changed.path])
    return _decided(with_inputs(wish.base, changes))


def _unchanged(wish: Wish) -> Answer | None:
    """The answer to the scenario as it was before any change, if there is one."""
    try:
        return _decided(wish.base)
    except EstimatorError:
        return None


def _decided(scenario: Scenario) -> Answer:
    refuse_paths(scenario.model)
    yaml = dump_scenario(scenario)
    return scenario, yaml, decision(yaml, scenario)
