"""The sidebar: where the scenario comes from, and a widget for each input that matters."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from html import escape
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from estimator.alternatives.account import LABELS
from estimator.dashboard.declared import label
from estimator.dashboard.downloads import file_stem
from estimator.dashboard.edits import PARAMETER, carry, edited, edits, from_link, keep
from estimator.dashboard.inputs import GROUPS, Input, other_paths, settings, slider, sliders, ways
from estimator.dashboard.results import leads
from estimator.dashboard.session import Shown, Wish
from estimator.dashboard.views import aside
from estimator.decision.wording import capitalised
from estimator.errors import InputError
from estimator.quantity import Quantity
from estimator.scenario import Scenario
from estimator.scenario.files import parse_scenario
from estimator.scenario.templates import template, template_names

FIRST_TEMPLATE = "support-assistant"
TEMPLATE, FILE, MORE, WAYS = "template", "file", "more", "alternatives"
MAX_UPLOAD_MB = 1
_BASE = "_base"
HOW_SLIDERS_WORK = (
    "A slider moves the middle of an input's range, and the range with it. Under it, along that "
    "range: how far the best choice is ahead of the next (blue), or another is better (orange)."
)

Places = dict[str, DeltaGenerator]


def ask() -> tuple[Wish, Places]:
    """What the sidebar's widgets ask for, and the places in it that the answer fills."""
    asked = _link()
    base, problems, places = _scenario_picker()
    lost = _restore(asked, base)
    before = base.inputs()
    starts = {**before, **edits()}
    inputs: list[Input] = []
    values: dict[str, Any] = {}

    def offer_sliders(paths: Iterable[str]) -> None:
        offer((slider(path, starts[path]) for path in paths), _slider)

    def offer(offered: Iterable[Input], widget: Callable[[Input], Any]) -> None:
        for entry in offered:
            values[entry.path] = widget(entry)
            places[entry.path] = st.container()  # keeps its picture until the next one comes
            inputs.append(entry)

    aside(HOW_SLIDERS_WORK)
    for title, paths in GROUPS.items():
        st.subheader(title, anchor=False)
        offer_sliders(paths)
    st.subheader("Time, money and models", anchor=False)
    offer(settings(base), _setting)
    offer([ways(base)], _several)
    st.subheader("Any other input", anchor=False)
    offer_sliders(_more(base))
    carry()
    wish = Wish(
        base=base,
        problems=tuple(problems),
        notices=(*_refused(asked, inputs), *lost),
        **_with_edits(inputs, values, before),
    )
    return wish, places


def _restore(asked: dict[str, str], base: Scenario) -> list[str]:
    """Take the edits that the link carries; what cannot be restored, in words."""
    if PARAMETER not in asked:
        return []
    found, lost = from_link(asked[PARAMETER], base)
    keep(found)
    return lost


def _with_edits(
    inputs: list[Input], values: dict[str, Any], before: Mapping[str, Quantity]
) -> dict[str, Any]:
    """Inputs and values of the wish: an edited one counts from what it was before the edit.

    Its slider, if it has one, starts from the edit; where that was moved, it takes the edit along.
    """
    offered = {entry.path: entry for entry in inputs}
    for path, quantity in edits().items():
        entry = offered.get(path)
        moved = entry is not None and values[path] != entry.default
        values[path] = entry.change(values[path])[path] if entry and moved else quantity
        offered[path] = edited(path, before[path])
    return {"inputs": tuple(offered.values()), "values": values}


def fill(places: Places, shown: Shown) -> None:
    """Put the answer's pictures under the sliders, and the scenario behind the download button."""
    places[FILE].download_button(
        "Download this scenario (YAML)",
        data=shown.yaml,
        file_name=f"{file_stem(shown.scenario)}.yaml",
        mime="application/yaml",
        on_click="ignore",
        width="stretch",
        icon=":material/download:",
    )
    paths = tuple(path for path in places if path != FILE)
    for path, (picture, lead) in leads(shown.yaml, paths).items():
        places[path].html(f'<img class="lead" src="{picture}" alt="{escape(lead.sentence)}">')


def reset(entries: Iterable[Input]) -> None:
    """Set these inputs back to what the template or file says; for a button's `on_click`."""
    left = dict(edits())
    for entry in entries:
        before = entry.default
        left.pop(entry.path, None)
        st.session_state[entry.path] = before.median() if isinstance(before, Quantity) else before
    keep(left)


