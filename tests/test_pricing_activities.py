"""The table of activities: what stands in it, and that every fault in it is named."""

from pathlib import Path

import pytest

from estimator.errors import CatalogError, InputError
from pricing.activities import (
    COLUMNS,
    STAGES,
    activities,
    activity_rows,
    alternatives,
    cycle_days,
    cycle_rows,
    effort_days,
    iterations,
    operate_fte,
    operate_row,
    read_activities,
    wait_days,
)

HEADER = ",".join((*COLUMNS, "source", "as_of", "evidence", "note"))
FIRST = "rag,plan,task_and_data,Plan,,ml_engineer:1,1,person-days,1,2,3,0,0,0,false,before_go_live"
BUILD = (
    "rag,build,deployment,Build,plan,ml_engineer:1,1,person-days,1,2,3,0,0,0,true,before_go_live"
)
RUN = "rag,operate,operation,Run,,ml_engineer:1,1,FTE,0.1,0.2,0.3,0,0,0,false,operate_fte"
ROUNDS = "rag,iterations,evaluation,Rounds,,,0,count,1,2,3,0,0,0,false,iterations"
GOOD = (FIRST, BUILD, RUN, ROUNDS)


def table(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "activities.csv"
    path.write_text("\n".join([HEADER, *(f"{line},expert range,2026-11,guess," for line in lines)]))
    return path


def test_every_way_but_doing_nothing_has_a_project() -> None:
    assert set(alternatives()) == {
        "prompting",
        "rag",
        "managed_finetune",
        "self_hosted_finetune",
        "finetune_rag",
        "saas",
        "pretrain",
        "staged",
    }
    for name in alternatives():
        assert activities(name), name
        assert operate_row(name).effort == operate_fte()[name]
        assert iterations()[name].unit == "count"
        assert set(effort_days()[name]) == {row.id for row in activities(name)}
        assert set(wait_days()[name]) == set(effort_days()[name])


def test_fine_tuning_has_all_nine_stages() -> None:
    rows = [row for row in activity_rows() if row.alternative == "self_hosted_finetune"]
    assert {row.stage for row in rows} == set(STAGES)


def test_roles_are_those_with_a_wage() -> None:
    import pricing

    for row in activity_rows():
        assert set(row.roles) <= set(pricing.wages()), (row.alternative, row.id)


def test_combined_way_counts_shared_work_once() -> None:
    tuned = {row.id: row for row in activities("self_hosted_finetune")}
    grounded = {row.id: row for row in activities("rag")}
    both = {row.id: row for row in activities("finetune_rag")}
    work = sum(row.effort.mean() for row in both.values())
    assert set(tuned) <= set(both)
    assert work > sum(row.effort.mean() for row in tuned.values())
    assert work < sum(row.effort.mean() for way in (tuned, grounded) for row in way.values())


def test_easier_ways_take_less_work() -> None:
    work = {name: sum(q.mean() for q in effort_days()[name].values()) for name in alternatives()}
    assert work["prompting"] < work["rag"] < work["finetune_rag"]
    assert work["managed_finetune"] < work["self_hosted_finetune"] < work["finetune_rag"]
    assert work["saas"] < work["rag"]
    assert work["pretrain"] > 5 * work["self_hosted_finetune"]


def test_cycles_are_listed_by_name() -> None:
    assert set(cycle_days()["finetune_rag"]) == {"retrain", "reindex"}
    assert set(cycle_days()["prompting"]) == {"migrate"}
    assert cycle_rows("saas") == ()


def test_good_table_reads(tmp_path: Path) -> None:
    plan, build, *_ = read_activities(table(tmp_path, *GOOD))
    assert plan.effort.numbers == (1, 2, 3)
    assert plan.effort.evidence == "guess"
    assert plan.wait.is_fixed
    assert build.after == ("plan",)
    assert build.per_iteration


@pytest.mark.parametrize(
    ("line", "old", "new", "says"),
    [
        (1, ",plan,ml_engineer:1", ",plam,ml_engineer:1", r"csv:3: after .*'plam'.*plan"),
        (0, ",,ml_engineer:1", ",build,ml_engineer:1", r"wait for each other: .*plan"),
        (0, "ml_engineer:1", "ml_engineer:0.7", r"csv:2: roles .*0.7.*must sum to 1"),
        (0, "ml_engineer:1", "ml_engineer", r"csv:2: roles .*role:share"),
        (0, "ml_engineer:1", "a:1.5;b:-0.5", r"csv:2: roles .*must sum to 1"),
        (0, "person-days,1,2,3", "person-days,1,4,3", r"csv:2: effort_max = '3' is below"),
        (0, "person-days,1,2,3", "person-days,1,,3", r"csv:2: effort_mode = '' is missing"),
        (0, "person-days,1,2,3", "person-days,-1,2,3", r"csv:2: effort_min = '-1'"),
        (0, "person-days", "FTE", r"csv:2: unit = 'FTE' does not fit kind before_go_live"),
        (0, "task_and_data", "planning", r"csv:2: stage = 'planning' is not one of"),
        (0, "before_go_live", "sometimes", r"csv:2: kind = 'sometimes' is not one of"),
        (0, "ml_engineer:1,1,", "ml_engineer:1,0,", r"csv:2: people = '0'"),
        (1, "rag,build", "rag,plan", r"csv:3: id = 'plan' occurs twice in rag"),
        (1, ",true,", ",yes,", r"csv:3: per_iteration = 'yes'"),
    ],
)
def test_faults_name_line_column_and_value(
    tmp_path: Path, line: int, old: str, new: str, says: str
) -> None:
    lines = list(GOOD)
    assert old in lines[line]
    lines[line] = lines[line].replace(old, new)
    with pytest.raises(InputError, match=says):
        read_activities(table(tmp_path, *lines))


@pytest.mark.parametrize("kept", [(FIRST, BUILD, RUN), (FIRST, BUILD, ROUNDS)])
def test_each_way_needs_operation_and_iterations(tmp_path: Path, kept: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="rag needs exactly one row of kind"):
        read_activities(table(tmp_path, *kept))


def test_unknown_way_names_the_nearest() -> None:
    with pytest.raises(CatalogError, match=r"'finetune_rog'.*finetune_rag"):
        activities("finetune_rog")
    with pytest.raises(CatalogError, match="status_quo"):
        operate_row("status_quo")
