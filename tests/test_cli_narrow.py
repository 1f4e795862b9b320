"""Tables on narrow terminals: nothing is torn apart, and what finds no room is named."""

import re
from pathlib import Path

import pytest
from command import Tuneroi
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from estimator.cli import show
from estimator.report.layout import table
from estimator.report.plan import COLUMNS, SPARE

PLAN = ("plan", "llama-3.1-8b", "--offline", "--tokens", "20M", "--gpu", "h100", "--top", "5")
SERVE = (
    "serve", "llama-3.1-8b", "--offline", "--requests-per-month", "2M", "--input-tokens", "800",
    "--output-tokens", "250",
)  # fmt: skip
WIDTHS = (80, 100, 120, 160)


@pytest.fixture
def tuneroi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Tuneroi:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path))
    return Tuneroi(monkeypatch, capsys)


def printed(tuneroi: Tuneroi, width: int, *arguments: str) -> str:
    tuneroi.monkeypatch.setattr(show, "PIPE_WIDTH", width)
    out = tuneroi(*arguments).out
    assert max(map(len, out.splitlines())) <= width
    return out


@pytest.mark.parametrize("width", WIDTHS)
def test_a_plan_stays_readable(tuneroi: Tuneroi, width: int) -> None:
    out = printed(tuneroi, width, *PLAN)
    listed = {plan["offer"] for plan in tuneroi(*PLAN, "--json").json["plans"]}
    rows = [line for line in out.splitlines() if line.split(" ")[0] in listed]
    assert {row.split(" ")[0] for row in rows} == listed
    assert all("$" in row for row in rows)
    assert len(re.findall(r"\$[\d.,]+k? to \$[\d.,]+k?$", out, re.MULTILINE)) >= len(listed)
    head = next(line for line in out.splitlines() if line.endswith("Start to end            Cost"))
    spared = [name for name in SPARE if name not in head]
    assert spared == list(SPARE[: len(spared)])
    assert (f"Too narrow for: {', '.join(spared)}." in " ".join(out.split())) == bool(spared)
    assert bool(spared) == (width < 160)


@pytest.mark.parametrize("width", WIDTHS)
def test_serving_stays_readable(tuneroi: Tuneroi, width: int) -> None:
    out = printed(tuneroi, width, *SERVE)
    rented, _, hosted = out.partition("Beside it, hosted by others")
    found = tuneroi(*SERVE, "--json").json
    for option in found["options"][:12]:
        assert re.search(rf"^{re.escape(option['offer'])}\*? .*\$", rented, re.MULTILINE)
        assert f"{option['gpus']} x {option['gpu']}" in rented
    assert "meta-llama/Llama-3.1-8B-Instruct" in hosted
    assert re.search(r"hosted by the hour +\$\d", hosted)
    assert ("Too narrow for:" in out) == (width < 120)


def shown(width: int, rows: list[tuple[str, ...]], spare: tuple[int, ...]) -> str:
    names = [f"c{i}" for i in range(len(rows[0]))]
    console = Console(width=width, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(table("Title", names, rows, spare=spare))
    return captured.get()


CELLS = st.text("abc", min_size=1, max_size=12)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS), min_size=1, max_size=4),
    width=st.integers(28, 80),
)
def test_what_is_shown_is_whole_and_the_rest_is_named(
    rows: list[tuple[str, ...]], width: int
) -> None:
    out = shown(width, rows, spare=(3, 1))
    lines = out.splitlines()
    left_out = [i for i in (3, 1) if f"c{i}" not in lines[1]]
    assert left_out in ([], [3], [3, 1])
    assert all((f"c{i}" in " ".join(lines[2:])) == (i in left_out) for i in (3, 1))
    kept = [i for i in range(4) if i not in left_out]
    needed = sum(max(len(row[i]) for row in [*rows, ("c0",) * 4]) for i in kept)
    assert needed + 2 * (len(kept) - 1) <= width
    for line, row in zip(lines[2:], rows, strict=False):
        assert line.split() == [row[i] for i in kept]
    if left_out:  # one column more would not have found room
        more = [*kept, left_out[-1]]
        wanted = sum(max(len(row[i]) for row in [*rows, ("c0",) * 4]) for i in more)
        assert wanted + 2 * (len(more) - 1) > width


def test_without_spare_columns_nothing_is_left_out() -> None:
    assert "Too narrow" not in shown(20, [("a" * 12, "b" * 12)], spare=())


def test_a_plan_can_spare_neither_cost_nor_time() -> None:
    assert set(SPARE) == set(COLUMNS) - {"", "GPUs", "Start to end", "Cost"}
