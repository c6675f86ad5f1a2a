"""What alembic runs: the migrations, on the connection and in the transaction of `agentops.sql.migrating`."""

from __future__ import annotations

from alembic import context

from agentops.sql.migrations import VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"], version_table=VERSION_TABLE, transactional_ddl=True
)
with context.begin_transaction():
    context.run_migrations()
