"""Calls of models: what may be spent, is held for calls under way, and was spent; keys of users for providers.

Amounts of money are micro-dollars. A purse is any limit that is used up: money of a day, tokens of a minute, a user's
credits; `period` says which day or minute its amounts are of.
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"

_TABLES = (
    """
    CREATE TABLE purses (
        id TEXT PRIMARY KEY NOT NULL,
        period BIGINT NOT NULL,
        size BIGINT NOT NULL,
        spent BIGINT NOT NULL,
        held BIGINT NOT NULL,
        tier TEXT
    )
    """,
    """
    CREATE TABLE holds (
        call TEXT NOT NULL,
        purse TEXT NOT NULL,
        period BIGINT NOT NULL,
        amount BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        PRIMARY KEY (call, purse)
    )
    """,
    "CREATE INDEX holds_by_end ON holds (expires_at)",
    """
    CREATE TABLE calls (
        id TEXT PRIMARY KEY NOT NULL,
        at BIGINT NOT NULL,
        project TEXT NOT NULL,
        subject TEXT NOT NULL,
        credential TEXT NOT NULL,
        api TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        target TEXT NOT NULL,
        outcome TEXT NOT NULL,
        input BIGINT NOT NULL,
        cached BIGINT NOT NULL,
        written BIGINT NOT NULL,
        output BIGINT NOT NULL,
        estimated INTEGER NOT NULL,
        cost BIGINT NOT NULL,
        own_key INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        first_ms BIGINT,
        ms BIGINT NOT NULL,
        run TEXT NOT NULL
    )
    """,
    "CREATE INDEX calls_by_time ON calls (at)",
    """
    CREATE TABLE usage (
        project TEXT NOT NULL,
        day TEXT NOT NULL,
        subject TEXT NOT NULL,
        credential TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        calls BIGINT NOT NULL,
        failed BIGINT NOT NULL,
        input BIGINT NOT NULL,
        cached BIGINT NOT NULL,
        written BIGINT NOT NULL,
        output BIGINT NOT NULL,
        cost BIGINT NOT NULL,
        PRIMARY KEY (project, day, subject, credential, model, provider)
    )
    """,
    """
    CREATE TABLE provider_keys (
        project TEXT NOT NULL,
        owner TEXT NOT NULL,
        provider TEXT NOT NULL,
        ring TEXT NOT NULL,
        sealed TEXT NOT NULL,
        shown TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        last_used_at BIGINT,
        PRIMARY KEY (project, owner, provider)
    )
    """,
    "ALTER TABLE keys ADD COLUMN llm TEXT NOT NULL DEFAULT '{}'",
)

_LEDGER = """
    CREATE TABLE ledger (
        id {id},
        at BIGINT NOT NULL,
        project TEXT NOT NULL,
        subject TEXT NOT NULL,
        kind TEXT NOT NULL,
        call TEXT UNIQUE,
        amount BIGINT NOT NULL,
        balance_before BIGINT NOT NULL,
        balance_after BIGINT NOT NULL,
        note TEXT NOT NULL
    )
"""


def upgrade() -> None:
    on_postgres = op.get_context().dialect.name == "postgresql"
    for statement in _TABLES:
        op.execute(statement)
    identity = "BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY" if on_postgres else "INTEGER PRIMARY KEY AUTOINCREMENT"
    op.execute(_LEDGER.format(id=identity))
    op.execute("CREATE INDEX ledger_of_subject ON ledger (project, subject, id)")
