"""Deletes a run's oldest events on the writer's connection, in one hop like an append."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from agentops.plugins.storage.sqlite._connections import roll_back
from agentops.sql.storage import PRUNED_AT_ONCE

if TYPE_CHECKING:
    import sqlite3

_EXCESS: Final = """
    SELECT r.pk, r.event_count - r.pruned_count - ? FROM runs r
    WHERE r.project = (SELECT pk FROM projects WHERE name = ?) AND r.name = ?
"""
_LAST_TO_GO: Final = "SELECT id FROM events WHERE run = ? ORDER BY id LIMIT 1 OFFSET ?"
_DELETE: Final = "DELETE FROM events WHERE run = ? AND id <= ?"
_COUNT: Final = "UPDATE runs SET pruned_count = pruned_count + ?, pruned_to = max(pruned_to, ?) WHERE pk = ?"


def prune_some(connection: sqlite3.Connection, project: str, run: str, keep: int) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        gone = _delete_oldest(connection, project, run, keep)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
    return gone


def _delete_oldest(connection: sqlite3.Connection, project: str, run: str, keep: int) -> int:
    pk, excess = connection.execute(_EXCESS, (keep, project, run)).fetchone() or (0, 0)
    if excess <= 0:
        return 0
    (upto,) = connection.execute(_LAST_TO_GO, (pk, min(excess, PRUNED_AT_ONCE) - 1)).fetchone()
    gone = connection.execute(_DELETE, (pk, upto)).rowcount
    connection.execute(_COUNT, (gone, upto, pk))
    return gone
