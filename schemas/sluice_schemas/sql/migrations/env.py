"""Alembic comes in here. It uses the connection that `database.connect` holds the lock with."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite too: the driver opens transactions by our word alone.
    transactional_ddl=True,
)
context.run_migrations()
