"""The page "Assumptions": what is typed into its cells becomes the scenario, and the link's."""

import json
from typing import Any

import pytest

pytest.importorskip("streamlit")
from hypothesis import assume, given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest
from test_dashboard_app import COST, html, opened

from estimator.dashboard import assumptions
from estimator.dashboard.declared import bounds
from estimator.dashboard.edits import PARAMETER, from_link, in_words, link_text
from estimator.dashboard.typed import CELLS, HIGH, LOW, MIDDLE, cells, typed, user_quantity
from estimator.errors import InputError
from estimator.quantity import Quantity
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import parse_scenario
from estimator.scenario.inputs import In
from estimator.scenario.templates import template, template_names

PAGE = "estimator/dashboard/pages/assumptions.py"
AMOUNT, SHARE = In("USD", 0), In("share", 0, 1)
PERT = Quantity.of({"min": 4, "mode": 8, "max": 14, "source": "a table"})
EXACT, EVEN = Quantity.of(8), Quantity.of({"low": 2, "high": 6})
TENTHS, HALF = Quantity.of({"p10": 2, "p90": 8}), Quantity.of({"probability": 0.5})
BETWEEN_ONES = Quantity.of({"min": 0.1, "mode": 0.4, "max": 0.9})
FIXED_PATH = "saas.price_usd_per_unit"


@pytest.mark.parametrize(
    ("before", "given", "after"),
    [
        (PERT, {MIDDLE: 16}, {"min": 8, "mode": 16, "max": 28}),
        (PERT, {LOW: 5}, {"min": 5, "mode": 8, "max": 14}),
        (PERT, {LOW: 5, HIGH: 9}, {"min": 5, "mode": 8, "max": 9}),
        (PERT, {LOW: 20, HIGH: 30}, {"min": 20, "mode": 24, "max": 30}),
        (PERT, {LOW: None, HIGH: None}, {"value": 8}),
        (PERT, {MIDDLE: None}, {"low": 4, "high": 14}),
        (PERT, {MIDDLE: 0}, {"value": 0}),
        (EXACT, {MIDDLE: 3}, {"value": 3}),
        (EXACT, {LOW: 6, HIGH: 9}, {"min": 6, "mode": 8, "max": 9}),
        (EXACT, {LOW: 10, HIGH: 14}, {"min": 10, "mode": 12, "max": 14}),
        (EXACT, {LOW: 10, HIGH: 14, MIDDLE: None}, {"low": 10, "high": 14}),
        (EVEN, {HIGH: 7}, {"low": 2, "high": 7}),
        (EVEN, {MIDDLE: 5}, {"min": 2, "mode": 5, "max": 6}),
        (TENTHS, {LOW: 1}, {"p10": 1, "p90": 8}),
        (TENTHS, {MIDDLE: 5}, {"p10": 2.5, "p50": 5, "p90": 10}),
        (TENTHS, {LOW: 1, MIDDLE: 3}, {"p10": 1, "p50": 3, "p90": 8}),
        (HALF, {MIDDLE: 0.2}, {"probability": 0.2}),
    ],
)
def test_typed_cells_become_the_quantity_they_say(
    before: Quantity, given: dict[str, Any], after: dict[str, float]
) -> None:
    found = typed(before, given, In("USD", 0) if before.form != "probability" else SHARE)
    wanted = Quantity.of(after)
    assert (found.form, found.numbers) == (wanted.form, pytest.approx(wanted.numbers))
    assert (found.evidence, found.source) == ("user", "set in the dashboard")
    said = cells(found)
    assert all(said[name] == number for name, number in given.items()), "what was typed stays"


