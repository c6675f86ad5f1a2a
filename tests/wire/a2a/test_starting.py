"""What happens at a start: the first administrator is made, and an issuer may be away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from agentops import Kit, Lane
from agentops.accounts.users import Users as UserService
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.runs import Runs
from agentops.plugins.features.users import Users
from agentops.plugins.storage.sqlite import Sqlite
from agentops.testing.server import serving
from tests.wire.a2a.people import ENVIRON, started
from tests.wire.deployed import deployed
from tests.wire.tokens import SECRET, bearer

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_first_administrator_is_made_once(storage: dict[str, str]) -> None:
    async with started(storage) as a2a:
        (made,) = await a2a.trail(action="user.add")
        assert (made["actor"], made["target"]) == ("first start", a2a.admin.id)
        assert made["details"] == {"username": "admin", "role": "admin"}
    another = "features.users.first_admin.username=second"
    async with started(storage, another, A2A_ADMIN_EMAIL="other@example.com") as a2a:
        users = (await a2a.api.get("/users", headers=a2a.admin.headers)).json()
        assert [(user["username"], user["email"]) for user in users] == [("admin", "admin@localhost")]


async def test_another_password_in_the_environment_opens_nothing_later(storage: dict[str, str]) -> None:
    async with started(storage):
        pass
    later = ENVIRON | {"A2A_ADMIN_PASSWORD": "another password"}
    async with deployed("a2a", (), storage | later) as up:
        body = {"username": "admin", "password": "another password"}
        assert (await up.api.post("/auth/login", json=body)).status_code == 401


async def test_without_a_password_nobody_is_made(storage: dict[str, str]) -> None:
    async with deployed("a2a", (), storage | {"A2A_SECRET_KEY": SECRET}) as up:
        assert await UserService(up.deployment.storage).listed(None) == []


async def test_of_instances_that_start_at_once_one_makes_it(storage: dict[str, str]) -> None:
    async with deployed("a2a", (), storage | {"A2A_SECRET_KEY": SECRET}):
        pass
    all_up = asyncio.Barrier(3)

    async def instance() -> None:
        async with deployed("a2a", (), storage | ENVIRON) as up:
            await all_up.wait()
            users = await UserService(up.deployment.storage).listed(None)
            assert [user.username for user in users] == ["admin"]

    async with asyncio.timeout(20), asyncio.TaskGroup() as instances:
        for _ in range(all_up.parties):
            instances.create_task(instance())


class Broken(Jwt):
    """Could issue tokens, but does not start."""

    def life(self, rungs: Any) -> Any:
        raise OSError("the machine that holds the key is away")


async def test_an_issuer_that_does_not_start_closes_no_other_lane(tmp_path: Path) -> None:
    kit = Kit(
        storage=Sqlite(path=str(tmp_path / "agentops.sqlite")),
        auth={"people": Broken(secret=SECRET, accounts=True), "key": StaticKey(keys=["k"])},
        lanes=[
            Lane("/api", serve=[Users(auth="people")], auth=["people"], errors="detail"),
            Lane("/other", serve=[Runs()], auth=["key"]),
        ],
    )
    async with serving(kit) as server:
        client: httpx.AsyncClient = server.client
        answers = [
            await client.post("/api/auth/login", json={"username": "a", "password": "b"}),
            await client.post("/api/auth/refresh", json={"refresh_token": "x"}),
            await client.post("/api/auth/logout", headers=bearer("a.b.c")),
            await client.get("/api/auth/me", headers=bearer("a.b.c")),
        ]
        assert {(answer.status_code, tuple(answer.json())) for answer in answers} == {(503, ("detail",))}
        assert (await client.get("/other/runs", headers={"x-api-key": "k"})).status_code == 200
