"""A library's database: transactions on it, and its faults as one line without its password."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from estimator.errors import InputError

WAIT_SECONDS = 30
"""How long a writer waits for the others before it gives up."""
BEGIN = "sqlite_begin"
REASON_CHARACTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """An open library; every function on it takes a connection of its own and gives it back."""

    engine: Engine
    place: str
    """The file, or the URL without its password and options."""


@contextmanager
def connected(library: Library, *, writing: bool = False) -> Iterator[Connection]:
    """A transaction, committed at the end; faults of the database become an InputError.

    `writing` waits for its turn at the start, where SQLite would refuse to turn a reader into a
    writer later.
    """
    begin = "BEGIN IMMEDIATE" if writing else "BEGIN"
    with telling_faults(library), library.engine.connect() as plain:
        connection = plain.execution_options(**{BEGIN: begin})
        with connection.begin():
            if writing and connection.dialect.name == "postgresql":
                connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
            yield connection


@contextmanager
def telling_faults(library: Library) -> Iterator[None]:
    """Turns a fault of the database into one line that says where; the password is in neither."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        cause = getattr(error, "orig", None) or error
        message = " ".join(_without_secrets(str(cause), library.engine).split())
        if len(message) > REASON_CHARACTERS:
            message = f"{message[:REASON_CHARACTERS]} ..."
        raise InputError(f"library {library.place}: {message or type(cause).__name__}") from None


def _without_secrets(message: str, engine: Engine) -> str:
    """The message without the passwords of the URL, as they are and as they stand in a URL."""
    url = engine.url
    options = (url.query.get(name) for name in ("password", "sslpassword"))
    secrets = [url.password, *(value for value in options if isinstance(value, str))]
    for secret in filter(None, secrets):
        for form in (str(secret), quote(str(secret), safe=""), quote_plus(str(secret))):
            message = message.replace(form, "***")
    return message
