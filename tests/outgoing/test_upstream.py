"""Calls to a provider: where they go, how long they may take, and what becomes of their connections."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Final

import pytest

from agentops.core.ports.model import ModelFault, ModelLost
from agentops.core.secret import Secret
from agentops.outgoing import ProviderSettings, Upstream, wrong_settings
from agentops.outgoing.exchange import WAITING_MOST
from agentops.testing.provider import FakeProvider, Fault
from tests.core.certificates import self_signed
from tests.core.parts import until
from tests.outgoing.parts import BODY, MOST, PATH, STREAMED, answer_of, ask, reaching

if TYPE_CHECKING:
    from pathlib import Path

HELD: Final = Fault(then="hold", after=0)
SOON: Final = 0.1
ENDLESS: Final = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"


async def test_a_connection_serves_one_call_after_another(provider: FakeProvider) -> None:
    async with reaching(provider) as upstream:
        for _ in range(5):
            await ask(upstream)
            assert provider.connections == 1
    await until(lambda: provider.connections == 0)


async def test_what_is_sent_is_what_was_given(provider: FakeProvider) -> None:
    async with reaching(provider, headers={"x-team": Secret("red")}) as upstream:
        await ask(upstream, Authorization="Bearer mine")
    (request,) = provider.requests
    assert request.body == BODY
    assert request.headers["authorization"] == "Bearer mine"
    assert request.headers["x-team"] == "red"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["host"] == provider.url.removeprefix("http://")


@pytest.mark.parametrize("value", ["", " a", "a\r\nHost: b", "a\nb", "a\0", "ż", "a "])
async def test_a_header_that_would_be_read_as_more_is_not_sent(provider: FakeProvider, value: str) -> None:
    async with reaching(provider) as upstream:
        with pytest.raises(ModelFault) as refused:
            upstream.post(PATH, BODY, {"Authorization": value})
        assert refused.value.status == 400
    assert provider.requests == []


async def test_a_redirect_is_not_followed(provider: FakeProvider) -> None:
    provider.fail(Fault(raw=answer_of(b"", f"Location: {provider.url}/elsewhere", status="307 Temporary Redirect")))
    async with reaching(provider) as upstream, upstream.post(PATH, BODY, {}) as answer:
        assert answer.status == 307
    assert len(provider.requests) == 1


async def test_proxies_of_the_environment_are_not_asked(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with reaching(provider) as upstream:
        assert b"You asked" in await ask(upstream)


async def test_more_calls_than_connections_wait_for_their_turn(provider: FakeProvider) -> None:
    async with reaching(provider, connections=3) as upstream:
        provider.always = HELD
        calls = [asyncio.create_task(ask(upstream)) for _ in range(10)]
        await provider.received(3)
        await until(lambda: upstream._pool is not None and len(upstream._pool._line) == 7)
        assert provider.under_way == provider.connections == 3
        provider.always = Fault()
        provider.release()
        assert len(await asyncio.gather(*calls)) == 10
        assert provider.connections <= 3


async def test_whoever_waits_too_long_for_a_turn_is_told(provider: FakeProvider) -> None:
    async with reaching(provider, connections=1, connect_seconds=SOON) as upstream:
        provider.fail(HELD)
        first = asyncio.create_task(ask(upstream))
        await provider.received(1)
        with pytest.raises(ModelLost, match="all 1 connections"):
            await ask(upstream)
        provider.release()
        await first
        await ask(upstream)


async def test_whoever_leaves_the_line_takes_nobodys_turn(provider: FakeProvider) -> None:
    async with reaching(provider, connections=1) as upstream:
        provider.fail(HELD)
        first = asyncio.create_task(ask(upstream))
        await provider.received(1)
        waiting = [asyncio.create_task(ask(upstream)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        provider.release()
        first.cancel()
        waiting[1].cancel()
        outcomes = await asyncio.gather(first, *waiting, return_exceptions=True)
        assert sum(isinstance(outcome, bytes) for outcome in outcomes) >= 9
        await ask(upstream)


async def test_who_waits_when_it_ends_is_told_at_once(provider: FakeProvider) -> None:
    provider.always = HELD
    async with reaching(provider, connections=1) as upstream:
        calls = [asyncio.create_task(ask(upstream)) for _ in range(3)]
        await provider.received(1)
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, ModelLost) for outcome in outcomes)
    assert len(provider.requests) == 1


async def test_a_request_is_not_kept_while_its_answer_is_awaited(provider: FakeProvider) -> None:
    """Unless it may have to be sent again, until its answer begins."""
    async with reaching(provider) as upstream:
        provider.fail(HELD, Fault(), Fault(then="hold", after=1))
        first = upstream.post(PATH, BODY, {})
        asking = asyncio.create_task(first.__aenter__())
        await provider.received(1)
        assert first._request == []
        provider.release()
        (await asking).leave()
        await ask(upstream)
        async with (again := upstream.post(PATH, STREAMED, {})):
            assert again._request == []


async def test_a_connection_that_was_closed_while_it_rested_is_made_anew(provider: FakeProvider) -> None:
    async with reaching(provider) as upstream:
        await ask(upstream)
        provider.fail(Fault(raw=b""))
        assert b"You asked" in await ask(upstream)
    assert len(provider.requests) == 3


async def test_a_new_connection_that_is_closed_is_not_tried_again(provider: FakeProvider) -> None:
    provider.fail(Fault(raw=b""))
    async with reaching(provider) as upstream:
        with pytest.raises(ModelLost, match="before its answer"):
            await ask(upstream)
    assert len(provider.requests) == 1


async def test_it_is_tried_again_only_once(provider: FakeProvider) -> None:
    async with reaching(provider) as upstream:
        await asyncio.gather(*(ask(upstream) for _ in range(3)))
        provider.always = Fault(raw=b"")
        with pytest.raises(ModelLost):
            await ask(upstream)
    assert len(provider.requests) == 5


async def test_what_is_tried_again_is_tried_on_a_new_connection(provider: FakeProvider) -> None:
    """Another that rested was most likely closed with it."""
    async with reaching(provider) as upstream:
        provider.always = HELD
        calls = [asyncio.create_task(ask(upstream)) for _ in range(3)]
        await provider.received(3)
        provider.always = Fault()
        provider.release()
        await asyncio.gather(*calls)
        provider.fail(Fault(raw=b""))
        await ask(upstream)
        await until(lambda: provider.connections == 3)


async def test_what_was_begun_to_be_answered_is_not_tried_again(provider: FakeProvider) -> None:
    async with reaching(provider) as upstream:
        await ask(upstream)
        provider.fail(Fault(raw=b"HTTP/1.1 2"))
        with pytest.raises(ModelLost, match="in the middle of its answer"):
            await ask(upstream)
    assert len(provider.requests) == 2


async def test_a_cancelled_call_ends_at_the_provider_at_once(provider: FakeProvider) -> None:
    async with reaching(provider) as upstream:
        provider.fail(HELD)
        calling = asyncio.create_task(ask(upstream))
        await provider.received(1)
        calling.cancel()
        await provider.abandoned(1)
        assert upstream.under_way == 0


async def test_a_stream_that_is_left_ends_at_the_provider_at_once(provider: FakeProvider) -> None:
    provider.fail(Fault(then="hold", after=2))
    async with reaching(provider) as upstream:
        async with upstream.post(PATH, STREAMED, {}) as answer:
            assert await answer.read()
        await provider.abandoned(1)
        await ask(upstream)


async def test_a_stream_that_was_read_to_its_word_of_end_keeps_its_connection(provider: FakeProvider) -> None:
    async with reaching(provider) as upstream:
        for _ in range(3):
            async with upstream.post(PATH, STREAMED, {}) as answer:
                while b"[DONE]" not in await answer.read():
                    pass
                answer.leave_at_end()
            await until(lambda: upstream.under_way == 0)
            assert provider.connections == 1


async def test_the_end_of_a_stream_may_come_a_moment_later(provider: FakeProvider) -> None:
    provider.fail(Fault(raw=ENDLESS, raw_stays=True))
    async with reaching(provider) as upstream:
        async with upstream.post(PATH, STREAMED, {}) as answer:
            assert await answer.read() == b"hello"
            answer.leave_at_end()
        assert upstream.under_way == 1
        (line,) = provider._lines
        line.end_of_chunks()
        await until(lambda: upstream.under_way == 0)
        await ask(upstream)
        assert provider._lines == {line}


async def test_the_end_of_a_stream_is_not_awaited_for_long(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentops.outgoing.exchange.REST_SECONDS", SOON)
    provider.fail(Fault(raw=ENDLESS, raw_stays=True))
    async with reaching(provider) as upstream:
        async with upstream.post(PATH, STREAMED, {}) as answer:
            assert await answer.read() == b"hello"
            answer.leave_at_end()
        await until(lambda: provider.connections == upstream.under_way == 0)


async def test_what_goes_on_behind_its_word_of_end_is_cut(provider: FakeProvider) -> None:
    provider.fail(Fault(raw=ENDLESS, raw_stays=True))
    async with reaching(provider) as upstream:
        async with upstream.post(PATH, STREAMED, {}) as answer:
            assert await answer.read() == b"hello"
            answer.leave_at_end()
        (line,) = provider._lines
        line.chunk(b"more")
        await until(lambda: provider.connections == 0)


@pytest.mark.parametrize(
    ("limit", "fault", "told"),
    [
        ("first_byte_seconds", Fault(then="hold", after=0), "did not begin to answer for 0.1 s"),
        ("idle_seconds", Fault(then="hold", after=1), "was silent for 0.1 s"),
        ("total_seconds", Fault(chunk_seconds=0.03), "longer than a call may take"),
    ],
)
async def test_each_limit_of_time_ends_the_call(provider: FakeProvider, limit: str, fault: Fault, told: str) -> None:
    provider.reply = "word " * 100
    provider.fail(fault)
    async with reaching(provider, **{limit: SOON}) as upstream, asyncio.timeout(10):
        with pytest.raises(ModelLost, match=told):
            await ask(upstream, STREAMED)
        await provider.abandoned(1)


async def test_a_slow_stream_is_not_a_silent_one(provider: FakeProvider) -> None:
    provider.reply = "word " * 10
    provider.fail(Fault(chunk_seconds=0.03))
    async with reaching(provider, idle_seconds=0.2, first_byte_seconds=0.2) as upstream:
        assert b"[DONE]" in await ask(upstream, STREAMED)


async def test_nobody_there(provider: FakeProvider) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        upstream = Upstream(ProviderSettings(base_url=f"http://127.0.0.1:{taken.getsockname()[1]}"))
        async with upstream.life():
            with pytest.raises(ModelLost, match="cannot be reached: Connection refused") as lost:
                await ask(upstream)
    assert "127.0.0.1" not in lost.value.message


async def test_a_host_that_is_none() -> None:
    upstream = Upstream(ProviderSettings(base_url="http://nobody.invalid"))
    async with upstream.life():
        with pytest.raises(ModelLost, match="host cannot be found"):
            await ask(upstream)


async def test_a_body_is_bounded(provider: FakeProvider) -> None:
    provider.reply = "a" * (8 * MOST)
    async with reaching(provider) as upstream:
        with pytest.raises(ModelLost, match=f"longer than {MOST} bytes"):
            await ask(upstream)
        await until(lambda: provider.connections == 0)


async def test_a_reader_who_is_slow_holds_the_provider_up_and_not_the_memory(provider: FakeProvider) -> None:
    provider.reply = f"{'a' * 100_000} " * 100
    async with reaching(provider) as upstream, upstream.post(PATH, STREAMED, {}) as answer:
        await until(lambda: answer._paused)
        assert answer._waiting <= 4 * WAITING_MOST
        assert provider.under_way == 1
        seen = 0
        while seen < 10 * WAITING_MOST and (some := await answer.read()):
            seen += len(some)
        assert seen >= 10 * WAITING_MOST


async def test_a_certificate_is_looked_at(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with FakeProvider(tls=context) as provider:
        async with reaching(provider) as upstream:
            with pytest.raises(ModelLost, match="certificate is not to be trusted"):
                await ask(upstream)
        async with reaching(provider, authorities=str(certificate)) as trusting:
            assert b"You asked" in await ask(trusting)
            assert b"[DONE]" in await ask(trusting, STREAMED)
        by_address = Upstream(
            ProviderSettings(base_url=provider.url.replace("localhost", "127.0.0.1"), authorities=str(certificate))
        )
        async with by_address.life():
            with pytest.raises(ModelLost, match="certificate is not to be trusted"):
                await ask(by_address)


@pytest.mark.parametrize(
    "url",
    [
        "", "api.example.com", "ftp://x", "http://", "http://x:0", "http://x:99999", "http://x y", "http://x\n",
        "http://żółw", "http://key@x", "http://x?key=1", "http://x/#a",
    ],
)  # fmt: skip
def test_a_base_url_that_is_none_is_a_problem(url: str) -> None:
    (problem,) = wrong_settings(ProviderSettings(base_url=url))
    assert problem.key == "base_url"
    assert "key" not in problem.what


@pytest.mark.parametrize("name", ["host", "Content-Length", "accept-encoding", "Authorization", "api-key", "a b", ""])
def test_headers_that_are_ours_are_a_problem(name: str) -> None:
    (problem,) = wrong_settings(ProviderSettings(base_url="https://x", headers={name: Secret("hidden-1")}))
    assert "hidden-1" not in str(problem)


def test_a_key_that_cannot_be_sent_is_a_problem_that_does_not_show_it(tmp_path: Path) -> None:
    settings = ProviderSettings(base_url="https://x", key=Secret("sk-1\n"), authorities=str(tmp_path / "none.pem"))
    problems = list(wrong_settings(settings))
    assert [problem.key for problem in problems] == ["key", "authorities"]
    assert "sk-1" not in str(problems)


def test_what_is_right_is_no_problem() -> None:
    for url in ("https://api.openai.com/v1", "http://localhost:11434/v1/", "http://[::1]:8000"):
        assert list(wrong_settings(ProviderSettings(base_url=url))) == []
