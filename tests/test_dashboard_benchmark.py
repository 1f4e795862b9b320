"""The page "Benchmark": own calibrations, a job in the background, and the import of logs."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")
from streamlit.testing.v1 import AppTest
from test_calibration_file import file_of
from test_dashboard_app import opened

from estimator.cli import benchmark as cli_benchmark
from estimator.dashboard import benchmark_job, benchmarks
from estimator.errors import InputError
from estimator.hardware.calibration_file import own_calibrations, save_calibration_file

PAGE = "estimator/dashboard/pages/benchmark.py"
LOGS = Path(__file__).parent / "data" / "logs"
FIGURES: dict[str, Any] = {
    "device": {"name": "A machine", "threads": 2},
    "prediction": {
        "step_seconds": {"p10": 0.9, "p50": 1.0, "p90": 1.1},
        "peak_bytes": {"p10": 2**30, "p50": 2**31, "p90": 2**32},
        "tokens_per_second": 512.0,
    },
    "verified": {"step_seconds": 1.04, "step_error": -0.04, "step_in_interval": True},
    "seconds": 12.3,
    "interrupted": False,
    "notes": ["the machine was busy"],
}
TELLS = """
import json, sys, time
figures = json.loads(sys.argv[1])
doing = "round 1 over depths 1, 2, ±3.5% so far"
told = {"doing": doing, "used_seconds": 3, "left_seconds": 7}
for line in ("a warning of somebody else's", json.dumps(told), "[1]"):
    print(line, file=sys.stderr, flush=True)
try:
    time.sleep(float(sys.argv[2]))
except KeyboardInterrupt:
    figures["interrupted"] = True
print(json.dumps(figures))
"""
Begin = Callable[..., benchmark_job.Job]


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Starts a stand-in for the command, and leaves none behind."""
    monkeypatch.setattr(benchmark_job, "_latest", [])

    def started(seconds: float = 0.2, script: str = TELLS, **changes: Any) -> benchmark_job.Job:
        given: dict[str, Any] = {"about": "a/model", "session": "mine", "is_open": lambda: True}
        given |= changes
        return benchmark_job.start(
            [json.dumps(FIGURES), str(seconds)], command=(sys.executable, "-c", script), **given
        )

    yield started
    job = benchmark_job.latest()
    if job is not None and job.ended is None:
        job.process.kill()
        until(lambda: job.ended is not None)


def until(reached: Callable[[], bool]) -> None:
    for _ in range(600):
        if reached():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def test_progress_is_read_and_the_figures_are_kept(begin: Begin) -> None:
    job = begin(1.0)
    until(lambda: job.progress.used_seconds > 0)
    assert job.progress == benchmark_job.Progress(
        doing="round 1 over depths 1, 2, ±3.5% so far", used_seconds=3, left_seconds=7
    )
    until(lambda: job.ended is not None)
    assert job.ended == benchmark_job.Ended(figures=FIGURES)


def test_the_command_tells_its_progress_in_lines_that_are_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = benchmark_job.environment()[cli_benchmark.PROGRESS_LINES]
    monkeypatch.setenv(cli_benchmark.PROGRESS_LINES, asked)
    with cli_benchmark._progress() as report:
        report("probing", 0.4, 0.0)
        report("round 2", 3.2, 7.9)
    read = [benchmark_job._progress(line) for line in capsys.readouterr().err.splitlines()]
    assert read == [
        benchmark_job.Progress(doing="probing"),
        benchmark_job.Progress(doing="round 2", used_seconds=3, left_seconds=8),
    ]


def test_one_at_a_time(begin: Begin) -> None:
    begin(30.0)
    with pytest.raises(InputError, match="a/model is being measured on this machine"):
        begin()


def test_stopping_keeps_what_was_measured(begin: Begin) -> None:
    job = begin(30.0)
    until(lambda: job.progress.used_seconds > 0)
    benchmark_job.stop(job)
    until(lambda: job.ended is not None)
    assert job.ended is not None and job.ended.figures is not None
    assert job.ended.figures["interrupted"]


def test_it_ends_when_its_session_has_gone(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_job, "GONE_SECONDS", 0.2)
    job = begin(30.0, is_open=lambda: False)
    until(lambda: job.ended is not None)
    assert job.stopping and job.process.returncode is not None


def test_what_does_not_listen_is_killed(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_job, "PATIENCE_SECONDS", 0.2)
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    job = begin(script=deaf)
    benchmark_job.stop(job)
    until(lambda: job.ended is not None)
    assert job.process.returncode in (-signal.SIGKILL, -signal.SIGINT)
    assert job.ended is not None and "stopped" in job.ended.message


