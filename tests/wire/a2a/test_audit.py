"""`GET /audit`: who did what, on what, from where, in which lane, when, and how it ended."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest

from agentops.core.permissions import ROLES
from tests.wire.a2a.people import PASSWORD, A2a
from tests.wire.tokens import bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def pages(a2a: A2a, query: str) -> list[list[dict[str, Any]]]:
    """This page, and each that a `Link` leads to."""
    answer = await a2a.api.get(f"/audit?{query}", headers=a2a.admin.headers)
    found = [answer.raise_for_status().json()]
    while "next" in answer.links:
        following = answer.url.join(answer.links["next"]["url"])
        answer = await a2a.api.get(str(following), headers=a2a.admin.headers)
        found.append(answer.raise_for_status().json())
    return found


async def test_an_entry_says_who_did_what_on_what_from_where_and_when(a2a: A2a) -> None:
    user = await a2a.registered("viewer")
    before = time.time_ns() // 1_000_000
    answer = await a2a.change(user["id"], role="developer")
    (entry,) = await a2a.trail(action="user.role", target=user["id"])
    fields = "id at project lane actor credential action target outcome reason address requestId details"
    assert list(entry) == fields.split()
    assert entry == entry | {
        "project": "default",
        "lane": "api",
        "actor": a2a.admin.id,
        "action": "user.role",
        "target": user["id"],
        "outcome": "ok",
        "reason": "",
        "address": "127.0.0.1",
        "requestId": answer.headers["x-request-id"],
        "details": {"was": "viewer", "role": "developer"},
    }
    assert isinstance(entry["id"], str)
    assert before <= entry["at"] <= time.time_ns() // 1_000_000


async def test_it_says_by_which_credential(a2a: A2a) -> None:
    await a2a.registered()
    (entry,) = await a2a.trail(action="user.add", limit="1")
    assert entry["credential"].startswith("session:")


async def test_every_change_and_every_sign_in_is_in_it_newest_first(a2a: A2a) -> None:
    person = await a2a.person("developer")
    await a2a.login(person.username, "wrong")
    key = (await a2a.api.post("/auth/api-keys", json={"name": "k"}, headers=person.headers)).json()
    await a2a.api.delete(f"/auth/api-keys/{key['key_id']}", headers=person.headers)
    await a2a.change(person.id, role="viewer")
    await a2a.api.post("/auth/logout", json={"refresh_token": person.refresh_token})
    tokens = bearer((await a2a.tokens(person.username))["access_token"])
    for old in ("wrong", PASSWORD):
        await a2a.api.post("/auth/password", json={"old": old, "new": "staple battery horse"}, headers=tokens)
    await a2a.change(person.id, disabled=True)
    await a2a.change(person.id, disabled=False)
    entries = [entry for entry in await a2a.trail() if entry["target"] in {person.id, key["key_id"]}]
    assert [(entry["action"], entry["outcome"]) for entry in reversed(entries)] == [
        ("user.add", "ok"),
        ("session.login", "ok"),
        ("session.login", "refused"),
        ("key.create", "ok"),
        ("key.revoke", "ok"),
        ("user.role", "ok"),
        ("session.end", "ok"),
        ("session.login", "ok"),
        ("user.passwd", "refused"),
        ("user.passwd", "ok"),
        ("user.disable", "ok"),
        ("user.enable", "ok"),
    ]
    assert {entry["lane"] for entry in entries} == {"api"}
    assert [int(entry["id"]) for entry in entries] == sorted((int(entry["id"]) for entry in entries), reverse=True)


async def test_a_failed_sign_in_is_told_with_its_reason(a2a: A2a) -> None:
    user = await a2a.registered()
    await a2a.login(user["username"], "wrong")
    (wrong,) = await a2a.trail(action="session.login", target=user["id"])
    assert (wrong["outcome"], wrong["reason"]) == ("refused", "wrong password")
    await a2a.login("nobody-at-all", "wrong")
    (unknown, *_) = await a2a.trail(action="session.login", outcome="refused")
    assert (unknown["actor"], unknown["target"]) == ("anonymous", "")


async def test_what_is_asked_for_is_what_is_answered(a2a: A2a) -> None:
    user = await a2a.registered("viewer")
    await a2a.login(user["username"], "wrong")
    await a2a.change(user["id"], role="user")
    everything = await a2a.trail(target=user["id"])
    assert [entry["action"] for entry in everything] == ["user.role", "session.login", "user.add"]
    role, login, added = everything
    assert await a2a.trail(target=user["id"], action="user.role") == [role]
    assert await a2a.trail(target=user["id"], outcome="refused") == [login]
    assert await a2a.trail(target=user["id"], actor=a2a.admin.id) == [role, added]
    assert await a2a.trail(target=user["id"], actor=a2a.admin.id, action="user.add", outcome="ok") == [added]
    assert await a2a.trail(target=user["id"], before=role["id"]) == [login, added]
    assert await a2a.trail(target=user["id"], since=str(login["at"]), until=str(role["at"])) in (
        [login],
        [login, added],
    )
    assert await a2a.trail(target=user["id"], since=str(role["at"] + 1)) == []
    assert await a2a.trail(target=user["id"], until=str(added["at"])) == []
    assert await a2a.trail(target=user["id"], since=str(added["at"]), until=str(role["at"] + 1)) == everything
    assert await a2a.trail(target=user["id"], action="", actor="", before="", since="") == everything
    assert await a2a.trail(target="nobody") == []


async def test_it_is_read_to_its_end_a_page_at_a_time(a2a: A2a) -> None:
    user = await a2a.registered("viewer")
    for role in ("user", "developer", "viewer"):
        await a2a.change(user["id"], role=role)
    whole = await a2a.trail(target=user["id"])
    assert len(whole) == 4
    for limit, sizes in ((1, [1, 1, 1, 1]), (2, [2, 2]), (3, [3, 1]), (4, [4]), (5, [4])):
        found = await pages(a2a, f"target={user['id']}&limit={limit}")
        assert [len(page) for page in found] == sizes
        assert [entry for page in found for entry in page] == whole


async def test_a_page_that_is_followed_asks_for_the_same(a2a: A2a) -> None:
    hostile = "a&b=c #é/%"
    answer = await a2a.api.get(
        f"/audit/?limit=1&until=4102444800000&outcome=ok&other={quote(hostile)}", headers=a2a.admin.headers
    )
    address = answer.url.join(answer.links["next"]["url"])
    assert address.path == "/api/v1/audit"
    assert dict(address.params) == {
        "limit": "1",
        "until": "4102444800000",
        "outcome": "ok",
        "other": hostile,
        "before": answer.json()[0]["id"],
    }


async def test_a_limit_beyond_the_most_is_the_most(a2a: A2a) -> None:
    for limit in ("1000", "1001", "9" * 30):
        assert await a2a.trail(limit=limit)


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "x", "٣", "1e3", " 1", "+1", "0x1", "\0"])
async def test_a_limit_is_a_whole_number(a2a: A2a, limit: str) -> None:
    answer = await a2a.api.get("/audit", params={"limit": limit}, headers=a2a.admin.headers)
    assert (answer.status_code, answer.json()) == (400, {"detail": "a limit is a whole number of 1 and more"})


@pytest.mark.parametrize("name", ["before", "since", "until"])
@pytest.mark.parametrize("value", ["-1", "x", "1.5", "٣", "9" * 19, "\0", "2026-01-01", "1" * 10_000])
async def test_a_place_and_a_time_are_numbers(a2a: A2a, name: str, value: str) -> None:
    answer = await a2a.api.get("/audit", params={name: value}, headers=a2a.admin.headers)
    assert (answer.status_code, list(answer.json())) == (400, ["detail"])
    assert f"`{name}` is" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["actor", "action", "target", "outcome"])
@pytest.mark.parametrize(
    "value", ["%00", "a%00b", "%ff", "%ED%A0%80", "%", "%zz", "x" * 8_000, "'; DROP TABLE audit; --", "%F0%9F%98%80"]
)
async def test_no_filter_breaks_it(a2a: A2a, name: str, value: str) -> None:
    answer = await a2a.api.get(f"/audit?{name}={value}", headers=a2a.admin.headers)
    assert (answer.status_code, answer.json()) == (200, [])


@pytest.mark.parametrize("role", ROLES)
async def test_only_administrators_read_it(a2a: A2a, role: str) -> None:
    person = await a2a.person(role)
    for path in ("/audit", "/audit/"):
        answer = await a2a.api.get(path, headers=person.headers)
        assert answer.status_code == (200 if role == "admin" else 403)
        assert (await a2a.api.get(path)).status_code == 401


async def test_nobody_writes_it(a2a: A2a) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert (await a2a.api.request(method, "/audit", headers=a2a.admin.headers)).status_code == 405


async def test_another_projects_trail_is_not_seen(a2a: A2a) -> None:
    there = await a2a.elsewhere("far", "far-away")
    theirs = bearer((await a2a.tokens("far-away"))["access_token"])
    entries = (await a2a.api.get("/audit", headers=theirs)).json()
    assert [(entry["action"], entry["target"]) for entry in entries] == [
        ("session.login", there.id),
        ("user.add", there.id),
    ]
    assert await a2a.trail(target=there.id) == []
