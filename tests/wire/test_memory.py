"""`config/memory.toml`: four ways in, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest_asyncio

from agentops.testing.server import client_of
from tests.wire.deployed import deployed
from tests.wire.test_openapi import document_of
from tests.wire.tokens import SECRET, bearer, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

CALL = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
AGENT, PROXIED = "/agent/v1/mcp/messages/", "/mcp/messages/"
EVA = token("eva")


@pytest_asyncio.fixture
async def client(storage: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        deployed("memory", [], storage | {"MEMORY_JWT_SECRET": SECRET}) as up,
        client_of(up.server.url) as client,
    ):
        yield client


async def key_of(client: httpx.AsyncClient, person: dict[str, str]) -> dict[str, Any]:
    answer = await client.post("/api/v1/keys/", json={"name": "agent"}, headers=person)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def test_a_person_makes_lists_and_revokes_a_key_of_their_own(client: httpx.AsyncClient) -> None:
    key = await key_of(client, EVA)
    assert key["api_key"].startswith("jean_sk_")
    for path in ("/api/v1/keys/", "/api/v1/keys"):
        assert [each["key_id"] for each in (await client.get(path, headers=EVA)).json()["api_keys"]] == [key["key_id"]]
    assert (await client.get("/api/v1/keys/", headers=token("adam"))).json()["total"] == 0
    assert (await client.delete(f"/api/v1/keys/{key['key_id']}", headers=token("adam"))).status_code == 404
    assert (await client.delete(f"/api/v1/keys/{key['key_id']}", headers=EVA)).json()["success"] is True
    assert (await client.post(AGENT, json=CALL, headers=bearer(key["api_key"]))).status_code == 401


async def test_an_agent_calls_with_its_key(client: httpx.AsyncClient) -> None:
    key = await key_of(client, EVA)
    answer = await client.post(AGENT, json=CALL, headers=bearer(key["api_key"]))
    assert answer.status_code == 200
    assert answer.json()["jsonrpc"] == "2.0"
    assert answer.json()["id"] == 7
    assert answer.json()["error"]["code"] == -32601


async def test_the_proxy_is_believed(client: httpx.AsyncClient) -> None:
    answer = await client.post(PROXIED, json=CALL, headers={"x-user-id": "eva"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32601)


async def test_no_other_peer_is(storage: dict[str, str]) -> None:
    environ = storage | {"MEMORY_JWT_SECRET": SECRET}
    async with (
        deployed("memory", ['auth.proxy.proxies=["10.0.0.5"]'], environ) as up,
        client_of(up.server.url) as client,
    ):
        for headers in (
            {"x-user-id": "eva"},
            {"x-user-id": "eva", "x-forwarded-for": "10.0.0.5"},
            {"x-user-id": "eva", "forwarded": "for=10.0.0.5", "x-real-ip": "10.0.0.5"},
        ):
            answer = await client.post(PROXIED, json=CALL, headers=headers)
            assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication required"})


async def test_no_lane_takes_the_credential_of_another(client: httpx.AsyncClient) -> None:
    key = bearer((await key_of(client, EVA))["api_key"])
    ways: dict[str, dict[str, str]] = {"/api/v1/runs": EVA, PROXIED: {"x-user-id": "eva"}, AGENT: key}
    for path in ways:
        for owner, headers in ways.items():
            method = "GET" if path == "/api/v1/runs" else "POST"
            answer = await client.request(method, path, json=CALL if method == "POST" else None, headers=headers)
            assert answer.status_code == (200 if owner == path else 401), (path, owner)


async def test_what_a_call_may_be_answered_is_in_the_document(client: httpx.AsyncClient) -> None:
    document = await document_of(client)
    proxied = {"x-user-id": "eva"}
    answers = [
        await client.post(PROXIED, json=CALL),
        await client.post(PROXIED, json=CALL, headers=proxied),
        await client.post(PROXIED, json={"jsonrpc": "2.0", "method": "ping"}, headers=proxied),
        await client.post(PROXIED, content=b" " * 9_000_000, headers=proxied),
        await client.post(PROXIED, content=b"x", headers={**proxied, "content-type": "text/plain"}),
    ]
    told = document["paths"][PROXIED.rstrip("/")]["post"]["responses"]
    assert {str(answer.status_code) for answer in answers} == told.keys() - {"403", "503"}
    assert "503" in told


async def test_what_is_no_call_is_told_in_the_words_of_json_rpc(client: httpx.AsyncClient) -> None:
    proxied = {"x-user-id": "eva", "content-type": "application/json"}
    for body, code in ((b"{", -32700), (b"[]", -32600), (b'{"jsonrpc":"2.0"}', -32600)):
        answer = await client.post(PROXIED, content=body, headers=proxied)
        assert (answer.status_code, answer.json()["error"]["code"]) == (200, code)
    silent = await client.post(PROXIED, json={"jsonrpc": "2.0", "method": "ping"}, headers=proxied)
    assert (silent.status_code, silent.content) == (202, b"")
