"""What a key may ask of models is set by whoever may manage keys, and stays with it whatever becomes of the key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops import Allowance, Authenticator, Caller, Identity, Kit, Lane, NoSettings
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.features.keys import Keys
from agentops.testing.server import serving
from tests.core.parts import storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

ADAS = "/api/admin/users/ada/api-keys"
MANAGER = {"x-who": "manager"}
LIMITED = {"x-who": "limited"}
PERSON = {"x-who": "ada"}
ALLOWED: dict[str, Any] = {"models": ["small"], "requests_per_minute": 60, "budget_day": 5_000_000}

WHO = {
    "manager": Identity("manager", permissions=frozenset({"*"})),
    "limited": Identity("limited", permissions=frozenset({"*"}), allowance=Allowance(parallel=1)),
    "ada": Identity("ada", permissions=frozenset({"keys:own"})),
}


class Named(Authenticator[NoSettings]):
    async def authenticate(self, caller: Caller) -> Identity | None:
        return WHO.get(caller.header("x-who") or "")


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    kit = Kit(
        storage=storage_in(tmp_path),
        auth={"named": Named(), "keys": HashedKeys()},
        lanes=[Lane("/api", auth=["named", "keys"], serve=[Keys()])],
    )
    async with serving(kit) as server:
        yield server.client


async def make(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.post(ADAS, headers=MANAGER, json={"name": "ci", **wanted})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(client: httpx.AsyncClient) -> dict[str, Any]:
    keys = (await client.get(ADAS, headers=MANAGER)).json()["api_keys"]
    return {key["key_id"]: key.get("llm") for key in keys}


async def test_it_is_answered_and_listed(client: httpx.AsyncClient) -> None:
    limited, plain, empty = await make(client, llm=ALLOWED), await make(client), await make(client, llm={})
    assert limited["llm"] == ALLOWED
    assert "llm" not in plain.keys() | empty.keys()
    assert "warning" in plain
    assert await listed(client) == {limited["key_id"]: ALLOWED, plain["key_id"]: None, empty["key_id"]: None}


async def test_a_rotated_key_keeps_it_and_what_was_spent_of_it(client: httpx.AsyncClient) -> None:
    first = await make(client, llm=ALLOWED)
    path, key_id = f"{ADAS}/{first['key_id']}/rotate", first["key_id"]
    for headers in (MANAGER, PERSON):
        new = (await client.post(path, headers=headers, json={"grace_seconds": 60})).json()
        assert new["llm"] == ALLOWED | {"counts_as": f"key:{key_id}"}
        path = f"/api/keys/{new['key_id']}/rotate"
    plain = await make(client)
    assert "llm" not in (await client.post(f"{ADAS}/{plain['key_id']}/rotate", headers=MANAGER)).json()


async def test_nobody_sets_their_own(client: httpx.AsyncClient) -> None:
    for llm in (ALLOWED, {}):
        answer = await client.post("/api/keys", headers=PERSON, json={"name": "mine", "llm": llm})
        assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")
    assert (await client.post("/api/keys", headers=PERSON, json={"name": "mine"})).status_code == 201


async def test_whose_calls_are_limited_makes_no_key_that_is_limited_otherwise(client: httpx.AsyncClient) -> None:
    key = await make(client)
    for path in (ADAS, f"{ADAS}/{key['key_id']}/rotate"):
        answer = await client.post(path, headers=LIMITED, json={"name": "ci"} if path == ADAS else {})
        assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")
        assert "would not be counted" in answer.json()["detail"]
    assert list(await listed(client)) == [key["key_id"]]


@pytest.mark.parametrize(
    ("llm", "told"),
    [
        ({"parallel": 0}, "$.llm.parallel"),
        ({"parallel": 1.5}, "$.llm.parallel"),
        ({"budget_day": -1}, "$.llm.budget_day"),
        ({"budget_day": 10**16}, "$.llm.budget_day"),
        ({"budget_week": 1}, "budget_week"),
        ({"models": ["m"] * 101}, "$.llm.models"),
        ({"models": ["m" * 201]}, "$.llm.models"),
        ({"models": ["a\nb"]}, "a model's name"),
        ({"counts_as": "key:1"}, "only of a key that is rotated"),
        ([], "$.llm"),
    ],
    ids=str,
)
async def test_what_is_no_allowance_is_refused(client: httpx.AsyncClient, llm: object, told: str) -> None:
    answer = await client.post(ADAS, headers=MANAGER, json={"name": "ci", "llm": llm})
    assert answer.status_code == 400
    assert told in answer.json()["detail"]
    assert await listed(client) == {}
