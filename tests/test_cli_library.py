"""`tuneroi library`: runs kept, listed, shown, given back, compared and removed from the shell."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command import Tuneroi

from estimator import template, with_inputs
from estimator.cli.library import VERDICT_CHANGED, RunKind
from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.hardware.calibration_file import CalibrationFile, device_of, load_calibration_file
from estimator.library import Kind, load_run, open_library, save_run
from estimator.library.comparing import compare_runs
from estimator.scenario.differences import differences
from estimator.scenario.files import dump_scenario
from pricing import gpu_spec

H100 = "h100-sxm5-80gb"
SCENARIO = (
    "# a comment that YAML forgets\r\n"
    "name: 'Desk 🚚 \"one\"'\r\n"
    "demand: {requests_per_month: {p10: 15000, p90: 26000}}  # a range\r\n"
    "horizon_months: 12\r\n"
    "alternatives: [rag, saas]"
)


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TUNEROI_LIBRARY", raising=False)
    Path("mine.yaml").write_bytes(b"\xef\xbb\xbf" + SCENARIO.encode())
    other = SCENARIO.replace("p10: 15000, p90: 26000", "p10: 40, p90: 60")
    Path("small.yaml").write_bytes(other.encode())
    return Tuneroi(monkeypatch, capsys)


def calibration(path: Path, **changes: Any) -> Path:
    fields: dict[str, Any] = {
        "schema_version": 1,
        "tuneroi_version": "0.1.0",
        "created": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "kind": "benchmark",
        "device": device_of(gpu_spec(H100), 2),
        "software": {"torch": "2.13.0"},
        "calibration": shipped_calibration(),
        "evidence": {"step_seconds": [0.25]},
    }
    path.write_text(CalibrationFile(**fields | changes).model_dump_json(indent=1), "utf-8")
    return path


def test_the_kinds_of_the_command_are_those_of_the_library() -> None:
    assert RunKind == Kind


def test_a_saved_run_is_what_compare_says(tuneroi: Tuneroi) -> None:
    told = tuneroi("library", "save", "mine.yaml", "--note", "for the board").out
    compared = tuneroi("compare", "mine.yaml", "--json").json
    assert told.startswith('saved as run 1, Desk 🚚 "one": ')
    assert compared["verdict"]["sentence"] in told
    shown = tuneroi("library", "show", "1", "--json").json
    assert shown["result"] == compared
    assert (shown["kind"], shown["seed"], shown["note"]) == ("comparison", 7, "for the board")
    words = " ".join(tuneroi("library", "show", 'Desk 🚚 "one"').out.split())
    assert compared["verdict"]["sentence"] in words and "for the board" in words
    assert all(row["label"] in words for row in compared["alternatives"])


def test_a_report_of_the_scenario_carries_the_same_hash(tuneroi: Tuneroi) -> None:
    saved = tuneroi("library", "save", "mine.yaml", "--json").json
    from estimator.report.document import scenario_hash
    from estimator.scenario.files import load_scenario

    assert saved["input_hash"] == scenario_hash(load_scenario("mine.yaml"))


def test_a_scenario_comes_back_byte_for_byte(tuneroi: Tuneroi) -> None:
    tuneroi("library", "save", "mine.yaml", "--name", "desk")
    assert "wrote back.yaml" in tuneroi("library", "reload", "desk", "-o", "back.yaml").out
    assert Path("back.yaml").read_bytes() == Path("mine.yaml").read_bytes()
    Path("back.yaml").write_text("precious")
    said = tuneroi("library", "reload", "desk", "-o", "back.yaml").refusal
    assert "back.yaml exists already" in said and Path("back.yaml").read_text() == "precious"
    ran = tuneroi("library", "reload", "desk", "-o", "back.yaml", "--force", "--json")
    assert ran.json["file"] == "back.yaml"
    assert Path("back.yaml").read_bytes() == Path("mine.yaml").read_bytes()


def test_a_nul_is_kept_and_half_a_character_refused(tuneroi: Tuneroi) -> None:
    Path("half.yaml").write_text('description: "a\\ud800b"\n' + SCENARIO, "utf-8")
    assert "half of a character" in tuneroi("library", "save", "half.yaml").refusal
    text = 'description: "a b\\0"\n' + SCENARIO
    Path("odd.yaml").write_text(text, "utf-8", newline="")
    assert tuneroi("library", "save", "odd.yaml", "--name", "odd").status == 0
    assert tuneroi("library", "compare", "odd", "odd", "--json").json["inputs"] == []
    tuneroi("library", "reload", "odd", "-o", "back.yaml")
    assert Path("back.yaml").read_bytes() == Path("odd.yaml").read_bytes()


def test_two_runs_beside_each_other(tuneroi: Tuneroi) -> None:
    tuneroi("library", "save", "mine.yaml", "--name", "before")
    tuneroi("library", "save", "small.yaml", "--name", "after")
    same = tuneroi("library", "compare", "before", "1", "--json")
    assert same.status == 0
    assert (same.json["inputs"], same.json["results"]) == ([], [])
    ran = tuneroi("library", "compare", "before", "after", "--json")
    assert ran.status == VERDICT_CHANGED and ran.json["verdict_changed"] is True
    assert [d["path"] for d in ran.json["inputs"]] == ["demand.requests_per_month"]
    diff = tuneroi("diff", "mine.yaml", "small.yaml", "--json").json
    results = {d["path"]: (d["before"], d["after"]) for d in ran.json["results"]}
    for row in diff["alternatives"]:
        for name in ("npv_usd", "tco_usd"):
            wanted = tuple(row[side][name]["mean"] for side in ("before", "after"))
            assert results.get(f"{row['id']}.{name}.mean", (0.0, 0.0)) == wanted
    shown = tuneroi("library", "compare", "before", "after")
    assert shown.status == VERDICT_CHANGED
    assert "The verdict changes" in shown.out and "Inputs that differ" in shown.out
    rag = next(line for line in shown.out.splitlines() if line.startswith("RAG on an API"))
    told = next(
        line
        for line in tuneroi("diff", "mine.yaml", "small.yaml").out.splitlines()
        if line.startswith("RAG on an API")
    )
    assert rag.split() == told.split()


def test_a_default_that_has_moved_since_is_a_difference(tuneroi: Tuneroi) -> None:
    """The same file, saved on two days between which a price of the catalogue changed."""
    library, scenario = open_library(), template("support-assistant")
    moved = with_inputs(scenario, {"training.gpu_usd_per_hour": 99.0})
    for found in (scenario, moved):
        save_run(
            library,
            name="desk",
            kind="comparison",
            inputs=dump_scenario(scenario),
            resolved_inputs=found.model_dump_json(),
            result={},
        )
    before, after = (load_run(library, number) for number in (1, 2))
    found = compare_runs(before, after)
    assert [d.path for d in found.inputs] == ["training.gpu_usd_per_hour"]
    assert found.inputs == differences(scenario, moved)
    assert not found.verdict_changed and found.results == ()


def test_inputs_that_this_version_cannot_read_say_what_to_do(tuneroi: Tuneroi) -> None:
    library = open_library()
    save_run(library, name="old", kind="comparison", inputs="", resolved_inputs="{}", result={})
    said = tuneroi("library", "compare", "1", "1").refusal
    assert "run 1: its inputs" in said and "library reload" in said


def test_benchmarks_are_kept_and_compared(tuneroi: Tuneroi) -> None:
    one = calibration(Path("one.json"))
    other = calibration(Path("two.json"), software={"torch": "2.14.0"}, evidence={})
    saved = tuneroi("library", "save", one, "--json").json
    assert (saved["kind"], saved["name"]) == ("benchmark", H100)
    assert saved["headline"].startswith(f"benchmark of 2 x {H100}, 2026-11-20: ")
    tuneroi("library", "save", other, "--name", "new torch")
    listed = tuneroi("library", "list", "--kind", "benchmark", "--json").json["runs"]
    assert [run["name"] for run in listed] == ["new torch", H100]
    ran = tuneroi("library", "compare", H100, "new torch", "--json")
    assert ran.status == 0 and ran.json["results"] == []
    difference = {"path": "software.torch", "before": "2.13.0", "after": "2.14.0"}
    assert ran.json["inputs"] == [difference]
    assert "software.torch" in tuneroi("library", "compare", H100, "new torch").out
    tuneroi("library", "reload", H100, "-o", "back.json")
    assert Path("back.json").read_bytes() == one.read_bytes()
    assert load_calibration_file(Path("back.json")) == load_calibration_file(one)


def test_runs_of_two_kinds_cannot_be_compared(tuneroi: Tuneroi) -> None:
    library = open_library()
    for kind in ("plan", "train"):
        save_run(library, name=kind, kind=kind, inputs="not JSON", result={"gpus": len(kind)})  # type: ignore[arg-type]
    assert "run 1 is a plan, run 2 a train" in tuneroi("library", "compare", "1", "2").refusal
    with pytest.raises(InputError, match="one kind"):
        compare_runs(load_run(library, 2), load_run(library, 1))


def test_other_kinds_are_compared_leaf_by_leaf() -> None:
    library = open_library()
    results = ({"a": [1, {"b": "x"}], "gone": True}, {"a": [1, {"b": "y"}], "new": 0.5})
    for i, result in enumerate(results):
        save_run(library, name="p", kind="plan", inputs=json.dumps({"n": i}), result=result)
    found = compare_runs(load_run(library, 1), load_run(library, 2))
    assert [(d.path, d.before, d.after) for d in found.inputs] == [("n", "0", "1")]
    assert {d.path: (d.before, d.after) for d in found.results} == {
        "a.1.b": ("x", "y"),
        "gone": (True, None),
        "new": (None, 0.5),
    }


def test_lists_are_filtered_by_name_and_day(tuneroi: Tuneroi) -> None:
    library = open_library()
    for name in ("desk one", "Desk two", "other"):
        save_run(library, name=name, kind="plan", inputs="", result={}, headline=f"{name}!")
    out = tuneroi("library", "list", "--name", "desk").out
    assert "desk one!" in out and "Desk two!" in out and "other" not in out
    assert library.place in out.replace("\n", "")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    found = tuneroi("library", "list", "--until", today, "--limit", "2", "--json").json["runs"]
    assert [run["id"] for run in found] == [3, 2]
    assert "No such run" in tuneroi("library", "list", "--since", "2999-01-01").out
    assert "'yesterday'" in tuneroi("library", "list", "--since", "yesterday").refusal
    assert "'guess'" in tuneroi("library", "list", "--kind", "guess").refusal


def test_a_run_is_removed_only_when_that_is_said(tuneroi: Tuneroi) -> None:
    save_run(open_library(), name="desk", kind="plan", inputs="", result={})
    assert "give --yes" in tuneroi("library", "remove", "desk").refusal
    assert tuneroi("library", "show", "desk").status == 0
    removed = tuneroi("library", "remove", "desk", "--yes", "--json").json["removed"]
    assert (removed["id"], removed["name"]) == (1, "desk")
    assert "the library is empty" in tuneroi("library", "remove", "1", "--yes").refusal


@pytest.mark.parametrize("command", ["list", "show 1", "reload 1 -o x", "compare 1 2", "remove 1"])
def test_no_command_shows_the_password_of_a_library(tuneroi: Tuneroi, command: str) -> None:
    pytest.importorskip("psycopg")
    url = "postgresql://me:hush%21@127.0.0.1:1/db?application_name=hush!"
    said = tuneroi("library", *command.split(), "--library", url).refusal
    assert "postgresql://***@127.0.0.1:1/db: " in said and "hush" not in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("save", "missing.yaml"), "missing.yaml: No such file"),
        (("save", "missing.json"), "missing.json: No such file"),
        (("save", "bad.json"), "is not a calibration file"),
        (("save", "mine.yaml", "--name", "7"), "is a number"),
        (("show", "nobody"), "unknown run 'nobody'; the library is empty"),
        (("show", "x\udc80"), "not Unicode"),
        (("show", "1", "--library", "mysql://h/d"), "'mysql' databases are not known"),
        (("show", "1", "--library", "mine.yaml"), "file is not a database"),
    ],
)
def test_mistakes_in_one_line(tuneroi: Tuneroi, arguments: tuple[str, ...], said: str) -> None:
    Path("bad.json").write_text("{}")
    assert said in tuneroi("library", *arguments).refusal
