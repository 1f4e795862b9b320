"""The library of past runs, on SQLite and on PostgreSQL: nothing is lost, nothing is guessed."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres import PASSWORD, NoServerError, database, server
from sqlalchemy import text, update

from estimator.errors import CatalogError, InputError, MissingExtra
from estimator.library import (
    Library,
    RunHead,
    list_runs,
    load_run,
    open_library,
    opening,
    remove_run,
    save_run,
)
from estimator.library.connection import connected
from estimator.library.migrate import (
    MIGRATIONS,
    REVISIONS,
    VERSION_TABLE,
    bring_up_to_date,
    revision_of,
    upgrade,
)
from estimator.library.opening import library_url
from estimator.library.schema import Base, RunRow

WRITER = Path(__file__).parent / "library_writer.py"
HOSTILE = (
    'it\'s "quoted" `so`',
    "'); DROP TABLE tuneroi_runs; --",
    "100 %_\\ of {it} :name $1 ?",
    "Umzug 🚚 نقل 搬家 👩‍👩‍👧",
    "x" * 200,
    "🚚" * 200,
    " a name@2026-01-01 ",
)
SHA256_OF_X_CRLF = "b35e09fa2ced9ebcad9d16336fb961146fe34bfbebc562679da85f8a314c9dca"
"""By sha256sum."""
REFUSED = {
    "a\0b": "NUL",
    "n" * 10_000: "10,000 characters",
    "": "0 characters",
    " \t": "not all blank",
    "two\nlines": "one line",
    "red \x1b[31m": "control",
    "12": "is a number",
    "\udc80": "not Unicode",
}


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    try:
        with server() as url:
            yield url
    except NoServerError as reason:
        assert not os.environ.get("TUNEROI_REQUIRE_POSTGRES"), reason
        pytest.skip(str(reason))


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'library.sqlite'}"
        return
    with database(request.getfixturevalue("postgres")) as made:
        yield made


@pytest.fixture
def library(url: str) -> Library:
    return open_library(url)


def save(library: Library, name: str = "a run", **given: Any) -> RunHead:
    return save_run(library, **{"name": name, "kind": "plan", "inputs": "", "result": {}} | given)


def saved_on(library: Library, name: str, moment: datetime) -> int:
    """A run as if it had been saved then."""
    number = save(library, name).id
    with connected(library, writing=True) as connection:
        connection.execute(update(RunRow).where(RunRow.id == number).values(created=moment))
    return number


def test_a_run_comes_back_as_it_was(library: Library) -> None:
    inputs = "a: 'ü 🚚'\r\n\tb: 1e6\n\n\ufeff"
    result = {"b": [1, 2.5, 1e-300, 2**60, "\0", "🚚"], "a": {"none": None, "yes": True}}
    before = datetime.now(UTC)
    head = save(
        library,
        kind="serve",
        inputs=inputs,
        resolved_inputs="{}",
        result=result,
        seed=2**63 - 1,
        note="two\nlines",
        headline="so it is",
    )
    run = load_run(library, head.id)
    assert run.head == head and before <= head.created <= datetime.now(UTC)
    assert (run.inputs, run.resolved_inputs, run.result) == (inputs, "{}", result)
    assert list(run.result) == ["b", "a"], "the order of keys is kept"
    assert list_runs(library) == [head]


def test_what_is_no_number_becomes_null(library: Library) -> None:
    number = save(library, result={"x": [float("nan"), float("inf"), 1.0]}).id
    assert load_run(library, number).result == {"x": [None, None, 1.0]}


def test_another_program_finds_the_same_in_the_database(library: Library, url: str) -> None:
    save(library, "said 'so' 🚚", inputs="x\r\n", result={"y": 1})
    query = "SELECT name, inputs, result, input_hash FROM tuneroi_runs"
    if url.startswith("sqlite"):
        with sqlite3.connect(library.place) as reader:
            row = reader.execute(query).fetchone()
            assert reader.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        reader.close()
        row = (*row[:2], json.loads(row[2]), row[3])
    else:
        import psycopg

        with psycopg.connect(url) as client:
            row = client.execute(query).fetchone()
    assert row == ("said 'so' 🚚", "x\r\n", {"y": 1}, SHA256_OF_X_CRLF)


def test_filters_find_what_a_look_at_each_run_finds(library: Library) -> None:
    noon = datetime(2026, 3, 31, 12, tzinfo=UTC)
    midnight = noon.replace(hour=0)
    moments = (midnight - timedelta(microseconds=1), midnight, noon, midnight + timedelta(days=1))
    for i, moment in enumerate(moments):
        saved_on(library, f"{'Desk' if i % 2 else 'desk'} {i}_%", moment)
    everything = list_runs(library)
    assert [head.created for head in everything] == sorted(moments, reverse=True)
    days = [date(2026, 3, 30) + timedelta(days=i) for i in range(3)]
    for since in (None, *days):
        for until in (None, *days, date.max):
            wanted = [
                head
                for head in everything
                if (since is None or head.created.date() >= since)
                and (until is None or head.created.date() <= until)
            ]
            assert list_runs(library, since=since, until=until) == wanted
    assert list_runs(library, limit=2) == everything[:2]
    assert len(list_runs(library, name="DESK")) == 4
    assert [head.name for head in list_runs(library, name="1_%")] == ["Desk 1_%"]
    assert list_runs(library, name="%desk") == []
    assert list_runs(library, kind="plan") == everything
    assert list_runs(library, kind="train") == []
    with pytest.raises(InputError, match="limit 0: must be 1 or more"):
        list_runs(library, limit=0)


def test_a_run_is_meant_by_number_by_name_or_by_name_and_day(library: Library) -> None:
    first = saved_on(library, "desk", datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC))
    second = saved_on(library, "desk", datetime(2026, 1, 2, 0, 0, tzinfo=UTC))
    odd = saved_on(library, "desk@2026-01-09", datetime(2026, 1, 3, tzinfo=UTC))
    asked = {
        str(first): first,
        "desk": second,
        "desk@2026-01-01": first,
        "desk@2026-01-02": second,
        "desk@2026-01-09": odd,
        "desk@2026-01-09@2026-01-03": odd,
    }
    assert {which: load_run(library, which).head.id for which in asked} == asked
    for nobody in ("desk@2026-01-04", "desk@today", "0", "99999999999999999999", "-1", "x" * 9999):
        with pytest.raises(CatalogError, match="unknown run") as refusal:
            load_run(library, nobody)
        assert len(str(refusal.value)) < 300
    with pytest.raises(CatalogError, match="nearest known: desk"):
        load_run(library, "dessk")


def test_a_removed_run_is_gone_and_its_number_too(library: Library) -> None:
    kept, gone = save(library, "kept"), save(library, "gone")
    assert remove_run(library, "gone") == gone
    assert list_runs(library) == [kept]
    with pytest.raises(CatalogError, match="unknown run"):
        remove_run(library, gone.id)
    assert save(library).id > gone.id
    remove_run(library, "kept")


def test_hostile_names_are_only_names(library: Library) -> None:
    for name in HOSTILE:
        head = save(library, name, note=name, headline=name, inputs=name)
        assert load_run(library, name).head == head and head.name == name
        assert list_runs(library, name=name) == [head]
    assert [head.name for head in list_runs(library)] == [*reversed(HOSTILE)]


def test_names_that_no_list_can_show_are_refused(library: Library) -> None:
    for name, said in REFUSED.items():
        with pytest.raises(InputError, match=said) as refusal:
            save(library, name)
        assert len(str(refusal.value)) < 200 and "\n" not in str(refusal.value)
    assert list_runs(library) == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=()), max_size=12))
def test_any_text_is_kept_as_it_is_or_refused(library: Library, any_text: str) -> None:
    try:
        head = save(library, f"n{any_text}", note=any_text, inputs=any_text)
    except InputError:
        return
    run = load_run(library, head.id)
    assert (run.head.name, run.head.note, run.inputs) == (f"n{any_text}", any_text, any_text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kind": "guess"}, "unknown kind of run 'guess'"),
        ({"seed": 2**63}, "seed 9223372036854775808"),
        ({"seed": -1}, "seed -1"),
        ({"note": "n" * 10_001}, "at most 10,000"),
        ({"note": "red \x1b[31m"}, "note 'red .*control characters"),
        ({"inputs": "x\0"}, "inputs: holds a NUL character at 1"),
    ],
)
def test_what_no_library_can_keep_is_refused(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises((InputError, CatalogError), match=said):
        save(open_library(str(tmp_path / "x.sqlite")), **given)


def writer(url: str, writers: int, saves: int) -> "subprocess.Popen[str]":
    command = [sys.executable, WRITER, str(writers), str(saves)]
    environment = os.environ | {"TUNEROI_LIBRARY": url}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)


def test_eight_writers_that_all_open_a_new_library_lose_nothing(url: str) -> None:
    with writer(url, 8, 25) as running:
        out, _ = running.communicate()
    assert running.returncode == 0
    printed = {int(line) for line in out.split()}
    runs = list_runs(open_library(url))
    assert len(runs) == len(printed) == 200 and {run.id for run in runs} == printed
    assert {run.name for run in runs} == {
        f"writer {w} save {i}" for w in range(8) for i in range(25)
    }


def test_a_killed_writer_loses_nothing_that_it_has_saved(url: str) -> None:
    printed: set[int] = set()
    for saves in (1, 2, 4):
        with writer(url, 1, 10_000) as running:
            assert running.stdout is not None
            for _ in range(saves):
                printed.add(int(running.stdout.readline()))
            running.send_signal(signal.SIGKILL)
            printed |= {int(line) for line in running.stdout.read().split()}
        assert running.returncode == -signal.SIGKILL
        library = open_library(url)
        found = {head.id for head in list_runs(library)}
        # A run may be whole in the library though the writer died before it could say so.
        assert printed <= found and len(found) <= len(printed) + 3
    for number in found:
        assert load_run(library, number).result["figures"][-1] == 99_999
    assert save(library).id > max(found)


@pytest.fixture
def unmigrated(url: str, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library as it is reached before its layout is looked at."""
    with monkeypatch.context() as patched:
        patched.setattr(opening, "bring_up_to_date", lambda library: None)
        return open_library(url)


