"""The whole benchmark on a tiny model through real children: what it keeps, shows and survives."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Tuneroi

from estimator.benchmark import largest, measure, verify
from estimator.benchmark.measure import Settings, benchmark
from estimator.benchmark.peak import formula_bytes
from estimator.benchmark.record import Result, save_result
from estimator.benchmark.target import Target, target_of
from estimator.benchmark.worker import OutOfMemory, TooSlow
from estimator.errors import InfeasiblePlan
from estimator.hardware.calibration_file import (
    calibration_to_use,
    load_calibration_file,
    own_calibrations,
)
from estimator.hardware.cluster import Cluster
from estimator.training.throughput import step_time

CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 256,
    "tie_word_embeddings": False,
}
QUICK = Settings(budget_seconds=1.0, threads=1, device="cpu")
SHAPES = 4


class Machine:
    """Children that need no time: steps are linear in depth with noise, peaks in the formula."""

    def __init__(self, target: Target, noise: float = 0.01) -> None:
        self.target, self.noise = target, noise
        self.random = np.random.default_rng(1)
        self.case: Mapping[str, Any] = {}
        self.asked: list[str] = []
        self.fails_at: dict[str, BaseException] = {}

    @contextmanager
    def worker(self, purpose: str, **_: object) -> Iterator["Machine"]:
        self.asked.append(purpose)
        yield self

    def ask(self, timeout_seconds: float | None = None, **request: Any) -> Any:
        do = request["do"]
        self.asked.append(do)
        if do in self.fails_at:
            raise self.fails_at[do]
        self.case = request.get("case", self.case)
        return getattr(self, do)(request)

    def hello(self, _: object) -> object:
        return {"backend": "cpu", "name": "A CPU", "memory_bytes": 2**34, "driver": None,
                "threads": 1, "software": {"torch": "2"}}  # fmt: skip

    def rates(self, _: object) -> object:
        return {"matmul_flops_per_second": {"fp32": 1e11, "bf16": 2e11}, "launch_seconds": 1e-6,
                "memory_bytes_per_second": 2e10, "touch_bytes_per_second": 2e9}  # fmt: skip

    def build(self, _: object) -> object:
        return {"seconds": 0.0}

    def free(self, _: object) -> object:
        return None

    def seconds(self, depth: int) -> float:
        """True seconds of a step: 1 ms of every layer and 2 ms besides, by the width."""
        return 1e-3 * (depth + 2) * self.case["config"]["hidden_size"] / 64

    def steps(self, request: Mapping[str, Any]) -> object:
        times = []
        for _ in range(request["count"]):
            step = self.seconds(request["depth"]) * np.exp(self.noise * self.random.normal())
            parts = [0.3 * step, 0.6 * step, 0.1 * step]
            times.append({"wall": [2 * part for part in parts], "process": parts})
        return times

    def drift(self, _: object) -> object:
        return {"wall": 0.02, "process": 0.02}

    def memory(self, request: Mapping[str, Any]) -> object:
        depth = request["case"]["depth"]
        return {"peak_bytes": round(4e8 + 1.05 * formula_bytes(self.target, depth, "cpu"))}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("tiny") / "config.json"
    path.write_text(json.dumps(CONFIG), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def target(config: Path) -> Target:
    return target_of(
        str(config),
        offline=True,
        method="full",
        precision="fp32",
        sequence_length=128,
        checkpointing="none",
    )


@pytest.fixture
def machine(target: Target, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(target)
    monkeypatch.setattr(measure, "worker", made.worker)
    return made


def run(
    target: Target, settings: Settings = QUICK, at: str = "", press: bool = False
) -> tuple[Result, list[str]]:
    """The result and what was reported; a real Ctrl-C when something begins with `at`."""
    said: list[str] = []

    def report(doing: str, *_: float) -> None:
        said.append(doing)
        if press and doing.startswith(at):
            signal.raise_signal(signal.SIGINT)

    return benchmark(target, settings, report), said


@pytest.fixture
def finished(target: Target, machine: Machine) -> tuple[Result, list[str]]:
    """A benchmark with an exact aim and a second of budget."""
    return run(target)


def test_time_and_peak_of_all_layers_are_found(
    target: Target, machine: Machine, finished: tuple[Result, list[str]]
) -> None:
    found = finished[0].prediction
    machine.case = target.case(1)
    assert found.step_seconds.p50 == pytest.approx(machine.seconds(target.depth), rel=0.03)
    assert found.step_seconds.holds(machine.seconds(target.depth))
    real = 4e8 + 1.05 * formula_bytes(target, target.depth, "cpu")
    assert found.peak_bytes is not None and found.peak_bytes.holds(real)
    assert finished[0].record.slowdown == pytest.approx(2.0)


def test_a_model_of_one_layer_is_measured_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG | {"num_hidden_layers": 1}), encoding="utf-8")
    shallow = target_of(str(path), offline=True, precision="fp32")
    machine = Machine(shallow)
    monkeypatch.setattr(measure, "worker", machine.worker)
    result, _ = run(shallow)
    machine.case = shallow.case(1)
    assert result.record.depths == (1,)
    assert result.prediction.step_seconds.p50 == pytest.approx(machine.seconds(1), rel=0.03)
    assert sum(result.prediction.parts_seconds.values()) > 0


def test_measuring_ends_where_the_aim_is_reached(target: Target, machine: Machine) -> None:
    machine.noise = 0.05
    rounds = {}
    for aim in (0.03, 0.3):
        settings = Settings(budget_seconds=30.0, aim=aim, threads=1)
        result, _ = run(target, settings)
        assert result.prediction.reached < aim
        rounds[aim] = len(result.record.rounds)
    assert rounds[0.03] > rounds[0.3] >= 4


def test_time_and_memory_are_measured_in_different_children(
    machine: Machine, finished: tuple[Result, list[str]]
) -> None:
    begun = machine.asked.index("memory")
    assert machine.asked[0] == "time" and "steps" in machine.asked[1:begun]
    assert machine.asked[begun : begun + 3] == ["memory", "hello", "memory"]


def test_the_least_is_measured_whatever_the_budget(target: Target, machine: Machine) -> None:
    result, said = run(target, Settings(budget_seconds=1e-3, threads=1))
    assert len(result.record.grid) == SHAPES
    assert result.record.depths[0] == 1 and result.record.depths[-1] >= 4
    assert len(result.record.rounds) >= 3 and 1 in result.record.peaks
    assert said[0] == "starting PyTorch" and any("round 3" in line for line in said)


def test_the_prediction_hangs_together(finished: tuple[Result, list[str]]) -> None:
    found = finished[0].prediction
    assert 0 < found.step_seconds.p10 < found.step_seconds.p50 < found.step_seconds.p90
    assert math.fsum(found.parts_seconds.values()) == pytest.approx(found.step_seconds.p50)
    assert found.slices_seconds is not None
    low, high = sorted((found.slices_seconds, found.model_seconds))
    assert low * 0.999 <= found.step_seconds.p50 <= high * 1.001
    assert found.peak_bytes is not None
    assert found.peak_bytes.p50 >= max(finished[0].record.peaks.values())
    assert found.peak_bytes.p50 > found.formula_bytes


def test_the_file_serves_estimates_on_this_device(
    finished: tuple[Result, list[str]], target: Target, tmp_path: Path
) -> None:
    result = finished[0]
    path = save_result(result, {"note": "test"}, tmp_path)
    held = load_calibration_file(path)
    assert held.kind == "benchmark" and held.device.name == result.probe.name
    assert held.software["torch"] and held.evidence["note"] == "test"
    rounds = held.evidence["slices"]
    assert isinstance(rounds, dict) and len(rounds["rounds"]) == len(result.record.rounds)
    used = calibration_to_use(held.device.gpu, folder=tmp_path)
    assert used.path == path
    cluster = Cluster.of(held.device.gpu, 1)
    again = step_time(target.architecture, target.recipe, cluster, used.calibration)
    assert float(again.step_seconds) == pytest.approx(result.prediction.model_seconds, rel=1e-6)


def test_ctrl_c_keeps_what_was_measured(target: Target, machine: Machine) -> None:
    result, _ = run(target, at="round 2", press=True)
    assert result.record.interrupted and len(result.record.rounds) == 2
    assert result.steady is None and result.prediction.slices_seconds is None
    assert result.prediction.step_seconds.p50 == pytest.approx(result.prediction.model_seconds)


def test_ctrl_c_before_anything_was_measured_is_a_ctrl_c(target: Target, machine: Machine) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(target, at="starting PyTorch", press=True)


KILLED = """
import sys
from pathlib import Path
from estimator.benchmark.measure import Settings, benchmark
from estimator.benchmark.target import target_of
target = target_of(sys.argv[1], offline=True, sequence_length=64)
settings = Settings(budget_seconds=60.0, threads=1, device="cpu")
benchmark(target, settings, lambda doing, *_: print(doing, flush=True))
"""


def test_a_kill_leaves_earlier_calibrations_and_no_child(
    finished: tuple[Result, list[str]], config: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    folder = tmp_path / "calibrations"
    path = save_result(finished[0], {}, folder)
    before = path.read_bytes()
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(config)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TUNEROI_DATA": str(tmp_path)},
    )
    assert parent.stdout is not None
    for line in parent.stdout:
        if line.startswith("small shapes"):
            break
    children = children_of(parent.pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert children and all(ends(child) for child in children)
    assert path.read_bytes() == before
    assert [found for found, _ in own_calibrations(folder)] == [path]
    assert list(folder.iterdir()) == [path]


def children_of(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in text.split()]


def ends(pid: int) -> bool:
    """Whether a process is gone, or a zombie that waits for whoever inherited it."""
    for _ in range(600):
        try:
            status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        except FileNotFoundError:
            return True
        if status.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_model_too_large_for_one_layer_is_refused(config: Path, machine: Machine) -> None:
    target = target_of(str(config), offline=True, micro_batch=60_000, sequence_length=256)
    with pytest.raises(InfeasiblePlan, match="even one layer takes"):
        run(target)


@pytest.mark.parametrize("reason", [OutOfMemory("no more"), TooSlow("no answer")])
def test_what_fails_on_the_way_costs_only_itself(
    target: Target, machine: Machine, reason: Exception
) -> None:
    machine.fails_at = {"memory": reason, "drift": reason}
    result, _ = run(target)
    assert result.prediction.peak_bytes is None and result.prediction.slices_seconds is None
    assert result.prediction.step_seconds.p50 == pytest.approx(result.prediction.model_seconds)
    assert [note for note in result.record.notes if str(reason) in note]


def test_depths_keep_within_memory(
    target: Target, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = formula_bytes(target, 5, "cpu") + 1.0
    monkeypatch.setattr(measure, "room_bytes", lambda *_: room)
    result, _ = run(target, Settings(budget_seconds=5.0, threads=1))
    assert max(result.record.depths) == 5 == max(result.record.peaks)


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return Tuneroi(monkeypatch, capsys)


def test_the_command_keeps_its_promises(tuneroi: Tuneroi, config: Path, tmp_path: Path) -> None:
    for extra in ("torch", "transformers", "peft"):
        pytest.importorskip(extra)
    ran = tuneroi(
        "benchmark", config, "--precision", "fp32", "--seq-len", 64, "--budget", 1, "--verify",
        "--device", "cpu", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    found = ran.json
    assert found["device"]["backend"] == "cpu" and found["device"]["memory_bytes"] > 0
    for figure in ("step_seconds", "peak_bytes"):
        range_ = found["prediction"][figure]
        assert 0 < range_["p10"] < range_["p50"] < range_["p90"]
        assert found["verified"][figure] > 0
    assert 0.5 < found["verified"]["peak_bytes"] / found["prediction"]["peak_bytes"]["p50"] < 2
    kept = Path(found["calibration_file"])
    assert kept.parent == tmp_path / "calibrations"
    assert load_calibration_file(kept).device.backend == "cpu"


@pytest.fixture
def everywhere(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The fake machine for the whole model and the search, too."""
    for module in (verify, largest):
        monkeypatch.setattr(module, "worker", machine.worker)
    return machine


