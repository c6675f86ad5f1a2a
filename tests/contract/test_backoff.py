"""`backoff`: what is tried again and when, what is not, and what is told of it."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from agentops.core.errors import Unavailable
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.retry.backoff import Backoff
from agentops.plugins.retry.backoff._faults import fault_of
from agentops.plugins.retry.backoff._target import Target
from agentops.testing.retry import RetryContract
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

QUICK = {"base_seconds": 0.001, "most_seconds": 0.004}
AT_ONCE = 5.0
"""Far less than what a wait that was not to be would take, far more than what none takes."""

Script = list[tuple[int, dict[str, str]]]


class TestBackoff(RetryContract):
    @pytest.fixture
    def retry(self) -> Backoff:
        return Backoff(**QUICK, breaker_faults=10_000)


class Provider:
    """A real HTTP server that answers what its script says, and its last line for ever."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked = 0
        self.url = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        status, headers = self.script[min(self.asked, len(self.script) - 1)]
        self.asked += 1
        if status:
            lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
            writer.write("\r\n".join([*lines, "content-length: 0", "connection: close", "", ""]).encode())
            await writer.drain()
        writer.close()

    async def ask(self) -> int:
        async with httpx.AsyncClient(timeout=5) as client:
            return (await client.get(self.url)).raise_for_status().status_code


@asynccontextmanager
async def provider(*script: tuple[int, dict[str, str]]) -> AsyncIterator[Provider]:
    it = Provider(list(script))
    server = await asyncio.start_server(it.answer, "127.0.0.1", 0)
    async with server:
        it.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield it


@asynccontextmanager
async def started(**settings: Any) -> AsyncIterator[tuple[Backoff, Kept]]:
    retry, told, signals = Backoff(**{**QUICK, **settings}), Kept(), Signals()
    with signals.told_to(told):
        async with retry.life(Rungs(signals=signals)):
            yield retry, told


def names(told: Kept) -> list[str]:
    return [name for name, _, _ in told.events]


async def test_what_may_succeed_is_tried_again_and_told() -> None:
    async with provider((503, {}), (429, {}), (200, {})) as target, started(events="assist.llm") as (retry, told):
        assert await retry.call("draft", target.ask, labels={"adapter": "openai", "model": "m"}) == 200
    assert target.asked == 3
    assert names(told) == ["assist.llm.retry", "assist.llm.retry", "assist.llm.retry_success"]
    about = {"operation": "draft", "adapter": "openai", "model": "m"}
    for _, _, fields in told.events:
        assert fields.items() >= about.items()
    assert [fields["reason"] for fields in told.named("assist.llm.retry")] == ["503", "429"]
    assert [(kind, name, labels) for kind, name, _, labels in told.figures] == [
        ("observe", "llm.retry.delay_ms", about)
    ] * 2


async def test_a_target_that_stays_down_is_given_up_with_its_own_error() -> None:
    async with provider((500, {})) as target, started() as (retry, told):
        with pytest.raises(httpx.HTTPStatusError, match="500"):
            await retry.call("draft", target.ask)
    assert target.asked == 3
    assert names(told)[-1] == "llm.retry_exhausted"
    assert [name for kind, name, _, _ in told.figures if kind == "count"] == ["llm.retry_exhausted"]


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ((408, {}), 3),
        ((504, {}), 3),
        ((400, {}), 1),
        ((401, {}), 1),
        ((404, {}), 1),
        ((501, {}), 1),
        ((400, {"x-should-retry": "true"}), 3),
        ((503, {"x-should-retry": "false"}), 1),
        ((503, {"X-Should-Retry": "perhaps"}), 3),
        ((0, {}), 3),
    ],
    ids=str,
)
async def test_the_answer_says_whether_there_is_a_point(answer: tuple[int, dict[str, str]], asked: int) -> None:
    async with provider(answer) as target, started() as (retry, _):
        with pytest.raises(httpx.HTTPError):
            await retry.call("draft", target.ask)
    assert target.asked == asked


async def test_a_connection_that_is_refused_is_tried_again() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port, made = nobody.getsockname()[1], 0

        async def ask() -> None:
            nonlocal made
            made += 1
            await asyncio.open_connection("127.0.0.1", port)

        async with started() as (retry, _):
            with pytest.raises(ConnectionRefusedError):
                await retry.call("draft", ask)
    assert made == 3