def _scenario_picker() -> tuple[Scenario, list[str], Places]:
    st.subheader("Scenario", anchor=False)
    names = template_names()
    chosen = st.selectbox(
        "Start from",
        names,
        index=names.index(FIRST_TEMPLATE),
        format_func=_in_words,
        key=TEMPLATE,
        bind="query-params",
        on_change=_start_over,
    )
    with st.expander("Open or save a scenario file"):
        uploaded = st.file_uploader(
            "Upload a scenario (YAML)",
            type=["yaml", "yml"],
            key=FILE,
            max_upload_size=MAX_UPLOAD_MB,
            on_change=_start_over,
            help="Replaces the template while it is here. It stays on the machine that runs this "
            "page. A link carries the template and your changes, never an uploaded file.",
        )
        places = {FILE: st.empty()}
    if uploaded is None:
        base = template(chosen)
        st.session_state[_BASE] = base
        return base, [], places
    try:
        base = _parsed(uploaded.getvalue(), uploaded.name)
        st.session_state[_BASE] = base
        return base, [], places
    except InputError as error:
        return (
            st.session_state.get(_BASE) or template(chosen),
            [f"{error}. Below is what was shown before."],
            places,
        )


def _in_words(template_name: str) -> str:
    return capitalised(template_name.replace("-", " "))


def _parsed(content: bytes, name: str) -> Scenario:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{name}: not UTF-8 text; save the scenario as UTF-8 YAML") from None
    return parse_scenario(text, name=name)


def _start_over() -> None:
    """A new template or file: every widget takes its value from there."""
    uploaded = st.session_state.get(FILE)
    try:
        name = st.session_state[TEMPLATE]
        base = _parsed(uploaded.getvalue(), uploaded.name) if uploaded else template(name)
    except InputError:
        return  # the page says what is wrong, and keeps what it showed
    keep({})
    st.session_state[MORE] = []
    paths = tuple(path for group in GROUPS.values() for path in group)
    reset((ways(base), *sliders(base, paths), *settings(base)))


def _slider(entry: Input) -> Any:
    return st.select_slider(
        entry.label,
        entry.options,
        entry.default,
        format_func=entry.show,
        key=entry.path,
        help=entry.help,
        bind="query-params",
    )


def _setting(entry: Input) -> Any:
    if not isinstance(entry.default, str):
        return _slider(entry)
    return st.selectbox(
        entry.label,
        entry.options,
        entry.options.index(entry.default),
        format_func=entry.show,
        key=entry.path,
        help=entry.help,
        bind="query-params",
        accept_new_options=not entry.closed,
    )


def _several(entry: Input) -> Any:
    chosen = st.pills(
        entry.label,
        entry.options,
        selection_mode="multi",
        default=entry.default,
        format_func=lambda name: LABELS[name],
        key=entry.path,
        help=entry.help,
        bind="query-params",
    )
    return tuple(name for name in entry.options if name in chosen)


def _more(base: Scenario) -> tuple[str, ...]:
    paths = other_paths(base)
    chosen = st.multiselect(
        "Add a slider for",
        paths,
        format_func=lambda path: f"{label(path)} · {path}",
        key=MORE,
        bind="query-params",
        placeholder=f"one of {len(paths)} more inputs",
        help="Every uncertain input of the scenario can be moved.",
    )
    return tuple(chosen)


def _link() -> dict[str, str]:
    """What the link asked for, on the first run of a session only."""
    if _BASE in st.session_state:
        return {}
    return dict(st.query_params)


def _refused(asked: dict[str, str], inputs: Iterable[Input]) -> Iterator[str]:
    """What the link asked for that no widget offers; Streamlit itself drops it in silence."""
    known = {entry.path: entry for entry in inputs}
    for name, text in asked.items():
        if name in (MORE, WAYS, PARAMETER):
            continue
        if name == TEMPLATE:
            if text not in map(_in_words, template_names()):
                yield f"The link asks for the template {text!r}, which does not exist."
        elif name not in known:
            yield f"The link sets {name!r}, which this page does not offer; it was left out."
        elif (entry := known[name]).closed and text not in map(entry.show, entry.options):
            stays = entry.show(entry.default)
            yield f"The link sets {name} to {text!r}, which is not on its scale; {stays} stays."
