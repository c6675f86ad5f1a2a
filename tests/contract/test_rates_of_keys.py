"""A key may have rates of its own, given by those who may manage everybody's; they stand in place of the lane's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops import Kit, Lane, Secret
from agentops.core.limits import LimitSettings
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.keys import Keys
from agentops.plugins.features.runs import Runs
from agentops.plugins.limiter.memory import Memory
from agentops.testing.server import serving
from tests.core.parts import storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

MANAGER = {"x-api-key": "of whoever manages keys"}
PERSON = {"x-person-key": "of somebody with keys of their own"}
ADAS = "/api/admin/users/ada/api-keys"


def kit(folder: Path, limiter: Memory | None) -> Kit:
    return Kit(
        storage=storage_in(folder),
        limiter=limiter,
        auth={
            "manager": StaticKey(keys=[Secret(MANAGER["x-api-key"])]),
            "person": StaticKey(
                header="x-person-key",
                keys=[Secret(PERSON["x-person-key"])],
                permissions=["keys:own", "runs:read"],
            ),
            "keys": HashedKeys(),
        },
        lanes=[
            Lane(
                "/api",
                auth=["manager", "person", "keys"],
                serve=[Keys(), Runs()],
                limits=LimitSettings(caller=["20/h"]) if limiter else None,
            )
        ],
    )


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(kit(tmp_path, Memory())) as server:
        yield server.client


async def make(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.post(ADAS, headers=MANAGER, json={"name": "ci", "permissions": ["runs:read"], **wanted})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def used(client: httpx.AsyncClient, key: dict[str, Any], times: int) -> list[int]:
    header = {"authorization": f"Bearer {key['api_key']}"}
    return [(await client.get("/api/runs", headers=header)).status_code for _ in range(times)]


async def test_they_stand_in_place_of_the_lanes(client: httpx.AsyncClient) -> None:
    narrow = await make(client, rate_limits=["2/h", "100/d"])
    wide = await make(client, rate_limits=["30/h"])
    plain = await make(client)
    assert await used(client, narrow, 4) == [200, 200, 429, 429]
    assert await used(client, wide, 31) == [200] * 30 + [429]
    assert await used(client, plain, 21) == [200] * 20 + [429]
    listed = (await client.get(ADAS, headers=MANAGER)).json()["api_keys"]
    by_id = {key["key_id"]: key.get("rate_limits") for key in listed}
    assert [by_id[key["key_id"]] for key in (narrow, wide, plain)] == [["2/h", "100/d"], ["30/h"], None]


async def test_a_rotated_key_keeps_them_and_counts_anew(client: httpx.AsyncClient) -> None:
    old = await make(client, rate_limits=["1/h"])
    assert await used(client, old, 2) == [200, 429]
    new = (await client.post(f"{ADAS}/{old['key_id']}/rotate", headers=MANAGER)).json()
    assert await used(client, new, 2) == [200, 429]


async def test_nobody_gives_themselves_more(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/keys", headers=PERSON, json={"name": "mine", "rate_limits": ["9/s"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "beyond_own_rights")
    answer = await client.post("/api/keys", headers=PERSON, json={"name": "mine"})
    assert answer.status_code == 201


async def test_what_nothing_would_count_is_refused(tmp_path: Path) -> None:
    async with serving(kit(tmp_path, None)) as server:
        answer = await server.client.post(ADAS, headers=MANAGER, json={"name": "ci", "rate_limits": ["9/s"]})
        assert answer.status_code == 400
        assert "no [limiter]" in answer.json()["detail"]


@pytest.mark.parametrize("rates", [["9"], ["0/s"], ["9/w"], ["9/s\n"], [9], ["9/s"] * 9], ids=str)
async def test_what_is_no_rate_is_refused(client: httpx.AsyncClient, rates: list[Any]) -> None:
    answer = await client.post(ADAS, headers=MANAGER, json={"name": "ci", "rate_limits": rates})
    assert answer.status_code == 400
    assert (await client.get(ADAS, headers=MANAGER)).json()["total"] == 0
