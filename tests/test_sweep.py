"""A sweep: every point once, in order, on processes or a cluster, and nothing lost when killed."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import Tuneroi

from estimator import compare, save_scenario, template, with_inputs
from estimator.decision import sweep as sweep_module
from estimator.decision.sweep import read_journal, run, sweep, tasks, varied
from estimator.errors import InputError
from estimator.scenario import ALTERNATIVES

DEMAND, COST = "demand.requests_per_month", "value.human_cost_usd_per_request"
FEW = {DEMAND: (500, 20_000), COST: (2.0, 8.0)}


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    save_scenario(template("support-assistant"), tmp_path / "s.yaml")
    return tmp_path / "s.yaml"


def test_values_are_lists_or_steps() -> None:
    assert varied("a.b=1,2.5,x") == ("a.b", (1, 2.5, "x"))
    assert varied("a.b=0:10:5") == ("a.b", (0.0, 2.5, 5.0, 7.5, 10.0))
    assert varied("a.b=1:2:2") == ("a.b", (1.0, 2.0))
    wrongs = ("a.b", "a.b=", "=1", "a.b=1:2:x", "a.b=0:inf:3", "a.b=[1", "a.b=1:2:1", "a.b=1,,2")
    for wrong in wrongs:
        with pytest.raises(InputError):
            varied(wrong)


def test_a_point_is_the_comparison_that_it_says() -> None:
    scenario = template("support-assistant")
    task = tasks(scenario, {DEMAND: (900,)}, draws=256, seed=3)[0]
    rows = run(task)
    found = compare(with_inputs(scenario, {DEMAND: 900}), n=256, seed=3)
    assert [row["alternative"] for row in rows] == list(found.outcomes)
    for row in rows:
        outcome = found.outcomes[row["alternative"]]
        assert row["npv_usd_mean"] == pytest.approx(float(np.mean(outcome.npv_usd)))
        assert row["probability_best"] == outcome.probability_best
        assert row["tco_usd_mean"] == pytest.approx(float(np.mean(outcome.tco_usd)))
        assert row["expected_regret_usd"] == outcome.expected_regret_usd
        ends = (row["npv_usd_p10"], row["npv_usd_p50"], row["npv_usd_p90"])
        for end, share in zip(ends, (0.1, 0.5, 0.9), strict=True):
            below, up_to = (outcome.npv_usd < end).mean(), (outcome.npv_usd <= end + 1e-6).mean()
            assert below - 1 / 256 <= share <= up_to + 1 / 256
        never = np.isnan(outcome.account.go_live_months).mean() > 0.5
        assert (row["go_live_months_p50"] is None) == never
    assert [row["alternative"] for row in rows if row["is_best"]] == [found.verdict.alternative]


def test_a_point_is_known_by_all_that_its_result_depends_on() -> None:
    scenario = template("support-assistant")
    (one,) = tasks(scenario, {DEMAND: (900,)}, draws=256, seed=3)
    (same,) = tasks(scenario, {DEMAND: (900,)}, draws=256, seed=3)
    others = [
        *tasks(scenario, {DEMAND: (901,)}, draws=256, seed=3),
        *tasks(scenario, {DEMAND: (900,)}, draws=512, seed=3),
        *tasks(scenario, {DEMAND: (900,)}, draws=256, seed=4),
        *tasks(with_inputs(scenario, {COST: 3.0}), {DEMAND: (900,)}, draws=256, seed=3),
    ]
    assert one.key == same.key
    assert len({one.key, *(other.key for other in others)}) == 5


def test_as_many_points_as_are_allowed_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "MOST_POINTS", 4)
    scenario = template("support-assistant")
    assert len(tasks(scenario, FEW, draws=256, seed=1)) == 4
    with pytest.raises(InputError, match="6 points"):
        tasks(scenario, {**FEW, DEMAND: (1, 2, 3)}, draws=256, seed=1)
    assert len(varied("a.b=0:3:4")[1]) == 4
    with pytest.raises(InputError):
        varied("a.b=0:4:5")


def test_half_a_line_of_a_journal_is_left_out(tmp_path: Path) -> None:
    journal = tmp_path / "j"
    assert read_journal(journal) == {}
    journal.write_text(
        '{"key": "a", "rows": [1]}\n{"key": "b"}\n[3]\n{"key": "c", "rows": [2]}\n{"k'
    )
    assert read_journal(journal) == {"a": [1], "c": [2]}


def test_a_wrong_value_is_refused_before_anything_runs() -> None:
    scenario = template("support-assistant")
    with pytest.raises(InputError, match="requests_per_month"):
        tasks(scenario, {DEMAND: (100, -5)}, draws=256, seed=1)
    with pytest.raises(InputError, match="more than"):
        tasks(scenario, {DEMAND: range(2000), COST: range(2000)}, draws=256, seed=1)


def test_the_table_has_every_point_in_order(
    tuneroi: Tuneroi, scenario_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.csv"
    vary = [f"--vary={path}={','.join(map(str, values))}" for path, values in FEW.items()]
    ran = tuneroi("sweep", scenario_file, *vary, "-o", out, "--draws", "256", "--json")
    assert ran.status == 0 and ran.json["points"] == 4
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(ALTERNATIVES)
    points = list(dict.fromkeys((float(r[DEMAND]), float(r[COST])) for r in rows))
    assert points == [(500, 2), (500, 8), (20_000, 2), (20_000, 8)]
    assert [p for p in tmp_path.iterdir() if "journal" in p.name] == []


def test_parquet_holds_the_same(tuneroi: Tuneroi, scenario_file: Path, tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    arguments = ["sweep", scenario_file, f"--vary={DEMAND}=500,900", "--draws", "256", "-o"]
    assert tuneroi(*arguments, tmp_path / "a.csv").status == 0
    assert tuneroi(*arguments, tmp_path / "a.parquet").status == 0
    one, other = pandas.read_csv(tmp_path / "a.csv"), pandas.read_parquet(tmp_path / "a.parquet")
    pandas.testing.assert_frame_equal(one, other, check_dtype=False)


def test_a_table_of_another_kind_is_refused(tuneroi: Tuneroi, scenario_file: Path) -> None:
    ran = tuneroi("sweep", scenario_file, f"--vary={DEMAND}=1", "-o", "out.xls")
    assert ".parquet" in ran.refusal


def test_a_killed_sweep_goes_on_where_it_was(scenario_file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from estimator.cli import main; main()", "sweep"]
    command += [str(scenario_file), f"--vary={DEMAND}=100:1500:14", "--draws", "256"]
    command += ["-o", str(tmp_path / "out.csv"), "--workers", "1"]
    journal = tmp_path / ".out.csv.journal"
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and len(read_journal(journal)) < 2:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = read_journal(journal)
    assert len(kept) >= 2 and not (tmp_path / "out.csv").exists()
    with journal.open("a") as file:
        file.write('{"key": "half a li')
    every = tasks(template("support-assistant"), {DEMAND: (1.0,)}, draws=256, seed=7)
    assert every[0].key not in kept
    subprocess.run(command, check=True, capture_output=True)
    with (tmp_path / "out.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 14 * len(ALTERNATIVES)


def test_what_the_journal_holds_is_not_run_again(tmp_path: Path) -> None:
    every = tasks(template("support-assistant"), FEW, draws=256, seed=7)
    told: list[tuple[int, int]] = []
    first = sweep(every, tmp_path / "j", workers=2, progress=lambda a, b: told.append((a, b)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    told.clear()
    again = sweep(every, tmp_path / "j", workers=2, progress=lambda a, b: told.append((a, b)))
    assert again == first and told == []


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_loses_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    every = tasks(template("support-assistant"), {DEMAND: range(100, 900, 100)}, draws=256, seed=7)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, processes=True
    ) as cluster:
        killed: list[int] = []

        def kill_one(done: int, total: int) -> None:
            if done == 3 and not killed:
                worker = next(iter(cluster.workers.values()))
                killed.append(worker.process.pid)
                os.kill(worker.process.pid, signal.SIGKILL)

        rows = sweep(every, tmp_path / "j", scheduler=cluster.scheduler_address, progress=kill_one)
    assert killed
    assert rows == [row for task in every for row in run(task)]