def test_the_layout_is_what_the_model_of_the_table_says(library: Library) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with connected(library) as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        assert context.get_current_revision() == REVISIONS[-1]
        assert compare_metadata(context, Base.metadata) == []


def test_every_revision_is_known_in_order() -> None:
    from alembic.script import ScriptDirectory

    walked = ScriptDirectory(str(MIGRATIONS)).walk_revisions()
    assert tuple(script.revision for script in walked)[::-1] == REVISIONS


def test_a_library_of_the_first_layout_is_brought_up_to_date(unmigrated: Library) -> None:
    old = {"verdict": {"sentence": "RAG it is"}, "more": [1.5]}
    row = (
        "INSERT INTO tuneroi_runs "
        "(name, kind, created, version, input_hash, inputs, result, note) VALUES "
        "('desk', :kind, '2026-01-02 03:04:05', '0.0.1', 'ab', 'x: 1', :result, 'kept')"
    )
    with connected(unmigrated, writing=True) as connection:
        upgrade(connection, "0001")
        assert revision_of(connection) == "0001"
        connection.execute(text(row), {"kind": "comparison", "result": json.dumps(old)})
        connection.execute(text(row), {"kind": "plan", "result": "null"})
    bring_up_to_date(unmigrated)
    plan, comparison = list_runs(unmigrated)
    assert (comparison.headline, plan.headline) == ("RAG it is", "")
    run = load_run(unmigrated, comparison.id)
    assert (run.result, run.inputs, run.head.note) == (old, "x: 1", "kept")


