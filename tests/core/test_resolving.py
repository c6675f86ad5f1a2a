"""Names are looked up once in a while, by one thread at a time, and nobody has to wait for one that hangs."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from agentops.core import resolving
from agentops.core.resolving import Resolver
from tests.core.parts import until


def resolver(host: str) -> Resolver:
    return Resolver(host, 80, socket.SOCK_STREAM)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_name_has_addresses(host: str) -> None:
    assert (socket.AF_INET, ("127.0.0.1", 80)) in await resolver(host).addresses()


@pytest.mark.parametrize("host", ["nobody.invalid", "nobody..invalid", "x" * 64])
async def test_a_name_that_nobody_has_is_an_error_each_time(host: str) -> None:
    nobody = resolver(host)
    for _ in range(2):
        with pytest.raises(OSError, match=r".") as raised:
            await nobody.addresses()
        assert isinstance(raised.value, socket.gaierror)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found, asked = socket.getaddrinfo, list[str]()

    def count(host: str, port: int, **options: int) -> object:
        asked.append(host)
        return found("127.0.0.1", port, **options)

    monkeypatch.setattr(socket, "getaddrinfo", count)
    return asked


async def test_it_is_remembered_for_a_while(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    name = resolver("localhost")
    assert await name.addresses() is await name.addresses()
    assert asked == ["localhost"]
    monkeypatch.setattr(resolving, "REMEMBERED_SECONDS", 0)
    name = resolver("localhost")
    for _ in range(3):
        await name.addresses()
    assert len(asked) == 4


def test_one_that_hangs_is_asked_once_and_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answer, name = list[threading.Thread](), threading.Event(), resolver("slow.invalid")

    def hang(*_: object, **__: object) -> object:
        asked.append(threading.current_thread())
        answer.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def give_up() -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await name.addresses()

    asyncio.run(give_up())
    (thread,) = asked
    assert thread.daemon
    answer.set()
    thread.join(10)


async def test_an_answer_that_nobody_waits_for_any_more_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, name = threading.Event(), resolver("slow.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(10) and [])
    asking = asyncio.create_task(name.addresses())
    await asyncio.sleep(0)
    assert name._asked is not None
    name._asked.cancel()
    answer.set()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: all(thread.name != "agentops resolver" for thread in threading.enumerate()))
    await asyncio.sleep(0)