def test_the_report_says_whether_it_holds_and_what_it_stands_on(
    tuneroi: Tuneroi, config: Path, everywhere: Machine
) -> None:
    ran = tuneroi(
        "benchmark", config, "--method", "full", "--precision", "fp32", "--seq-len", 128,
        "--budget", 1, "--verify", "--largest",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    for part in ("within the 80 % interval", "nothing failed", "of 12 layers", "process time"):
        assert part in ran.out
    assert "calibrations" in ran.out


def test_an_interrupted_command_shows_and_keeps_what_it_has(
    tuneroi: Tuneroi, config: Path, everywhere: Machine, tmp_path: Path
) -> None:
    everywhere.fails_at = {"drift": KeyboardInterrupt()}
    ran = tuneroi("benchmark", config, "--budget", 1, "--json")
    assert ran.status == 130 and ran.json["interrupted"] is True
    assert Path(ran.json["calibration_file"]).is_file()


def test_a_whole_model_without_room_is_noted(
    tuneroi: Tuneroi, config: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Machine(machine.target)
    other.fails_at = {"memory": OutOfMemory("none left")}
    monkeypatch.setattr(verify, "worker", other.worker)
    found = tuneroi("benchmark", config, "--budget", 1, "--verify", "--json").json
    assert "verified" not in found
    assert any("does not fit" in note for note in found["notes"])


def test_a_dry_run_says_what_and_how_long_and_starts_nothing(
    tuneroi: Tuneroi, config: Path, tmp_path: Path
) -> None:
    ran = tuneroi("benchmark", config, "--dry-run", "--verify", "--json")
    assert ran.json["budget_seconds"] == 90.0 and len(ran.json["steps"]) == 5
    shown = tuneroi("benchmark", config, "--dry-run")
    assert "about 90 s" in shown.out and list(tmp_path.iterdir()) == []


def test_the_remote_script_carries_the_arguments(tuneroi: Tuneroi) -> None:
    ran = tuneroi("benchmark", "gpt2", "--seq-len", 128, "--remote-script")
    assert "benchmark gpt2 --seq-len 128 --json" in ran.out
    task = tuneroi("benchmark", "gpt2", "--sky-task", "h100-sxm5-80gb")
    assert "accelerators: H100" in task.out and "benchmark gpt2 --json" in task.out


def test_a_missing_extra_is_one_clear_line(
    tuneroi: Tuneroi, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: None if name == "peft" else real(name, *a)
    )
    refusal = tuneroi("benchmark", "gpt2").refusal
    assert "peft" in refusal and "tuneroi[benchmark]" in refusal
