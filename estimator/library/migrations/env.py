"""Run by Alembic: brings the open connection's database up to date, in its transaction."""

from alembic import context

from estimator.library.migrate import VERSION_TABLE
from estimator.library.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
