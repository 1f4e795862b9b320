"""Scenario files: lossless round trips, and one clear line for every mistake."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from estimator.errors import InputError
from estimator.quantity import Quantity
from estimator.scenario import Scenario
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import dump_scenario, load_scenario, parse_scenario, save_scenario
from estimator.scenario.inputs import Section, describe_input
from estimator.scenario.templates import template_names, template_text

MINIMAL = "demand: {requests_per_month: 20000}\n"


@pytest.mark.parametrize("name", template_names())
def test_templates_round_trip_without_loss(name: str) -> None:
    scenario = parse_scenario(template_text(name))
    assert parse_scenario(dump_scenario(scenario)) == scenario


@given(
    st.floats(0, 1e9).filter(lambda x: x == 0 or x > 1e-9),
    st.integers(1, 120),
    st.floats(0.01, 0.98).flatmap(lambda a: st.tuples(st.just(a), st.floats(a + 0.005, 0.99))),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30),
)
def test_any_scenario_round_trips(
    requests: float, months: int, share: tuple[float, float], name: str
) -> None:
    data = {
        "name": name,
        "horizon_months": months,
        "demand": {
            "requests_per_month": requests,
            "in_scope_share": {"p10": share[0], "p90": share[1], "note": name},
        },
    }
    scenario = Scenario.model_validate(data)
    assert parse_scenario(dump_scenario(scenario)) == scenario


def test_a_file_is_written_whole_and_read_back(tmp_path: Path) -> None:
    scenario = parse_scenario(MINIMAL)
    path = tmp_path / "mine.yaml"
    save_scenario(scenario, path)
    assert load_scenario(path) == scenario
    assert [p.name for p in tmp_path.iterdir()] == ["mine.yaml"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["demand", "missing"]),
        ("demand: {requests_per_mont: 3}", ["line 1", "demand.requests_per_mont", "nearest known"]),
        ("name: x\ndemand:\n  requests_per_month: -5", ["line 3", "-5", "at least 0"]),
        ("demand:\n  requests_per_month: .nan", ["line 2", "finite"]),
        ("demand:\n  requests_per_month: twenty", ["line 2", "'twenty'", "a number"]),
        (MINIMAL + "valeu: {}", ["line 2", "valeu", "nearest known: value"]),
        (
            "demand:\n  requests_per_month: {min: 9, mode: 2, max: 10}",
            ["line 2", "reversed range", "min 9 > mode 2"],
        ),
        (
            "demand: {requests_per_month: {value: 3, unit: USD}}",
            ["requests_per_month", "'USD'", "'requests/month'"],
        ),
        (
            "demand: {requests_per_month: 3, in_scope_share: 1.5}",
            ["in_scope_share", "1.5", "at most 1"],
        ),
        (
            "demand: {requests_per_month: {p10: 0, p90: 3}}",
            ["requests_per_month", "p10 is 0", "min, mode and max"],
        ),
        (MINIMAL + "horizon_months: 500", ["line 2", "horizon_months", "500", "120"]),
        (MINIMAL + "alternatives: [rag, magic]", ["alternatives", "magic", "'saas'"]),
        (MINIMAL + "training: {gpu: h1000}", ["h1000", "nearest known"]),
        (MINIMAL + "saas: {plan: gleen-ai}", ["gleen-ai", "not published", "your own range"]),
        (MINIMAL + "team: {wages_usd_per_year: {wizard: 1}}", ["wizard", "role"]),
        (
            MINIMAL + "project: {effort_days: {rag: {deploi: 3}}}",
            ["deploi", "nearest known: deploy"],
        ),
        (
            MINIMAL + "correlations: [{a: quality.skil, b: quality.skill, rank: 0.5}]",
            ["quality.skil", "not an uncertain input"],
        ),
        (MINIMAL + MINIMAL, ["line 2", "twice", "line 1"]),
        ("a: &x [1, 2]\nb: *x", ["aliases"]),
        ("demand: [1, 2", ["not YAML"]),
        ("- 1\n- 2", ["mapping"]),
        ("[" * 5000, ["nested too deeply"]),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(text: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_scenario(text, name="mine.yaml")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("mine.yaml")
    for word in words:
        assert word in message


def test_unreadable_files_are_one_line_too(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load_scenario(tmp_path / "missing.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="UTF-8"):
        load_scenario(binary)
    huge = tmp_path / "huge.yaml"
    huge.write_text("#" * 1_000_001)
    with pytest.raises(InputError, match="larger than"):
        load_scenario(huge)


def test_scientific_numbers_are_numbers() -> None:
    scenario = parse_scenario("demand: {requests_per_month: 2e4}")
    assert scenario.demand.requests_per_month.value == 20_000


def test_every_input_has_a_meaning_a_unit_and_a_source_or_is_zero_or_one() -> None:
    scenario = parse_scenario(MINIMAL)
    for path, quantity in scenario.inputs().items():
        assert describe_input(Scenario, path), path
        assert quantity.unit, path
        if path == "demand.requests_per_month" or quantity.numbers in ((0.0,), (1.0,)):
            continue
        assert quantity.source, path


def test_declarations_reach_the_json_schema() -> None:
    schema = Scenario.model_json_schema()
    growth = schema["$defs"]["Demand"]["properties"]["growth_per_year"]
    assert growth["description"].startswith("Growth of the requests per year")
    assert growth["default_from"] == "demand.growth_per_year"
    assert yaml.safe_load(yaml.safe_dump(schema)) == schema


def test_every_field_is_documented() -> None:
    def check(model: type[Section]) -> None:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
                check(field.annotation)

    check(Scenario)


def test_prices_follow_the_names_that_are_chosen() -> None:
    scenario = parse_scenario(MINIMAL)
    other = with_inputs(scenario, {"training.gpu": "rtx-4090-24gb"})
    assert other.training.gpu_usd_per_hour != scenario.training.gpu_usd_per_hour
    fixed = with_inputs(other, {"training.gpu_usd_per_hour": 2})
    assert fixed.training.gpu_usd_per_hour == Quantity.of({"value": 2, "unit": "USD/GPU-hour"})
    with pytest.raises(InputError, match="nearest known"):
        with_inputs(scenario, {"training.gpux": 1})


def test_gleen_ai_takes_the_users_range() -> None:
    text = MINIMAL + "saas: {plan: gleen-ai, price_usd_per_unit: {min: 0.2, mode: 0.5, max: 1}}"
    assert parse_scenario(text).saas.price_usd_per_unit.mode == 0.5


def test_status_quo_always_takes_part_and_order_does_not_matter() -> None:
    first = parse_scenario(MINIMAL + "alternatives: [saas, rag]")
    second = parse_scenario(MINIMAL + "alternatives: [rag, saas, status_quo]")
    assert first.alternatives == second.alternatives == ("status_quo", "rag", "saas")
