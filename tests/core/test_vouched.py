"""Open streams and those who vouched for them: each authenticator is asked for itself, whatever becomes of another."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops.core.forever import forever
from agentops.core.identity import Identity
from agentops.core.plugin import NoSettings
from agentops.core.ports.auth import Authenticator, Caller
from agentops.core.signals import Signals
from agentops.core.vouched import Vouched
from tests.core.parts import Kept, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

LONG = 3600.0
ADA, BOB = Identity("ada"), Identity("bob")


class Plain(Authenticator[NoSettings]):
    """Vouches for everybody, and is asked no more."""

    async def authenticate(self, caller: Caller) -> Identity | None:
        return ADA


class Rechecking(Plain):
    """Has withdrawn whom it is told to, and keeps whom it was asked about."""

    __hash__: Any = None  # a stranger's class that defines `__eq__` is like that

    def __init__(self) -> None:
        super().__init__()
        self.gone: set[Identity] = set()
        self.asked: list[set[Identity]] = []

    async def withdrawn(self, identities: Collection[Identity]) -> Collection[Identity]:
        self.asked.append(set(identities))
        return [identity for identity in identities if identity in self.gone]


class Hanging(Rechecking):
    """Answers once it is let go, with what was true when it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def withdrawn(self, identities: Collection[Identity]) -> Collection[Identity]:
        answer = await super().withdrawn(identities)
        await self.go.wait()
        return answer


class Failing(Rechecking):
    async def withdrawn(self, identities: Collection[Identity]) -> Collection[Identity]:
        await super().withdrawn(identities)
        raise RuntimeError("out of luck")


class Talking(Rechecking):
    """Returns what nobody asked for."""

    async def withdrawn(self, identities: Collection[Identity]) -> Any:
        await super().withdrawn(identities)
        return [["nonsense"]]


class Open:
    """An open stream, which knows whether it was ended."""

    def __init__(self, vouched: Vouched, authenticator: Authenticator | None, identity: Identity) -> None:
        self.ended = asyncio.Event()
        self.watch = vouched.watch(authenticator, identity, self.ended.set)

    async def is_ended(self) -> None:
        async with asyncio.timeout(10):
            await self.ended.wait()


@asynccontextmanager
async def stepping(seconds: float, told: Kept) -> AsyncIterator[Vouched]:
    """As a kit runs it."""
    vouched, signals = Vouched(seconds), Signals()
    with signals.told_to(told):
        task = asyncio.create_task(forever(signals, "vouched", vouched.step))
        try:
            yield vouched
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def told() -> Kept:
    return Kept()


@pytest_asyncio.fixture
async def vouched(told: Kept) -> AsyncIterator[Vouched]:
    """Asks when it is told of a change, and otherwise never."""
    async with stepping(LONG, told) as vouched:
        yield vouched


@pytest_asyncio.fixture
async def polling(told: Kept) -> AsyncIterator[Vouched]:
    async with stepping(0.01, told) as vouched:
        yield vouched


async def test_who_is_withdrawn_is_ended_and_nobody_else(vouched: Vouched) -> None:
    authenticator = Rechecking()
    first, second, other = (Open(vouched, authenticator, identity) for identity in (ADA, ADA, BOB))
    authenticator.gone.add(ADA)
    vouched.changed()
    await first.is_ended()
    await second.is_ended()
    assert not other.ended.is_set()
    assert authenticator.asked == [{ADA, BOB}]


async def test_a_change_elsewhere_is_seen_within_the_interval(polling: Vouched) -> None:
    authenticator = Rechecking()
    stream = Open(polling, authenticator, ADA)
    await until(lambda: len(authenticator.asked) > 2)
    assert not stream.ended.is_set()
    authenticator.gone.add(ADA)
    await stream.is_ended()


