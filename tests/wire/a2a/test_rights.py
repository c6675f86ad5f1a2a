"""Who one is, what one may do, and what nobody may."""

from __future__ import annotations

import pytest

from agentops.core.permissions import ROLES, covers
from tests.wire.a2a.people import PASSWORD, ROBOT, A2a, registration, robot, started
from tests.wire.tokens import bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("role", ROLES)
async def test_everybody_sees_who_they_are_and_what_they_may_do(a2a: A2a, role: str) -> None:
    person = await a2a.person(role)
    me = (await a2a.api.get("/auth/me", headers=person.headers)).json()
    assert (me["id"], me["username"], me["role"]) == (person.id, person.username, role)
    registry = a2a.up.deployment.permissions
    mine = sorted(permission for permission in registry if covers(ROLES[role], permission))
    rights = await a2a.api.get("/auth/permissions", headers=person.headers)
    assert rights.json() == {"role": role, "permissions": mine}
    roles = (await a2a.api.get("/auth/roles", headers=person.headers)).json()["roles"]
    assert [each["role"] for each in roles] == list(ROLES)
    assert {"role": role, "permissions": mine} in roles


@pytest.mark.parametrize("role", [role for role in ROLES if role != "admin"])
async def test_only_administrators_see_and_change_users(a2a: A2a, role: str) -> None:
    person = await a2a.person(role)
    for method, path, body in (
        ("GET", "/users", None),
        ("POST", "/auth/register", registration("by-nobody")),
        ("PATCH", f"/users/{person.id}", {"role": "admin"}),
    ):
        answer = await a2a.api.request(method, path, json=body, headers=person.headers)
        assert (answer.status_code, list(answer.json())) == (403, ["detail"])
    assert (await a2a.trail(target=person.id, action="user.role")) == []


async def test_who_is_nobody_is_401(a2a: A2a) -> None:
    for method, path in (
        ("GET", "/auth/me"),
        ("GET", "/auth/permissions"),
        ("GET", "/auth/roles"),
        ("GET", "/users"),
        ("POST", "/auth/register"),
        ("POST", "/auth/password"),
        ("PATCH", "/users/x"),
    ):
        answer = await a2a.api.request(method, path)
        assert (answer.status_code, answer.json()) == (401, {"detail": "Authentication required"})


async def test_a_key_is_its_owner(a2a: A2a) -> None:
    person = await a2a.person("developer")
    wanted = {"name": "k", "permissions": ["runs:read"]}
    answer = await a2a.api.post("/auth/api-keys", json=wanted, headers=person.headers)
    assert answer.status_code == 201, answer.text
    usual = (await a2a.api.post("/auth/api-keys/", json={"name": "usual"}, headers=person.headers)).json()
    assert (await a2a.api.get("/auth/me", headers=bearer(usual["api_key"]))).json()["id"] == person.id
    key = bearer(answer.json()["api_key"])
    assert answer.json()["api_key"].startswith("a2a_")
    assert (await a2a.api.get("/runs", headers=key)).status_code == 200
    for path in ("/auth/api-keys", "/auth/api-keys/"):
        assert (await a2a.api.get(path, headers=person.headers)).json()["total"] == 2
    await a2a.change(person.id, disabled=True)
    assert (await a2a.api.get("/runs", headers=key)).status_code == 401


async def test_whom_another_system_vouches_for_is_told_what_it_says(storage: dict[str, str]) -> None:
    async with started(storage, *robot("users:self", "runs:*")) as a2a:
        answer = await a2a.api.get("/auth/me", headers=ROBOT)
        assert answer.json() == {"subject": "robot", "project": "default", "permissions": ["runs:*", "users:self"]}
        rights = (await a2a.api.get("/auth/permissions", headers=ROBOT)).json()
        assert rights == {"role": None, "permissions": ["runs:read", "runs:write", "users:self"]}
        body = {"old": PASSWORD, "new": "another one"}
        assert (await a2a.api.post("/auth/password", json=body, headers=ROBOT)).status_code == 403


async def test_a_user_of_the_same_id_in_another_project_is_somebody_else(storage: dict[str, str]) -> None:
    async with started(storage) as a2a:
        admin = a2a.admin.id
    sets = [*robot("users:*"), f"auth.robot.subject={admin}"]
    async with started(storage, *sets) as a2a:
        assert (await a2a.api.get("/auth/me", headers=ROBOT)).json()["username"] == "admin"
    async with started(storage, *sets, "auth.robot.project=other") as a2a:
        assert (await a2a.api.get("/auth/me", headers=ROBOT)).json()["subject"] == admin
        body = {"old": PASSWORD, "new": "another one"}
        assert (await a2a.api.post("/auth/password", json=body, headers=ROBOT)).status_code == 403


async def test_nobody_gives_or_takes_what_they_do_not_hold(storage: dict[str, str]) -> None:
    async with started(storage, *robot("users:*", *ROLES["viewer"])) as a2a:
        viewer, developer = await a2a.registered("viewer"), await a2a.registered("developer")
        for user, change in (
            (viewer, {"role": "developer"}),
            (viewer, {"role": "admin"}),
            (developer, {"role": "viewer"}),
            (developer, {"disabled": True}),
        ):
            answer = await a2a.api.patch(f"/users/{user['id']}", json=change, headers=ROBOT)
            assert (answer.status_code, list(answer.json())) == (403, ["detail"])
        for role in ("developer", "admin"):
            answer = await a2a.api.post("/auth/register", json=registration("r", role=role), headers=ROBOT)
            assert answer.status_code == 403
        disabled = await a2a.api.patch(f"/users/{viewer['id']}", json={"disabled": True}, headers=ROBOT)
        assert (disabled.status_code, disabled.json()["is_active"]) == (200, False)
        assert (await a2a.api.post("/auth/register", json=registration("r"), headers=ROBOT)).status_code == 201
