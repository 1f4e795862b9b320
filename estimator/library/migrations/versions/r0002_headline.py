"""A sentence beside each result, so that a list of runs need not read the results."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column, fill it from the verdicts, and index runs by date."""
    op.add_column(
        "tuneroi_runs", sa.Column("headline", sa.Text(), nullable=False, server_default="")
    )
    op.create_index("ix_tuneroi_runs_created", "tuneroi_runs", ["created"])
    runs = sa.table(
        "tuneroi_runs",
        sa.column("id", sa.Integer),
        sa.column("kind", sa.String),
        sa.column("result", sa.JSON),
        sa.column("headline", sa.Text),
    )
    connection = op.get_bind()
    compared = sa.select(runs.c.id).where(runs.c.kind == "comparison")
    for number in connection.scalars(compared).all():  # one result at a time: they are large
        result = connection.scalar(sa.select(runs.c.result).where(runs.c.id == number))
        sentence = (result or {}).get("verdict", {}).get("sentence", "")
        connection.execute(sa.update(runs).where(runs.c.id == number).values(headline=sentence))
