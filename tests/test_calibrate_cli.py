"""`tuneroi calibrate`, and own calibrations in the commands that use them."""

import csv
import json
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from command import Ran, Tuneroi
from test_calibration_file import LAPTOP, file_of
from test_training_logs import LOGS, torchtune_line

from estimator.cli.arguments import Checkpointing, Method, Precision, Sharding, Stack
from estimator.cli.run_arguments import LogFormat
from estimator.decision.simulate import compare
from estimator.hardware.calibration import Calibration, load_calibration, shipped_calibration
from estimator.hardware.calibration_file import load_calibration_file, save_calibration_file
from estimator.scenario import Scenario
from estimator.scenario.files import load_scenario
from estimator.training import recipe as recipes
from estimator.validation import fitting
from estimator.validation.logs import FORMATS
from estimator.validation.throughput import read_cases
from pricing import gpu_spec

A100 = "a100-sxm4-80gb"
TRAIN = ("train", "meta-llama/Llama-3.1-8B", "--tokens", "1e7", "--gpu", A100, "--json")
RUN = (
    "--model", "meta-llama/Llama-3.1-8B", "--gpu", A100, "--gpus", "1",
    "--method", "lora", "--seq-len", "2048", "--micro-batch", "4", "--accumulation", "4",
    "--checkpointing", "full",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where own calibrations lie."""
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "own"))
    return tmp_path / "own" / "calibrations"


@pytest.fixture
def tuneroi(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


def ok(ran: Ran) -> Any:
    assert ran.status == 0, ran.err
    return ran.json


def narrow() -> Calibration:
    """A calibration that is twice as fast and almost certain, for GPUs like the A100."""
    shipped = shipped_calibration()
    seen = shipped.spread["seen"].model_copy(update={"factor": 1.05})
    stack = shipped.parameters["stack_factor"].entries["huggingface"]
    faster = stack.model_copy(update={"value": stack.value / 2})
    own = shipped.with_entries({("stack_factor", "huggingface"): faster})
    return own.model_copy(update={"name": "own", "spread": {**shipped.spread, "seen": seen}})


def save_own(folder: Path, **changes: Any) -> Path:
    return save_calibration_file(file_of(gpu_spec(A100), calibration=narrow(), **changes), folder)


def width(found: dict[str, float]) -> float:
    return found["p90"] / found["p10"]


def test_train_uses_the_own_calibration_and_says_so(tuneroi: Tuneroi, folder: Path) -> None:
    before = ok(tuneroi(*TRAIN))
    assert before["calibration"]["file"] is None
    assert before["calibration"]["kind"] == "shipped"
    path = save_own(folder)
    after = ok(tuneroi(*TRAIN))
    assert after["calibration"]["file"] == str(path)
    assert after["calibration"]["name"].startswith("own, ")
    assert any("your own calibration is used" in note for note in after["notes"])
    speed = "tokens_per_second_per_gpu"
    assert after[speed]["p50"] > 1.2 * before[speed]["p50"]
    assert width(after[speed]) < width(before[speed])
    assert width(after["gpu_hours"]) < width(before["gpu_hours"])
    text = " ".join(tuneroi(*TRAIN[:-1]).out.split())
    assert f"your own calibration is used: benchmark of Driver's name of {A100}" in text


def test_train_without_it_is_as_before(tuneroi: Tuneroi, folder: Path) -> None:
    before = ok(tuneroi(*TRAIN))
    save_own(folder)
    assert ok(tuneroi(*TRAIN, "--calibration", "shipped")) == before
    other = (*TRAIN[:5], "h100", *TRAIN[6:])
    assert ok(tuneroi(*other))["calibration"]["file"] is None


def test_an_own_calibration_that_cannot_be_used_is_not_passed_over_in_silence(
    tuneroi: Tuneroi, folder: Path
) -> None:
    path = save_own(folder)
    data = json.loads(path.read_text("utf-8"))
    del data["calibration"]["parameters"]["few_tokens"]
    path.write_text(json.dumps(data), "utf-8")
    found = ok(tuneroi(*TRAIN))
    assert found["calibration"]["kind"] == "shipped"
    (note,) = [note for note in found["notes"] if "calibration" in note]
    assert "cannot be used" in note and "parameters differ (few_tokens)" in note


def test_a_named_calibration_of_another_gpu_is_refused(tuneroi: Tuneroi, tmp_path: Path) -> None:
    path = save_own(tmp_path)
    other = (*TRAIN[:5], "h100", *TRAIN[6:])
    assert "asked for is h100-sxm5-80gb" in tuneroi(*other, "--calibration", path).refusal
    assert ok(tuneroi(*TRAIN, "--calibration", path))["calibration"]["file"] == str(path)
    missing = tuneroi(*TRAIN, "--calibration", tmp_path / "none.json").refusal
    assert "No such file" in missing


def test_this_machine_is_the_device_of_the_newest_benchmark(tuneroi: Tuneroi, folder: Path) -> None:
    asked = (*TRAIN[:5], "this-machine", "--price", "0", *TRAIN[6:])
    assert "has not been measured yet" in tuneroi(*asked).refusal
    save_calibration_file(file_of(LAPTOP, measured=True), folder)
    found = ok(tuneroi(*asked))
    assert found["gpu"] == LAPTOP.id
    assert found["calibration"]["device"] == f"Driver's name of {LAPTOP.id}"


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "scenario.yaml"
    path.write_text(_scenario_text(), "utf-8")
    return path


def _scenario_text() -> str:
    return (
        "name: tuning\nalternatives: [status_quo, self_hosted_finetune]\n"
        "demand: {requests_per_month: 20000}\ntraining: {gpu: a100-sxm4-80gb}\n"
    )


def gpu_cost(data: dict[str, Any]) -> dict[str, float]:
    tuned = next(a for a in data["alternatives"] if a["id"] == "self_hosted_finetune")
    items = [i for i in tuned["line_items"] if i["name"] == "GPUs for training runs"]
    cost: dict[str, float] = items[0]["usd"]
    return cost


def test_compare_uses_it_for_the_gpus_to_train_on(
    tuneroi: Tuneroi, folder: Path, scenario: Path
) -> None:
    asked = ("compare", scenario, "--draws", "512", "--json")
    before = ok(tuneroi(*asked))
    path = save_own(folder)
    after = ok(tuneroi(*asked))
    assert before["calibration"]["file"] is None
    assert after["calibration"]["file"] == str(path)
    assert gpu_cost(after)["p50"] < gpu_cost(before)["p50"]
    assert width(gpu_cost(after)) < width(gpu_cost(before))
    assert ok(tuneroi(*asked, "--calibration", "shipped")) == before
    text = tuneroi(*asked[:-1]).out
    assert "Training: your own calibration is used" in text


def test_the_library_does_not_look_into_the_users_folder(folder: Path, scenario: Path) -> None:
    loaded: Scenario = load_scenario(scenario)
    before = compare(loaded, n=256).payoffs()
    save_own(folder)
    again, own = compare(loaded, n=256), compare(loaded, n=256, calibration=narrow())
    assert (again.payoffs()["self_hosted_finetune"] == before["self_hosted_finetune"]).all()
    gpus = [
        sum(
            float(np.mean(item.present_value_usd()))
            for item in found.outcomes["self_hosted_finetune"].account.items
            if item.category == "GPUs for training"
        )
        for found in (again, own)
    ]
    assert 0 < gpus[1] < gpus[0]
    assert own.scenario.training.speed_factor == narrow().efficiency_factor("Ampere", "huggingface")


def test_a_speed_factor_that_the_user_gave_stays(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = _scenario_text().replace("80gb}", "80gb, speed_factor: {min: 0.5, mode: 1, max: 2}}")
    path.write_text(text, "utf-8")
    loaded = load_scenario(path)
    found = compare(loaded, n=256, calibration=narrow())
    assert found.scenario.training.speed_factor == loaded.training.speed_factor


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log_1.txt"
    path.write_text("".join(torchtune_line(i, 2000.0) for i in range(1, 40)), "utf-8")
    return path


def test_an_imported_log_calibrates_what_comes_after(
    tuneroi: Tuneroi, folder: Path, log: Path
) -> None:
    like = (
        *TRAIN, "--stack", "torchtune", "--micro-batch", "4", "--checkpointing", "full",
    )  # fmt: skip
    before = ok(tuneroi(*like))
    found = ok(tuneroi("calibrate", "import", log, *RUN, "--json"))
    (run,) = found["runs"]
    assert run["measured"] == pytest.approx(2000)
    errors = [abs(run[when]["p50"] / 2000 - 1) for when in ("before", "after")]
    assert errors[1] < errors[0]
    saved = load_calibration_file(Path(found["file"]))
    assert Path(found["file"]).parent == folder
    assert (saved.kind, saved.device.gpu_id, saved.calibration.rows) == ("logs", A100, 1)
    after = ok(tuneroi(*like))
    assert after["calibration"]["file"] == found["file"]
    speed = "tokens_per_second_per_gpu"
    assert width(after[speed]) <= width(before[speed])
    assert abs(after[speed]["p50"] - 2000) < abs(before[speed]["p50"] - 2000)


def test_the_text_of_an_import_shows_before_and_after(tuneroi: Tuneroi, log: Path) -> None:
    out = tuneroi("calibrate", "import", log, *RUN).out
    for words in ("log_1.txt", "2,000.0", "predicted before and after", "Saved as", "warm-up"):
        assert words in out


def test_what_the_log_does_not_say_is_asked_for_by_name(tuneroi: Tuneroi, log: Path) -> None:
    refusal = tuneroi("calibrate", "import", log, *RUN[:6]).refusal
    assert "does not say the method, the sequence length" in refusal
    assert refusal.strip().endswith(
        "give --method, --seq-len, --micro-batch, --accumulation, --checkpointing"
    )
    state = LOGS / "trainer_state.json"
    refusal = tuneroi("calibrate", "import", state, "--gpu", A100).refusal
    assert refusal.strip().endswith("give --model, --gpus, --method, --checkpointing")


def test_on_a_terminal_it_is_prompted_for(
    tuneroi: Tuneroi, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        answers = iter(["1\n", "lora\n", "2048\n", "4\n", "4\n", "full\n"])

        def isatty(self) -> bool:
            return True

        def readline(self, *_: object) -> str:
            return next(self.answers)

    monkeypatch.setattr(sys, "stdin", Terminal())
    ran = tuneroi("calibrate", "import", log, *RUN[:4])
    assert ran.status == 0, ran.err
    assert "The log does not say the sequence length" in ran.out
    assert "lora of meta-llama/Llama-3.1-8B on 1 x a100-sxm4-80gb, 4 x 4 sequences" in ran.out


def test_typed_rows_calibrate_too(tuneroi: Tuneroi, tmp_path: Path) -> None:
    table = tmp_path / "own.csv"
    table.write_text(
        "name,step_seconds,tokens_per_second_per_gpu,seq_len,micro_batch,accumulation\n"
        "first,16,,2048,4,4\nsecond,,2100,4096,2,4\n"
    )
    asked = ("calibrate", "import", table, *RUN[:8], "--checkpointing", "full", "--json")
    found = ok(tuneroi(*asked))
    assert [run["measured"] for run in found["runs"]] == [4 * 4 * 2048 / 16, 2100]
    assert load_calibration_file(Path(found["file"])).kind == "rows"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("step_seconds,seq_len\n3,2048\n", "micro_batch is not stated; fill its cell or give --mi"),
        ("step_seconds,micro_bach\n3,4\n", "unknown column in own.csv: 'micro_bach'; nearest"),
        ("loss,step\n3,4\n", "has no column tokens_per_second_per_gpu or step_seconds"),
        ("step_seconds,seq_len\n3,20.5\n", "seq_len is '20.5'; allowed: a whole number"),
        (
            "step_seconds,tokens_per_second_per_gpu,seq_len,micro_batch,accumulation\n3,4,9,1,1\n",
            "fill one of",
        ),
    ],
)
def test_rows_that_lack_something_are_refused(
    tuneroi: Tuneroi, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "own.csv").write_text(text)
    asked = ("calibrate", "import", tmp_path / "own.csv", *RUN[:8], "--checkpointing", "full")
    refusal = tuneroi(*asked).refusal
    assert reason in refusal
    assert "own.csv" in refusal


def test_published_rows_may_be_imported_by_gpu_only(tuneroi: Tuneroi, tmp_path: Path) -> None:
    with fitting.THROUGHPUT_FILE.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source_key"] == "torchtune"]
    kinds = {row["gpu"] for row in rows}
    assert len(kinds) > 1

    def written(chosen: list[dict[str, str]]) -> Path:
        path = tmp_path / "rows.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(chosen)
        return path

    good = [row for row in rows if not row["flag"]]
    refusal = tuneroi("calibrate", "import", written(good)).refusal
    assert "a calibration is of one GPU" in refusal
    own = [row for row in good if row["gpu"] == A100][:4]
    found = ok(tuneroi("calibrate", "import", written(own), "--json"))
    assert [run["name"] for run in found["runs"]] == [row["row_id"] for row in own]


def test_list_show_add_and_remove(tuneroi: Tuneroi, folder: Path, tmp_path: Path) -> None:
    assert "None of your own yet" in tuneroi("calibrate", "list").out
    elsewhere = save_own(tmp_path)
    added = Path(ok(tuneroi("calibrate", "add", elsewhere, "--json"))["file"])
    assert added.parent == folder
    newer = save_own(folder, created=datetime.now(tz=UTC) + timedelta(days=1))
    (folder / "broken.json").write_text("{")
    listed = ok(tuneroi("calibrate", "list", "--json"))
    assert [item["file"] for item in listed["calibrations"]] == [str(newer), str(added)]
    assert "broken.json" in listed["unreadable"][0]
    assert "broken.json" in tuneroi("calibrate", "list").out
    shown = ok(tuneroi("calibrate", "show", added, "--json"))
    assert shown["device"]["gpu_id"] == A100
    (moved,) = shown["moved"]
    assert (moved["parameter"], moved["key"]) == ("stack_factor", "huggingface")
    assert moved["after"] == pytest.approx(moved["before"] / 2)
    assert "stack_factor, huggingface" in tuneroi("calibrate", "show", added).out
    assert "give --yes" in tuneroi("calibrate", "remove", added).refusal
    assert added.exists()
    assert tuneroi("calibrate", "remove", added, "--yes").status == 0
    assert not added.exists()


def test_nothing_but_a_calibration_is_removed(tuneroi: Tuneroi, tmp_path: Path) -> None:
    letter = tmp_path / "letter.json"
    letter.write_text('{"dear": "friend"}')
    assert "not a calibration file" in tuneroi("calibrate", "remove", letter, "--yes").refusal
    assert letter.exists()


def test_a_fit_of_few_rows_is_refused_and_names_the_way(tuneroi: Tuneroi, tmp_path: Path) -> None:
    lines = fitting.THROUGHPUT_FILE.read_text("utf-8").splitlines()[:4]
    (tmp_path / "few.csv").write_text("\n".join(lines), "utf-8")
    refusal = tuneroi("calibrate", "fit", tmp_path / "few.csv").refusal
    assert "a fit needs 10; tuneroi calibrate import takes" in refusal


def test_a_fit_writes_what_estimates_can_use(
    tuneroi: Tuneroi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = fitting.THROUGHPUT_FILE.read_text("utf-8").splitlines()
    sample = tmp_path / "sample.csv"
    sample.write_text("\n".join([lines[0], *lines[1:-1:12]]), "utf-8")
    spread = shipped_calibration().spread
    monkeypatch.setattr(fitting, "measured_spread", lambda rows, prior: dict(spread))
    out = tmp_path / "fit.json"
    found = ok(tuneroi("calibrate", "fit", sample, "--out", out, "--json"))
    fitted = load_calibration(out)
    assert fitted.model_dump(mode="json") == found["calibration"]
    assert fitted.parameters.keys() == shipped_calibration().parameters.keys()
    assert fitted.rows == found["expressed"]
    for moved in found["moved"]:
        value = fitted.parameters[moved["parameter"]].entries[moved["key"]].value
        assert value == moved["after"] != moved["before"]
    fits = [found[which]["total"]["median_ape"] for which in ("shipped", "fitted")]
    assert fits[1] < fits[0]


def test_every_published_row_has_a_source_and_most_are_expressed() -> None:
    for path, measured in (
        (fitting.THROUGHPUT_FILE, "tokens_per_s_per_gpu"),
        (fitting.MEMORY_FILE, "peak_mem_gib"),
    ):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert Counter(row["row_id"] for row in rows).most_common(1)[0][1] == 1
        readme = (fitting.DATA / "README.md").read_text("utf-8")
        assert f"| `{path.name}` | {len(rows)} |" in readme
        for row in rows:
            assert float(row[measured]) > 0
            assert len(row["source"]) > 10 and row["source_key"] in readme
            assert all(cell.isascii() and cell == cell.strip() for cell in row.values())
            assert gpu_spec(row["gpu"]).id == row["gpu"]


def test_the_published_rows_are_read_without_a_file(tuneroi: Tuneroi) -> None:
    cases, rows, suspect, _ = read_cases(fitting.THROUGHPUT_FILE, include_suspect=False)
    assert rows + suspect == 984
    assert len(cases) / rows > 0.9
    memory = ok(tuneroi("validate", "memory", "--json"))
    assert memory["rows"] + memory["suspect_left_out"] == 400


def test_the_choices_are_those_of_the_recipe() -> None:
    for name in (Method, Checkpointing, Sharding, Precision, Stack):
        own = [key for key, value in vars(recipes).items() if value == name]
        assert own, get_args(name)
    assert get_args(LogFormat) == FORMATS


def test_help_answers_without_the_core(tuneroi: Tuneroi) -> None:
    before = set(sys.modules)
    for command in ("fit", "import", "list", "show", "add", "remove"):
        assert tuneroi("calibrate", command, "--help").status == 0
    assert not {"torch", "transformers"} & (set(sys.modules) - before)


def test_json_documents_are_json(tuneroi: Tuneroi, folder: Path) -> None:
    save_own(folder)
    for arguments in (("list",), ("show", next(folder.iterdir()))):
        assert json.loads(tuneroi("calibrate", *arguments, "--json").out)
