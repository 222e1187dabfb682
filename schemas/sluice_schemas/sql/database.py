"""The way into the database of labels and runs: SQLite, or PostgreSQL in production."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection
from sqlalchemy.pool import QueuePool

from sluice_schemas.errors import Misconfigured, Unavailable

VARIABLE = "SLUICE_LABELS_URL"
MIGRATIONS = Path(__file__).parent / "migrations"
DRIVERS = {
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
BUSY_S = 30.0
CONNECT_S = 10
MIGRATION_LOCK = 0x51_0C_E0_01
"""PostgreSQL's advisory locks are numbers; any will do that nobody else takes in this database."""
READS = "sluice_reads"
REFUSED = ("authentication failed", "does not exist", "no password supplied", "pg_hba.conf")
"""What PostgreSQL says to a client that it will never let in. Its driver gives no code while it connects."""
FAULTS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""These are ours, or the caller's; all else that a driver raises is the database's."""


def connect(url: str, *, migrate: bool = True) -> Engine:
    """An engine, safe for many threads, over tables of this release.

    What is older is brought up first, unless `migrate` is false; several processes may do so at once. Raises
    `Misconfigured` for a wrong URL, a wrong password or a database that a newer release has changed, and `Unavailable`.
    """
    parsed = _parsed(url)
    engine = _sqlite(parsed) if parsed.drivername == "sqlite" else _postgresql(parsed)
    try:
        _bring_up(engine, migrate=migrate)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is on disk when the block ends, or never was. Raises `Unavailable`."""
    with _answering(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that lets others write. Raises `Unavailable`."""
    with _answering(), engine.execution_options(**{READS: True}).begin() as connection:
        yield connection


def _parsed(url: str) -> URL:
    try:
        parsed = sa.make_url(url)
        driver = DRIVERS[parsed.drivername]
    except (ArgumentError, ValueError, KeyError):
        # Without its cause, which quotes the URL and the password in it.
        raise Misconfigured(
            f"{VARIABLE} must look like sqlite:///FILE or postgresql://user:password@host/database. "
            "Write @ / : # ? % in a user or password as %40 %2F %3A %23 %3F %25."
        ) from None
    return parsed.set(drivername=driver)


def _sqlite(url: URL) -> Engine:
    is_in_memory = url.database in (None, "", ":memory:")
    if not is_in_memory and not (folder := Path(str(url.database)).absolute().parent).is_dir():
        raise Misconfigured(f"{VARIABLE} names a file in {folder}, which is no folder; make it first.")
    # A database in memory belongs to its connection: all threads take turns with one.
    pool = {"pool_size": 1, "max_overflow": 0} if is_in_memory else {}
    url = url.update_query_dict({"timeout": url.query.get("timeout", f"{BUSY_S}")})
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        poolclass=QueuePool,
        connect_args={"check_same_thread": False},
        **pool,
    )
    sa.event.listen(engine, "connect", _prepare)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _postgresql(url: URL) -> Engine:
    arguments = {"connect_timeout": CONNECT_S, "application_name": "sluice", **url.query}
    return sa.create_engine(url.set(query={}), pool_pre_ping=True, hide_parameters=True, connect_args=arguments)


def _prepare(connection: sqlite3.Connection, _: object) -> None:
    # The driver shall open no transactions of its own: `_begin` does.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            # Two processes that open a new file at once: here SQLite does not wait by itself.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _begin(connection: Connection) -> None:
    # A transaction that begins by reading may find, when it comes to write, that another was first; and then fails.
    reads = connection.get_execution_options().get(READS)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _bring_up(engine: Engine, *, migrate: bool) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    with reading(engine) as connection:
        if _revision(connection, scripts) == scripts.get_current_head():
            return
    if not migrate:
        raise Misconfigured("The database of labels was made by an older release; `sluice labels count` brings it up.")
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
        if _revision(connection, scripts) != scripts.get_current_head():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _revision(connection: Connection, scripts: ScriptDirectory) -> str | None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {each.revision for each in scripts.walk_revisions()}:
        raise Misconfigured(
            "The database of labels was changed by a newer release of Sluice; upgrade this one, or name another "
            f"database in {VARIABLE}."
        )
    return found


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except FAULTS:
        raise
    except (DBAPIError, NoConnection) as exc:
        raise _failure(getattr(exc, "orig", None)) from exc


def _failure(cause: Any) -> Misconfigured | Unavailable:
    """Without what PostgreSQL's driver says, which may hold parts of a URL; SQLite says what a user needs to know."""
    said = str(cause or "")
    if isinstance(cause, sqlite3.Error):
        if "not a database" in said:
            return Misconfigured(f"The file that {VARIABLE} names is no SQLite database; name another.")
        return Unavailable(f"The database of labels cannot be used now: {said}. Nothing was written.")
    if any(each in said for each in REFUSED):
        return Misconfigured(f"PostgreSQL refuses the user, the password or the database of {VARIABLE}; set it.")
    return Unavailable(f"The database of labels ({VARIABLE}) does not answer. Nothing was written; try again later.")
