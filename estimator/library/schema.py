"""The one table of the library. What changes here needs a revision in `migrations/versions`."""

from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

Kind = Literal["comparison", "plan", "train", "benchmark", "serve"]
NAME_CHARACTERS = 200


class UtcTime(TypeDecorator[datetime]):
    """A moment with its zone; SQLite keeps none, so everything goes in and comes out as UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC; without its zone where the database has none."""
        if value is None:
            return None
        assert value.tzinfo is not None, "a moment needs its zone"
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The moment in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What the tables of the library have in common."""


class RunRow(Base):
    """One saved run."""

    # Not just "runs": in PostgreSQL the database may have other tenants.
    __tablename__ = "tuneroi_runs"
    __table_args__ = (
        Index("ix_tuneroi_runs_name", "name"),
        Index("ix_tuneroi_runs_created", "created"),
        {"sqlite_autoincrement": True},  # the number of a removed run is never given again
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_CHARACTERS))
    kind: Mapped[str] = mapped_column(String(20))
    created: Mapped[datetime] = mapped_column(UtcTime)
    version: Mapped[str] = mapped_column(String(40))
    """Of tuneroi, when the run was saved."""
    seed: Mapped[int | None] = mapped_column(BigInteger)
    input_hash: Mapped[str] = mapped_column(String(64))
    """The same as at the foot of a report; else the SHA-256 of `inputs`."""
    inputs: Mapped[str] = mapped_column(Text)
    """The file that was given, byte for byte."""
    resolved_inputs: Mapped[str | None] = mapped_column(Text)
    """The inputs as JSON, every default as it stood on that day."""
    result: Mapped[dict[str, Any]] = mapped_column(JSON)
    note: Mapped[str] = mapped_column(Text)
    headline: Mapped[str] = mapped_column(Text, server_default="")
    """The result in a sentence, so that a list need not read results."""