async def test_a_time_out_of_an_attempt_is_tried_again_and_the_callers_own_is_not() -> None:
    made = 0

    async def hang() -> None:
        nonlocal made
        made += 1
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    async with started() as (retry, _):
        with pytest.raises(TimeoutError):
            await retry.call("draft", hang)
        assert made == 3
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await retry.call("draft", hang)
    assert made == 4


async def test_the_target_may_ask_for_time() -> None:
    for headers in ({"retry-after": "0.2"}, {"Retry-After-Ms": "200", "retry-after": "900"}):
        async with provider((429, headers), (200, {})) as target, started() as (retry, told):
            began = time.monotonic()
            await retry.call("draft", target.ask)
            assert 0.2 <= time.monotonic() - began < AT_ONCE
        (again,) = told.named("llm.retry")
        assert again["delay_ms"] == 200


@pytest.mark.parametrize(
    "headers",
    [{"retry-after": "900"}, {"retry-after-ms": "900000"}, {"retry-after": formatdate(time.time() + 900, usegmt=True)}],
    ids=lambda headers: next(iter(headers)),
)
async def test_one_that_asks_for_more_than_the_bound_is_handed_on(headers: dict[str, str]) -> None:
    async with provider((503, headers)) as target, started() as (retry, told):
        with pytest.raises(httpx.HTTPStatusError) as raised:
            await retry.call("draft", target.ask)
    assert raised.value.response.headers.items() >= headers.items()
    assert target.asked == 1
    assert names(told) == ["llm.retry_exhausted"]


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "", "1e999", "Wed, 99 Foo 2026", "٣"])
def test_a_wait_that_makes_no_sense_was_not_asked_for(text: str) -> None:
    response = httpx.Response(503, request=httpx.Request("GET", "http://x"), headers=[(b"retry-after", text.encode())])
    error = httpx.HTTPStatusError("", request=response.request, response=response)
    assert fault_of(error, {503}).wait is None


async def test_nobody_is_made_to_wait_past_his_own_time() -> None:
    async with provider((503, {"retry-after": "2"})) as target, started() as (retry, _):
        began = time.monotonic()
        with pytest.raises(httpx.HTTPStatusError):
            await retry.call("draft", target.ask, seconds=1)
        assert time.monotonic() - began < 1
    assert target.asked == 1


async def test_a_caller_who_leaves_during_the_wait_ends_it() -> None:
    async with provider((503, {"retry-after": "20"})) as target, started() as (retry, told):
        calling = asyncio.create_task(retry.call("draft", target.ask))
        async with asyncio.timeout(AT_ONCE):
            while not told.events:  # noqa: ASYNC110 - the sink tells nobody
                await asyncio.sleep(0.001)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
    assert target.asked == 1


async def waits(status: int, **settings: Any) -> Sequence[int]:
    """The first waits of many calls, in milliseconds, that a base of a second would give; none is waited for."""
    found = []
    async with provider((status, {})) as target, started(**settings) as (retry, told):
        error: list[Exception] = []
        try:
            await target.ask()
        except httpx.HTTPStatusError as raised:
            error.append(raised)

        async def fail() -> None:
            raise error[0]

        for _ in range(200):
            retry._targets.clear()
            calling = asyncio.create_task(retry.call("draft", fail))
            await asyncio.sleep(0)
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
        found = [int(str(fields["delay_ms"])) for fields in told.named("llm.retry")]
    assert len(found) == 200
    return found


@pytest.mark.parametrize(
    ("status", "settings", "least", "most"),
    [
        (503, {}, 0, 1000),
        (429, {}, 500, 1000),
        (503, {"jitter": 0.2}, 800, 1200),
        (429, {"jitter": 0.0}, 1000, 1000),
    ],
    ids=["fault", "throttled", "share", "none"],
)
async def test_waits_vary_as_they_should(status: int, settings: dict[str, Any], least: int, most: int) -> None:
    found = await waits(status, base_seconds=1, most_seconds=8, **settings)
    span = most - least
    assert least <= min(found) <= least + 0.1 * span
    assert most - 0.1 * span <= max(found) <= most


