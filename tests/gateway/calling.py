"""Calls of a gateway before real providers, and what is kept of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentops.plugins.models.openai import OpenAI
from agentops.plugins.retry.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import httpx

    from agentops import Kit
    from agentops.testing.provider import FakeProvider
    from tests.gateway.gated import Gated

OUR_KEY = "sk-ours-3b8e0c61f2a94d57"

BODIES: Mapping[str, Mapping[str, Any]] = {
    "chat/completions": {"messages": [{"role": "user", "content": "hello"}]},
    "responses": {"input": "hello"},
    "messages": {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 100},
    "embeddings": {"input": "hello"},
}


class Kept(NamedTuple):
    """A call as it was recorded."""

    outcome: str
    provider: str
    input: int
    output: int
    estimated: bool
    cost: int
    tries: int


def asking(provider: FakeProvider, **settings: Any) -> OpenAI:
    return OpenAI(base_url=provider.openai_url, key=OUR_KEY, **settings)


def quick(**settings: Any) -> Backoff:
    """Tries again at once."""
    return Backoff(**{"base_seconds": 0.001, "most_seconds": 0.01, **settings})


async def post(gate: Gated, path: str = "chat/completions", name: str = "alice", **fields: Any) -> httpx.Response:
    body = {"model": "small", **BODIES[path], **fields}
    return await gate.server.client.post(f"/api/llm/{path}", json=body, headers={"Authorization": f"Bearer {name}"})


def datas_of(answer: httpx.Response) -> list[Any]:
    """What the events of a streamed answer hold; `[DONE]` as it is."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n") if line.startswith("data: ")]
    return [line if line == "[DONE]" else msgspec.json.decode(line) for line in lines]


def text_in(datas: list[Any]) -> str:
    """Of chunks of chat completions."""
    chunks = [data for data in datas if isinstance(data, dict)]
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk.get("choices", ()))


async def calls_in(kit: Kit) -> list[Kept]:
    """In the order in which they began."""
    query = "SELECT outcome, provider, input, output, estimated, cost, tries FROM calls ORDER BY at, id"
    rows = await kit.deployment.storage.read_rows(query)
    return [Kept(*row)._replace(estimated=bool(row[4])) for row in rows]


async def call_in(kit: Kit) -> Kept:
    """The only one."""
    (call,) = await calls_in(kit)
    return call


async def assert_nothing_is_held(kit: Kit) -> None:
    storage = kit.deployment.storage
    rows = [*await storage.read_rows("SELECT call, purse, amount, expires_at FROM holds")]
    assert rows == [], rows
    assert [*await storage.read_rows("SELECT id, held FROM purses WHERE held <> 0")] == []


async def spent_in(kit: Kit, purse: str) -> int:
    ((spent,),) = await kit.deployment.storage.read_rows("SELECT spent FROM purses WHERE id = ?", purse)
    return int(spent)


async def lines_of(answer: httpx.Response) -> AsyncIterator[Any]:
    """The same as `datas_of`, as it comes."""
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            data = line.removeprefix("data: ")
            yield data if data == "[DONE]" else msgspec.json.decode(data)
