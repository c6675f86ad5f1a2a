"""Users, their sessions, keys, and the audit trail."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_EVERYWHERE = (
    """
    CREATE TABLE users (
        id TEXT PRIMARY KEY,
        project TEXT NOT NULL,
        username TEXT NOT NULL,
        username_folded TEXT NOT NULL UNIQUE,
        email TEXT NOT NULL,
        email_folded TEXT NOT NULL UNIQUE,
        password TEXT NOT NULL,
        role TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        disabled_at BIGINT
    )
    """,
    """
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL REFERENCES users (id),
        stamp TEXT NOT NULL,
        current TEXT NOT NULL,
        previous TEXT,
        salt TEXT,
        rotated_at BIGINT,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        ended_at BIGINT
    )
    """,
    "CREATE INDEX sessions_of_user ON sessions (user_id)",
    "CREATE INDEX sessions_by_end ON sessions (expires_at)",
    """
    CREATE TABLE keys (
        id TEXT PRIMARY KEY,
        lookup TEXT NOT NULL UNIQUE,
        prefix TEXT NOT NULL,
        shown TEXT NOT NULL,
        hash TEXT NOT NULL,
        project TEXT NOT NULL,
        owner TEXT NOT NULL,
        name TEXT NOT NULL,
        permissions TEXT NOT NULL,
        networks TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        revoked_at BIGINT,
        last_used_at BIGINT
    )
    """,
    "CREATE INDEX keys_of_owner ON keys (project, owner, created_at)",
)

_AUDIT = """
    CREATE TABLE audit (
        id {id},
        at BIGINT NOT NULL,
        project TEXT NOT NULL,
        lane TEXT NOT NULL,
        actor TEXT NOT NULL,
        credential TEXT,
        action TEXT NOT NULL,
        target TEXT NOT NULL,
        outcome TEXT NOT NULL,
        reason TEXT NOT NULL,
        address TEXT,
        request_id TEXT,
        details TEXT NOT NULL
    )
"""
_AUDIT_ID = {
    "sqlite": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "postgresql": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
}


def upgrade() -> None:
    for statement in _EVERYWHERE:
        op.execute(statement)
    op.execute(_AUDIT.format(id=_AUDIT_ID[op.get_context().dialect.name]))
    op.execute("CREATE INDEX audit_of_project ON audit (project, id)")
