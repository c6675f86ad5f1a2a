"""Brings the file's schema up to date; SQLite's own write lock lets only one do it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from agentops.core.errors import StartError
from agentops.plugins.storage.sqlite._connections import connect, use_write_ahead_log
from agentops.sql.migrating import as_known, at_head, is_unknown, require_head, upgrade
from agentops.sql.migrations import SERVED_SINCE, STORED_REVISION, VERSION_TABLE

if TYPE_CHECKING:
    from pathlib import Path


def migrate(path: Path) -> None:
    try:
        connection = connect(path, "rwc")
    except sqlite3.Error as error:
        raise StartError(f"cannot open the database {str(path)!r}: {error}") from error
    try:
        use_write_ahead_log(connection)
        if not at_head(stored_revision(connection)):
            _upgrade(connection)
    except sqlite3.Error as error:
        raise StartError(f"cannot prepare the database {str(path)!r}: {error}") from error
    finally:
        connection.close()


def require_migrated(path: Path) -> None:
    try:
        connection = connect(path, "ro")
    except sqlite3.Error as error:
        raise StartError(
            f"cannot open the database {str(path)!r}: {error}; run `agentops migrate` with the same --config"
        ) from error
    try:
        require_head(stored_revision(connection))
    except sqlite3.Error as error:
        raise StartError(f"cannot read the database {str(path)!r}: {error}") from error
    finally:
        connection.close()


def stored_revision(connection: sqlite3.Connection) -> str | None:
    table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    if connection.execute(table, (VERSION_TABLE,)).fetchone() is None:
        return None
    row = connection.execute(STORED_REVISION).fetchone()
    if row is None:
        return None
    revision = str(row[0])
    if is_unknown(revision):
        return as_known(revision, connection.execute(SERVED_SINCE).fetchone()[0])
    return revision


def _upgrade(connection: sqlite3.Connection) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    try:
        with engine.begin() as shared:  # SQLAlchemy's first look at a connection ends in a ROLLBACK: lock after it
            shared.exec_driver_sql("BEGIN IMMEDIATE")
            if not at_head(stored_revision(connection)):
                upgrade(shared)
    except DBAPIError as error:
        raise StartError(f"the migration failed and nothing was changed: {error.orig}") from error
