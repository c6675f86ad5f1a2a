"""`config/a2a.toml`: people sign in and out, see what they may do, and are made and changed by administrators."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from openapi_spec_validator import OpenAPIV31SpecValidator

from agentops import Kit, Lane
from agentops.accounts import hashing
from agentops.accounts.audit import Origin
from agentops.accounts.users import NewUser
from agentops.accounts.users import Users as UserService
from agentops.core.permissions import ROLES, covers
from agentops.plugins.auth.jwt import Jwt
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.runs import Runs
from agentops.plugins.features.users import Users
from agentops.plugins.storage.sqlite import Sqlite
from agentops.testing.server import following, serving
from tests.wire.a2a import ENVIRON, PASSWORD, ROBOT, A2a, robot, started, storage_of_session
from tests.wire.deployed import deployed
from tests.wire.test_openapi import document_of, operations, validate
from tests.wire.tokens import SECRET, bearer, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="session")

SESSION_ENDS_LATE = "events.poll_seconds=600"
"""So that only being told of a change can end a stream in a test's time."""

NOBODY_IS_COUNTED_OUT = "features.users.address_failures=100000"
"""All tests of one server fail from the same address."""


@pytest.fixture(scope="session")
def a2a_storage(
    engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return storage_of_session(engine, "users_of_all_tests", request, tmp_path_factory)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def a2a(a2a_storage: dict[str, str]) -> AsyncIterator[A2a]:
    async with started(a2a_storage, NOBODY_IS_COUNTED_OUT, SESSION_ENDS_LATE) as it:
        yield it


def registration(name: str, **other: Any) -> dict[str, Any]:
    return {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "role": "viewer"} | other


async def test_signing_in_gives_tokens_that_work(a2a: A2a) -> None:
    user = await a2a.registered()
    answer = await a2a.login(user["username"])
    tokens = answer.json()
    assert answer.status_code == 200
    assert list(tokens) == ["access_token", "refresh_token", "token_type", "expires_in"]
    assert (tokens["token_type"], tokens["expires_in"]) == ("bearer", 900)
    assert answer.headers["cache-control"] == "no-store"
    assert (await a2a.api.get("/runs", headers=bearer(tokens["access_token"]))).status_code == 200


@pytest.mark.parametrize("more", [{}, {"grant_type": "password", "scope": "", "client_id": "x"}], ids=["bare", "oauth"])
@pytest.mark.parametrize("parameter", ["", "; charset=utf-8"], ids=["plain", "charset"])
async def test_a_form_signs_in_as_well(a2a: A2a, more: dict[str, str], parameter: str) -> None:
    user = await a2a.registered()
    answer = await a2a.api.post(
        "/auth/login",
        content=urlencode({"username": user["username"], "password": PASSWORD, **more}),
        headers={"Content-Type": f"application/x-www-form-urlencoded{parameter}"},
    )
    assert (answer.status_code, answer.json()["token_type"]) == (200, "bearer")


async def test_a_name_is_the_same_however_it_is_written(a2a: A2a) -> None:
    user = await a2a.registered()
    assert (await a2a.login(user["username"].upper())).status_code == 200


async def test_the_unknown_the_disabled_and_the_wrong_are_answered_alike(a2a: A2a) -> None:
    known, disabled = await a2a.registered(), await a2a.registered()
    await a2a.change(disabled["id"], disabled=True)
    wrong = [
        (known["username"], PASSWORD + "x"),
        (known["username"], PASSWORD.upper()),
        (known["username"], ""),
        (known["username"], "a" * 2000),
        (known["username"], "nul\0"),
        (f"{known['username']}-no", PASSWORD),
        (disabled["username"], PASSWORD),
        ("", ""),
        ("a" * 10_000, PASSWORD),
        ("nul\0", PASSWORD),
        ("Ünï\N{RIGHT-TO-LEFT OVERRIDE}", PASSWORD),
    ]
    answers = [await a2a.login(name, password) for name, password in wrong]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (401, b'{"detail":"the username or the password is wrong"}')
    }


