"""What the parts of the storage contract have in common."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from agentops.core.ports.storage import Append, Appended, FeedItem, PageQuery, Storage
from agentops.core.records import NewEvent, Status, StoredEvent
from agentops.core.rungs import Rungs

AnyStorage: TypeAlias = Storage[Any]
MakeStorage: TypeAlias = Callable[[], AnyStorage]

PLENTY = 10_000_000


def body(text: object = "x") -> str:
    return f'{{"ts":1,"type":"test","level":"info","agentId":null,"taskId":null,"payload":"{text}"}}'


def an_append(
    run: str = "run", *texts: object, project: str = "p", keys: Sequence[str] = (), status: Status | None = None
) -> Append:
    """Events with these payloads, followed by one for each key."""
    plain = [NewEvent(body(text)) for text in texts]
    return Append(project, run, [*plain, *(NewEvent(body(key), key) for key in keys)], status)


async def stored(storage: AnyStorage, *batch: Append) -> list[Appended]:
    """Append, and take it for granted that nothing is refused."""
    answers = await storage.append(batch)
    assert len(answers) == len(batch)
    accepted = [answer for answer in answers if isinstance(answer, Appended)]
    assert len(accepted) == len(batch), answers
    return accepted


async def all_of(storage: AnyStorage, run: str = "run", project: str = "p") -> Sequence[StoredEvent]:
    return (await storage.page(PageQuery(project, run, 0, PLENTY, PLENTY))).events


async def whole_feed(storage: AnyStorage, project: str = "p", after: str | None = None) -> Sequence[FeedItem]:
    return await storage.feed(project, after, PLENTY, PLENTY)


class StorageTests:
    """The fixtures: `make_storage` is the subclass's to give, `storage` is one that was started."""

    @pytest.fixture
    def make_storage(self) -> MakeStorage:
        raise NotImplementedError("give a fixture `make_storage`: a function that makes storages on one new database")

    @pytest_asyncio.fixture
    async def storage(self, make_storage: MakeStorage) -> AsyncIterator[AnyStorage]:
        storage = make_storage()
        async with storage.life(Rungs()):
            yield storage
