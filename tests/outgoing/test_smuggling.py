"""Answers that could be read in two ways are refused, and their connections with them."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from agentops.core.ports.model import ModelLost
from agentops.outgoing.exchange import HEAD_MOST
from agentops.testing.provider import FakeProvider, Fault
from tests.core.parts import until
from tests.outgoing.parts import BODY, MOST, PATH, answer_of, ask, reaching

OK: Final = b"HTTP/1.1 200 OK\r\n"
LENGTH: Final = b"Content-Length: 5\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"
HELLO: Final = b"\r\nhello"
CHUNKS: Final = b"\r\n5\r\nhello\r\n0\r\n\r\n"

REFUSED: Final = {
    "length-and-coding": OK + LENGTH + CHUNKED + CHUNKS,
    "coding-and-length": OK + CHUNKED + LENGTH + CHUNKS,
    "two-lengths": OK + LENGTH + b"Content-Length: 6\r\n" + HELLO,
    "one-length-twice": OK + LENGTH + LENGTH + HELLO,
    "a-list-of-lengths": OK + b"Content-Length: 5, 5\r\n" + HELLO,
    "a-signed-length": OK + b"Content-Length: +5\r\n" + HELLO,
    "a-negative-length": OK + b"Content-Length: -5\r\n" + HELLO,
    "a-length-in-hex": OK + b"Content-Length: 0x5\r\n" + HELLO,
    "two-codings": OK + b"Transfer-Encoding: gzip, chunked\r\n" + CHUNKS,
    "coding-in-two-headers": OK + b"Transfer-Encoding: gzip\r\n" + CHUNKED + CHUNKS,
    "chunked-is-not-last": OK + b"Transfer-Encoding: chunked, gzip\r\n" + CHUNKS,
    "an-unknown-coding": OK + b"Transfer-Encoding: xchunked\r\n" + HELLO,
    "coding-in-http-1.0": b"HTTP/1.0 200 OK\r\n" + CHUNKED + CHUNKS,
    "compressed": OK + b"Content-Encoding: gzip\r\n" + LENGTH + HELLO,
    "bare-line-feeds": OK.replace(b"\r", b"") + LENGTH.replace(b"\r", b"") + b"\nhello",
    "a-line-feed-in-a-head": OK + b"X: a\nY: b\r\n" + LENGTH + HELLO,
    "a-carriage-return-in-a-head": OK + b"X: a\rY: b\r\n" + LENGTH + HELLO,
    "nul-in-a-head": OK + b"X: a\0b\r\n" + LENGTH + HELLO,
    "a-folded-header": OK + b"X: a\r\n b\r\n" + LENGTH + HELLO,
    "space-before-a-colon": OK + b"Content-Length : 5\r\n" + HELLO,
    "no-name": OK + b": a\r\n" + LENGTH + HELLO,
    "chunks-with-line-feeds": OK + CHUNKED + CHUNKS.replace(b"\r\n", b"\n"),
    "a-chunk-beyond-64-bits": OK + CHUNKED + b"\r\nfffffffffffffffff\r\nhello",
    "a-chunk-of-no-size": OK + CHUNKED + b"\r\n\r\nhello\r\n0\r\n\r\n",
    "a-chunk-longer-than-said": OK + CHUNKED + b"\r\n4\r\nhello\r\n0\r\n\r\n",
    "another-protocol": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\nhello",
    "http-2": b"HTTP/2.0 200 OK\r\n" + LENGTH + HELLO,
    "http-0.9": b"hello",
    "no-status": b"HTTP/1.1 OK\r\n" + LENGTH + HELLO,
    "a-status-below-all": b"HTTP/1.1 099 OK\r\n" + LENGTH + HELLO,
    "a-status-of-four-digits": b"HTTP/1.1 2000 OK\r\n" + LENGTH + HELLO,
    "shorter-than-said": OK + LENGTH + b"\r\nhell",
    "cut-between-chunks": OK + CHUNKED + b"\r\n5\r\nhello\r\n",
    "nothing": b"",
    "only-interim": b"HTTP/1.1 100 Continue\r\n\r\n",
}

ENDLESS: Final = {
    "a-long-head": OK + b"X: " + b"a" * HEAD_MOST,
    "a-head-of-many-headers": OK + b"X: a\r\n" * (HEAD_MOST // 5) + LENGTH + HELLO,
    "interim-for-ever": b"HTTP/1.1 100 Continue\r\n\r\n" * (HEAD_MOST // 20),
    "trailers-for-ever": OK + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n" + b"X: a\r\n" * (2 * HEAD_MOST),
    "an-endless-extension": OK + CHUNKED + b"\r\n5;" + b"a" * (5 * HEAD_MOST),
}

SOUND: Final = {
    "length": OK + LENGTH + HELLO,
    "chunked": OK + CHUNKED + CHUNKS,
    "chunked-in-capitals": OK + b"TRANSFER-ENCODING: CHUNKED\r\n" + CHUNKS,
    "chunk-extensions": OK + CHUNKED + b"\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
    "trailers": OK + CHUNKED + b"\r\n5\r\nhello\r\n0\r\nX-Secret: 1\r\n\r\n",
    "until-it-closes": OK + HELLO,
    "http-1.0": b"HTTP/1.0 200 OK\r\n" + LENGTH + HELLO,
    "interim-before-it": b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK + LENGTH + HELLO,
    "identity": OK + b"Content-Encoding: identity\r\n" + LENGTH + HELLO,
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED)
async def test_what_is_not_as_http_says_is_refused(provider: FakeProvider, raw: bytes) -> None:
    provider.fail(Fault(raw=raw))
    async with reaching(provider) as upstream:
        with pytest.raises(ModelLost):
            await ask(upstream)
        await until(lambda: provider.connections == 0)
        assert upstream.under_way == 0
        assert b"You asked" in await ask(upstream)


@pytest.mark.parametrize("raw", ENDLESS.values(), ids=ENDLESS)
async def test_what_says_nothing_without_end_is_refused(provider: FakeProvider, raw: bytes) -> None:
    provider.fail(Fault(raw=raw, raw_stays=True))
    async with reaching(provider) as upstream, asyncio.timeout(10):
        with pytest.raises(ModelLost, match=f"{HEAD_MOST} bytes"):
            await ask(upstream)
        await until(lambda: provider.connections == 0)


@pytest.mark.parametrize("raw", SOUND.values(), ids=SOUND)
async def test_what_is_as_http_says_is_read(provider: FakeProvider, raw: bytes) -> None:
    provider.fail(Fault(raw=raw))
    async with reaching(provider) as upstream:
        assert await ask(upstream) == b"hello"


async def test_trailers_are_no_headers(provider: FakeProvider) -> None:
    provider.fail(Fault(raw=SOUND["trailers"]))
    async with reaching(provider) as upstream, upstream.post(PATH, BODY, {}) as answer:
        await answer.whole(MOST)
        assert set(answer.headers) == {"transfer-encoding"}


async def test_headers_of_an_interim_answer_are_not_those_of_the_answer(provider: FakeProvider) -> None:
    provider.fail(Fault(raw=SOUND["interim-before-it"]))
    async with reaching(provider) as upstream, upstream.post(PATH, BODY, {}) as answer:
        assert set(answer.headers) == {"content-length"}


@pytest.mark.parametrize(
    "behind",
    [answer_of(b"another"), b"garbage", b"HTTP/1.1 100 Continue\r\n\r\n", b"\x00"],
    ids=["an-answer", "garbage", "interim", "nul"],
)
async def test_an_answer_behind_the_answer_is_nobodys(provider: FakeProvider, behind: bytes) -> None:
    """The first is what was asked for; what follows could become the answer to somebody else's question."""
    provider.fail(Fault(raw=answer_of(b"hello") + behind, raw_stays=True))
    async with reaching(provider) as upstream:
        assert await ask(upstream) == b"hello"
        await until(lambda: provider.connections == 0)
        assert b"You asked" in await ask(upstream)


async def test_what_comes_while_nothing_was_asked_ends_the_connection(provider: FakeProvider) -> None:
    async with reaching(provider) as upstream:
        await ask(upstream)
        (line,) = provider._lines
        line.raw(answer_of(b"stolen"))
        await until(lambda: provider.connections == 0)
        assert b"You asked" in await ask(upstream)


async def test_a_body_behind_a_status_that_has_none_is_not_read_as_an_answer(provider: FakeProvider) -> None:
    provider.fail(Fault(raw=answer_of(b"hello", status="204 No Content"), raw_stays=True))
    async with reaching(provider) as upstream:
        assert await ask(upstream) == b""
        await until(lambda: provider.connections == 0)
