"""The authenticator: what it remembers of tokens, when it looks for keys again, and which tokens it issues itself."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import jwt

from agentops.accounts.standing import as_of_now, changed
from agentops.core.auth_header import AuthHeader
from agentops.core.errors import Rejected, StartError, Unavailable
from agentops.core.forever import ended
from agentops.core.ports.auth import Authenticator
from agentops.core.secret import Secret
from agentops.core.signals import Signals
from agentops.plugins.auth.jwt._clock import Clock
from agentops.plugins.auth.jwt._encoding import has_three_parts
from agentops.plugins.auth.jwt._issuer import NoKey, Vouched
from agentops.plugins.auth.jwt._issuers import Issuers
from agentops.plugins.auth.jwt._memory import Memory
from agentops.plugins.auth.jwt._mistakes import mistakes
from agentops.plugins.auth.jwt._unfit import NotOurs, Unfit
from agentops.plugins.auth.jwt.settings import IssuerSettings, JwtSettings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Iterable, Mapping

    from agentops.core.identity import Identity
    from agentops.core.ports.auth import Caller
    from agentops.core.ports.storage import Storage
    from agentops.core.problem import Problem
    from agentops.core.rungs import Rungs

HEADER: Final = AuthHeader("Authorization", "Bearer")
TURN: Final = 50
"""So many tokens are judged before others get their turn on the loop."""


class Jwt(Authenticator[JwtSettings]):
    """Believes tokens that an issuer of its settings has signed, for as long as they say."""

    _storage: Storage[Any]

    def __init__(self, settings: JwtSettings | None = None, /, **values: object) -> None:
        super().__init__(settings, **values)
        self.clock = Clock()
        self._signals = Signals()
        self._seen: Memory[str, Vouched] = Memory(self.settings.cache_tokens)
        self._shown: Memory[Identity, str] = Memory(self.settings.cache_tokens)

    @property
    def accounts(self) -> bool:
        return self.settings.accounts

    def check(self) -> Iterable[Problem]:
        return mistakes(self.settings)

    def credential(self) -> dict[str, str]:
        return {**HEADER.described(), "bearerFormat": "JWT"}

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncGenerator[None]:
        """Fetch the published keys, and go on without those that do not come soon."""
        if self.settings.accounts:
            self._storage = rungs.storage
        self._signals = rungs.signals
        published = self._issuers.published
        if published:
            flights = [keys.begin(rungs.signals) for keys in published]
            await asyncio.wait(flights, timeout=self.settings.jwks_wait_seconds)
        tasks = [asyncio.create_task(keys.keep_fresh()) for keys in published]
        try:
            yield
        finally:
            await ended(*tasks)

    async def authenticate(self, caller: Caller) -> Identity | None:
        token = HEADER.credential_of(caller)
        if token is None or not has_three_parts(token):
            return None
        verdict = self._verdict(token)
        if isinstance(verdict, NoKey) and await verdict.keys.look_again():
            verdict = self._verdict(token)
        if isinstance(verdict, Vouched):
            identity = await self._bounded(verdict.identity)
            self._shown.put(identity, token)
            return identity
        if isinstance(verdict, NotOurs):
            return None
        self._signals.event("jwt.refused", "debug", reason=verdict.reason)
        if isinstance(verdict, NoKey) and not verdict.keys.usable():
            raise Unavailable("credentials cannot be checked right now", code="auth_unavailable")
        raise Rejected

    async def withdrawn(self, identities: Collection[Identity]) -> Collection[Identity]:
        """Judge again by the tokens that were shown; one that is not remembered has to be shown again."""
        holding: list[Identity] = []
        gone: list[Identity] = []
        for number, identity in enumerate(identities, 1):
            (holding if self._token_holds(identity) else gone).append(identity)
            if number % TURN == 0:
                await asyncio.sleep(0)
        if self.settings.accounts:
            gone += await changed(self._storage, holding)
        return gone

    def issue(self, claims: Mapping[str, Any], seconds: int) -> str:
        """Sign a token as the first issuer that has a shared secret; the caller's `jti` is kept, if there is one."""
        issuer, secret = self._own_issuer()
        now = int(self.clock.now())
        body = {"jti": secrets.token_hex(16), **claims, "iat": now, "exp": now + seconds}
        if issuer.issuer is not None:
            body["iss"] = issuer.issuer
        if issuer.audiences:
            body["aud"] = issuer.audiences[0]
        kind = issuer.types[0] if issuer.types else None
        token = jwt.encode(body, secret.reveal(), issuer.algorithms[0], headers={"typ": kind})
        verdict = self._verdict(token)
        if isinstance(verdict, Unfit):
            raise ValueError(f"a token with these claims would be refused: {verdict.reason}")  # noqa: TRY004 - a wrong value
        return token

    async def _bounded(self, identity: Identity) -> Identity:
        """What is left today of the identity a token vouches for."""
        if not self.settings.accounts:
            return identity
        bounded = await as_of_now(self._storage, identity)
        if bounded is None:
            raise Rejected
        return bounded

    def _token_holds(self, identity: Identity) -> bool:
        token = self._shown.get(identity)
        return token is not None and isinstance(self._verdict(token), Vouched)

    def _verdict(self, token: str) -> Vouched | Unfit:
        """Judge a token, or remember having done so."""
        now = self.clock.now()
        seen = self._seen.get(token)
        if seen is not None and seen.holds(now):
            return seen
        verdict = self._issuers.verdict(token, now)
        if isinstance(verdict, Vouched):
            self._seen.put(token, verdict)
        return verdict

    @cached_property
    def _issuers(self) -> Issuers:
        """Made when they are needed first: what is wrong with the settings is told by `check`, all at once."""
        return Issuers(self.settings, self.clock)

    def _own_issuer(self) -> tuple[IssuerSettings, Secret]:
        for issuer in self.settings.tables.values():
            if issuer.secret is not None:
                return issuer, issuer.secret
        raise StartError(
            "no token can be issued: none of the issuers of this `jwt` authenticator has a shared `secret`; "
            'give one a `secret` and algorithms = ["HS256"], or let people sign in where the tokens come from'
        )
