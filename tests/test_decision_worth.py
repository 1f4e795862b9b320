"""What is worth finding out: the table of studies, costs, ranking, and honesty when nothing is."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from estimator.decision.evaluate import knowable, world_of
from estimator.decision.simulate import Comparison, compare
from estimator.decision.studies import COLUMNS, cost_usd, read_studies, studies, truth
from estimator.decision.worth import GROUPS, Worth, group_inputs, value_of_information
from estimator.errors import InputError
from estimator.report.worth import cheapest, sentence, worth_dict
from estimator.scenario.edit import with_inputs
from estimator.scenario.files import load_scenario, parse_scenario

EXAMPLES = Path(__file__).parent.parent / "examples"
BASE = parse_scenario("""
demand: {requests_per_month: {p10: 15000, p90: 26000}}
horizon_months: 24
alternatives: [rag, saas, prompting, managed_finetune]
""")


@pytest.fixture(scope="module")
def desk() -> Comparison:
    return compare(load_scenario(EXAMPLES / "mid-size-desk.yaml"), n=4096)


@pytest.fixture(scope="module")
def worth(desk: Comparison) -> Worth:
    return value_of_information(desk)


def test_every_study_measures_inputs_that_exist_with_people_who_exist() -> None:
    paths = BASE.inputs()
    for study in studies():
        assert bool(study.inputs) != bool(study.ways), study.id
        assert bool(study.sizes) != (study.relative_spread is not None), study.id
        assert study.role in BASE.team.wages_usd_per_year, study.id
        for pattern in study.inputs:
            assert any(fnmatchcase(path, pattern) for path in paths), f"{study.id}: {pattern}"
        if study.sizes:
            counted = [p for p in paths if any(fnmatchcase(p, i) for i in study.inputs)]
            assert all(paths[p].unit == "share" for p in counted), study.id


def test_a_study_costs_its_days_its_judging_and_its_run() -> None:
    world = world_of(BASE, compare(BASE, n=1024).draws)
    by_id = {study.id: study for study in studies()}
    quote, pilot = by_id["saas_quote"], by_id["pilot_rag"]
    rate = cost_usd(quote, world, None) / quote.person_days.mean()
    assert 300 < rate < 1500  # a loaded day in the United States
    assert cost_usd(pilot, world, 800) - cost_usd(pilot, world, 400) == pytest.approx(
        cost_usd(pilot, world, 500) - cost_usd(pilot, world, 100)
    )
    both = by_id["trial_rag_saas"]
    twice = cost_usd(both, world, 500) - cost_usd(both, world, 100)
    once = cost_usd(pilot, world, 500) - cost_usd(pilot, world, 100)
    assert twice == pytest.approx(2 * once)
    free = {"data.label_usd_per_example": 0, "training.gpu_usd_per_hour": 0}
    bare = with_inputs(BASE, free)
    tuned = by_id["pilot_finetune"]
    saved = cost_usd(tuned, world, 50) - cost_usd(
        tuned, world_of(bare, compare(bare, n=1024).draws), 50
    )
    assert saved > 1000


def test_a_pilot_measures_only_ways_that_are_compared(desk: Comparison) -> None:
    by_id = {study.id: study for study in studies()}
    two = with_inputs(BASE, {"alternatives": ["rag", "prompting"]})
    draws = compare(two, n=256).draws
    world = world_of(two, draws)
    assert truth(by_id["trial_saas"], world, knowable(draws)) == {}
    seen = truth(by_id["pilot_rag"], world, knowable(draws))
    assert set(seen) == {"resolved by rag", "wrong by rag"}
    assert all(0 <= x.min() <= x.max() <= 1 for x in seen.values())


def test_groups_hold_every_input_once(desk: Comparison) -> None:
    inputs = knowable(desk.draws)
    groups = group_inputs(inputs)
    assert set(groups) <= set(GROUPS)
    members = [name for names in groups.values() for name in names]
    assert len(members) == len(set(members))
    assert {name.split(".")[0] for name in set(inputs) - set(members)} <= {"staged"}
    assert "training.speed_factor" in groups["training cost"]
    assert "saas.price_change_per_year" in groups["prices"]


def test_worths_are_bounded_and_ranked(worth: Worth) -> None:
    assert worth.evpi_usd > 0
    for group, usd in worth.groups_usd.items():
        assert 0 <= usd <= worth.evpi_usd * (1 + 1e-9), group
    net = [one.enbs_usd for one in worth.studies]
    assert net == sorted(net, reverse=True)
    for one in worth.studies:
        assert 0 <= one.evsi_usd <= worth.evpi_usd * (1 + 1e-9)
        assert one.cost_usd > 0
        assert one.enbs_usd == pytest.approx(one.evsi_usd - one.cost_usd)
        assert one.size is None or one.size in one.study.sizes
    assert all(one.enbs_usd > 0 for one in worth.worthwhile)


def test_waiting_costs_what_the_best_way_earns_meanwhile(desk: Comparison, worth: Worth) -> None:
    best = max(float(u.mean()) for u in desk.payoffs().values())
    days = desk.scenario.horizon_months * 365.25 / 12
    for one in worth.studies:
        assert one.delay_usd == pytest.approx(best * one.study.wait_days / days)
    usd = [(-worth.groups_usd[name], name) for name in worth.groups_usd]
    assert usd == sorted(usd)


def test_a_price_that_decides_is_worth_asking_for() -> None:
    """Building and buying are alike at this desk, and the vendor may ask half as much or twice."""
    unsure = {"saas.price_usd_per_unit": {"low": 0.4, "high": 1.8}}
    desk = with_inputs(load_scenario(EXAMPLES / "mid-size-desk.yaml"), unsure)
    found = value_of_information(compare(desk, n=4096))
    quote = next(one for one in found.studies if one.study.id == "saas_quote")
    assert found.studies[0] == quote
    assert found.worthwhile[0] == quote
    assert sentence(found).startswith("First ask vendors of assistants for a quote")
    assert "quote" in cheapest(found, "saas.price_usd_per_unit")


def test_the_cheapest_way_to_know_an_input(worth: Worth) -> None:
    assert cheapest(worth, "project.overrun_factor") == "-"
    assert "Trial of the bought assistant" in cheapest(worth, "quality.saas_skill_ratio")
    assert "Count your own logs" in cheapest(worth, "demand.requests_per_month")
    assert worth_dict(worth)["studies"][0]["id"] == worth.studies[0].study.id


def test_it_is_frank_when_nothing_is_worth_measuring() -> None:
    certain = {path: float(q.median()) for path, q in BASE.inputs().items()}
    certain["quality.incidents_per_million_answers"] = 0
    known = with_inputs(BASE, {**certain, "correlations": []})
    found = value_of_information(compare(known, n=256))
    assert found.studies == ()
    assert found.evpi_usd == pytest.approx(0, abs=1e-6)
    assert sentence(found) == "Nothing is worth finding out: no input could change the answer."
    clear = value_of_information(compare(load_scenario(EXAMPLES / "rare-contracts.yaml"), n=4096))
    assert clear.worthwhile == ()
    for one in clear.studies:  # where judging more tells nothing, least is best
        assert one.size is None or one.evsi_usd > 0 or one.size == min(one.study.sizes)
    assert any(one.size is not None and one.evsi_usd == 0 for one in clear.studies)
    assert sentence(clear).startswith("Nothing is worth")


def test_a_broken_table_is_named(tmp_path: Path) -> None:
    row = "x,X,finds,quality.skill,,0.1,3,2,4,ml_engineer,0,0,1,a source,2026-11,guess,"
    header = ",".join((*COLUMNS, "source", "as_of", "evidence", "note"))
    path = tmp_path / "studies.csv"
    path.write_text(f"{header}\n{row}\n")
    with pytest.raises(InputError, match=r"studies\.csv:2"):
        read_studies(path)
