"""What is told of each request: one line, one figure by its route, and how its credential was judged."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentops import Kit, Lane
from agentops.core.serving import SERVED, apart
from agentops.core.signals import Signals
from agentops.plugins.features.runs import Runs
from agentops.testing.server import following, serving
from tests.core.parts import Badge, Kept, Probe, storage_in, until

if TYPE_CHECKING:
    from pathlib import Path

SUCCESS = "auth_success"


def kit(folder: Path, told: Kept) -> Kit:
    lanes = [Lane("/api", serve=[Probe()], auth=["badge"], name="api"), Lane("/free", serve=[Runs()])]
    return Kit(storage=storage_in(folder), auth={"badge": Badge()}, lanes=lanes, telemetry={"kept": told})


@pytest.mark.parametrize(
    ("path", "headers", "line", "outcome"),
    [
        ("/api/who", {"x-badge": "reader"}, ("api", "/api/who", 200, "reader"), SUCCESS),
        ("/api/who", {"x-badge": "none"}, ("api", "/api/who", 401, ""), "auth_invalid_key"),
        ("/api/who", {"x-badge": "forbidden"}, ("api", "/api/who", 403, ""), "auth_invalid_key"),
        ("/api/who", {}, ("api", "/api/who", 401, ""), "auth_missing_header"),
        (
            "/api/refusals/Conflict?q=1",
            {"x-badge": "reader"},
            ("api", "/api/refusals/{name}", 409, "reader"),
            "auth_success",
        ),
        ("/api/everybody", {}, ("api", "/api/everybody", 200, "anonymous"), None),
        ("/api/none", {}, ("api", "unrouted", 404, ""), None),
        ("/free/runs/a%2Fb/events", {}, ("", "/free/runs/{run_id}/events", 200, "anonymous"), None),
        ("/", {}, ("", "unrouted", 404, ""), None),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_request_is_told_by_its_route(
    tmp_path: Path, path: str, headers: dict[str, str], line: tuple[str, str, int, str], outcome: str | None
) -> None:
    told = Kept()
    async with serving(kit(tmp_path, told)) as server:
        answer = await server.client.get(path, headers=headers | {"x-request-id": "mine"})
        await until(lambda: told.named("request"))
    lane, route, status, subject = line
    (fields,) = told.named("request")
    assert float(str(fields.pop("ms"))) > 0
    refused = {} if outcome in {SUCCESS, None} else {"auth": outcome}
    assert fields == {
        "request_id": "mine", "lane": lane, "method": "GET", "route": route, "status": status, "subject": subject,
    } | refused  # fmt: skip
    assert answer.status_code == status
    seconds = [labels for kind, name, _, labels in told.figures if name == "http.request.seconds"]
    assert seconds == [{"lane": lane, "method": "GET", "route": route, "status": str(status)}]
    judged = [labels["outcome"] for _, name, _, labels in told.figures if name == "auth"]
    assert judged == ([outcome] if outcome else [])
    assert len(told.named(f"api.{outcome}")) == len(judged)


async def test_a_stream_is_told_when_it_ends_and_counted_while_it_lasts(tmp_path: Path) -> None:
    told = Kept()
    async with serving(kit(tmp_path, told)) as server:
        async with following(server.client, "/free/runs/r/stream") as frames:
            await server.client.post("/free/runs/r/events", json={"type": "a"})
            await frames.events(1)
            assert [fields["route"] for fields in told.named("request")] == ["/free/runs/{run_id}/events"]
        await until(lambda: len(told.named("request")) == 2)
    assert told.named("request")[1]["route"] == "/free/runs/{run_id}/stream"
    assert [value for _, name, value, _ in told.figures if name == "streams.open"] == [1, 0]


async def test_a_run_that_ends_is_counted_however_it_is_said(tmp_path: Path) -> None:
    told = Kept()
    async with serving(kit(tmp_path, told)) as server:
        await server.client.post("/free/runs", json={"id": "a", "status": "error"})
        await server.client.post("/free/runs", json={"id": "b"})
        await server.client.patch("/free/runs/b", json={"status": "completed"})
        await server.client.patch("/free/runs/b", json={"title": "another"})
        await server.client.post("/free/runs/c/events", json={"type": "run.error"})
    assert [labels["status"] for _, name, _, labels in told.figures if name == "runs.changed"] == [
        "error",
        "completed",
        "error",
    ]


async def test_what_is_stored_is_counted(tmp_path: Path) -> None:
    told = Kept()
    async with serving(kit(tmp_path, told)) as server:
        for _ in range(2):
            await server.client.post("/free/runs/r/events", json=[{"type": "a", "key": "k"}, {"type": "b"}])
    counted: dict[str, float] = {}
    for _, name, value, _ in told.figures:
        counted[name] = counted.get(name, 0) + value
    assert counted["events.stored"] == 3
    assert counted["doorbells.rung"] == 2
    assert counted["writer.waiting_events"] == 0
    assert counted["commit.seconds"] > 0


async def test_every_line_of_a_request_says_whose_it_is(tmp_path: Path) -> None:
    told = Kept()
    async with serving(kit(tmp_path, told)) as server:
        await server.client.get("/api/who", headers={"x-badge": "boom", "x-request-id": "one"})
        await server.client.get("/api/boom", headers={"x-badge": "reader", "x-request-id": "two"})
        await until(lambda: len(told.named("request")) == 2)
    (failed,), (crashed,) = told.named("auth.failed"), told.named("request.failed")
    whose = {"request_id": "one", "lane": "api", "method": "GET", "route": "/api/who", "subject": ""}
    assert failed.items() >= whose.items()
    whose = {"request_id": "two", "lane": "api", "method": "GET", "route": "/api/boom", "subject": "reader"}
    assert crashed.items() >= whose.items()


async def test_what_goes_on_beside_requests_is_nobodys() -> None:
    """A task that a request begins and that outlives it would tell of it for ever."""
    told = Kept()

    async def tell(signals: Signals) -> None:
        signals.event("beside")

    signals = Signals()
    with signals.told_to(told):
        token = SERVED.set({"request_id": "one"})
        await apart(tell(signals))
        await asyncio.create_task(tell(signals))
        SERVED.reset(token)
    assert told.named("beside") == [{}, {"request_id": "one"}]


async def test_a_client_that_closes_its_stream_is_told(tmp_path: Path) -> None:
    told = Kept()
    lanes = [Lane("/api", serve=[Runs()], name="assist"), Lane("/free", serve=[Runs()])]
    async with serving(Kit(storage=storage_in(tmp_path), lanes=lanes, telemetry={"kept": told})) as server:
        async with following(server.client, "/api/runs/r/stream"), following(server.client, "/free/stream"):
            assert [name for name, _, _ in told.events if name.endswith("closed")] == []
        await until(lambda: told.named("assist.run.sse_client_closed") and told.named("feed.sse_client_closed"))
        assert told.only("assist.run.sse_client_closed")[1]["route"] == "/api/runs/{run_id}/stream"


async def test_a_stream_that_the_server_ends_was_not_closed_by_its_client(tmp_path: Path) -> None:
    told = Kept()
    deployed = kit(tmp_path, told)
    async with serving(deployed) as server, following(server.client, "/free/runs/r/stream") as frames:
        deployed.drain()
        with pytest.raises(StopAsyncIteration):
            await frames.next()
    assert [name for name, _, _ in told.events if name.endswith("closed")] == []


async def test_a_preflight_is_a_request_like_any_other(tmp_path: Path) -> None:
    told = Kept()
    lanes = [Lane("/api", serve=[Probe()], auth=["badge"], name="api", cors=["*"])]
    pages = Kit(storage=storage_in(tmp_path), auth={"badge": Badge()}, lanes=lanes, telemetry={"kept": told})
    async with serving(pages) as server:
        asks = {"origin": "https://example.com", "access-control-request-method": "GET", "x-request-id": "mine"}
        assert (await server.client.options("/api/who", headers=asks)).status_code == 204
    (fields,) = told.named("request")
    assert (fields["request_id"], fields["lane"], fields["method"], fields["status"]) == ("mine", "api", "OPTIONS", 204)
    assert [name for _, name, _, _ in told.figures].count("http.request.seconds") == 1
