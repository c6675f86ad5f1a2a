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
    "ALTER TABLE keys ADD COLUMN llm TEXT NOT NULL DEFAULT '{}'",
)

_NUMBERED = (
    """
    CREATE TABLE holds (
        id {number},
        call TEXT NOT NULL,
        purse TEXT NOT NULL,
        period BIGINT NOT NULL,
        amount BIGINT NOT NULL,
        expires_at BIGINT NOT NULL,
        UNIQUE (call, purse)
    )
    """,
    """
    CREATE TABLE usage (
        id {number},
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
        UNIQUE (project, day, subject, credential, model, provider)
    )
    """,
    """
    CREATE TABLE provider_keys (
        id {number},
        project TEXT NOT NULL,
        owner TEXT NOT NULL,
        provider TEXT NOT NULL,
        ring TEXT NOT NULL,
        sealed TEXT NOT NULL,
        shown TEXT NOT NULL,
        created_at BIGINT NOT NULL,
        last_used_at BIGINT,
        UNIQUE (project, owner, provider)
    )
    """,
    """
    CREATE TABLE ledger (
        id {once},
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
    """,
    "CREATE INDEX ledger_of_subject ON ledger (project, subject, id)",
)


def upgrade() -> None:
    on_postgres = op.get_context().dialect.name == "postgresql"
    for statement in _TABLES:
        op.execute(statement)
    number = "BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY" if on_postgres else "INTEGER PRIMARY KEY"
    once = number if on_postgres else f"{number} AUTOINCREMENT"
    for statement in _NUMBERED:
        op.execute(statement.format(number=number, once=once))
