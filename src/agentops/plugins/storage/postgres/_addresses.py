"""What is wrong with an address of a Postgres, as far as it can be said without going there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentops.core.problem import Problem
from agentops.sql.postgres_hosts import named_in
from agentops.sql.postgres_server import SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentops.core.secret import Secret


def problems_of(key: str, url: Secret, *, writes: bool) -> Iterable[Problem]:
    address = url.reveal()
    if address.partition("://")[0] not in SCHEMES:
        what, why = "this is not the address of a Postgres database", "the storage connects to it"
        yield Problem(key, what, why, "write postgresql://user:password@host:port/database")
        return
    try:
        named = named_in(address)
    except ValueError:
        return  # the driver says what it cannot read, and may read what this cannot
    if writes and len(named.hosts) > 1 and named.wanted not in {"read-write", "primary"}:
        what = "it names several servers, and not which of them is wanted"
        why = "after a failover the storage would stay with one that can only be read"
        yield Problem(key, what, why, "put ?target_session_attrs=read-write behind the database")
