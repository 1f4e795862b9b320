"""Which library is meant, and the way to it: a SQLite file or a PostgreSQL server."""

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from estimator.errors import InputError, MissingExtra
from estimator.files import user_data_folder
from estimator.library.connection import BEGIN, WAIT_SECONDS, Library, telling_faults
from estimator.library.migrate import bring_up_to_date

LIBRARY = "TUNEROI_LIBRARY"
"""Environment variable that names another library: a file, or a URL."""
FILE_NAME = "library.sqlite"
CONNECT_SECONDS = 5
POSTGRES = ("postgresql", "postgres", "postgresql+psycopg")
FORMS = "give a file, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def open_library(url: str | None = None) -> Library:
    """The library at a URL or in a file, its layout brought up to date.

    Default: what `TUNEROI_LIBRARY` names, else `library.sqlite` in the user's data folder.
    """
    named = url or os.environ.get(LIBRARY)
    found = library_url(named) if named else _file_url(user_data_folder() / FILE_NAME)
    library = Library(engine=_engine(found), place=_place(found))
    bring_up_to_date(library)
    if found.get_backend_name() == "sqlite":
        _write_ahead(library)
    return library


def library_url(text: str) -> URL:
    """The URL of a library that a user named; a text that is no URL is a file."""
    if "\0" in text:
        raise InputError(f"library: a NUL in its name; {FORMS}")
    if "://" not in text:
        return _file_url(Path(text))
    if text.partition("?")[0].count("@") > 1:  # nobody can tell where the password ends
        raise InputError(
            "library: more than one @ in its URL; in a user name or a password write "
            "%40 for @, %3A for : and %2F for /"
        )
    try:
        url = make_url(text)
        scheme, port = url.drivername, url.port
    except (ArgumentError, ValueError):  # their messages quote the URL
        raise InputError(f"library: its URL cannot be read; {FORMS}") from None
    if scheme in POSTGRES:
        if port is not None and not 0 < port < 65536:
            raise InputError(f"library {_place(url)}: the port must be 1 to 65535")
        return url.set(drivername="postgresql+psycopg")
    if scheme != "sqlite":
        raise InputError(f"library: {scheme[:40]!r} databases are not known; {FORMS}")
    if not url.database or url.database == ":memory:" or url.query or url.host:
        raise InputError("library: write sqlite:///FILE; it takes no host and no options")
    return url


def _file_url(path: Path) -> URL:
    if path.is_dir():
        raise InputError(f"library {path}: is a folder; {FORMS}")
    return URL.create("sqlite", database=str(path))


def _place(url: URL) -> str:
    """Where a library is, without its password and its options, which may hold one too."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    shown = URL.create(
        "postgresql", username=url.username, host=url.host, port=url.port, database=url.database
    )
    return shown.render_as_string()


def _engine(url: URL) -> Engine:
    """A new connection for every transaction: no process keeps one that another could need."""
    if url.get_backend_name() == "sqlite":
        arguments = {"timeout": WAIT_SECONDS, "isolation_level": None}
        engine = create_engine(
            url, poolclass=NullPool, hide_parameters=True, connect_args=arguments
        )
        event.listen(engine, "begin", _begin)
        return engine
    known = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_SECONDS}
    try:
        return create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=known)
    except ImportError:
        raise MissingExtra(
            "a library in PostgreSQL needs its driver: pip install 'tuneroi[library-postgres]'"
        ) from None


def _begin(connection: Connection) -> None:
    """Python's driver would begin no transaction before a CREATE TABLE: ask for it ourselves."""
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))


def _write_ahead(library: Library) -> None:
    """Let readers go on while somebody writes; the file remembers it.

    Where that cannot be set just now, or here at all, SQLite's other journal is as safe.
    """
    with telling_faults(library):
        connection = library.engine.raw_connection()
        try:
            with suppress(sqlite3.OperationalError):
                connection.cursor().execute("PRAGMA journal_mode=WAL").fetchall()
        finally:
            connection.close()
