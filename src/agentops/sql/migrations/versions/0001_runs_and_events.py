"""Projects, runs and events."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None

_SQLITE = (
    "CREATE TABLE projects (pk INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """
    CREATE TABLE runs (
        pk INTEGER PRIMARY KEY,
        project INTEGER NOT NULL REFERENCES projects (pk),
        name TEXT NOT NULL,
        title TEXT NOT NULL,
        status TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        ended_at BIGINT,
        last_id BIGINT NOT NULL DEFAULT 0,
        event_count BIGINT NOT NULL DEFAULT 0,
        pruned_count BIGINT NOT NULL DEFAULT 0,
        pruned_to BIGINT NOT NULL DEFAULT 0,
        UNIQUE (project, name)
    )
    """,
    "CREATE INDEX runs_newest ON runs (project, started_at)",
    "CREATE INDEX runs_newest_by_status ON runs (project, status, started_at)",
    """
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project INTEGER NOT NULL,
        run INTEGER NOT NULL,
        body TEXT NOT NULL,
        key TEXT
    )
    """,
    "CREATE INDEX events_of_run ON events (run)",
    "CREATE INDEX events_of_project ON events (project)",
    "CREATE UNIQUE INDEX events_key ON events (run, key) WHERE key IS NOT NULL",
)

_POSTGRES = (
    "CREATE TABLE projects (pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    """
    CREATE TABLE runs (
        pk BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        project BIGINT NOT NULL REFERENCES projects (pk),
        name TEXT NOT NULL,
        title TEXT NOT NULL,
        status TEXT NOT NULL,
        started_at BIGINT NOT NULL,
        ended_at BIGINT,
        last_id BIGINT NOT NULL DEFAULT 0,
        event_count BIGINT NOT NULL DEFAULT 0,
        pruned_count BIGINT NOT NULL DEFAULT 0,
        pruned_to BIGINT NOT NULL DEFAULT 0,
        UNIQUE (project, name)
    ) WITH (fillfactor = 70)
    """,
    "CREATE INDEX runs_newest ON runs (project, started_at, pk)",
    "CREATE INDEX runs_newest_by_status ON runs (project, status, started_at, pk)",
    """
    CREATE TABLE events (
        id BIGINT NOT NULL,
        project BIGINT NOT NULL,
        run BIGINT NOT NULL,
        body TEXT NOT NULL,
        key TEXT,
        xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
        PRIMARY KEY (run, id)
    )
    """,
    "CREATE SEQUENCE events_id OWNED BY events.id",
    "CREATE INDEX events_in_feed_order ON events (project, xid, id)",
    # No index on `id` alone: the planner would take it to page a run, and read the events of all others on the way.
    "CREATE INDEX events_of_project ON events (project, id)",
    "CREATE UNIQUE INDEX events_key ON events (run, key) WHERE key IS NOT NULL",
)


def upgrade() -> None:
    for statement in _SQLITE if op.get_context().dialect.name == "sqlite" else _POSTGRES:
        op.execute(statement)
