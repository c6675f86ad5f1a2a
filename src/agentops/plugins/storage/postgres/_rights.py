"""What the account must be allowed: parts of `events` are made while it serves, and the server is asked which it is."""

# pyright: basic
# (asyncpg ships no types)

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from agentops.core.errors import StartError

if TYPE_CHECKING:
    from collections.abc import Generator

_RIGHTS: Final = """
    SELECT pg_has_role(relowner, 'USAGE'), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
    FROM pg_class WHERE oid = 'events'::regclass
"""
_REMEDY: Final = (
    "Let this account own the tables (the one that ran `agentops migrate`, or a member of it), and give it CREATE on "
    "their schema and EXECUTE on pg_control_system()"
)


class _Missing(Exception):
    pass


async def require(connection: Any) -> None:
    """Before anything is stored: without these, all goes well until the part at hand is full, and then nothing does."""
    owns, creates = await connection.fetchrow(_RIGHTS)
    if not owns:
        raise _Missing("it does not own the table events, of which parts are made and dropped")
    if not creates:
        raise _Missing("it may make no tables in its schema, and parts of events are tables")


@contextmanager
def missing_told(place: str) -> Generator[None]:
    """Say what is missing, and who can give it."""
    try:
        yield
    except (_Missing, asyncpg.InsufficientPrivilegeError) as error:
        raise StartError(f"the account of Postgres at {place} has too few rights: {error}. {_REMEDY}") from error
    except asyncpg.ReadOnlySQLTransactionError as error:
        raise StartError(
            f"Postgres at {place} only reads for this account: name the primary, and see that neither the account nor "
            "the database has default_transaction_read_only = on"
        ) from error
