"""What a server is: which database, with what schema, on which timeline, and how far it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentops.sql.migrations import STORED_REVISION

if TYPE_CHECKING:
    from collections.abc import Sequence

_ASK: Final = """
    SELECT (SELECT system_identifier FROM pg_control_system())::text,
        (SELECT oid FROM pg_database WHERE datname = current_database())::bigint, (%s), %s
"""
PRIMARY: Final = _ASK % (
    STORED_REVISION,
    """
        ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int,
        pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, NULL::float8
    """,
)
"""Its timeline is in the name of the file that it writes, and is a new one as soon as it was promoted."""
STANDBY: Final = _ASK % (
    STORED_REVISION,
    """
        CASE WHEN pg_is_in_recovery() THEN greatest(
            (SELECT timeline_id FROM pg_control_checkpoint()),
            (SELECT min_recovery_end_timeline FROM pg_control_recovery()),
            (SELECT max(received_tli) FROM pg_stat_wal_receiver)
        ) END,
        pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint,
        extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())::float8
    """,
)
"""It writes down its timeline now and then; the one that it receives is told at once, to those who may see it."""


class Standing(NamedTuple):
    system: str
    database: int
    revision: str
    timeline: int | None
    """Nothing for a server that was asked as a standby and is none."""
    come_to: int
    """The place in the write-ahead log up to which everything is in the tables."""
    newest_seconds: float | None
    """How long ago the newest transaction that a standby has was committed."""

    @classmethod
    def of(cls, row: Sequence[Any]) -> Standing:
        system, database, revision, timeline, come_to, newest = row
        return cls(system, database, revision, timeline, come_to or 0, newest)


class Unfit(Exception):
    """A server that cannot stand in for the primary; the text says why."""


def require_fit(standby: Standing, primary: Standing) -> None:
    """Raise `Unfit` unless what the one has is what the other had a while ago, and is told in the same tables."""
    if standby.timeline is None:
        raise Unfit("it is not a standby, or no longer one")
    if standby.system != primary.system:
        raise Unfit("it is another server, and no standby of the primary's")
    if standby.database != primary.database:
        raise Unfit("it is another database of the same server")
    if standby.timeline != primary.timeline:
        raise Unfit(f"it is on timeline {standby.timeline} and the primary on {primary.timeline}")
    if standby.revision != primary.revision:
        raise Unfit(f"its schema is {standby.revision!r}, and that of the primary {primary.revision!r}")
