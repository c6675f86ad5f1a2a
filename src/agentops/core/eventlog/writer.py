"""One writer: whatever waits while a commit runs goes into the next one together."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from agentops.core.errors import Refusal, Unavailable
from agentops.core.ports.storage import Appended

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentops.core.config.settings import EventSettings
    from agentops.core.ports.storage import Append, Storage
    from agentops.core.signals import Signals
    from agentops.core.tracing import Span

REST_MOST_SECONDS: Final = 0.003
BATCH_EVENTS: Final = 4_000
"""A commit is kept short, so that the request that waits behind it is."""


class _Waiting(NamedTuple):
    append: Append
    weight: int
    size: int
    answer: asyncio.Future[Appended]
    span: Span | None


class GroupCommit:
    """A bounded queue before the storage; `on_commit` hears of everything that was stored, in commit order.

    Those who wait are answered before it does: it may wake thousands of streams, and they would go first.
    """

    def __init__(
        self,
        storage: Storage,
        settings: EventSettings,
        signals: Signals,
        on_commit: Callable[[Sequence[tuple[Append, Appended]]], None],
    ) -> None:
        self._storage = storage
        self._settings = settings
        self._signals = signals
        self._on_commit = on_commit
        self._queue: deque[_Waiting] = deque()
        self._queued_events = 0
        self._queued_bytes = 0
        self._work = asyncio.Event()
        self._closing = False

    async def submit(self, append: Append) -> Appended:
        """Return once the events are committed; raise `Unavailable` when they are not going to be."""
        if self._closing:
            raise Unavailable("the server is shutting down", code="draining")
        weight = append.weight
        size = sum(_bytes(event.body) for event in append.events)
        if (
            self._queued_events + weight > self._settings.queue_events
            or self._queued_bytes + size > self._settings.queue_bytes
        ) and self._queued_events:
            self._signals.count("writer.refused_events", weight)
            raise Unavailable("more events arrive than can be stored", code="overloaded")
        self._queued_events += weight
        self._queued_bytes += size
        waiting = _Waiting(append, weight, size, asyncio.get_running_loop().create_future(), self._signals.around())
        self._queue.append(waiting)
        self._work.set()
        return await waiting.answer

    async def run(self) -> None:
        """Commit until `close` was called and nothing waits any more.

        Where another instance writes to the same runs, the two take turns, and a turn is worth the more the more goes
        in it: so this one lets a few gather first.
        """
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._work.clear()
                await self._work.wait()
                continue
            began = time.perf_counter()
            if await self._commit(self._next_batch()):
                await asyncio.sleep(min(REST_MOST_SECONDS, time.perf_counter() - began))

    def close(self) -> None:
        """Take nothing new, and forget what nobody waits for any more: a database that hangs must not hold the exit."""
        self._closing = True
        waiting = [entry for entry in self._queue if not entry.answer.done()]
        self._queue.clear()
        self._queue.extend(waiting)
        self._work.set()

    def _next_batch(self) -> list[_Waiting]:
        batch = [self._queue.popleft()]
        events = batch[0].weight
        while self._queue and events + self._queue[0].weight <= BATCH_EVENTS:
            events += self._queue[0].weight
            batch.append(self._queue.popleft())
        return batch

    async def _commit(self, batch: Sequence[_Waiting]) -> bool:
        """Store a batch and answer whoever waits for it; return whether it had to wait for another instance."""
        began = time.perf_counter_ns()
        outcomes = await self._outcomes([waiting.append for waiting in batch])
        times = began, time.perf_counter_ns()
        for waiting, outcome in zip(batch, outcomes, strict=True):
            self._queued_events -= waiting.weight
            self._queued_bytes -= waiting.size
            if not waiting.answer.done():
                if isinstance(outcome, Refusal):
                    waiting.answer.set_exception(outcome)
                else:
                    waiting.answer.set_result(outcome)
        self._signals.gauge("writer.waiting_events", self._queued_events)
        _trace(batch, outcomes, times)
        try:
            self._on_commit([(w.append, o) for w, o in zip(batch, outcomes, strict=True) if not isinstance(o, Refusal)])
        except Exception as error:  # noqa: BLE001 - a stranger's bus may raise anything, and the next commit waits
            self._signals.event("commit.untold", "error", error=error)
        return any(isinstance(outcome, Appended) and outcome.waited for outcome in outcomes)

    async def _outcomes(self, batch: Sequence[Append]) -> Sequence[Appended | Refusal]:
        began = time.perf_counter()
        try:
            outcomes = await self._storage.append(batch)
            self._signals.observe("commit.seconds", time.perf_counter() - began)
            if len(outcomes) == len(batch):
                return outcomes
            self._signals.event("storage.append_failed", "error", reason="it answered for other appends than it got")
        except Refusal as refusal:
            self._signals.event("storage.unavailable", "warning", reason=refusal.message, appends=len(batch))
            return [refusal] * len(batch)
        except Exception as error:  # noqa: BLE001 - the writer must outlive whatever a storage raises
            self._signals.event("storage.append_failed", "error", error=error)
        return [Unavailable("the events could not be stored", code="storage_unavailable")] * len(batch)


def _trace(batch: Sequence[_Waiting], outcomes: Sequence[Appended | Refusal], times: tuple[int, int]) -> None:
    """The one commit is a part of each of the requests that waited for it."""
    together = {"requests": len(batch), "events": sum(len(waiting.append.events) for waiting in batch)}
    for waiting, outcome in zip(batch, outcomes, strict=True):
        if waiting.span is not None:
            waiting.span.had("commit", times, together, failed=isinstance(outcome, Refusal))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
