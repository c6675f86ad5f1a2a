"""One attempt, at targets that behave as badly as they like: it ends in time, and says why."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from agentops.outgoing.place import Place
from agentops.plugins.features.webhooks import posting
from agentops.plugins.features.webhooks.posting import NotSent, post
from agentops.plugins.features.webhooks.targets import Target

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def answering(*parts: bytes, holds: bool = False, tls: bool = False) -> AsyncIterator[Target]:
    """A target that sends this whatever it is asked, and then closes, or keeps everybody waiting."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
            if not holds:
                writer.write_eof()
            await reader.read(-1)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Target("127.0.0.1", Place(tls, "example.com", port, f"example.com:{port}", "/hook"))
    finally:
        server.close()
        await server.wait_closed()


async def test_the_status_is_enough() -> None:
    """A body that never ends is not waited for."""
    async with answering(b"HTTP/1.1 204 No Content\r\n", b"content-length: 99999\r\n\r\n", holds=True) as target:
        assert await post(target, {}, b"{}") == 204


async def test_what_comes_before_the_answer_is_not_the_answer() -> None:
    parts = (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 500 No\r\n\r\n")
    async with answering(*parts, holds=True) as target:
        assert await post(target, {}, b"{}") == 500


async def test_whoever_wants_to_speak_another_protocol_has_answered() -> None:
    async with answering(b"HTTP/1.1 101 So\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", holds=True) as target:
        assert await post(target, {}, b"{}") == 101


async def test_what_follows_the_head_is_not_judged() -> None:
    async with answering(
        b"HTTP/1.1 202 So\r\ncontent-length: 0\r\nconnection: close\r\n\r\nmore than was said"
    ) as target:
        assert await post(target, {}, b"{}") == 202


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([], "the connection ended before the answer did"),
        ([b"HTTP/1.1 200 OK\r\nx: "], "the connection ended before the answer did"),
        ([b"220 mail.example.com ESMTP\r\n"], "the answer is not HTTP"),
        ([b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 1000 + b"\r\n"] * 100], "the head of the answer is longer"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"] * 4000, "the head of the answer is longer"),
    ],
    ids=["nothing", "half", "mail", "endless head", "endless promises"],
)
async def test_bad_answers(parts: list[bytes], said: str) -> None:
    async with answering(*parts) as target:
        with pytest.raises(NotSent, match=said):
            await post(target, {}, b"{}")


@pytest.mark.parametrize("parts", [[], [b"HTTP/1.1 200 OK\r\n"]], ids=["silent", "half an answer"])
async def test_an_answer_that_takes_too_long(parts: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "MOST_SECONDS", 0.1)
    async with answering(*parts, holds=True) as target:
        with pytest.raises(NotSent, match=r"no answer within 0\.1 s"):
            await post(target, {}, b"x" * 10_000_000)


async def test_a_target_that_speaks_no_tls() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\n\r\n", tls=True) as target:
        with pytest.raises(NotSent, match="TLS failed"):
            await post(target, {}, b"{}")


async def test_a_port_at_which_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(NotSent, match="Connect"):
            await post(Target("127.0.0.1", Place(tls=False, host="h", port=port, authority="h", path="/")), {}, b"{}")