@pytest.mark.parametrize(
    ("before", "given", "message"),
    [
        (PERT, {LOW: 9}, "Low 9 is above Middle 8"),
        (PERT, {HIGH: -1}, "-1 given; must be at least 0 USD"),
        (PERT, {LOW: 9, HIGH: 3}, "above High 3"),
        (EXACT, {LOW: 5}, "Low 5 needs a High"),
        (EXACT, {HIGH: 5}, "High 5 needs a Low"),
        (EXACT, {MIDDLE: None}, "no number left"),
        (PERT, {MIDDLE: float("nan")}, "finite"),
        (PERT, {MIDDLE: float("inf")}, "finite"),
        (TENTHS, {LOW: 0}, "must be above 0"),
        (PERT, {HIGH: 1e30}, "of a size from"),
        (HALF, {LOW: 0.1, HIGH: 0.4}, "a chance is one number"),
    ],
)
def test_what_is_no_quantity_is_refused_in_one_line(
    before: Quantity, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message) as refused:
        typed(before, given, AMOUNT)
    assert "\n" not in str(refused.value)


numbers = st.floats(-1e6, 1e6) | st.none() | st.floats(0, 1)


@given(
    before=st.sampled_from([PERT, EXACT, EVEN, TENTHS, HALF, BETWEEN_ONES]),
    given=st.dictionaries(st.sampled_from(CELLS), numbers, min_size=1),
    limits=st.sampled_from([AMOUNT, SHARE, In("factor")]),
)
def test_whatever_is_typed_is_a_quantity_within_bounds_or_refused(
    before: Quantity, given: dict[str, float | None], limits: In
) -> None:
    assume(limits.le is None or before.numbers[-1] <= limits.le)
    try:
        found = typed(before, given, limits)
    except InputError:
        assume(False)
    limits.check(found)
    said = cells(found)
    kept = {name: number for name, number in given.items() if number is not None}
    assert found.is_fixed or all(said[name] == number for name, number in kept.items())


@pytest.mark.parametrize("name", template_names())
def test_every_input_can_be_typed_as_a_middle_and_as_a_low_and_a_high(name: str) -> None:
    """Two changes of the whole scenario at once; every one comes back from the link."""
    base = template(name)
    for cell in ("middle", "ends"):
        changed = {path: _another(path, q, cell) for path, q in base.inputs().items()}
        found, lost = {}, []
        for some in _in_parts(changed, 60):
            kept, refused = from_link(link_text(some), base)
            found, lost = {**found, **kept}, [*lost, *refused]
        assert not lost
        assert found == changed
        assert with_inputs(base, found).inputs() == {**base.inputs(), **changed}


def _another(path: str, quantity: Quantity, cell: str) -> Quantity:
    limits = bounds(path)
    middle = quantity.median() or 0.5
    if cell == "middle" or quantity.form == "probability":
        return typed(quantity, {MIDDLE: float(f"{0.9 * middle:.3g}")}, limits)
    low, high = sorted((0.8 * middle, 0.95 * middle))
    return typed(quantity, {LOW: low, MIDDLE: None, HIGH: high}, limits)


def _in_parts(whole: dict[str, Quantity], size: int) -> list[dict[str, Quantity]]:
    items = list(whole.items())
    return [dict(items[i : i + size]) for i in range(0, len(items), size)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no.such~1", "no such input"),
        (f"{COST}~much", "not numbers"),
        (f"{COST}", "0 numbers given"),
        (f"{COST}~1~2~3~4", "4 numbers given"),
        (f"{COST}~p~4", "1 numbers given; 3 needed"),
        (f"{COST}~-3", "at least 0"),
        (f"{COST}~nan", "finite"),
        (f"{COST}~9~4", "reversed range"),
        ("project.black_swan~c~2", "less than or equal to 1"),
        ("demand.in_scope_share~1.4", "at most 1"),
    ],
)
def test_what_a_link_cannot_restore_is_said_and_the_rest_is_restored(
    text: str, message: str
) -> None:
    found, lost = from_link(f"{text}~~data.examples~9000", template("support-assistant"))
    assert list(found) == ["data.examples"] and found["data.examples"].numbers == (9000,)
    assert len(lost) == 1 and message in lost[0] and "left out" in lost[0]


