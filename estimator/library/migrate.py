"""Brings the layout of a library up to date when it is opened, one process at a time.

The revisions stand in `migrations/versions`. A database of a newer tuneroi is left alone.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from estimator.errors import InputError
from estimator.library.connection import Library, connected

VERSION_TABLE = "tuneroi_library_version"
REVISIONS = ("0001", "0002")
"""Every layout that this version knows, oldest first."""
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x74756E65726F69
"""Key of PostgreSQL's advisory lock; any number that nobody else uses."""


def bring_up_to_date(library: Library) -> None:
    """Run the revisions that a database lacks, in one transaction: all of them or none."""
    with connected(library) as connection:
        if _is_current(connection, library):
            return
    with connected(library, writing=True) as connection:
        if connection.dialect.name == "postgresql":  # SQLite's writers are alone anyway
            connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        if not _is_current(connection, library):  # somebody else may have been first
            upgrade(connection)


def upgrade(connection: Connection, revision: str = REVISIONS[-1]) -> None:
    """Run the revisions up to one of them on an open connection, in its transaction."""
    from alembic import command  # most openings find nothing to do
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _is_current(connection: Connection, library: Library) -> bool:
    found = revision_of(connection)
    if found is not None and found not in REVISIONS:
        raise InputError(
            f"library {library.place}: its layout is version {found[:40]!r}, made by a newer "
            f"tuneroi; this one knows up to {REVISIONS[-1]!r}: upgrade tuneroi"
        )
    return found == REVISIONS[-1]


def revision_of(connection: Connection) -> str | None:
    """The layout of a database; None where it is no library yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return found
