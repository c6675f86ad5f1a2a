"""The key, the origin of a page, and what the environment sets."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from agentops.testing.server import following
from tests.wire.deployed import exchange

if TYPE_CHECKING:
    from tests.wire.deployed import Deploy, Deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")

PATHS = ["/runs", "/runs/r", "/runs/r/events", "/runs/r/stream", "/events", "/stream"]
WRONG: dict[str, list[tuple[bytes, bytes]]] = {
    "missing": [],
    "empty": [(b"x-api-key", b"")],
    "wrong": [(b"x-api-key", b"not-it")],
    "longer": [(b"x-api-key", b"the-key-1")],
    "shorter": [(b"x-api-key", b"the-ke")],
    "not-ascii": [(b"x-api-key", b"the-key\xe9")],
    "elsewhere": [(b"authorization", b"Bearer the-key")],
}


async def test_without_the_key_every_route_is_401(deploy: Deploy) -> None:
    async with deploy(AGENTOPS_API_KEY="the-key") as up:
        for path in PATHS:
            for how, headers in WRONG.items():
                answer = await up.api.get(path, headers=headers)
                told = (path, how, answer.status_code, answer.content, answer.headers["connection"])
                assert told == (path, how, 401, b'{"error":"unauthorized"}', "close")
        assert (await up.api.post("/runs", json={"id": "r"})).status_code == 401
        assert (await up.api.patch("/runs/r", json={})).status_code == 401
        assert (await up.api.post("/runs/r/events", json={"type": "a"})).status_code == 401
        assert (await up.api.get("/runs", headers={"x-api-key": "the-key"})).content == b"[]"


async def test_the_connection_of_a_401_is_closed(deploy: Deploy) -> None:
    async with deploy(AGENTOPS_API_KEY="the-key") as up:
        for path in ("/runs", "/stream"):
            answer = await exchange(up, b"GET %b%b HTTP/1.1\r\nHost: x\r\n\r\n" % (up.path.encode(), path.encode()))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 401 ")
            assert b"\r\nconnection: close" in head.lower()
            assert body == b'{"error":"unauthorized"}'


async def test_the_key_sent_twice_is_refused(deploy: Deploy) -> None:
    async with deploy(AGENTOPS_API_KEY="the-key") as up:
        answer = await up.api.get("/runs", headers=[("x-api-key", "the-key"), ("x-api-key", "the-key")])
        assert (answer.status_code, answer.content) == (401, b'{"error":"unauthorized"}')


async def test_with_the_key_everything_is_as_without_one(deploy: Deploy) -> None:
    async with deploy(AGENTOPS_API_KEY="the-key") as up:
        up.api.headers["X-Api-Key"] = "the-key"
        async with following(up.api, "/runs/r/stream") as frames:
            sent = (await up.api.post("/runs/r/events", json={"type": "a"})).json()
            assert await frames.events(1) == [sent]


async def test_with_a_key_an_unknown_path_is_404_and_asks_for_none(deploy: Deploy) -> None:
    async with deploy(AGENTOPS_API_KEY="the-key") as up:
        assert (await up.api.get("/nothing")).status_code == 404
        assert (await up.server.client.get("/healthz")).json() == {"status": "ok"}
        assert (await up.server.client.get("/schema")).status_code == 200


@pytest.mark.parametrize("key", [None, "the-key"])
async def test_an_open_lane_is_told_of_in_the_log(
    deploy: Deploy, key: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    async with deploy(**({"AGENTOPS_API_KEY": key} if key else {})) as up:
        assert (await up.api.get("/runs")).status_code == (401 if key else 200)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    warnings = [(line["level"], line["path"]) for line in told if line["event"] == "lane.open"]
    assert warnings == ([] if key else [("warning", up.path)])
    assert "the-key" not in json.dumps(told)


async def test_a_preflight_is_answered_204_without_a_key(deploy: Deploy) -> None:
    async with deploy(AGENTOPS_API_KEY="the-key") as up:
        for path in [*PATHS, "/nothing"]:
            asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
            answer = await up.api.options(path, headers=asked)
            assert (answer.status_code, answer.content) == (204, b"")
            assert answer.headers["access-control-allow-origin"] == "*"
            assert answer.headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE, OPTIONS"
            assert (
                answer.headers["access-control-allow-headers"]
                == "Content-Type, X-Api-Key, Authorization, Last-Event-ID"
            )


async def test_every_answer_carries_the_origin_header(deploy: Deploy) -> None:
    async with deploy("server.max_body_bytes=100", AGENTOPS_API_KEY="the-key") as up:
        answers = [await up.api.get("/runs")]
        up.api.headers["X-Api-Key"] = "the-key"
        text = {"Content-Type": "text/plain"}
        answers += [
            await up.api.get("/runs"),
            await up.api.post("/runs", json={"id": "r"}),
            await up.api.post("/runs/r/events", json={"type": "a"}),
            await up.api.post("/runs", content=b"{"),
            await up.api.get("/runs/none"),
            await up.api.get("/nothing"),
            await up.api.delete("/runs"),
            await up.api.post("/runs/r/events", content=b" " * 101),
            await up.api.post("/runs/r/events", content=b"x", headers=text),
        ]
        async with following(up.api, "/stream") as frames:
            answers.append(frames.response)
        up.drain()
        answers.append(await up.api.get("/stream"))
    statuses = [answer.status_code for answer in answers]
    assert statuses == [401, 200, 201, 201, 400, 404, 404, 405, 413, 415, 200, 503]
    assert {answer.headers.get("access-control-allow-origin") for answer in answers} == {"*"}


async def test_origins_can_be_named(deploy: Deploy) -> None:
    async with deploy('lanes.api.cors=["https://page.example"]') as up:
        mine = await up.api.get("/runs", headers={"Origin": "https://page.example"})
        other = await up.api.get("/runs", headers={"Origin": "https://other.example"})
        none = await up.api.get("/runs")
    assert mine.headers["access-control-allow-origin"] == "https://page.example"
    assert "access-control-allow-origin" not in other.headers
    assert "access-control-allow-origin" not in none.headers
    assert {answer.headers["vary"] for answer in (mine, other, none)} == {"Origin"}


async def test_the_environment_sets_key_retention_and_port(deploy: Deploy) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    async with deploy(AGENTOPS_API_KEY="k", EVENT_RETENTION_MAX="7", PORT=str(port)) as up:
        assert up.deployment.server.port == port
        assert up.deployment.events.retention == 7
        assert (await up.api.get("/runs", headers={"x-api-key": "k"})).status_code == 200


async def test_without_an_environment_the_port_is_8787(shared: Deployed) -> None:
    assert shared.deployment.server.port == 8787
    assert shared.deployment.events.retention == 5000


async def test_health_is_answered_at_the_root(shared: Deployed) -> None:
    answer = await shared.server.client.get("/healthz")
    assert (answer.status_code, answer.content) == (200, b'{"status":"ok"}')


@pytest.mark.parametrize("path", PATHS[:3] + PATHS[4:5])
async def test_a_trailing_slash_changes_nothing(shared: Deployed, path: str) -> None:
    await shared.api.post("/runs/", json={"id": "r"})
    await shared.api.post("/runs/r/events/", json={"type": "a"})
    with_slash = await shared.api.get(f"{path}/")
    assert with_slash.status_code == 200
    assert with_slash.content == (await shared.api.get(path)).content


async def test_a_stream_may_have_a_trailing_slash(shared: Deployed, run: str) -> None:
    for path in (f"/runs/{run}/stream/", "/stream/"):
        async with following(shared.api, path) as frames:
            assert frames.response.status_code == 200


async def test_a_request_has_an_id_of_its_own_or_the_callers(shared: Deployed) -> None:
    given = [(await shared.api.get("/runs")).headers["x-request-id"] for _ in range(2)]
    assert given[0] != given[1]
    assert (await shared.api.get("/runs", headers={"X-Request-ID": "mine-1"})).headers["x-request-id"] == "mine-1"
    for insane in ("", "a b", "x" * 129):
        answer = await shared.api.get("/runs", headers={"X-Request-ID": insane})
        assert answer.headers["x-request-id"] != insane
