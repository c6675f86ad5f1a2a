"""What a test does as an operator, or as an agent."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from agentops.testing.server import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from agentops import Kit
    from agentops.testing.server import LiveServer

OPERATOR = {"x-api-key": "an operator's key"}
STRANGER = {"x-other-key": "an operator's of another project", "x-api-key": ""}

T = TypeVar("T")


@asynccontextmanager
async def operated(kit: Kit) -> AsyncIterator[LiveServer]:
    """Served, with a client that may do everything."""
    async with serving(kit) as live:
        live.client.headers.update(OPERATOR)
        yield live


async def subscribe(server: LiveServer, url: str, *events: str, **more: Any) -> dict[str, Any]:
    answer = await server.client.post("/api/webhooks", json={"url": url, "events": events or ["run.failed"], **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def fail(server: LiveServer, run: str) -> None:
    """End a run in the way that agents do."""
    answer = await server.client.post(f"/api/runs/{run}/events", json={"type": "end", "payload": {}})
    assert answer.is_success, answer.text
    answer = await server.client.patch(f"/api/runs/{run}", json={"status": "error"})
    assert answer.is_success, answer.text


async def deliveries(server: LiveServer, webhook: dict[str, Any], **query: str) -> list[dict[str, Any]]:
    answer = await server.client.get(f"/api/webhooks/{webhook['id']}/deliveries", params=query)
    found: list[dict[str, Any]] = answer.json()
    return found


async def settled(server: LiveServer, webhook: dict[str, Any], state: str, count: int = 1) -> list[dict[str, Any]]:
    """Return the deliveries of this state once there are so many: what was received is noted a moment later."""

    async def enough() -> list[dict[str, Any]]:
        found = await deliveries(server, webhook, state=state)
        return found if len(found) >= count else []

    return await eventually(enough)


async def eventually(look: Callable[[], Awaitable[T]]) -> T:
    """Return what it finds once that is something; for what tells nobody when it happens."""
    async with asyncio.timeout(20):
        while not (found := await look()):  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
    return found
