"""Which database a server has, with what schema, and how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentops.plugins.storage.postgres._epochs import DATABASE, IDENTITY
from agentops.sql.migrations import STORED_REVISION

if TYPE_CHECKING:
    from collections.abc import Sequence

PRIMARY: Final = f"""
    SELECT false, {DATABASE}, ({IDENTITY}), ({STORED_REVISION}),
        pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, NULL::float8
"""
STANDBY: Final = f"""
    SELECT pg_is_in_recovery(), {DATABASE}, (SELECT identity FROM epochs ORDER BY number DESC LIMIT 1),
        ({STORED_REVISION}), pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint,
        extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8
"""  # noqa: S608 - as above


class Standing(NamedTuple):
    is_standby: bool
    database: str
    """The cluster, and the database in it."""
    history: str
    """Of a primary, what it is now. Of a standby, what its primary was when it began the epoch that has come through:
    whoever took over has written that down before anything else, and a standby that went another way lacks it."""
    revision: str
    come_to: int
    """The place in the write-ahead log up to which everything is in the tables."""
    newest_seconds: float | None
    """How long ago the newest transaction that a standby has was committed."""

    @classmethod
    def of(cls, row: Sequence[Any]) -> Standing:
        is_standby, database, history, revision, come_to, newest = row
        return cls(is_standby, database, history or "", revision, come_to or 0, newest)


class Unfit(Exception):
    """A server that cannot stand in for the primary; the text says why."""


def require_fit(standby: Standing, primary: Standing) -> None:
    """Raise `Unfit` unless what the one has is what the other had a while ago, and is told in the same tables."""
    if not standby.is_standby:
        raise Unfit("it is not a standby, or no longer one")
    if standby.database != primary.database:
        raise Unfit("it is a standby of another database or server")
    if standby.history != primary.history:
        raise Unfit("it has not followed the primary since that took over")
    if standby.revision != primary.revision:
        raise Unfit(f"its schema is {standby.revision!r}, and that of the primary {primary.revision!r}")
