"""Judges a key by its row, which is read on every request: state, end and rights are never older than the request."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta

from agentops.accounts.key_text import PREFIX, parse_key
from agentops.accounts.keys import CREDENTIAL
from agentops.core.auth_header import AUTHORIZATION, AuthHeader, AuthHeaders
from agentops.core.auth_settings import HeaderName
from agentops.core.errors import Rejected
from agentops.core.plugin import Settings
from agentops.core.ports.auth import Authenticator
from agentops.core.ports.diagnosis import Question
from agentops.plugins.auth.hashed_keys._diagnosis import ending
from agentops.plugins.auth.hashed_keys._line import Line, Slow
from agentops.plugins.auth.hashed_keys._proofs import Proofs
from agentops.plugins.auth.hashed_keys._rows import allowed_from, identity_of, rows_of
from agentops.plugins.auth.hashed_keys._uses import Uses

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Mapping, Sequence

    from agentops.core.identity import Identity
    from agentops.core.ports.auth import Caller
    from agentops.core.ports.diagnosis import Reads
    from agentops.core.ports.storage import Storage
    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs
    from agentops.plugins.auth.hashed_keys._rows import Row


STRANGERS: Final = Slow(at_once=4, pause=0.001, most=2_000)
"""For those whose secret was not proved lately. A made-up key costs its sender nothing; this many leave most of a core
to all others, and the first use of a real one costs an argon2 anyway."""


class HashedKeysSettings(Settings):
    """`use = "hashed-keys"`: keys that `agentops keys create` and the feature `keys` make."""

    prefix: Annotated[str, Meta(pattern=PREFIX)] = "ak_"
    """What each key begins with, so that leaked ones can be searched for; it ends in an underscore."""
    header: HeaderName = "Authorization"
    """Where the key is sent: in `Authorization` behind `Bearer`, in any other header alone."""
    more_headers: list[HeaderName] = []
    """Where it may be sent instead, by clients of another system: `["x-api-key"]`."""


class HashedKeys(Authenticator[HashedKeysSettings]):
    """Refuses the unknown, the revoked, the expired and the wrong alike."""

    _storage: Storage[Any]
    _known: Line
    _strangers: Line
    _proofs: Proofs
    _uses: Uses

    def __init__(self, settings: HashedKeysSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        header = self.settings.header
        first = AuthHeader(header, "Bearer" if header.lower() == AUTHORIZATION else None)
        self._headers = AuthHeaders(first, self.settings.more_headers)

    @property
    def prefix(self) -> str:
        return self.settings.prefix

    def credential(self) -> dict[str, str]:
        return self._headers.described()

    def more_credentials(self) -> Sequence[Mapping[str, str]]:
        return self._headers.more_described()

    def check(self) -> Iterator[Problem]:
        return self._headers.check()

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        self._storage = rungs.storage
        self._known = Line(rungs.storage)
        self._strangers = Line(rungs.storage, STRANGERS)
        self._proofs = Proofs(rungs.signals)
        self._uses = Uses(rungs.storage, rungs.signals)
        async with self._uses.life(), self._proofs.life(), self._known.life(), self._strangers.life():
            yield

    async def authenticate(self, caller: Caller) -> Identity | None:
        presented = self._headers.credential_of(caller, self.settings.prefix)
        if presented is None:
            return None
        key = parse_key(presented, self.settings.prefix)
        row = None if key is None else await self._row_of(key.lookup)
        if key is None or row is None or row.prefix != self.settings.prefix:
            raise Rejected
        identity = identity_of(row)
        if identity is None or not allowed_from(row.networks, caller.peer):
            raise Rejected
        if not await self._proofs.proves(row, key.secret):
            raise Rejected
        self._uses.note(row.id, row.last_used_at)
        return identity

    async def withdrawn(self, identities: Collection[Identity]) -> Collection[Identity]:
        """Those whose row, read again, allows something else than it did."""
        ids = {identity.credential.removeprefix(CREDENTIAL) for identity in identities if identity.credential}
        held = {_what_opened(identity) for row in await rows_of(self._storage, ids) if (identity := _now_of(row))}
        return [identity for identity in identities if _what_opened(identity) not in held]

    def questions(self, storage: Reads) -> Iterable[Question]:
        yield Question("keys that end", partial(ending, storage, self.settings.prefix))

    async def _row_of(self, lookup: str) -> Row | None:
        """Also for a known key it is read anew; only the line is another."""
        line = self._known if self._proofs.knows(lookup) else self._strangers
        return await line.row(lookup)


def _now_of(row: Row) -> Identity | None:
    """A row that cannot be read lets nobody in, and keeps nobody else's streams open."""
    try:
        return identity_of(row)
    except ValueError:
        return None


def _what_opened(identity: Identity) -> Identity:
    """All of it that let a stream begin. A rotated key ends earlier than it would have, and one may be allowed other
    models: neither need end its streams at once.
    """
    return replace(identity, expires_at=None, allowance=None)
