"""The deployment `a2a`, and people who sign in to it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from agentops.accounts.audit import Origin
from agentops.accounts.users import NewUser, User, Users
from tests.wire.deployed import deployed
from tests.wire.tokens import SECRET, bearer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.wire.deployed import Deployed

PASSWORD: Final = "correct horse battery staple"
ENVIRON: Final = {"A2A_SECRET_KEY": SECRET, "A2A_ADMIN_PASSWORD": PASSWORD}
ROBOT: Final = {"x-robot": "robot-key"}
"""What another system's program shows, where a test lets one in."""

_numbers: Final = count(1)


class Person(NamedTuple):
    """Somebody who has signed in."""

    id: str
    username: str
    tokens: dict[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return bearer(self.tokens["access_token"])

    @property
    def refresh_token(self) -> str:
        token: str = self.tokens["refresh_token"]
        return token


class A2a(NamedTuple):
    """The deployment that is up, and its first administrator, signed in."""

    up: Deployed
    admin: Person

    @property
    def api(self) -> httpx.AsyncClient:
        return self.up.api

    async def registered(self, role: str = "user") -> dict[str, Any]:
        """A user that nobody else has heard of."""
        wanted = registration(f"somebody-{next(_numbers)}", role=role)
        answer = await self.api.post("/auth/register", json=wanted, headers=self.admin.headers)
        assert answer.status_code == 201, answer.text
        user: dict[str, Any] = answer.json()
        return user

    async def person(self, role: str = "user") -> Person:
        user = await self.registered(role)
        return Person(user["id"], user["username"], await self.tokens(user["username"]))

    async def elsewhere(self, project: str, name: str) -> User:
        """An administrator of another project, whom nobody of this one can make."""
        new = NewUser(name, f"{name}@example.com", PASSWORD, "admin")
        return await Users(self.up.deployment.storage).add(Origin(project, "test"), new, ["*"])

    async def tokens(self, username: str, password: str = PASSWORD) -> dict[str, Any]:
        answer = await self.login(username, password)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    async def login(self, username: str, password: str = PASSWORD) -> httpx.Response:
        return await self.api.post("/auth/login", json={"username": username, "password": password})

    async def refresh(self, token: str) -> httpx.Response:
        return await self.api.post("/auth/refresh", json={"refresh_token": token})

    async def status(self, person: Person) -> int:
        """How the person's access token is answered."""
        return (await self.api.get("/runs", headers=person.headers)).status_code

    async def change(self, user_id: str, **change: Any) -> httpx.Response:
        return await self.api.patch(f"/users/{user_id}", json=change, headers=self.admin.headers)

    async def trail(self, **wanted: str) -> list[dict[str, Any]]:
        answer = await self.api.get("/audit", params=wanted, headers=self.admin.headers)
        assert answer.status_code == 200, answer.text
        entries: list[dict[str, Any]] = answer.json()
        return entries


@asynccontextmanager
async def started(storage: dict[str, str], *sets: str, **environ: str) -> AsyncIterator[A2a]:
    """The deployment on this storage; its first administrator is made, if there is no user."""
    async with deployed("a2a", sets, storage | ENVIRON | environ) as up:
        bare = A2a(up, Person("", "admin", {}))
        tokens = await bare.tokens("admin")
        me = (await up.api.get("/auth/me", headers=bearer(tokens["access_token"]))).json()
        yield A2a(up, Person(me["id"], "admin", tokens))


def registration(name: str, **other: Any) -> dict[str, Any]:
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "role": "viewer"} | other


def robot(*permissions: str) -> list[str]:
    """What lets another system's program in, with these rights."""
    return [
        "auth.robot.use=static-key",
        "auth.robot.header=x-robot",
        f'auth.robot.keys=["{ROBOT["x-robot"]}"]',
        f"auth.robot.permissions={list(permissions)}",
        "auth.robot.subject=robot",
        'lanes.api.auth=["robot", "people", "keys"]',
    ]
