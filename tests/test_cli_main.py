"""The command as a whole: help, exit statuses, one-line errors, plain text in a pipe."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import Tuneroi

from estimator.cli.show import print_json

COMMANDS = ("compare", "train", "model", "dataset", "prices", "init")
ROOT = Path(__file__).parent.parent


@pytest.fixture
def tuneroi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Tuneroi:
    return Tuneroi(monkeypatch, capsys)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_and_has_json(tuneroi: Tuneroi, command: str) -> None:
    ran = tuneroi(command, "--help")
    assert ran.status == 0 and not ran.err
    assert "--json" in ran.out and f"tuneroi {command}" in ran.out


def test_help_lists_every_command(tuneroi: Tuneroi) -> None:
    assert all(command in tuneroi("--help").out for command in COMMANDS)


def test_no_arguments_print_the_help_and_nothing_else(tuneroi: Tuneroi) -> None:
    ran = tuneroi()
    assert ran.status == 2 and "compare" in ran.out and not ran.err


def test_version(tuneroi: Tuneroi) -> None:
    import estimator

    assert tuneroi("--version").out == f"tuneroi {estimator.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("datset",), "Did you mean 'dataset'"),
        (("compare",), "scenario"),
        (("compare", "missing.yaml"), "missing.yaml: No such file"),
        (("compare", "missing.yaml", "--draws", "1000"), "must be a power of two"),
        (("compare", "missing.yaml", "--draws", "many"), "'many'"),
        (("compare", "missing.yaml", "--seed", "-1"), "'-1'"),
        (("compare", "missing.yaml", "--sed", "1"), "--seed"),
        (("init", "suport-assistant"), "nearest known: support-assistant"),
    ],
)
def test_a_mistake_is_one_line_that_says_what_to_do(
    tuneroi: Tuneroi, arguments: tuple[str, ...], said: str
) -> None:
    assert said in tuneroi(*arguments).refusal


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("horizon_months: -1\n", "line 1"),
        ("horizon_month: 12\n", "nearest known: horizon_months"),
        ("- a\n- b\n", "mapping"),
        ("a: [\n", "not YAML"),
        ("", "missing"),
    ],
)
def test_a_malformed_scenario_is_one_line_that_names_the_place(
    tuneroi: Tuneroi, tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, "utf-8")
    refusal = tuneroi("compare", path).refusal
    assert said in refusal and "mine.yaml" in refusal


def test_init_writes_once_and_never_over(tuneroi: Tuneroi, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert tuneroi("init", "support-assistant", "-o", path).status == 0
    written = path.read_text("utf-8")
    assert "exists already" in tuneroi("init", "code-assistant", "-o", path).refusal
    assert path.read_text("utf-8") == written
    assert tuneroi("init", "code-assistant", "-o", path, "--force", "--json").json["file"]
    assert path.read_text("utf-8") != written


def test_init_lists_its_templates(tuneroi: Tuneroi) -> None:
    templates = tuneroi("init", "--json").json["templates"]
    assert len(templates) >= 5 and all(name in tuneroi("init").out for name in templates)


def test_init_says_where_it_cannot_write(tuneroi: Tuneroi, tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "mine.yaml"
    assert "cannot write" in tuneroi("init", "support-assistant", "-o", nowhere).refusal


def test_a_fault_of_ours_is_an_apology_and_status_1(
    tuneroi: Tuneroi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("boom")

    monkeypatch.setattr("estimator.scenario.templates.template_names", broken)
    ran = tuneroi("init")
    assert ran.status == 1 and ran.err.count("\n") == 1
    assert "sorry" in ran.err and "KeyError: 'boom'" in ran.err and "TUNEROI_DEBUG=1" in ran.err
    monkeypatch.setenv("TUNEROI_DEBUG", "1")
    with pytest.raises(KeyError, match="boom"):
        tuneroi("init")


def test_an_interrupt_stops_quietly(tuneroi: Tuneroi, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("estimator.scenario.templates.template_names", stopped)
    ran = tuneroi("init")
    assert ran.status == 130 and not ran.err


def test_json_has_null_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": (1, None)})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5], "c": [1, None]}


def in_a_pipe(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    code = "from estimator.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        check=False,
    )


def test_a_pipe_gets_plain_text_even_when_colour_is_forced() -> None:
    ran = in_a_pipe("prices", "--wages", FORCE_COLOR="1", COLUMNS="40")
    assert ran.returncode == 0 and not ran.stderr
    assert b"\x1b" not in ran.stdout
    lines = ran.stdout.decode().splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert any("customer_service_representative" in line and "2024-05" in line for line in lines)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    code = "from estimator.cli import main; main()"
    child = subprocess.Popen(
        [sys.executable, "-c", code, "prices", "--gpus", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdout is not None and child.stderr is not None
    child.stdout.close()
    error = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=60) == 0 and not error
