"""Calls to a fake provider, over the client alone."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from agentops.outgoing import ProviderSettings, Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from agentops.testing.provider import FakeProvider

PATH = "/v1/chat/completions"
BODY = b'{"model": "fake-large", "messages": [{"role": "user", "content": "hello"}]}'
STREAMED = b'{"stream": true, "messages": [{"role": "user", "content": "hello"}]}'
MOST = 1 << 20


@asynccontextmanager
async def reaching(provider: FakeProvider, **settings: Any) -> AsyncGenerator[Upstream]:
    upstream = Upstream(ProviderSettings(base_url=provider.url, **settings))
    async with upstream.life():
        yield upstream


async def ask(upstream: Upstream, body: bytes = BODY, **headers: str) -> bytes:
    async with upstream.post(PATH, body, headers) as answer:
        return await answer.whole(MOST)


def answer_of(body: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """An HTTP answer in full."""
    head = "".join(f"{line}\r\n" for line in (f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(body)}", ""))
    return head.encode() + body
