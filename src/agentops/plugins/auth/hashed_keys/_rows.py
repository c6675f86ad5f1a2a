"""The row of a key, beside that of its owner: who it is for, what that may do now, and from where."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import bindparam, text

from agentops.accounts.keys import CREDENTIAL
from agentops.core.addresses import is_within, plain_network
from agentops.core.allowance import allowance_of
from agentops.core.identity import Identity
from agentops.core.permissions import ROLES, common
from agentops.core.records import now_ms

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from agentops.core.allowance import Allowance
    from agentops.core.ports.storage import Storage

_DAMAGED: Final = "the row of a key is damaged"
READ_AT_ONCE: Final = 500
"""Rows asked for in one query; databases bound how many values it may hold."""

_COLUMNS: Final = """
    SELECT k.lookup, k.id, k.prefix, k.hash, k.project, k.owner, k.permissions, k.networks, k.rates, k.llm,
           k.expires_at, k.revoked_at, k.last_used_at, u.role, u.disabled_at, u.project AS owner_project
    FROM keys k LEFT JOIN users u ON u.id = k.owner
"""
_BY_ID: Final = text(f"{_COLUMNS} WHERE k.id IN :ids").bindparams(bindparam("ids", expanding=True))


class Row(NamedTuple):
    """A key as it is stored; the last three are of its owner, if that is a user of ours."""

    lookup: str
    id: str
    prefix: str
    hash: str
    project: str
    owner: str
    permissions: str
    networks: str
    rates: str
    llm: str
    expires_at: int
    revoked_at: int | None
    last_used_at: int | None
    role: str | None
    disabled_at: int | None
    owner_project: str | None

    @property
    def ends_at(self) -> int:
        return self.expires_at if self.revoked_at is None else min(self.expires_at, self.revoked_at)


def by_lookup(number: int) -> str:
    """The query for so many rows at once."""
    return f"{_COLUMNS} WHERE k.lookup IN ({', '.join('?' * number)})"


async def rows_of(storage: Storage[Any], ids: Collection[str]) -> Sequence[Row]:
    """Those of these keys that there are."""
    every = list(ids)
    async with storage.read() as connection:
        return [
            Row(*row)
            for first in range(0, len(every), READ_AT_ONCE)
            for row in await connection.execute(_BY_ID, {"ids": every[first : first + READ_AT_ONCE]})
        ]


def identity_of(row: Row) -> Identity | None:
    """Who a key is for and what it may do now, if it may do anything; `ValueError` for a row that says neither."""
    if row.ends_at <= now_ms() or row.disabled_at is not None:
        return None
    if row.role is not None and row.owner_project != row.project:
        return None
    rights = _rights(row.permissions, row.role)
    credential = f"{CREDENTIAL}{row.id}"
    return Identity(
        row.owner,
        row.project,
        rights,
        credential,
        row.role,
        row.ends_at / 1000,
        _rates(row.rates),
        _allowance(row.llm),
    )


@lru_cache(maxsize=4096)
def _rights(permissions: str, role: str | None) -> frozenset[str]:
    """What the key was granted; of a user of ours, no more than the role of today."""
    granted = frozenset(_texts(permissions))
    return granted if role is None else common(granted, ROLES.get(role, frozenset()))


@lru_cache(maxsize=4096)
def _rates(rates: str) -> tuple[str, ...]:
    return tuple(_texts(rates))


@lru_cache(maxsize=4096)
def _allowance(llm: str) -> Allowance | None:
    try:
        return allowance_of(llm)
    except msgspec.MsgspecError as error:
        raise ValueError(_DAMAGED) from error


@lru_cache(maxsize=4096)
def allowed_from(networks: str, peer: str | None) -> bool:
    """Whether a peer is in one of these networks, or there are none."""
    listed = [plain_network(network) for network in _texts(networks)]
    return not listed or is_within(peer, listed)


def _texts(stored: str) -> list[str]:
    try:
        return msgspec.json.decode(stored, type=list[str])
    except msgspec.MsgspecError as error:
        raise ValueError(_DAMAGED) from error
