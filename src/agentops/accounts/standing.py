"""How a user who has signed in stands now: read on every request, so that no token outlives what it stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, text

from agentops.core.permissions import ROLES, common
from agentops.core.records import now_ms
from agentops.sql.text import storable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentops.core.identity import Identity
    from agentops.core.ports.storage import Storage

SESSION: Final = "session:"
"""Before a session's id, in the credential of an identity."""

_COLUMNS: Final = """
    SELECT s.id, u.id AS user_id, u.project, u.role, u.disabled_at, s.ended_at, s.expires_at
    FROM sessions s JOIN users u ON u.id = s.user_id
"""
_ONE: Final = f"{_COLUMNS} WHERE s.id = ?"
_MANY: Final = text(f"{_COLUMNS} WHERE s.id IN :ids").bindparams(bindparam("ids", expanding=True))


async def as_of_now(storage: Storage[Any], identity: Identity) -> Identity | None:
    """The identity with the project and no more than the rights of its user; nothing once its session is over."""
    session = _session(identity)
    if not storable(session):
        return None
    rows = await storage.read_rows(_ONE, session)
    return _bounded(identity, rows[0]) if rows else None


async def changed(storage: Storage[Any], bounded: Collection[Identity]) -> Collection[Identity]:
    """Those of these, which `as_of_now` has returned, that it would not return again."""
    ids = sorted({_session(identity) for identity in bounded})
    async with storage.read() as connection:
        rows = {row[0]: row for row in await connection.execute(_MANY, {"ids": ids})}
    return [
        identity
        for identity in bounded
        if (row := rows.get(_session(identity))) is None or _bounded(identity, row) != identity
    ]


def _bounded(identity: Identity, row: Sequence[Any]) -> Identity | None:
    _, user, project, role, disabled_at, ended_at, expires_at = row
    if user != identity.subject or disabled_at is not None or ended_at is not None or expires_at <= now_ms():
        return None
    rights = common(identity.permissions, ROLES.get(role, frozenset()))
    return replace(identity, project=project, role=role, permissions=rights)


def _session(identity: Identity) -> str:
    return (identity.credential or "").removeprefix(SESSION)
