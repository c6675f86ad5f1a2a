"""Webhooks, and what is to be delivered to them.

What they tell of is noticed by the database itself, in the transaction in which it happens: whoever ends a run or
revokes a key, a request, another instance or a command on this machine, cannot do so untold. Nothing is stored
where nobody subscribed.
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"

_WEBHOOKS = """
    CREATE TABLE webhooks (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL,
        url TEXT NOT NULL,
        kinds TEXT NOT NULL,
        format TEXT NOT NULL,
        description TEXT NOT NULL,
        secret TEXT NOT NULL,
        previous_secret TEXT,
        previous_until BIGINT,
        created_at BIGINT NOT NULL,
        disabled_at BIGINT,
        disabled_because TEXT,
        claimed_by TEXT,
        claimed_at BIGINT
    )
"""
_DELIVERIES = """
    CREATE TABLE deliveries (
        id {id},
        webhook TEXT NOT NULL,
        kind TEXT NOT NULL,
        data TEXT NOT NULL,
        at BIGINT NOT NULL,
        once TEXT,
        state TEXT NOT NULL DEFAULT 'waiting',
        attempts INTEGER NOT NULL DEFAULT 0,
        tried_at BIGINT,
        log TEXT NOT NULL DEFAULT '[]'
    )
"""
_ID = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}
_INDEXES = (
    "CREATE INDEX webhooks_of_project ON webhooks (project, created_at)",
    "CREATE INDEX deliveries_of_webhook ON deliveries (webhook, id)",
    "CREATE INDEX deliveries_waiting ON deliveries (webhook, id) WHERE state = 'waiting'",
    "CREATE INDEX deliveries_done ON deliveries (at) WHERE state <> 'waiting' AND once IS NULL",
    "CREATE INDEX deliveries_done_once ON deliveries (at) WHERE state <> 'waiting' AND once IS NOT NULL",
    "CREATE UNIQUE INDEX deliveries_once ON deliveries (webhook, once) WHERE once IS NOT NULL",
    "CREATE INDEX keys_by_end ON keys (expires_at)",
)

_SUBSCRIBED = """
    INSERT INTO deliveries (webhook, kind, data, at)
    SELECT webhooks.id, {kind}, {data}, {now} FROM webhooks
    WHERE webhooks.project = {project} AND webhooks.disabled_at IS NULL
    AND webhooks.kinds LIKE '%"' || {kind} || '"%'
"""
_KEY_KIND = """
    CASE NEW.action WHEN 'key.create' THEN 'key.created' WHEN 'key.rotate' THEN 'key.rotated' ELSE 'key.revoked' END
"""
_IS_KEY = "NEW.outcome = 'ok' AND NEW.action IN ('key.create', 'key.rotate', 'key.revoke')"
_RUN_PROJECT = "(SELECT name FROM projects WHERE pk = NEW.project)"
_RUN_FACTS = """'run', NEW.name, 'title', NEW.title, 'status', NEW.status, 'startedAt', NEW.started_at,
        'endedAt', NEW.ended_at, 'eventCount', NEW.event_count"""

_SQLITE_NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
_SQLITE_RUN = _SUBSCRIBED.format(
    kind="'run.failed'",
    data=f"json_object({_RUN_FACTS})",
    now=_SQLITE_NOW,
    project=_RUN_PROJECT,
)
_SQLITE_KEY = _SUBSCRIBED.format(
    kind=_KEY_KIND,
    data="json_patch(NEW.details, json_object('key_id', NEW.target, 'by', NEW.actor))",
    now="NEW.at",
    project="NEW.project",
)
_SQLITE = (
    f"""
    CREATE TRIGGER run_failed AFTER UPDATE OF status ON runs WHEN NEW.status = 'error' AND OLD.status <> 'error'
    BEGIN {_SQLITE_RUN}; END
    """,
    f"CREATE TRIGGER run_begun_failed AFTER INSERT ON runs WHEN NEW.status = 'error' BEGIN {_SQLITE_RUN}; END",
    f"CREATE TRIGGER key_changed AFTER INSERT ON audit WHEN {_IS_KEY} BEGIN {_SQLITE_KEY}; END",
)

_POSTGRES_RUN = _SUBSCRIBED.format(
    kind="'run.failed'",
    data=f"json_build_object({_RUN_FACTS})::text",
    now="(extract(epoch FROM clock_timestamp()) * 1000)::bigint",
    project=_RUN_PROJECT,
)
_POSTGRES_KEY = _SUBSCRIBED.format(
    kind=_KEY_KIND,
    data="(NEW.details::jsonb || jsonb_build_object('key_id', NEW.target, 'by', NEW.actor))::text",
    now="NEW.at",
    project="NEW.project",
)
_POSTGRES = (
    f"""
    CREATE FUNCTION tell_run_failed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_POSTGRES_RUN}; RETURN NULL; END $$
    """,
    f"""
    CREATE FUNCTION tell_key_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {_POSTGRES_KEY}; RETURN NULL; END $$
    """,
    """
    CREATE TRIGGER run_failed AFTER UPDATE OF status ON runs
    FOR EACH ROW WHEN (NEW.status = 'error' AND OLD.status <> 'error') EXECUTE FUNCTION tell_run_failed()
    """,
    """
    CREATE TRIGGER run_begun_failed AFTER INSERT ON runs
    FOR EACH ROW WHEN (NEW.status = 'error') EXECUTE FUNCTION tell_run_failed()
    """,
    f"""
    CREATE TRIGGER key_changed AFTER INSERT ON audit
    FOR EACH ROW WHEN ({_IS_KEY}) EXECUTE FUNCTION tell_key_changed()
    """,
)


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    op.execute(_WEBHOOKS)
    op.execute(_DELIVERIES.format(id=_ID[dialect]))
    for statement in (*_INDEXES, *(_SQLITE if dialect == "sqlite" else _POSTGRES)):
        op.execute(statement)