def test_a_quantity_in_few_words() -> None:
    assert in_words(PERT, "USD/request") == "$8 ($4 to $14)"
    assert in_words(user_quantity({"low": 0.2, "high": 0.4}, SHARE), "share") == "20 % to 40 %"
    assert in_words(EXACT, "days") == "8"


def page(**link: str) -> AppTest:
    app = opened(**link)
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def type_into(app: AppTest, path: str, **given: float | None) -> AppTest:
    """Type into cells of the row of a path, with what a browser would send; AppTest cannot."""
    table = app.data_editor[0]
    row = list(table.value["Path"]).index(path)
    cells_of_row = {name.capitalize(): number for name, number in given.items()}
    states = app._tree.get_widget_states()
    state = states.widgets.add()
    state.id = table.proto.id
    state.string_value = json.dumps({"edited_rows": {row: cells_of_row}})
    app._run(states)
    assert not app.exception
    return app


def row_of(app: AppTest, path: str) -> dict[str, Any]:
    table = app.data_editor[0].value
    found: dict[str, Any] = table[table["Path"] == path].iloc[0].to_dict()
    return found


def shown(app: AppTest) -> Any:
    return app.session_state["_shown"]


def sure(app: AppTest) -> str:
    return html(app, "sure")


def test_a_fixed_input_is_typed_over_and_everything_follows() -> None:
    app = page()
    before = sure(app)
    assert row_of(app, FIXED_PATH)["Middle"] == 0.99
    type_into(app, FIXED_PATH, middle=3.0)
    assert not app.error and sure(app) != before
    row = row_of(app, FIXED_PATH)
    assert (row["Middle"], row["Known by"]) == (3.0, assumptions.CHANGED)
    assert app.query_params[PARAMETER] == f"{FIXED_PATH}~3"
    saved = parse_scenario(shown(app).yaml).inputs()[FIXED_PATH]
    assert (saved.value, saved.evidence) == (3.0, "user")
    app.switch_page("estimator/dashboard/pages/decide.py").run()
    changed = app.button(key=f"reset.{FIXED_PATH}")
    assert r"\$0.99 → \$3" in changed.label
    changed.click().run()
    assert PARAMETER not in app.query_params
    assert shown(app).wish.changed == ()


def test_a_low_and_a_high_are_kept_until_they_make_a_range() -> None:
    app = page()
    before = sure(app)
    type_into(app, FIXED_PATH, low=2.0)
    assert len(app.error) == 1 and "Low 2 needs a High" in app.error[0].value
    assert sure(app) == before and shown(app).wish.changed == ()
    type_into(app, FIXED_PATH, low=2.0, high=4.0)
    assert not app.error and sure(app) != before
    row = row_of(app, FIXED_PATH)
    assert (row["Low"], row["Middle"], row["High"]) == (2.0, 3.0, 4.0)


def test_a_slider_starts_from_the_edit_and_takes_it_along() -> None:
    app = type_into(page(), COST, low=10.0, middle=20.0, high=30.0)
    slider = app.select_slider(key=COST)
    assert slider.value == pytest.approx(20)
    options = next(e.options for e in shown(app).wish.inputs if e.path == "quality.skill")
    assert options  # other sliders are as they were
    slider.set_value(30.0).run()
    row = row_of(app, COST)
    assert (row["Low"], row["Middle"], row["High"]) == pytest.approx((15, 30, 45))
    assert app.query_params[PARAMETER] == f"{COST}~10~20~30"
    again = page(**{PARAMETER: f"{COST}~10~20~30", COST: "$30"})
    assert shown(again).yaml == shown(app).yaml
    type_into(app, COST, middle=20.0)
    assert app.select_slider(key=COST).value == pytest.approx(20)
    assert shown(app).scenario.inputs()[COST].numbers == pytest.approx((10, 20, 30))


