"""Every role on every route, and every route against another project's belongings; read from the routes themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest
import pytest_asyncio

from agentops import Authenticator, Caller, Feature, Identity, Kit, Lane, NoSettings
from agentops.accounts.audit import Origin
from agentops.accounts.keys import Keys
from agentops.accounts.users import NewUser, Users
from agentops.accounts.wanted_key import Granter, Wanted
from agentops.core.discovery import find, known
from agentops.core.permissions import ROLES, covers
from agentops.core.ports.storage import Append
from agentops.core.records import NewEvent
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.models.fixture import Fixture
from agentops.testing.feature import guarded
from agentops.testing.server import serving
from tests.core.parts import storage_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

    from agentops.testing.feature import Route

LANE: Final = "/one"
CANARY: Final = "canary"
HERE, ELSEWHERE = "here", "elsewhere"


class Passport(Authenticator[NoSettings]):
    """Believes whatever role and project it is told."""

    async def authenticate(self, caller: Caller) -> Identity | None:
        role, project = caller.header("x-role"), caller.header("x-project")
        rights = ROLES.get(role or "", frozenset())
        return Identity(f"somebody {project}", project or HERE, rights, role=role)


class Up(NamedTuple):
    kit: Kit
    client: httpx.AsyncClient
    places: dict[str, str]


NEEDS: dict[str, dict[str, Any]] = {
    "gateway": {
        "models": {"small": {"targets": [{"provider": "echo"}]}},
        "prices": [{"provider": "echo", "model": "small", "input": 1, "output": 1}],
    }
}
"""What a feature cannot be without."""


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    features: list[Feature[Any]] = [
        find("feature", name)(**NEEDS.get(name, {}))  # type: ignore[misc]
        for name in known("feature")
    ]
    auth = {"passport": Passport(), "keys": HashedKeys(prefix="ak_"), "tokens": Jwt(secret="x" * 40, accounts=True)}
    lanes = [Lane(LANE, features, ["passport"])]
    return Kit(storage=storage_in(tmp_path), models={"echo": Fixture()}, auth=auth, lanes=lanes)


@pytest_asyncio.fixture
async def up(kit: Kit) -> AsyncIterator[Up]:
    """A server on which one project has something of everything."""
    async with serving(kit) as server:
        storage, origin = kit.deployment.storage, Origin(HERE, "test")
        await storage.create_run(HERE, "run", f"{CANARY} run", "running")
        await storage.append([Append(HERE, "run", [NewEvent(f'{{"type":"{CANARY}","payload":{{}}}}')])])
        user = await Users(storage).add(origin, NewUser(CANARY, f"{CANARY}@example.org", "a password", "admin"), {"*"})
        granter = Granter({"*"}, kit.deployment.permissions)
        key, _ = await Keys(storage, "ak_").create(origin, Wanted(user.id, f"{CANARY} key", 9, ["*"]), granter)
        yield Up(kit, server.client, {"run_id": "run", "key_id": key.id, "user_id": user.id})


async def status_of(up: Up, route: Route, **headers: str) -> int:
    async with up.client.stream(route.method, route.sample, headers=headers) as answer:
        return answer.status_code


async def test_each_role_may_use_what_its_permissions_say_and_nothing_else(up: Up) -> None:
    routes = guarded(up.kit)
    assert {route.opt["permission"] for route in routes} >= {"runs:read", "keys:own", "users:write", "audit:read"}
    for route in routes:
        for role, rights in {**ROLES, "nobody": frozenset[str]()}.items():
            status = await status_of(up, route, **{"x-role": role, "x-project": HERE})
            allowed = covers(rights, route.opt["permission"])
            assert (status == 403) is not allowed, (route.method, route.path, role, status)
            assert status != 401


async def test_nothing_of_another_project_is_seen_or_touched(up: Up) -> None:
    admin_elsewhere = {"x-role": "admin", "x-project": ELSEWHERE}
    before = await everything(up)
    seen = []
    for route in guarded(up.kit):
        path = f"{route.path}"
        for name, place in up.places.items():
            path = path.replace(f"{{{name}}}", place)
        for body in (None, {"name": "x", "title": "x", "status": "error", "role": "viewer", "disabled": True}):
            async with up.client.stream(route.method, path, json=body, headers=admin_elsewhere) as answer:
                first = await anext(aiter(answer.aiter_bytes()), b"")
            seen.append((route.path, answer.status_code))
            assert CANARY.encode() not in first, (route.method, path)
            assert answer.status_code < 500, (route.method, path)
    assert {status for _, status in seen} >= {200, 404}
    assert await everything(up) == before


async def everything(up: Up) -> list[object]:
    """All that the one project has, read below the routes."""
    storage = up.kit.deployment.storage
    keys = await Keys(storage, "ak_").of_project(HERE)
    return [
        await storage.get_run(HERE, "run"),
        await storage.last_id(HERE, "run"),
        keys,
        await Users(storage).listed(HERE),
    ]
