"""Users are made, listed and changed by administrators."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.wire.a2a.people import A2a, registration, started
from tests.wire.tokens import bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_administrator_makes_a_user(a2a: A2a) -> None:
    answer = await a2a.api.post("/auth/register", json=registration("Grace"), headers=a2a.admin.headers)
    user = answer.json()
    assert answer.status_code == 201
    assert list(user) == ["id", "username", "email", "role", "project", "is_active", "created_at"]
    assert user == user | {
        "username": "Grace",
        "email": "Grace@example.com",
        "role": "viewer",
        "project": "default",
        "is_active": True,
    }
    assert user["created_at"].endswith("Z")
    listed = (await a2a.api.get("/users", headers=a2a.admin.headers)).json()
    assert user in listed


async def test_a_name_or_an_address_that_is_taken_is_a_clear_409(a2a: A2a) -> None:
    user = await a2a.registered()
    same_name = registration("x-1", username=user["username"].upper())
    same_email = registration("x-2", email=user["email"].upper())
    for wanted, told in ((same_name, "this username is taken"), (same_email, "this email is taken")):
        answer = await a2a.api.post("/auth/register", json=wanted, headers=a2a.admin.headers)
        assert (answer.status_code, answer.json()) == (409, {"detail": told})


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "seven77"},
        {"password": "a" * 1025},
        {"password": "eight888\0"},
        {"role": "root"},
        {"role": ""},
        {"role": None},
        {"email": "nobody"},
        {"email": "a\0@example.com"},
        {"email": 7},
        {"username": ""},
        {"username": " x"},
        {"username": "a" * 101},
        {"username": "nul\0"},
        {"username": "line\nbreak"},
        {"username": ["x"]},
        {"is_admin": True},
    ],
    ids=str,
)
async def test_who_cannot_be_a_user_is_400_and_not_made(a2a: A2a, wrong: dict[str, Any]) -> None:
    wanted = registration("never", **wrong)
    answer = await a2a.api.post("/auth/register", json=wanted, headers=a2a.admin.headers)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    names = [user["username"] for user in (await a2a.api.get("/users", headers=a2a.admin.headers)).json()]
    assert wanted["username"] not in names


async def test_another_role_holds_from_the_next_request_on(a2a: A2a) -> None:
    person = await a2a.person("viewer")
    assert (await a2a.api.post("/runs", json={}, headers=person.headers)).status_code == 403
    answer = await a2a.change(person.id, role="developer")
    assert (answer.status_code, answer.json()["role"]) == (200, "developer")
    assert (await a2a.api.post("/runs", json={}, headers=person.headers)).status_code == 201
    await a2a.change(person.id, role="viewer")
    assert (await a2a.api.post("/runs", json={}, headers=person.headers)).status_code == 403


async def test_who_is_disabled_is_out_from_the_next_request_on(a2a: A2a) -> None:
    person = await a2a.person("developer")
    answer = await a2a.change(person.id, disabled=True)
    assert (answer.status_code, answer.json()["is_active"]) == (200, False)
    assert await a2a.status(person) == 401
    assert (await a2a.refresh(person.refresh_token)).status_code == 401
    assert (await a2a.login(person.username)).status_code == 401


async def test_who_is_enabled_again_signs_in_again(a2a: A2a) -> None:
    person = await a2a.person()
    await a2a.change(person.id, disabled=True)
    answer = await a2a.change(person.id, disabled=False)
    assert (answer.status_code, answer.json()["is_active"]) == (200, True)
    assert (await a2a.refresh(person.refresh_token)).status_code == 401
    assert (await a2a.login(person.username)).status_code == 200
    assert await a2a.status(person) == 401


async def test_both_changes_at_once_are_told_of_one_by_one(a2a: A2a) -> None:
    user = await a2a.registered("viewer")
    changed = (await a2a.change(user["id"], role="user", disabled=True)).json()
    assert changed == user | {"role": "user", "is_active": False}
    actions = [entry["action"] for entry in await a2a.trail(target=user["id"])]
    assert actions == ["user.disable", "user.role", "user.add"]


@pytest.mark.parametrize("nothing", [{}, {"role": "viewer"}, {"disabled": False}, {"role": None, "disabled": None}])
async def test_what_changes_nothing_is_answered_and_not_told(a2a: A2a, nothing: dict[str, Any]) -> None:
    user = await a2a.registered("viewer")
    answer = await a2a.change(user["id"], **nothing)
    assert (answer.status_code, answer.json()) == (200, user)
    assert [entry["action"] for entry in await a2a.trail(target=user["id"])] == ["user.add"]


@pytest.mark.parametrize("user_id", ["usr_0000000000000000", "x" * 10_000, "%00", "%ff", "a%2Fb", "%ED%A0%80"])
async def test_who_is_not_there_is_404(a2a: A2a, user_id: str) -> None:
    answer = await a2a.change(user_id, role="viewer")
    assert (answer.status_code, answer.json()) == (404, {"detail": "there is no such user"})


async def test_another_projects_user_is_not_there(a2a: A2a) -> None:
    there = await a2a.elsewhere("other", "elsewhere")
    assert (await a2a.change(there.id, role="viewer")).status_code == 404
    listed = (await a2a.api.get("/users", headers=a2a.admin.headers)).json()
    assert there.id not in {user["id"] for user in listed}
    theirs = bearer((await a2a.tokens("elsewhere"))["access_token"])
    assert [user["id"] for user in (await a2a.api.get("/users", headers=theirs)).json()] == [there.id]
    made = (await a2a.api.post("/auth/register", json=registration("elsewhere-2"), headers=theirs)).json()
    assert made["project"] == "other"


async def test_the_last_administrator_stays(storage: dict[str, str]) -> None:
    async with started(storage) as a2a:
        for change in ({"role": "developer"}, {"disabled": True}):
            answer = await a2a.change(a2a.admin.id, **change)
            assert answer.status_code == 409
            assert "last administrator" in answer.json()["detail"]
        second = await a2a.registered("admin")
        await a2a.change(second["id"], disabled=True)
        assert (await a2a.change(a2a.admin.id, role="developer")).status_code == 409
        await a2a.change(second["id"], disabled=False)
        assert (await a2a.change(a2a.admin.id, role="developer")).status_code == 200


async def test_of_administrators_who_step_down_at_once_one_stays(storage: dict[str, str]) -> None:
    async with started(storage) as a2a:
        people = [a2a.admin, *[await a2a.person("admin") for _ in range(3)]]
        answers = await asyncio.gather(
            *[
                a2a.api.patch(f"/users/{person.id}", json={"disabled": True}, headers=person.headers)
                for person in people
            ]
        )
        assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 409]
