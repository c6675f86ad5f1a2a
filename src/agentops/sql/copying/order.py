"""In which order tables are copied, and how each of them can change meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Integer

from agentops.sql.tables import (
    audit,
    calls,
    deliveries,
    events,
    holds,
    keys,
    ledger,
    marks,
    projects,
    provider_keys,
    purses,
    runs,
    sessions,
    usage,
    users,
    webhooks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Column, Table

APPENDED: Final = (audit, events, ledger)
"""Their rows never change and get ever higher ids; of events, retention removes the oldest of a run."""

LEVELLED: Final = (
    projects,
    runs,
    users,
    sessions,
    keys,
    provider_keys,
    purses,
    holds,
    calls,
    usage,
    deliveries,
    marks,
)
"""Their rows come, change and go; a table stands behind those that it refers to."""

SUBSCRIBED: Final = webhooks
"""Last of all: the database tells webhooks of runs and keys by itself, and must find none while these are copied."""

EVERY: Final = (*LEVELLED, *APPENDED, SUBSCRIBED)


def key_of(table: Table) -> Column[int | str]:
    """The column that names a row, or by which the table is read; it is the first of each table."""
    return table.columns[0]


def is_keyed(table: Table) -> bool:
    """Whether no two rows have the same key; a table in which they may is small, and replaced as a whole."""
    return bool(table.primary_key.columns)


def in_order(table: Table) -> Sequence[Column[int | str]]:
    """The columns by which rows are ordered: the same on both sides."""
    return [key_of(table)] if is_keyed(table) else list(table.columns)


def is_numbered(table: Table) -> bool:
    """Whether the database gives its rows their numbers."""
    return is_keyed(table) and isinstance(key_of(table).type, Integer)


def columns_of(table: Table) -> str:
    """The columns, as they are written in a query."""
    return ", ".join(f'"{column.name}"' for column in table.columns)
