"""The published keys of one issuer, kept fresh in the background, and within a bound when they cannot be."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Final

from agentops.core.discovery import where_raised
from agentops.core.signals import Signals
from agentops.plugins.auth.jwt._fetching import NotFetched, fetch
from agentops.plugins.auth.jwt._key_set import published

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentops.plugins.auth.jwt._clock import Clock
    from agentops.plugins.auth.jwt._keys import Key
    from agentops.plugins.auth.jwt.settings import JwtSettings

MOST_WAITING: Final = 64
"""All who wait go on in the same turn of the loop; more of them would hold up everybody else."""


class PublishedKeys:
    """At most one fetch at a time, in a thread of its own; everything else happens on the loop."""

    def __init__(self, url: str, issuer: str, settings: JwtSettings, clock: Clock) -> None:
        self._url = url
        self._issuer = issuer
        self._settings = settings
        self._clock = clock
        self._signals = Signals()
        self._keys: tuple[Key, ...] = ()
        self._fetched_at: float | None = None
        self._may_ask_at: float | None = None
        self._last_failed = False
        self._flight: asyncio.Future[None] | None = None
        self._waiting = 0
        self.generation = 0

    def usable(self) -> bool:
        """Whether there are keys, and they were published not too long ago."""
        if self._fetched_at is None:
            return False
        return self._clock.steady() < self._fetched_at + self._settings.jwks_stale_seconds

    def fitting(self, algorithm: str, kid: str | None) -> Sequence[Key]:
        return [key for key in self._keys if kid in {None, key.kid} and key.fits(algorithm)]

    async def look_again(self) -> bool:
        """Wait a little for a fetch, if there is one or may be one; say whether it is worth looking again."""
        flight = self._flight
        if flight is None:
            now = self._clock.steady()
            if self._may_ask_at is not None and now < self._may_ask_at:
                return False
            self._may_ask_at = now + self._settings.jwks_cooldown_seconds
            flight = self.fetch()
        if self._waiting >= MOST_WAITING:
            return False
        self._waiting += 1
        try:
            await asyncio.wait([flight], timeout=self._settings.jwks_wait_seconds)
        finally:
            self._waiting -= 1
        return flight.done()

    def begin(self, signals: Signals) -> asyncio.Future[None]:
        """Start the first fetch; one that a former start left behind is nobody's any more."""
        self._signals = signals
        self._flight = None
        return self.fetch()

    async def keep_fresh(self) -> None:
        """Fetch again and again, for ever."""
        refresh = self._settings.jwks_refresh_seconds
        while True:
            await asyncio.sleep(min(refresh, self._settings.jwks_cooldown_seconds) if self._last_failed else refresh)
            await asyncio.wait([self.fetch()])

    def fetch(self) -> asyncio.Future[None]:
        """Start a fetch, unless there is one under way; its result is in the keys, and not in the future."""
        if self._flight is None:
            loop = asyncio.get_running_loop()
            flight: asyncio.Future[None] = loop.create_future()
            asked_at = self._clock.steady()
            Thread(
                target=self._in_thread, args=(loop, flight, asked_at), name=f"jwks of {self._issuer}", daemon=True
            ).start()
            self._flight = flight
        return self._flight

    def _in_thread(self, loop: asyncio.AbstractEventLoop, flight: asyncio.Future[None], asked_at: float) -> None:
        outcome: tuple[Key, ...] | str
        try:
            outcome = published(fetch(self._url))
        except NotFetched as error:
            outcome = str(error)
        except ValueError:
            outcome = "what is there is no set of keys"
        except Exception as error:  # noqa: BLE001 - without an answer from here nobody would ever ask again
            outcome = where_raised(error)
        with suppress(RuntimeError):  # the loop is closed, and nobody waits
            loop.call_soon_threadsafe(self._arrived, flight, asked_at, outcome)

    def _arrived(self, flight: asyncio.Future[None], asked_at: float, outcome: tuple[Key, ...] | str) -> None:
        if flight is not self._flight:
            return
        self._flight = None
        self._last_failed = isinstance(outcome, str)
        if isinstance(outcome, str):
            self._signals.event("jwks.failed", "warning", issuer=self._issuer, reason=outcome)
        else:
            self._fetched_at = asked_at
            if outcome != self._keys:
                self._keys = outcome
                self.generation += 1
        flight.set_result(None)
