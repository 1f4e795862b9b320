"""A PostgreSQL server for the tests: the one that TUNEROI_TEST_POSTGRES names, or a private one.

The private one is made from the system's packages in a temporary folder, listens on a socket
there, and asks for a password. Its data is not flushed to disk: it has not to outlive the tests.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit
from uuid import uuid4

GIVEN = "TUNEROI_TEST_POSTGRES"
PASSWORD = "p@ss: w/rd?"
"""With every sign that a URL needs encoded."""
SETTINGS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c listen_addresses="


class NoServerError(Exception):
    """Why there is no PostgreSQL here."""


@contextmanager
def server() -> Iterator[str]:
    """URL of a server, of a user who may make databases."""
    if given := os.environ.get(GIVEN):
        yield given
        return
    programs, user = _programs(), _user()
    folder = Path(tempfile.mkdtemp(prefix="tuneroi-pg-"))
    try:
        if user:
            shutil.chown(folder, user)
        yield from _private(folder, programs, user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _private(folder: Path, programs: Path, user: str | None) -> Iterator[str]:
    def run(program: str, *arguments: str) -> None:
        command = [programs / program, "-D", folder / "data", *arguments]
        done = subprocess.run(command, user=user, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            log = folder / "log"
            raise NoServerError(
                f"{program}: {done.stderr} {log.read_text() if log.exists() else ''}"
            )

    password = folder / "password"
    password.write_text(PASSWORD)
    options = ("--auth=scram-sha-256", "--username=tester", f"--pwfile={password}")
    run("initdb", *options, "--encoding=UTF8", "--no-locale", "--no-sync")
    run("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", f"{SETTINGS} -k {folder}")
    try:
        yield f"postgresql://tester:{quote(PASSWORD, safe='')}@/postgres?host={folder}"
    finally:
        run("pg_ctl", "stop", "-m", "immediate")


def _programs() -> Path:
    installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr/local/pgsql").glob("bin")]
    found = sorted((p for p in installed if (p / "initdb").exists()), key=lambda p: p.parts)
    if found:
        return found[-1]
    if initdb := shutil.which("initdb"):
        return Path(initdb).parent
    raise NoServerError(f"PostgreSQL is not installed and {GIVEN} names no server")


def _user() -> str | None:
    """PostgreSQL refuses to run as root; its package makes a user for it."""
    if os.getuid():
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise NoServerError(
            "PostgreSQL does not run as root, and there is no user postgres"
        ) from None


@contextmanager
def database(url: str) -> Iterator[str]:
    """URL of a new, empty database on a server; it is dropped afterwards."""
    import psycopg

    name = f"tuneroi_{uuid4().hex}"
    there = urlsplit(url)._replace(scheme="postgresql")
    with psycopg.connect(there.geturl(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        yield there._replace(path=f"/{name}").geturl()
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