async def test_a_login_that_failed_too_often_waits_and_costs_no_hash(
    storage: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(storage) as a2a:
        user, other = await a2a.registered(), await a2a.registered()
        for _ in range(10):
            assert (await a2a.login(user["username"], "wrong")).status_code == 401
        hashes = counting_hashes(monkeypatch)
        answers = [await a2a.login(user["username"].upper(), password) for password in ("wrong", PASSWORD)]
        assert hashes == []
        for answer in answers:
            assert (answer.status_code, list(answer.json())) == (429, ["detail"])
            assert 0 < int(answer.headers["retry-after"]) <= 15 * 60
        assert (await a2a.login(other["username"])).status_code == 200
        assert len(hashes) == 1


async def test_an_address_that_failed_too_often_waits_whoever_is_asked_for(storage: dict[str, str]) -> None:
    async with started(storage, "features.users.address_failures=5") as a2a:
        user = await a2a.registered()
        statuses = [(await a2a.login(f"guess-{number}", "wrong")).status_code for number in range(7)]
        assert statuses == [401] * 5 + [429] * 2
        assert (await a2a.login(user["username"])).status_code == 429


async def test_success_is_not_counted_as_failure(storage: dict[str, str]) -> None:
    async with started(storage, "features.users.account_failures=2", "features.users.address_failures=2") as a2a:
        passwords = [PASSWORD, "second password", "third password", "fourth password"]
        for old, new in itertools.pairwise(passwords):
            headers = bearer((await a2a.tokens("admin", old))["access_token"])
            answer = await a2a.api.post("/auth/password", json={"old": old, "new": new}, headers=headers)
            assert answer.status_code == 204


def counting_hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What argon2 is asked for from here on; it still does it."""
    asked: list[str] = []
    verify = hashing._hasher.verify

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(hasher, name)

        def verify(self, stored: str, secret: str) -> bool:
            asked.append(stored)
            return verify(stored, secret)

    hasher = hashing._hasher
    monkeypatch.setattr(hashing, "_hasher", Counting())
    return asked


async def test_refreshing_spends_the_token(a2a: A2a) -> None:
    person = await a2a.person()
    answer = await a2a.refresh(person.refresh_token)
    fresh = answer.json()
    assert answer.status_code == 200
    assert list(fresh) == ["access_token", "refresh_token", "token_type", "expires_in"]
    assert answer.headers["cache-control"] == "no-store"
    assert fresh["refresh_token"] != person.refresh_token
    assert (await a2a.api.get("/runs", headers=bearer(fresh["access_token"]))).status_code == 200


async def test_a_lost_answer_is_no_theft(a2a: A2a) -> None:
    person = await a2a.person()
    first, again = [(await a2a.refresh(person.refresh_token)).json() for _ in range(2)]
    assert again["refresh_token"] == first["refresh_token"]
    assert (await a2a.refresh(first["refresh_token"])).status_code == 200


async def test_a_spent_token_shown_again_ends_the_family(storage: dict[str, str]) -> None:
    async with started(storage, "features.users.grace_seconds=0") as a2a:
        person = await a2a.person()
        other = await a2a.tokens(person.username)
        newest = (await a2a.refresh(person.refresh_token)).json()
        assert (await a2a.refresh(person.refresh_token)).status_code == 401
        assert (await a2a.refresh(newest["refresh_token"])).status_code == 401
        assert (await a2a.refresh(other["refresh_token"])).status_code == 200
        (entry,) = await a2a.trail(action="session.end")
        assert entry["reason"] == "a spent refresh token was shown again"
        assert (await a2a.api.get("/runs", headers=bearer(newest["access_token"]))).status_code == 401


@pytest.mark.parametrize("shown", ["", "x", "a" * 5000, "nul\0", f"{'0' * 32}.{'A' * 43}", "9f86.é"])
async def test_what_is_no_refresh_token_is_401(a2a: A2a, shown: str) -> None:
    answer = await a2a.refresh(shown)
    assert (answer.status_code, answer.json()) == (401, {"detail": "this refresh token is not valid"})


async def test_signing_out_with_the_access_token(a2a: A2a) -> None:
    person = await a2a.person()
    other = await a2a.tokens(person.username)
    answer = await a2a.api.post("/auth/logout", headers=person.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "content-length" not in answer.headers
    assert await a2a.status(person) == 401
    assert (await a2a.refresh(person.refresh_token)).status_code == 401
    assert (await a2a.api.get("/runs", headers=bearer(other["access_token"]))).status_code == 200


@pytest.mark.parametrize("spent", [False, True], ids=["current", "spent"])
async def test_signing_out_with_a_refresh_token_of_the_family(a2a: A2a, *, spent: bool) -> None:
    person = await a2a.person()
    newest = (await a2a.refresh(person.refresh_token)).json()["refresh_token"]
    shown = person.refresh_token if spent else newest
    assert (await a2a.api.post("/auth/logout", json={"refresh_token": shown})).status_code == 204
    assert (await a2a.refresh(newest)).status_code == 401
    (entry,) = await a2a.trail(action="session.end", target=person.id)
    assert (entry["actor"], entry["reason"]) == (person.username, "signed out")
    assert await a2a.status(person) == 401


async def test_a_refresh_token_that_is_no_good_has_nothing_to_end(a2a: A2a) -> None:
    person = await a2a.person()
    for _ in range(2):
        gone = await a2a.api.post("/auth/logout", json={"refresh_token": person.refresh_token})
        assert gone.status_code == 204
    for shown in ("", "x", f"{'0' * 32}.{'A' * 43}"):
        assert (await a2a.api.post("/auth/logout", json={"refresh_token": shown})).status_code == 204


async def test_who_signs_out_shows_a_token(a2a: A2a) -> None:
    key = (await a2a.api.post("/auth/api-keys", json={"name": "k"}, headers=a2a.admin.headers)).json()["api_key"]
    of_no_session = token(a2a.admin.id, iss="a2a")
    for headers in ({}, {"Authorization": "Basic eDp5"}, bearer("a.b.c"), bearer(key), of_no_session):
        answer = await a2a.api.post("/auth/logout", headers=headers)
        assert (answer.status_code, list(answer.json())) == (401, ["detail"])


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
    assert (await a2a.api.post("/auth/api-keys/", json=wanted, headers=person.headers)).status_code == 201
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
    service = UserService(a2a.up.deployment.storage)
    new = NewUser("elsewhere", "elsewhere@example.com", PASSWORD, "admin")
    there = await service.add(Origin("other", "test"), new, ["*"])
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


async def test_changing_ones_password_signs_out_everywhere(a2a: A2a) -> None:
    person = await a2a.person()
    other = await a2a.tokens(person.username)
    body = {"old": PASSWORD, "new": "staple battery horse"}
    answer = await a2a.api.post("/auth/password", json=body, headers=person.headers)
    assert (answer.status_code, answer.content) == (204, b"")
    for shown in (person.refresh_token, other["refresh_token"]):
        assert (await a2a.refresh(shown)).status_code == 401
    assert (await a2a.login(person.username)).status_code == 401
    assert (await a2a.login(person.username, "staple battery horse")).status_code == 200
    assert await a2a.status(person) == 401


async def test_a_wrong_old_password_changes_nothing_and_is_counted(a2a: A2a) -> None:
    person = await a2a.person()
    body = {"old": "wrong", "new": "staple battery horse"}
    answers = [await a2a.api.post("/auth/password", json=body, headers=person.headers) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [400] * 10 + [429]
    assert answers[0].json() == {"detail": "the old password is wrong"}
    assert int(answers[-1].headers["retry-after"]) > 0
    assert await a2a.status(person) == 200
    told = await a2a.trail(action="user.passwd", target=person.id)
    assert {(entry["outcome"], entry["reason"]) for entry in told} == {("refused", "wrong password")}
    assert len(told) == 10


async def test_what_could_not_be_checked_is_not_counted(a2a: A2a) -> None:
    person = await a2a.person()
    body = {"old": PASSWORD, "new": "staple battery horse"}
    with ExitStack() as crowd:
        for _ in range(hashing.WAITING_MOST):
            assert hashing._places.acquire(timeout=10)
            crowd.callback(hashing._places.release)
        for _ in range(11):
            answers = [
                await a2a.api.post("/auth/password", json=body, headers=person.headers),
                await a2a.login(person.username),
            ]
            assert [(answer.status_code, list(answer.json())) for answer in answers] == [(503, ["detail"])] * 2
    assert (await a2a.api.post("/auth/password", json=body, headers=person.headers)).status_code == 204


@pytest.mark.parametrize("new", ["seven77", "a" * 1025, "eight888\0"], ids=["short", "long", "nul"])
async def test_a_new_password_is_one(a2a: A2a, new: str) -> None:
    person = await a2a.person()
    body = {"old": PASSWORD, "new": new}
    answer = await a2a.api.post("/auth/password", json=body, headers=person.headers)
    assert (answer.status_code, answer.json()) == (400, {"detail": "a password has 8 to 1024 characters"})
    assert (await a2a.login(person.username)).status_code == 200


ENDINGS = {
    "signing-out": lambda a2a, person: a2a.api.post("/auth/logout", headers=person.headers),
    "signing-out-by-refresh-token": lambda a2a, person: a2a.api.post(
        "/auth/logout", json={"refresh_token": person.refresh_token}
    ),
    "disabling": lambda a2a, person: a2a.change(person.id, disabled=True),
    "another-role": lambda a2a, person: a2a.change(person.id, role="viewer"),
    "another-password": lambda a2a, person: a2a.api.post(
        "/auth/password", json={"old": PASSWORD, "new": "staple battery horse"}, headers=person.headers
    ),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_open_streams_end_with_what_they_were_opened_by(a2a: A2a, ending: str) -> None:
    person, other = await a2a.person("developer"), await a2a.person("developer")
    async with (
        following(a2a.api, "/stream", **person.headers) as ended,
        following(a2a.api, "/stream", **other.headers) as going_on,
    ):
        answer = await ENDINGS[ending](a2a, person)
        assert answer.is_success
        with pytest.raises(StopAsyncIteration):
            await ended.next()
        await a2a.api.post("/runs/r/events", json={"type": "a"}, headers=other.headers)
        assert await going_on.events(1)


PUBLIC = {"/auth/login": {"username": "a", "password": "b"}, "/auth/refresh": {"refresh_token": "x"}}
BODIES = PUBLIC | {
    "/auth/register": registration("hostile"),
    "/auth/password": {"old": PASSWORD, "new": PASSWORD},
    "/users/x": {"role": "viewer"},
}


def hostile(path: str) -> dict[str, bytes]:
    """Bodies that are none for this path, each wrong in one way."""
    good = BODIES[path]
    wrong = {
        "empty": b"",
        "null": b"null",
        "list": b"[]",
        "text": b'"a"',
        "number": b"7",
        "cut-off": json.dumps(good).encode()[:-1],
        "not-utf-8": b'{"username":"\xff"}',
        "utf-16": json.dumps(good).encode("utf-16"),
        "deep": b"[" * 50_000,
        "more-behind": json.dumps(good).encode() + b"{}",
    }
    for name in good:
        wrong |= {
            f"{name}-is-a-number": json.dumps(good | {name: 7}).encode(),
            f"{name}-is-a-list": json.dumps(good | {name: ["a"]}).encode(),
            f"{name}-is-half-a-pair": json.dumps(good | {name: "\ud800"}).encode(),
        }
    if path not in PUBLIC:
        wrong["an-unknown-field"] = json.dumps(good | {"colour": "red"}).encode()
    return wrong


@pytest.mark.parametrize("path", BODIES)
async def test_no_body_breaks_it(a2a: A2a, path: str) -> None:
    method = "PATCH" if path.startswith("/users") else "POST"
    for how, body in hostile(path).items():
        answer = await a2a.api.request(method, path, content=body, headers=a2a.admin.headers)
        assert (how, answer.status_code, list(answer.json())) == (how, 400, ["detail"])
    huge = b'{"username":"%b"}' % (b"a" * 70_000)
    answer = await a2a.api.request(method, path, content=huge, headers=a2a.admin.headers)
    assert (answer.status_code, list(answer.json())) == (413, ["detail"])
    for kind in ("text/plain", "multipart/form-data; boundary=x"):
        answer = await a2a.api.request(method, path, content=b"{}", headers={**a2a.admin.headers, "Content-Type": kind})
        assert (answer.status_code, list(answer.json())) == (415, ["detail"])


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"username=a",
        b"password=a",
        b"username=a&username=b&password=c",
        b"username=a&password=b&password=c",
        b"username=%ff&password=b",
        b"username=\xff&password=b",
        b"username=a&password=b" + b"&x=y" * 100,
    ],
)
async def test_no_form_breaks_it(a2a: A2a, form: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await a2a.api.post("/auth/login", content=form, headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])


@pytest.mark.parametrize("form", [b"username=%00&password=%00", b"username=&password=", b"username=a+b&password=%2B"])
async def test_a_form_may_hold_anything(a2a: A2a, form: bytes) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await a2a.api.post("/auth/login", content=form, headers=headers)).status_code == 401


async def test_a_trailing_slash_changes_nothing(a2a: A2a) -> None:
    person = await a2a.person("admin")
    for path in ("/auth/me", "/auth/permissions", "/auth/roles", "/users"):
        with_slash, without = [await a2a.api.get(f"{path}{end}", headers=person.headers) for end in ("/", "")]
        assert (with_slash.status_code, with_slash.content) == (200, without.content)
    assert (await a2a.api.post("/auth/refresh/", json={"refresh_token": person.refresh_token})).status_code == 200
    assert (await a2a.api.patch(f"/users/{person.id}/", json={}, headers=person.headers)).status_code == 200
    assert (await a2a.api.post("/auth/logout/", headers=person.headers)).status_code == 204
    body = {"username": person.username, "password": PASSWORD}
    assert (await a2a.api.post("/auth/login/", json=body)).status_code == 200


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


async def test_no_secret_is_told_in_the_log_or_the_trail(
    storage: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    canary, guess = "canary-" + "c" * 30, "canary-" + "g" * 30
    async with started(storage, A2A_ADMIN_PASSWORD=PASSWORD) as a2a:
        wanted = registration("tweety", password=canary)
        answers = [await a2a.api.post("/auth/register", json=wanted, headers=a2a.admin.headers)]
        answers += [await a2a.login("tweety", guess), await a2a.login(guess, guess)]
        tokens = await a2a.tokens("tweety", canary)
        change = {"old": canary, "new": guess, "newer": guess}
        headers = bearer(tokens["access_token"])
        answers += [
            await a2a.api.post("/auth/password", json=change, headers=headers),
            await a2a.api.post("/auth/password", json={"old": guess, "new": canary}, headers=headers),
            await a2a.api.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]}),
            await a2a.refresh(tokens["refresh_token"]),
        ]
        trail = json.dumps(await a2a.trail(limit="1000"))
    told = capsys.readouterr().err + "".join(answer.text for answer in answers) + trail.replace(f'"{guess}"', "")
    assert "tweety" in told
    for secret in (canary, guess, PASSWORD, SECRET, *tokens["refresh_token"].split("."), tokens["access_token"]):
        assert secret not in told.replace(tokens["refresh_token"].partition(".")[0], "")


async def test_it_is_described_truly(a2a: A2a) -> None:
    document = await document_of(a2a.up.server.client)
    OpenAPIV31SpecValidator(document).validate()
    paths = {path.removeprefix("/api/v1") for _, path, _ in operations(document)}
    assert paths >= {"/auth/login", "/auth/me", "/users/{user_id}", "/audit", "/auth/api-keys"}
    for _, path, operation in operations(document):
        if path.startswith(("/api/v1/auth/", "/api/v1/users", "/api/v1/audit")) and "api-keys" not in path:
            holders = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (kind for holder in holders for kind in holder.get("content", {}).values()):
                assert content["examples"]
                for example in content["examples"].values():
                    validate(document, content["schema"], example["value"])
            for part in operation.get("parameters", ()):
                if "example" in part:
                    validate(document, part["schema"], part["example"])


class Broken(Jwt):
    """Could issue tokens, but does not start."""

    def life(self, rungs: Any) -> Any:
        raise OSError("the machine that holds the key is away")


async def test_an_issuer_that_does_not_start_closes_no_other_lane(tmp_path: Path) -> None:
    kit = Kit(
        storage=Sqlite(path=str(tmp_path / "agentops.sqlite")),
        auth={"people": Broken(secret=SECRET), "key": StaticKey(keys=["k"])},
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