async def test_one_that_hangs_keeps_only_its_own_streams_open(vouched: Vouched) -> None:
    hanging, other = Hanging(), Rechecking()
    held, stream = Open(vouched, hanging, ADA), Open(vouched, other, ADA)
    hanging.gone.add(ADA)
    vouched.changed()
    await until(lambda: hanging.asked)
    other.gone.add(ADA)
    vouched.changed()
    await stream.is_ended()
    assert not held.ended.is_set()
    hanging.go.set()
    await held.is_ended()


async def test_a_change_while_it_is_asked_makes_it_be_asked_again(vouched: Vouched) -> None:
    hanging = Hanging()
    stream = Open(vouched, hanging, ADA)
    vouched.changed()
    await until(lambda: hanging.asked)
    hanging.gone.add(ADA)
    vouched.changed()
    hanging.go.set()
    await stream.is_ended()
    assert len(hanging.asked) == 2


@pytest.mark.parametrize("kind", [Failing, Talking])
async def test_one_that_fails_is_told_and_asked_again_and_ends_no_other(
    polling: Vouched, told: Kept, kind: type[Rechecking]
) -> None:
    failing, other = kind(), Rechecking()
    own, stream = Open(polling, failing, ADA), Open(polling, other, ADA)
    await until(lambda: told.named("vouched.failed") and len(failing.asked) > 1)
    other.gone.add(ADA)
    await stream.is_ended()
    assert not own.ended.is_set()


async def test_what_it_failed_with_is_told(vouched: Vouched, told: Kept) -> None:
    Open(vouched, Failing(), ADA)
    vouched.changed()
    await until(lambda: told.named("vouched.failed"))
    level, fields = told.only("vouched.failed")
    assert level == "error"
    assert str(fields["error"]) == "out of luck"


@pytest.mark.parametrize("kind", [Plain, Rechecking, Hanging])
async def test_what_expires_is_ended_whoever_vouched_for_it(polling: Vouched, kind: type[Authenticator[Any]]) -> None:
    authenticator = kind()
    now = time.time()
    ends, lasts = (Open(polling, authenticator, Identity("ada", expires_at=now + left)) for left in (0.1, LONG))
    await asyncio.sleep(0)
    assert not ends.ended.is_set()
    await ends.is_ended()
    assert time.time() >= now + 0.1
    assert not lasts.ended.is_set()
    for stream in (ends, lasts):
        polling.forget(stream.watch)
    assert polling._readers == {}


async def test_nothing_is_kept_of_those_that_cannot_be_withdrawn(vouched: Vouched) -> None:
    assert Open(vouched, None, Identity("anonymous", expires_at=1)).watch is None
    assert Open(vouched, Plain(), ADA).watch is None
    vouched.forget(None)
    assert vouched._readers == {}


async def test_nobody_is_asked_about_a_stream_that_has_ended(vouched: Vouched) -> None:
    await asyncio.sleep(0)
    before, authenticator, hanging = asyncio.all_tasks(), Rechecking(), Hanging()
    ended, open_still = Open(vouched, authenticator, ADA), Open(vouched, authenticator, BOB)
    alone = Open(vouched, hanging, ADA)
    vouched.changed()
    await until(lambda: hanging.asked and authenticator.asked)
    for stream in (ended, alone):
        vouched.forget(stream.watch)
    vouched.changed()
    await until(lambda: len(authenticator.asked) == 2)
    assert authenticator.asked[-1] == {BOB}
    hanging.go.set()
    vouched.forget(open_still.watch)
    assert vouched._readers == {}
    await until(lambda: len(asyncio.all_tasks()) == len(before))
    assert not alone.ended.is_set()


async def test_an_authenticator_is_asked_again_for_those_who_come_later(vouched: Vouched) -> None:
    authenticator = Rechecking()
    vouched.forget(Open(vouched, authenticator, ADA).watch)
    stream = Open(vouched, authenticator, BOB)
    authenticator.gone.add(BOB)
    vouched.changed()
    await stream.is_ended()