def test_a_mistake_is_said_in_the_commands_own_words(begin: Begin) -> None:
    job = begin(script="import sys; sys.stderr.write('tuneroi: no such model\\n'); sys.exit(2)")
    until(lambda: job.ended is not None)
    assert job.ended == benchmark_job.Ended(figures=None, message="no such model")


def test_the_child_interrupts_itself_when_the_server_is_gone(tmp_path: Path) -> None:
    """The server holds the other end of its standard input; here that closes at once."""
    import subprocess

    code = (
        "import estimator.cli, time\n"
        "estimator.cli.main = lambda: time.sleep(60)\n"
        "from estimator.dashboard.benchmark_job import child\n"
        "try: child()\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False, env=dict(os.environ),
    )  # fmt: skip
    assert done.stdout == "interrupted\n"


def page() -> AppTest:
    app = opened()
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    bodies = " ".join(str(element.proto.body) for element in app.get("html"))
    return bodies.replace("\u00a0", " ")


def test_without_calibrations_the_page_says_what_they_are_for() -> None:
    app = page()
    assert not app.error and "None yet" in words(app)


def test_own_calibrations_are_listed_and_a_broken_one_is_named() -> None:
    predicted = {"slices_seconds": 2.0, "model_seconds": 1.9}
    path = save_calibration_file(file_of(evidence={"model": "a/b", "prediction": predicted}))
    path.with_name("broken.json").write_text("{}", encoding="utf-8")
    app = page()
    assert path.name in words(app) and "-5.0 %" in words(app)
    assert len(app.warning) == 1 and "broken.json" in app.warning[0].value


def test_a_benchmark_is_started_watched_and_shown(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def instead(arguments: list[str], **given: Any) -> benchmark_job.Job:
        asked.append(arguments)
        return begin(1.5, **given)

    monkeypatch.setattr(benchmarks, "start", instead)
    app = page()
    app.slider(key="benchmark.budget").set_value(30)
    app.toggle(key="benchmark.verify").set_value(True)
    app.button(key="benchmark.start").click().run()
    assert not app.exception and not app.error
    assert asked == [
        ["benchmark", "Qwen/Qwen2.5-0.5B", "--offline", "--json", "--method", "lora",
         "--seq-len", "512", "--micro-batch", "1", "--budget", "30", "--verify"]
    ]  # fmt: skip
    assert [b.label for b in app.button if b.key == "benchmark.stop"]
    job = benchmark_job.latest()
    assert job is not None
    until(lambda: job.ended is not None)
    app.run()
    assert not app.exception
    assert "predicted -4.0 %, within the 80 % range" in words(app)
    assert "the machine was busy" in words(app)


def test_somebody_elses_benchmark_is_neither_stopped_nor_shown(begin: Begin) -> None:
    job = begin(30.0, session="another")
    app = page()
    assert "Somebody else is measuring a/model" in words(app)
    assert not [b for b in app.button if b.key in ("benchmark.stop", "benchmark.start")]
    job.process.kill()
    until(lambda: job.ended is not None)
    app.run()
    assert "A machine" not in words(app)


def imported(app: AppTest, **said: Any) -> AppTest:
    content = (LOGS / "trainer_log.jsonl").read_bytes()
    app.file_uploader(key="benchmark.log").upload("run one.jsonl", content, "application/json")
    for name, value in said.items():
        key = f"benchmark.import.--{name.replace('_', '-')}"
        widgets = [*app.selectbox, *app.number_input]
        next(w for w in widgets if w.key == key).set_value(value)
    app.button(key="FormSubmitter:benchmark.import-Import").click().run()
    assert not app.exception
    return app


def test_a_log_without_its_settings_names_the_boxes_to_fill() -> None:
    app = imported(page())
    assert len(app.error) == 1
    message = app.error[0].value
    assert "run one.jsonl does not say" in message and "“Model”" in message
    assert "--" not in message.replace("\\", "")
    assert not own_calibrations()


def test_a_log_becomes_a_calibration() -> None:
    app = imported(
        page(), model="meta-llama/Llama-3.1-8B", gpu="a100-sxm4-80gb", gpus=1, method="lora",
        seq_len=2048, micro_batch=4, accumulation=4, checkpointing="full",
    )  # fmt: skip
    assert not app.error and "Imported" in app.success[0].value
    ((_, file),) = own_calibrations()
    assert file.kind == "logs" and file.device.gpu_id == "a100-sxm4-80gb"
    alts = [str(chart.proto.alt) for chart in app.get("plotly_chart")]
    assert len(alts) == 1 and "run one.jsonl" in alts[0]


@pytest.mark.parametrize("name", ["", "..", "-rf", ".hidden"])
def test_a_name_that_is_no_file_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no name of a file"):
        benchmarks.import_log(name, b"{}", [])
