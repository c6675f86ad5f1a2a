"""`config/ops-center.toml`: keys that administrators make for others, and tokens, in one header."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest_asyncio

from tests.wire.deployed import deployed
from tests.wire.tokens import SECRET, bearer, token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

ADMIN = token("boss", "*")
ALICE = "/admin/users/alice/api-keys"


@pytest_asyncio.fixture
async def api(storage: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with deployed("ops-center", [], storage | {"OPS_JWT_SECRET": SECRET}) as up:
        yield up.api


async def made(api: httpx.AsyncClient, **wanted: object) -> dict[str, str]:
    answer = await api.post(ALICE, json={"name": "agent", **wanted}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    key: dict[str, str] = answer.json()
    return key


async def test_a_key_is_made_and_works(api: httpx.AsyncClient) -> None:
    key = await made(api, permissions=["runs:write"])
    assert key.keys() == {"api_key", "key_id", "key_prefix", "expires_at", "warning"}
    assert len(key["api_key"]) == len("uc_") + 64
    assert key["api_key"].startswith(key["key_prefix"])
    assert len(key["key_prefix"]) == 7
    answer = await api.post("/runs/r/events", json={"type": "a"}, headers=bearer(key["api_key"]))
    assert answer.status_code == 201
    assert (await api.get("/runs", headers=bearer(key["api_key"]))).status_code == 403


async def test_it_lives_for_90_days_unless_it_is_said(api: httpx.AsyncClient) -> None:
    for days, wanted in ((90, {}), (1, {"expires_in_days": 1}), (365, {"expires_in_days": 365})):
        ends = datetime.fromisoformat((await made(api, **wanted))["expires_at"])
        left = ends - datetime.now(ends.tzinfo)
        assert timedelta(days=days, minutes=-1) < left < timedelta(days=days, minutes=1)


async def test_what_makes_no_sense_is_refused(api: httpx.AsyncClient) -> None:
    for wrong in (
        {},
        {"name": ""},
        {"name": "a", "expires_in_days": 0},
        {"name": "a", "expires_in_days": 366},
        {"name": "a", "expires_in_days": "7"},
        {"name": "a", "days": 7},
        {"name": "a", "permissions": ["runs:raed"]},
        {"name": "a", "permissions": "runs:read"},
        {"name": "a\0b"},
        {"name": "a", "allowed_ips": ["everywhere"]},
    ):
        answer = await api.post(ALICE, json=wrong, headers=ADMIN)
        assert (answer.status_code, list(answer.json())) == (400, ["detail"]), wrong
    assert (await api.get(ALICE, headers=ADMIN)).json() == {"api_keys": [], "total": 0}


async def test_keys_are_listed_without_their_text(api: httpx.AsyncClient) -> None:
    key = await made(api, name="nightly", permissions=["runs:*"])
    await api.get("/runs", headers=bearer(key["api_key"]))
    answer = await api.get(ALICE, headers=ADMIN)
    (listed,) = answer.json()["api_keys"]
    assert answer.json()["total"] == 1
    assert key["api_key"] not in answer.text
    assert (
        listed.items()
        >= {
            "key_id": key["key_id"],
            "key_name": "nightly",
            "key_prefix": key["key_prefix"],
            "permissions": ["runs:*"],
            "expires_at": key["expires_at"],
            "is_active": True,
            "status": "active",
        }.items()
    )
    assert listed.keys() >= {"created_at", "last_used"}


async def test_a_revoked_key_is_refused_by_the_next_request_and_stays_listed(api: httpx.AsyncClient) -> None:
    key = await made(api)
    assert (await api.get("/runs", headers=bearer(key["api_key"]))).status_code == 200
    answer = await api.delete(f"{ALICE}/{key['key_id']}", headers=ADMIN)
    assert (answer.status_code, answer.json()["success"]) == (200, True)
    assert (await api.get("/runs", headers=bearer(key["api_key"]))).status_code == 401
    (listed,) = (await api.get(ALICE, headers=ADMIN)).json()["api_keys"]
    assert (listed["is_active"], listed["status"]) == (False, "revoked")


async def test_all_keys_of_a_user_are_revoked_at_once(api: httpx.AsyncClient) -> None:
    keys = [await made(api) for _ in range(3)]
    await api.delete(f"{ALICE}/{keys[0]['key_id']}", headers=ADMIN)
    bob = (await api.post("/admin/users/bob/api-keys", json={"name": "b"}, headers=ADMIN)).json()
    assert (await api.delete(ALICE, headers=ADMIN)).json() == {"revoked": 2}
    for key in keys:
        assert (await api.get("/runs", headers=bearer(key["api_key"]))).status_code == 401
    assert (await api.get("/runs", headers=bearer(bob["api_key"]))).status_code == 200


async def test_a_rotated_key_lives_on_for_its_grace(api: httpx.AsyncClient) -> None:
    old = await made(api, permissions=["runs:read"])
    answer = await api.post(f"{ALICE}/{old['key_id']}/rotate", json={"grace_seconds": 60}, headers=ADMIN)
    new = answer.json()
    assert answer.status_code == 201
    assert new.keys() == old.keys()
    for key in (old, new):
        assert (await api.get("/runs", headers=bearer(key["api_key"]))).status_code == 200
    at_once = (await api.post(f"{ALICE}/{new['key_id']}/rotate", headers=ADMIN)).json()
    assert (await api.get("/runs", headers=bearer(new["api_key"]))).status_code == 401
    assert (await api.get("/runs", headers=bearer(at_once["api_key"]))).status_code == 200


async def test_somebody_elses_key_is_not_there(api: httpx.AsyncClient) -> None:
    key = await made(api)
    for method, path in (("DELETE", f"/admin/users/bob/api-keys/{key['key_id']}"), ("DELETE", f"{ALICE}/none")):
        assert (await api.request(method, path, headers=ADMIN)).status_code == 404
    answer = await api.post(f"/admin/users/bob/api-keys/{key['key_id']}/rotate", headers=ADMIN)
    assert answer.status_code == 404
    other_project = token("boss", "*", project="elsewhere")
    assert (await api.delete(f"{ALICE}/{key['key_id']}", headers=other_project)).status_code == 404
    assert (await api.get(ALICE, headers=other_project)).json()["total"] == 0


async def test_nobody_grants_what_they_do_not_hold(api: httpx.AsyncClient) -> None:
    manager = token("manager", "keys:manage", "runs:read")
    for permissions in (["runs:write"], ["runs:*"], ["*"], ["keys:own"]):
        answer = await api.post(ALICE, json={"name": "a", "permissions": permissions}, headers=manager)
        assert answer.status_code == 403, permissions
    key = (await api.post(ALICE, json={"name": "a"}, headers=manager)).json()
    (listed,) = (await api.get(ALICE, headers=ADMIN)).json()["api_keys"]
    assert listed["permissions"] == ["runs:read"]
    strong = (await api.post(ALICE, json={"name": "b", "permissions": ["runs:*"]}, headers=ADMIN)).json()
    assert (await api.post(f"{ALICE}/{strong['key_id']}/rotate", headers=manager)).status_code == 403
    assert key["api_key"]


async def test_who_may_not_manage_keys_is_forbidden(api: httpx.AsyncClient) -> None:
    nobody = token("somebody", "runs:*", "keys:own")
    for method, path in (("GET", ALICE), ("POST", ALICE), ("DELETE", ALICE), ("DELETE", f"{ALICE}/x")):
        answer = await api.request(method, path, headers=nobody)
        assert (answer.status_code, list(answer.json())) == (403, ["detail"])


async def test_no_credential_and_every_bad_one_answer_alike(api: httpx.AsyncClient) -> None:
    good = (await made(api))["api_key"]
    gone = await made(api)
    await api.delete(f"{ALICE}/{gone['key_id']}", headers=ADMIN)
    wrong = [
        {},
        {"Authorization": f"Basic {good}"},
        {"Authorization": good},
        {"Authorization": "Bearer"},
        bearer("uc_"),
        bearer(good[:-1]),
        bearer(good[:-1] + ("0" if good[-1] != "0" else "1")),
        bearer(good.upper()),
        bearer(gone["api_key"]),
        bearer("no-dots"),
        bearer("a.b.c"),
        token("boss", "*", exp=1),
        {"X-Api-Key": good},
    ]
    answers = [await api.get("/runs", headers=headers) for headers in wrong]
    assert {(answer.status_code, answer.content) for answer in answers} == {(401, answers[0].content)}
    assert list(answers[0].json()) == ["detail"]


async def test_claims_of_either_name_say_who_is_calling(api: httpx.AsyncClient) -> None:
    named: list[dict[str, object]] = [{"user_id": "zoe"}, {"user_id": 7}, {}]
    for claims in named:
        await api.post(ALICE, json={"name": "a"}, headers=token("boss", "*", **claims))
    actors = [row["actor"] for row in (await api.get("/audit", headers=ADMIN)).json()]
    assert actors == ["boss", "7", "zoe"]


async def test_its_status_needs_no_key(api: httpx.AsyncClient) -> None:
    answer = await api.get("/system/status")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy"})
