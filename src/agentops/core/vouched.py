"""Open streams and who vouched for their readers: a credential that is withdrawn ends them.

A request is judged when it comes. A stream lasts, so its reader is asked about again, together with all others.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from agentops.core.ports.withdrawal import Rechecks

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.core.identity import Identity
    from agentops.core.ports.auth import Authenticator


class _Watched(NamedTuple):
    authenticator: Authenticator
    identity: Identity
    end: Callable[[], None]


class Vouched:
    """Asks each authenticator, every few seconds and when told of a change, which of its identities still hold."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._watched: dict[int, _Watched] = {}
        self._numbers = count()
        self._changed = asyncio.Event()

    def watch(self, authenticator: Authenticator | None, identity: Identity, end: Callable[[], None]) -> int | None:
        """Call `end` once this identity holds no longer; nothing is kept of those that cannot be withdrawn."""
        if authenticator is None or not (isinstance(authenticator, Rechecks) or identity.expires_at is not None):
            return None
        number = next(self._numbers)
        self._watched[number] = _Watched(authenticator, identity, end)
        return number

    def forget(self, number: int | None) -> None:
        if number is not None:
            self._watched.pop(number, None)

    def changed(self) -> None:
        """Some credential or right was changed by this process: ask now."""
        self._changed.set()

    async def step(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), self._seconds)
        self._changed.clear()
        await self.recheck()

    async def recheck(self) -> None:
        """End what has expired, then what its authenticator would not let in again."""
        now = time.time()
        held: dict[Authenticator, set[Identity]] = {}
        for watched in list(self._watched.values()):
            if watched.identity.expires_at is not None and watched.identity.expires_at <= now:
                watched.end()
            else:
                held.setdefault(watched.authenticator, set()).add(watched.identity)
        for authenticator, identities in held.items():
            if isinstance(authenticator, Rechecks):
                withdrawn = set(await authenticator.withdrawn(identities))
                for watched in list(self._watched.values()):
                    if watched.authenticator is authenticator and watched.identity in withdrawn:
                        watched.end()
