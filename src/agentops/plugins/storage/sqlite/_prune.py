"""Deletes a run's oldest events on the writer's connection, in one hop like an append."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from agentops.plugins.storage.sqlite._connections import roll_back
from agentops.sql.storage import PRUNED_AT_ONCE

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator

_EXCESS: Final = """
    SELECT r.pk, r.event_count - r.pruned_count - ? FROM runs r
    WHERE r.project = (SELECT pk FROM projects WHERE name = ?) AND r.name = ?
"""
_LAST_TO_GO: Final = "SELECT id FROM events WHERE run = ? ORDER BY id LIMIT 1 OFFSET ?"
_DELETE: Final = "DELETE FROM events WHERE run = ? AND id <= ?"
_COUNT: Final = "UPDATE runs SET pruned_count = pruned_count + ?, pruned_to = max(pruned_to, ?) WHERE pk = ?"


_OLDEST: Final = """
    SELECT run, count(*), max(id) FROM (SELECT run, id FROM events WHERE id <= ? ORDER BY id LIMIT ?)
    GROUP BY run
"""


def prune_some(connection: sqlite3.Connection, project: str, run: str, keep: int) -> int:
    with _transaction(connection):
        return _delete_oldest(connection, project, run, keep)


def forget_some(connection: sqlite3.Connection, upto: int) -> int:
    """Delete the oldest events of whatever runs, at most `PRUNED_AT_ONCE`, up to an id."""
    with _transaction(connection):
        found = connection.execute(_OLDEST, (upto, PRUNED_AT_ONCE)).fetchall()
        for run, gone, last in found:
            connection.execute(_COUNT, (gone, last, run))
        if found:
            connection.execute("DELETE FROM events WHERE id <= ?", (max(last for _, _, last in found),))
    return sum(gone for _, gone, _ in found)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _delete_oldest(connection: sqlite3.Connection, project: str, run: str, keep: int) -> int:
    pk, excess = connection.execute(_EXCESS, (keep, project, run)).fetchone() or (0, 0)
    if excess <= 0:
        return 0
    (upto,) = connection.execute(_LAST_TO_GO, (pk, min(excess, PRUNED_AT_ONCE) - 1)).fetchone()
    gone = connection.execute(_DELETE, (pk, upto)).rowcount
    connection.execute(_COUNT, (gone, upto, pk))
    return gone
