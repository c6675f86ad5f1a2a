"""Open streams and who vouched for their readers: a credential that is withdrawn ends them.

A request is judged when it comes. A stream lasts, so its reader is asked about again, together with all others.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from agentops.core.ports.bus import CREDENTIALS, Ring
from agentops.core.ports.withdrawal import Rechecks
from agentops.core.serving import apart

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from agentops.core.identity import Identity
    from agentops.core.ports.auth import Authenticator
    from agentops.core.ports.bus import Bus


class Vouched:
    """Asks each authenticator, every few seconds and when told of a change, which of its identities still hold.

    Each answers for itself: one that hangs or fails keeps only its own streams open, until it answers again.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._numbers = count()
        self._readers: dict[int, _Readers] = {}
        self._failing = asyncio.Event()
        self._failure: Exception | None = None
        self._tell_others: Callable[[], None] = lambda: None

    def watch(self, authenticator: Authenticator | None, identity: Identity, end: Callable[[], None]) -> Watch | None:
        """Call `end` once this identity holds no longer; nothing is kept of those that cannot be withdrawn."""
        if authenticator is None or not (isinstance(authenticator, Rechecks) or identity.expires_at is not None):
            return None
        watch = Watch(id(authenticator), next(self._numbers))
        if watch.authenticator not in self._readers:
            self._readers[watch.authenticator] = _Readers(authenticator, self._seconds, self._fail)
        self._readers[watch.authenticator].streams[watch.number] = _Stream(identity, end)
        return watch

    def forget(self, watch: Watch | None) -> None:
        """To be called when the stream has ended, whatever ended it."""
        if watch is not None:
            readers = self._readers[watch.authenticator]
            del readers.streams[watch.number]
            if not readers.streams:
                readers.close()
                del self._readers[watch.authenticator]

    @contextmanager
    def in_touch_with(self, bus: Bus[Any]) -> Generator[None]:
        """Tell the other instances of a change, and hear of theirs, for as long as the block lasts."""
        name, changes = secrets.token_hex(8), count(1)
        self._tell_others = lambda: bus.ring(Ring(CREDENTIALS, name, next(changes)))
        silence = bus.listen(lambda ring: self._ask_now() if ring.project == CREDENTIALS else None)
        try:
            yield
        finally:
            silence()

    def changed(self) -> None:
        """Some credential or right was changed by this process: ask now, here and everywhere."""
        self._ask_now()
        self._tell_others()

    def _ask_now(self) -> None:
        for readers in self._readers.values():
            readers.changed.set()

    async def step(self) -> None:
        """End what has expired, every few seconds; raise what an authenticator raised, as soon as one does."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._failing.wait(), self._seconds)
        now = time.time()
        for readers in list(self._readers.values()):
            readers.end(lambda identity: identity.expires_at is not None and identity.expires_at <= now)
        if self._failure is not None:
            failure, self._failure = self._failure, None
            self._failing.clear()
            raise failure

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._failing.set()


class Watch(NamedTuple):
    """What is given up by `forget`."""

    authenticator: int
    number: int


class _Stream(NamedTuple):
    identity: Identity
    end: Callable[[], None]


class _Readers:
    """The streams whose readers one authenticator vouched for. It is asked for as long as there are any."""

    def __init__(self, authenticator: Authenticator, seconds: float, fail: Callable[[Exception], None]) -> None:
        self.streams: dict[int, _Stream] = {}
        self.changed = asyncio.Event()
        self._seconds = seconds
        self._fail = fail
        rechecks = authenticator if isinstance(authenticator, Rechecks) else None
        self._asking = apart(self._ask_on(rechecks)) if rechecks is not None else None
        self._vouched_by = authenticator
        """Kept, for it is known by its `id`."""

    def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def end(self, ends: Callable[[Identity], bool]) -> None:
        for stream in list(self.streams.values()):
            if ends(stream.identity):
                stream.end()

    async def _ask_on(self, authenticator: Rechecks) -> None:
        """A change that comes while it is asked may be missing from its answer, so it is asked once more."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.changed.wait(), self._seconds)
            self.changed.clear()
            try:
                withdrawn = frozenset(await authenticator.withdrawn({each.identity for each in self.streams.values()}))
            except Exception as error:  # noqa: BLE001 - whatever it raises, it is asked again
                self._fail(error)
            else:
                self.end(withdrawn.__contains__)
