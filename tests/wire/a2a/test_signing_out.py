"""Signing out, and changing one's password: what ends with it, open streams too."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from agentops.accounts import hashing
from agentops.testing.server import following
from tests.wire.a2a.people import PASSWORD, A2a
from tests.wire.tokens import bearer, token

pytestmark = pytest.mark.asyncio(loop_scope="session")


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
