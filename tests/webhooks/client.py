"""What a test does as an operator, or as an agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.webhooks.conftest import eventually

if TYPE_CHECKING:
    from agentops.testing.server import LiveServer


async def subscribe(server: LiveServer, url: str, *events: str, **more: Any) -> dict[str, Any]:
    answer = await server.client.post("/api/webhooks", json={"url": url, "events": events or ["run.failed"], **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def fail(server: LiveServer, run: str, **more: Any) -> None:
    """End a run in the way that agents do."""
    answer = await server.client.post(f"/api/runs/{run}/events", json={"type": "end", "payload": {}, **more})
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