async def test_waits_grow_up_to_a_bound() -> None:
    async with (
        provider((503, {})) as target,
        started(attempts=6, jitter=0.0, base_seconds=0.01, most_seconds=0.04) as (retry, told),
    ):
        with pytest.raises(httpx.HTTPStatusError):
            await retry.call("draft", target.ask)
    assert [fields["delay_ms"] for fields in told.named("llm.retry")] == [10, 20, 40, 40, 40]


@pytest.mark.parametrize("at_once", [1, 25])
async def test_a_target_that_is_wholly_down_is_hardly_asked_more_often(at_once: int) -> None:
    made = 0

    async def fail() -> None:
        nonlocal made
        made += 1
        raise ConnectionError

    async with started(breaker_faults=10_000) as (retry, _):
        for _ in range(200 // at_once):
            calls = (retry.call("draft", fail, target="provider") for _ in range(at_once))
            assert all(await asyncio.gather(*calls, return_exceptions=True))
    assert 200 < made <= 1.2 * 200


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_breaker_opens_lets_one_try_and_closes() -> None:
    clock = Clock()
    target = Target(3, 30, clock)
    assert [target.failed() for _ in range(3)] == [False, False, True]
    clock.now = 29
    assert target.closed_for() == 1
    assert not target.may_be_asked_again()
    clock.now = 31
    assert target.closed_for() is None
    assert target.closed_for() == 30, "one is trying"
    assert target.failed()
    assert target.closed_for() == 30
    clock.now = 62
    assert target.closed_for() is None
    target.left()
    assert target.closed_for() is None
    assert target.answered()
    assert target.closed_for() is None


async def test_a_target_that_fails_again_and_again_is_left_alone_and_others_are_not() -> None:
    made = 0

    async def fail() -> None:
        nonlocal made
        made += 1
        raise ConnectionError

    async def succeed() -> str:
        return "fine"

    async with started(breaker_faults=4, breaker_seconds=0.2) as (retry, told):
        outcomes = [
            (await asyncio.gather(retry.call("draft", fail, target="down"), return_exceptions=True))[0]
            for _ in range(5)
        ]
        assert made == 4
        assert [type(outcome) for outcome in outcomes[:2]] == [ConnectionError] * 2
        for outcome in outcomes[2:]:
            assert isinstance(outcome, Unavailable)
            assert (outcome.code, outcome.headers["Retry-After"]) == ("target_down", "1")
            assert "down failed 4 times in a row" in outcome.message
        assert await retry.call("draft", succeed, target="up") == "fine"
        await asyncio.sleep(0.21)
        assert await retry.call("draft", succeed, target="down") == "fine"
    assert names(told).count("llm.breaker_opened") == 1
    assert names(told)[-1] == "llm.breaker_closed"


async def test_what_a_target_merely_refuses_opens_no_breaker() -> None:
    async with provider((401, {})) as target, started(breaker_faults=1) as (retry, told):
        for _ in range(3):
            with pytest.raises(httpx.HTTPStatusError):
                await retry.call("draft", target.ask)
    assert target.asked == 3
    assert names(told) == []


async def test_many_targets_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentops.plugins.retry.backoff.plugin.TARGETS_MOST", 3)

    async def succeed() -> None: ...

    async with started() as (retry, _):
        for name in "abcad":
            await retry.call("draft", succeed, target=name)
        assert list(retry._targets) == ["c", "a", "d"]


class Odd(Exception):
    """What no library raises, or any might."""


@pytest.mark.parametrize(
    ("attributes", "again"),
    [
        ({}, False),
        ({"status_code": 503}, True),
        ({"status": 503, "headers": None}, True),
        ({"status": "503"}, False),
        ({"response": httpx.Response(503)}, True),
        ({"status_code": 503, "headers": {"x-should-retry": " FALSE "}}, False),
    ],
    ids=str,
)
def test_any_librarys_error_is_read(attributes: dict[str, Any], again: bool) -> None:
    error = Odd()
    for name, value in attributes.items():
        setattr(error, name, value)
    assert fault_of(error, {503}).again is again


def test_waits_that_would_never_grow_are_a_problem() -> None:
    (problem,) = Backoff(base_seconds=9, most_seconds=5).check()
    assert problem.key == "base_seconds"