def test_a_migration_that_is_broken_off_leaves_nothing_behind(unmigrated: Library) -> None:
    class PowerCutError(Exception):
        pass

    with pytest.raises(PowerCutError), connected(unmigrated, writing=True) as connection:
        upgrade(connection)
        raise PowerCutError
    with connected(unmigrated) as connection:
        assert revision_of(connection) is None
    bring_up_to_date(unmigrated)
    assert list_runs(unmigrated) == []


def test_a_newer_library_is_refused_and_left_alone(library: Library, url: str) -> None:
    save(library)
    with connected(library, writing=True) as connection:
        connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '0999'"))
    with pytest.raises(InputError, match=r"version '0999', made by a newer tuneroi.*upgrade"):
        open_library(url)
    with connected(library) as connection:
        assert revision_of(connection) == "0999"
    assert len(list_runs(library)) == 1


def test_the_library_is_named_by_argument_then_environment_then_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEROI_DATA", str(tmp_path / "100 % own"))
    assert open_library().place == str(tmp_path / "100 % own" / "library.sqlite")
    monkeypatch.setenv("TUNEROI_LIBRARY", str(tmp_path / "team.sqlite"))
    assert open_library().place == str(tmp_path / "team.sqlite")
    argument = str(tmp_path / "mine.sqlite")
    assert open_library(f"sqlite:///{argument}").place == argument


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u:hush@host/db", "'mysql' databases are not known"),
        ("postgresql://u:hu@sh@host/db", "write %40 for @"),
        ("postgresql://u:hush@host:port/db", "cannot be read"),
        ("postgresql://u:hush@host:70000/db", "port must be 1 to 65535"),
        ("://hush", "cannot be read"),
        ("sqlite://", "write sqlite:///FILE"),
        ("sqlite:///:memory:", "write sqlite:///FILE"),
        ("sqlite:///x?mode=ro", "no options"),
        (".", "is a folder"),
        ("nowhere/x.sqlite", "unable to open database file"),
        ("a\0b", "NUL"),
    ],
)
def test_a_library_that_cannot_be_is_refused_in_one_line(url: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        open_library(url)
    assert "hush" not in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(InputError, match=r"notes\.txt: file is not a database"):
        open_library(str(path))
    assert path.read_text() == "not a database " * 100


@pytest.mark.parametrize("answers", [False, True], ids=["refuses", "is silent"])
def test_a_server_out_of_reach_is_one_line_without_the_password(answers: bool) -> None:
    pytest.importorskip("psycopg")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if answers:
            silent.listen()  # takes the connection, and never says a word
        port = silent.getsockname()[1]
        where = f"postgresql://u:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/db"
        with pytest.raises(InputError, match=f"u@127.0.0.1:{port}/db: ") as refusal:
            open_library(f"{where}?connect_timeout=2&sslpassword=hush")
    hidden(str(refusal.value))


def hidden(message: str) -> None:
    assert "\n" not in message and "hush" not in message
    assert PASSWORD not in message and quote(PASSWORD, safe="") not in message


def test_a_wrong_password_is_one_line_without_it(postgres: str) -> None:
    if quote(PASSWORD, safe="") not in postgres:
        pytest.skip("the server that was given need not ask for a password")
    with pytest.raises(InputError, match="password authentication failed") as refusal:
        open_library(postgres.replace("tester:", "tester:hush"))
    hidden(str(refusal.value))
    with pytest.raises(InputError, match="does not exist") as refusal:
        open_library(postgres.replace("/postgres?", "/nowhere?"))
    hidden(str(refusal.value))


def test_a_password_is_shown_nowhere(postgres: str) -> None:
    with database(postgres) as url:
        opened = open_library(url)
        hidden(f"{opened} {opened.place} {opened.engine!r}")
        with connected(opened, writing=True) as connection:
            connection.execute(text("DROP TABLE tuneroi_runs"))
        with pytest.raises(InputError, match='"tuneroi_runs" does not exist') as refusal:
            list_runs(opened)
        hidden(str(refusal.value))


def test_a_missing_driver_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra, match=r"pip install 'tuneroi\[library-postgres\]'"):
        open_library("postgresql://u:hush@host/db")


def test_the_url_of_every_kind_of_postgres_names_the_driver() -> None:
    for scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        url = library_url(f"{scheme}://u:p%40ss@host:5433/db?sslmode=require")
        assert (url.drivername, url.password) == ("postgresql+psycopg", "p@ss")
        assert (url.host, url.port, url.query["sslmode"]) == ("host", 5433, "require")
