"""The sidebar's inputs come from the scenario's declarations, and move ranges within bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.dashboard.adjust import moved_to
from estimator.dashboard.declared import bounds, docstring, label, plain, quantity_help
from estimator.dashboard.inputs import GROUPS, api_models, other_paths, settings, slider, sliders
from estimator.quantity import Quantity
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.inputs import In
from estimator.scenario.templates import template, template_names
from pricing import token_price

PATHS = tuple(path for group in GROUPS.values() for path in group)
SHARE = In("share", 0, 1)
AMOUNT = In("USD", 0)


@given(
    form=st.sampled_from(["pert", "uniform", "p10p90", "p10p50p90"]),
    numbers=st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3, unique=True).filter(
        lambda x: min(abs(x[0] - x[1]), abs(x[1] - x[2]), abs(x[0] - x[2])) > 1e-3
    ),
    median=st.floats(0.001, 0.999),
    limits=st.sampled_from([SHARE, AMOUNT, In("score", -1, 1), In("USD")]),
)
def test_a_moved_range_has_the_median_asked_for_and_keeps_its_bounds(
    form: str, numbers: list[float], median: float, limits: In
) -> None:
    a, b, c = sorted(numbers)
    before = {
        "pert": {"min": a, "mode": b, "max": c},
        "uniform": {"low": a, "high": c},
        "p10p90": {"p10": a, "p90": c},
        "p10p50p90": {"p10": a, "p50": b, "p90": c},
    }[form]
    quantity = Quantity.of({**before, "unit": limits.unit, "source": "a table", "as_of": "2026"})
    moved = moved_to(quantity, median, limits)
    assert moved.median() == pytest.approx(median, rel=1e-6)
    assert moved.form == quantity.form
    limits.check(moved)
    assert (moved.source, moved.evidence, moved.as_of) == ("set in the dashboard", "user", None)


def test_a_range_above_zero_is_scaled() -> None:
    quantity = Quantity.of({"min": 2, "mode": 3, "max": 10})
    moved = moved_to(quantity, 2 * quantity.median(), AMOUNT)
    assert moved.numbers == pytest.approx((4, 6, 20))


def test_a_share_going_up_is_pressed_against_one() -> None:
    moved = moved_to(Quantity.of({"low": 0.4, "high": 1.0, "unit": "share"}), 0.85, SHARE)
    assert moved.numbers == pytest.approx((0.7, 1.0))


@pytest.mark.parametrize("median", [0.0, 1.0])
def test_a_median_at_a_bound_leaves_no_doubt(median: float) -> None:
    moved = moved_to(Quantity.of({"p10": 0.2, "p90": 0.6, "unit": "share"}), median, SHARE)
    assert moved.is_fixed and moved.median() == median


def test_fixed_numbers_and_chances_take_the_value() -> None:
    assert moved_to(Quantity.of(3), 5, AMOUNT).value == 5
    chance = Quantity.of({"probability": 0.2})
    assert moved_to(chance, 0.4, In("probability", 0, 1)).probability == 0.4


@pytest.mark.parametrize("name", template_names())
def test_every_option_of_every_slider_is_allowed(name: str) -> None:
    scenario = template(name)
    for entry in sliders(scenario, PATHS):
        assert entry.default in entry.options
        assert list(entry.options) == sorted(entry.options)
        texts = [entry.show(option) for option in entry.options]
        assert len(set(texts)) == len(texts), "a link names an option by its text"
        for option in (entry.options[0], entry.options[-1]):
            changed = with_inputs(scenario, entry.change(option)).inputs()[entry.path]
            assert changed.median() == pytest.approx(option, rel=1e-6)


def test_every_other_input_can_have_a_slider_too() -> None:
    scenario = template("support-assistant")
    others = other_paths(scenario)
    assert len(others) > 100
    assert not set(others) & set(PATHS)
    for entry in sliders(scenario, others):
        assert len(entry.options) > 5, entry.path
        assert entry.help.startswith(plain(docstring(entry.path)))


def test_no_change_is_no_change() -> None:
    scenario = template("support-assistant")
    entry = slider("quality.skill", scenario.inputs()["quality.skill"])
    assert entry.default == scenario.inputs()["quality.skill"].median()


def test_bounds_are_the_declared_ones() -> None:
    assert bounds("demand.in_scope_share") == In("share", 0, 1)
    assert bounds("demand.growth_per_year") == In("share/year", -0.9, 20)
    assert bounds("quality.error_rate.rag") == In("share", 0, 1)
    assert bounds("training.purchase_usd_per_gpu") == In("USD/GPU", 0)
    assert bounds("project.effort_days.rag.evaluate") == In("person-days", 0)


def test_help_says_meaning_range_unit_source_date_and_evidence() -> None:
    scenario = Scenario.model_validate({"demand": {"requests_per_month": 10}})
    known = scenario.inputs()["value.error_cost_usd"]
    text = quantity_help("value.error_cost_usd", known)
    assert text.startswith("Cost of one wrong answer that was given: repair, goodwill, churn.")
    for part in ("USD/error", "at least", "8 of 10", plain(str(known.source)), str(known.as_of)):
        assert part in text
    assert str(known.evidence) in text
    given = quantity_help(
        "demand.requests_per_month", scenario.inputs()["demand.requests_per_month"]
    )
    assert "the scenario file" in given and "certainly 10 requests" in given


def test_labels_are_the_first_sentence_up_to_a_colon() -> None:
    assert label("value.error_cost_usd") == "Cost of one wrong answer that was given"
    assert "\n" not in "".join(map(label, PATHS))


def test_plain_text_is_no_markdown() -> None:
    assert plain("$2 to $3 [a](b) *c*") == r"\$2 to \$3 \[a\](b) \*c\*"


def test_settings_change_what_they_say() -> None:
    scenario = template("support-assistant")
    by_path = {entry.path: entry for entry in settings(scenario)}
    for entry in by_path.values():
        assert entry.default in entry.options
    api = with_inputs(scenario, by_path["api.model"].change("openai/gpt-4.1")).api
    assert (api.provider, api.model) == ("openai", "gpt-4.1")
    assert api.input_usd_per_mtok != scenario.api.input_usd_per_mtok
    changed = with_inputs(scenario, by_path["training.method"].change("qlora"))
    assert changed.training.method == "qlora"
    assert by_path["horizon_months"].show(24) == "24 months"
    assert by_path["discount_rate_per_year"].show(0.125) == "12.5 %"


def test_api_models_are_priced_by_name() -> None:
    names = api_models()
    assert "openai/gpt-4.1-mini" in names and len(names) == len(set(names))
    for name in names:
        provider, _, model = name.partition("/")
        assert token_price(provider, model).output_usd_per_mtok >= 0