def test_typing_what_it_was_before_is_no_change() -> None:
    app = type_into(page(), "data.examples", middle=9000.0)
    assert len(shown(app).wish.changed) == 1
    type_into(app, "data.examples", low=2000.0, middle=5000.0, high=12000.0)
    assert shown(app).wish.changed == ()
    assert shown(app).scenario.data.examples.source != "set in the dashboard"


def test_a_new_template_forgets_the_edits() -> None:
    app = type_into(page(), "data.examples", middle=9000.0)
    app.selectbox(key="template").set_value("internal-search").run()
    assert not app.exception and shown(app).wish.changed == ()
    assert PARAMETER not in app.query_params
    assert row_of(app, "data.examples")["Known by"] != assumptions.CHANGED


def test_a_bad_value_gives_one_message_and_the_last_good_answer() -> None:
    app = type_into(page(), "data.examples", middle=9000.0)
    before, good = sure(app), shown(app).yaml
    type_into(app, "value.error_cost_usd", high=-5.0)
    assert len(app.error) == 1
    message = app.error[0].value.replace("\\", "")
    assert "value.error_cost_usd" in message and "at least 0 USD/error" in message
    assert sure(app) == before and shown(app).yaml == good
    app.button(key="assumptions.forget").click().run()
    assert not app.error


def test_a_link_says_what_it_could_not_restore() -> None:
    app = opened(**{PARAMETER: "data.examples~9000~~no.such~1~~value.error_cost_usd~-4"})
    said = [warning.value.replace("\\", "") for warning in app.warning]
    assert len(said) == 2 and "no.such" in said[0] and "at least 0" in said[1]
    assert shown(app).scenario.data.examples.numbers == (9000,)
    assert app.query_params[PARAMETER] == "data.examples~9000"


def test_edits_are_set_back_one_by_one_and_all_at_once() -> None:
    app = page(**{PARAMETER: f"data.examples~9000~~{COST}~20~~team.load_factor~1.2"})
    start = page()
    app.button(key="reset.data.examples").click().run()
    assert {entry.path for entry in shown(app).wish.changed} == {COST, "team.load_factor"}
    app.button(key="reset").click().run()
    assert shown(app).yaml == shown(start).yaml and sure(app) == sure(start)
    assert app.select_slider(key=COST).value == start.select_slider(key=COST).value


def test_many_edits_are_listed_and_each_has_its_way_back() -> None:
    paths = [path for path in template("support-assistant").inputs() if path.startswith("api.")]
    app = page(**{PARAMETER: "~~".join(f"{path}~0.5" for path in paths)})
    assert len(paths) > 5 and len(shown(app).wish.changed) == len(paths)
    app.button(key=f"reset.{paths[-1]}").click().run()
    assert len(shown(app).wish.changed) == len(paths) - 1


def test_old_facts_are_marked_by_the_day_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEROI_TODAY", "2026-11-24")
    app = page()
    path = "team.wages_usd_per_year.annotator"  # of 2024-05
    assert row_of(app, path)["As of"] == "2024-05 · old"
    assert "old" not in row_of(app, "api.input_usd_per_mtok")["As of"]
    app.pills(key="assumptions.known").set_value([assumptions.OLD]).run()
    few = len(app.data_editor[0].value)
    assert 0 < few < 100 and path in set(app.data_editor[0].value["Path"])
    monkeypatch.setenv("TUNEROI_TODAY", "2030-01-01")
    app.run()
    assert len(app.data_editor[0].value) > 250


def test_a_year_alone_is_a_date_too() -> None:
    text = "name: A\ndemand: {requests_per_month: {value: 400, as_of: 2026, source: us}}\n"
    app = opened()
    app.file_uploader(key="file").upload("a.yaml", text.encode(), "application/yaml").run()
    app.switch_page(PAGE).run()
    assert not app.exception
    assert row_of(app, "demand.requests_per_month")["As of"].startswith("2026")
