"""Who reads a page: the replica where a late answer is the same as a timely one, the primary everywhere else.

A page that is full is final. Within a run ids are committed in their order, and the feed holds back what stands behind
a transaction that may still commit, on a standby as on the primary; so what is seen of either is unbroken, and nothing
appears between two events later. Only at the end can a replica lack something, and a full page does not reach it.
A page that is not full is thrown away, and asked of the primary.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from agentops.plugins.storage.postgres import _reads

if TYPE_CHECKING:
    from agentops.core.ports.storage import FeedItem, Page, PageQuery
    from agentops.core.records import StoredEvent
    from agentops.core.signals import Signals
    from agentops.plugins.storage.postgres._pool import Pool
    from agentops.plugins.storage.postgres._replica import Replica

ENDS_MOST: Final = 10_000

Place = tuple[str, ...]
T = TypeVar("T")


class Ends:
    """Where the newest pages of runs and feeds ended; whoever goes on from there is unlikely to get a full one."""

    def __init__(self) -> None:
        self._ends: dict[Place, int | str | None] = {}

    def is_at(self, place: Place, cursor: int | str | None) -> bool:
        return place in self._ends and self._ends[place] == cursor

    def forget(self, place: Place) -> None:
        self._ends.pop(place, None)

    def note(self, place: Place, cursor: int | str | None) -> None:
        self.forget(place)
        self._ends[place] = cursor
        if len(self._ends) > ENDS_MOST:
            del self._ends[next(iter(self._ends))]


class Pages:
    """Reads pages; without a replica, from the primary."""

    def __init__(self, primary: Pool, replica: Replica | None, signals: Signals) -> None:
        self._primary = primary
        self._replica = replica
        self._signals = signals
        self._ends = Ends()

    async def page(self, query: PageQuery) -> Page:
        question: _Question[Page] = _Question(
            place=(query.project, query.run),
            cursor=query.after,
            ask=lambda connection: _reads.page(connection, query),
            is_full=lambda page: _is_full(page.events, query.limit, query.max_bytes),
            end=lambda page: page.events[-1].id if page.events else query.after,
        )
        return await self._read(question)

    async def feed(self, project: str, after: str | None, limit: int, max_bytes: int) -> Sequence[FeedItem]:
        question: _Question[Sequence[FeedItem]] = _Question(
            place=(project,),
            cursor=after,
            ask=lambda connection: _reads.feed(connection, project, after, limit, max_bytes),
            is_full=lambda items: _is_full([item.event for item in items], limit, max_bytes),
            end=lambda items: items[-1].cursor if items else after,
        )
        return await self._read(question)

    async def _read(self, question: _Question[T]) -> T:
        if self._replica is None:
            return await self._from_primary(question)
        if not self._ends.is_at(question.place, question.cursor):
            late = await self._replica.ask(question.ask)
            if late is not None and question.is_full(late):
                self._signals.count("pages.read", by="replica")
                return late
        page = await self._from_primary(question)
        self._signals.count("pages.read", by="primary")
        if question.is_full(page):
            self._ends.forget(question.place)
        else:
            self._ends.note(question.place, question.end(page))
        return page

    async def _from_primary(self, question: _Question[T]) -> T:
        async with self._primary.driver() as connection:
            return await question.ask(connection)


@dataclass(frozen=True, slots=True)
class _Question(Generic[T]):
    """A page of something behind a cursor, and what is to be known of an answer."""

    place: Place
    cursor: int | str | None
    ask: Callable[[Any], Awaitable[T]]
    is_full: Callable[[T], bool]
    end: Callable[[T], int | str | None]


def _is_full(events: Sequence[StoredEvent], limit: int, max_bytes: int) -> bool:
    """Whether the page ended because of what it may hold, and not because there was no more."""
    return len(events) >= limit or sum(len(event.body.encode()) for event in events) >= max_bytes
