"""Signing in, staying in, and being kept out."""

from __future__ import annotations

import itertools
from urllib.parse import urlencode

import pytest

from tests.security.key_making import hashes
from tests.wire.a2a.people import PASSWORD, A2a, started
from tests.wire.tokens import bearer

__all__ = ["hashes"]

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
    storage: dict[str, str], hashes: list[str]
) -> None:
    async with started(storage) as a2a:
        user, other = await a2a.registered(), await a2a.registered()
        for _ in range(10):
            assert (await a2a.login(user["username"], "wrong")).status_code == 401
        hashes.clear()
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
