"""Signing in: whoever may not hears one answer that costs one hash, and nobody guesses for long."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher, extract_parameters

from agentops.accounts import hashing
from agentops.accounts.hashing import matches, outdated
from agentops.accounts.sessions import FORGOTTEN_MS, SignedIn
from agentops.accounts.users import PASSWORD_MOST
from agentops.core.errors import BadRequest, TooManyRequests, Unauthorized, Unavailable
from agentops.core.records import now_ms
from agentops.sql import tables
from tests.accounts.parts import (
    HOSTILE,
    ORIGIN,
    PASSWORD,
    UNSTORABLE,
    add,
    change,
    everything,
    hashes_wait,
    hashing_held,
    new_user,
    rows,
    said,
    together,
    trail,
)
from tests.security.key_making import hashes

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.accounts.sessions import Sessions
    from agentops.accounts.users import User, Users
    from tests.accounts.parts import AnyStorage

    MakeSessions = Callable[..., Sessions]

__all__ = ["hashes"]

NOBODY = ORIGIN._replace(project="default", actor="anonymous", credential=None)


async def refused(sessions: Sessions, username: str, password: str = "wrong password") -> Unauthorized:
    with pytest.raises(Unauthorized) as refusal:
        await sessions.login(NOBODY, username, password)
    return refusal.value


async def test_the_right_password_lets_in(storage: AnyStorage, sessions: Sessions, alice: User) -> None:
    before = now_ms()
    signed_in = await sessions.login(NOBODY, "ALICE", PASSWORD)
    assert signed_in.user == alice
    (session,) = await rows(storage, tables.sessions)
    assert (session["id"], session["user_id"], session["ended_at"]) == (signed_in.session, alice.id, None)
    assert session["expires_at"] - session["created_at"] == 7 * 24 * 3600 * 1000
    assert before <= session["created_at"] <= now_ms()
    told = (await rows(storage, tables.audit))[-1]
    assert (told["action"], told["target"], told["outcome"]) == ("session.login", alice.id, "ok")
    assert (told["project"], told["actor"], told["address"]) == ("p", "alice", NOBODY.address)
    assert told["credential"] == f"session:{signed_in.session}"


async def test_every_sign_in_is_a_session_of_its_own(sessions: Sessions, alice: User) -> None:
    made = [await sessions.login(NOBODY, "alice", PASSWORD) for _ in range(3)]
    assert len({each.session for each in made}) == len({each.refresh_token for each in made}) == 3


async def test_wrong_and_unknown_and_disabled_sound_the_same(
    storage: AnyStorage, sessions: Sessions, users: Users, alice: User
) -> None:
    await users.add(ORIGIN, new_user("gone"), {"*"})
    await users.disable(ORIGIN, "gone")
    refusals = [
        await refused(sessions, "alice"),
        await refused(sessions, "nobody"),
        await refused(sessions, "gone"),
        await refused(sessions, "gone", PASSWORD),
        await refused(sessions, "alice", PASSWORD + "x" * PASSWORD_MOST),
        await refused(sessions, "nobody", PASSWORD + "x" * PASSWORD_MOST),
        *[await refused(sessions, text) for text in HOSTILE.values()],
        *[await refused(sessions, "alice", text) for text in HOSTILE.values()],
    ]
    assert len({str(said(refusal)) for refusal in refusals}) == 1
    assert await rows(storage, tables.sessions) == []


async def test_wrong_and_unknown_and_disabled_cost_one_hash_alike(
    sessions: Sessions, users: Users, alice: User, hashes: list[str]
) -> None:
    await users.add(ORIGIN, new_user("gone"), {"*"})
    await users.disable(ORIGIN, "gone")
    for name in ("alice", "nobody", "gone", "x" * 10_240, *UNSTORABLE.values()):
        hashes.clear()
        await refused(sessions, name)
        assert [extract_parameters(stored) for stored in hashes] == [extract_parameters(await hashing.hashed("x"))]


async def test_a_password_that_none_can_be_costs_no_hash(sessions: Sessions, alice: User, hashes: list[str]) -> None:
    for name in ("alice", "nobody"):
        for password in ("x" * (PASSWORD_MOST + 1), *UNSTORABLE.values()):
            await refused(sessions, name, password)
    assert hashes == []


async def test_a_hash_with_other_parameters_is_renewed_at_the_next_sign_in(
    storage: AnyStorage, sessions: Sessions, alice: User
) -> None:
    old = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)
    await change(storage, tables.users, password=old)
    await refused(sessions, "alice")
    assert (await rows(storage, tables.users))[0]["password"] == old
    await sessions.login(NOBODY, "alice", PASSWORD)
    new = (await rows(storage, tables.users))[0]["password"]
    assert new != old
    assert not outdated(new)
    assert await matches(new, PASSWORD)
    await sessions.login(NOBODY, "alice", PASSWORD)
    assert (await rows(storage, tables.users))[0]["password"] == new


async def test_several_sign_in_at_once_while_the_hash_is_renewed(
    storage: AnyStorage, sessions: Sessions, alice: User
) -> None:
    await change(storage, tables.users, password=PasswordHasher(1, 64, 1).hash(PASSWORD))
    async with hashing_held():
        signing_in = [asyncio.create_task(sessions.login(NOBODY, "alice", PASSWORD)) for _ in range(3)]
        await hashes_wait(3)
    assert len({signed_in.session for signed_in in await asyncio.gather(*signing_in)}) == 3
    assert not outdated((await rows(storage, tables.users))[0]["password"])


async def test_who_is_disabled_while_the_password_is_proved_is_not_let_in(
    storage: AnyStorage, sessions: Sessions, users: Users, alice: User
) -> None:
    async with hashing_held():
        signing_in = asyncio.create_task(sessions.login(NOBODY, "alice", PASSWORD))
        await hashes_wait(1)
        await users.disable(ORIGIN, "alice")
    with pytest.raises(Unauthorized):
        await signing_in
    assert await rows(storage, tables.sessions) == []
    assert (await trail(storage))[-1] == ("session.login", alice.id, "refused")


async def test_who_is_disabled_at_the_moment_of_signing_in_is_out(
    storage: AnyStorage, sessions: Sessions, users: Users, alice: User
) -> None:
    disable, login = users.disable(ORIGIN, "alice"), sessions.login(NOBODY, "alice", PASSWORD)
    disabled, signed_in = await together(storage, tables.users, *(disable, login))
    assert not isinstance(disabled, BaseException)
    assert isinstance(signed_in, Unauthorized)
    assert await rows(storage, tables.sessions) == []


async def test_who_signs_in_at_the_moment_of_being_disabled_is_out(
    storage: AnyStorage, sessions: Sessions, users: Users, alice: User
) -> None:
    login, disable = sessions.login(NOBODY, "alice", PASSWORD), users.disable(ORIGIN, "alice")
    signed_in, _ = await together(storage, tables.users, *(login, disable))
    assert isinstance(signed_in, SignedIn)
    (session,) = await rows(storage, tables.sessions)
    assert session["ended_at"] is not None
    with pytest.raises(Unauthorized):
        await sessions.refresh(NOBODY, signed_in.refresh_token)


async def test_a_password_that_is_replaced_while_it_is_proved_does_not_let_in(
    storage: AnyStorage, sessions: Sessions, alice: User
) -> None:
    new = await hashing.hashed("another password")
    async with hashing_held():
        old_one = asyncio.create_task(sessions.login(NOBODY, "alice", PASSWORD))
        await hashes_wait(1)
        await change(storage, tables.users, password=new)
    with pytest.raises(Unauthorized):
        await old_one
    assert await rows(storage, tables.sessions) == []
    assert (await sessions.login(NOBODY, "alice", "another password")).user == alice


async def test_a_replaced_password_ends_the_sessions(
    storage: AnyStorage, sessions: Sessions, users: Users, alice: User
) -> None:
    await users.add(ORIGIN, new_user("bob"), {"*"})
    signed_in = [await sessions.login(NOBODY, "alice", PASSWORD) for _ in range(2)]
    bob = await sessions.login(NOBODY, "bob", PASSWORD)
    await users.set_password(ORIGIN, "alice", "another password")
    for each in signed_in:
        with pytest.raises(Unauthorized):
            await sessions.refresh(NOBODY, each.refresh_token)
    await refused(sessions, "alice", PASSWORD)
    assert (await sessions.login(NOBODY, "alice", "another password")).user == alice
    assert (await sessions.refresh(NOBODY, bob.refresh_token)).user.username == "bob"


async def test_a_hundred_wrong_passwords_at_once_cost_as_many_hashes_as_may_fail(
    storage: AnyStorage, make_sessions: MakeSessions, alice: User, hashes: list[str]
) -> None:
    sessions = make_sessions(by_account=5)
    outcomes = await asyncio.gather(
        *(sessions.login(NOBODY, ("alice", "ALICE")[n % 2], f"wrong {n}") for n in range(100)), return_exceptions=True
    )
    assert Counter(type(outcome) for outcome in outcomes) == {Unauthorized: 5, TooManyRequests: 95}
    assert len(hashes) == 5
    assert (await trail(storage))[1:] == [("session.login", alice.id, "refused")] * 5
    with pytest.raises(TooManyRequests) as refusal:
        await sessions.login(NOBODY, "alice", PASSWORD)
    assert 1 <= int(refusal.value.headers["Retry-After"]) <= 60


async def test_an_account_is_guarded_from_wherever_it_is_tried(
    make_sessions: MakeSessions, users: Users, alice: User
) -> None:
    await users.add(ORIGIN, new_user("bob"), {"*"})
    sessions = make_sessions(by_account=3)
    for number in range(3):
        with pytest.raises(Unauthorized):
            await sessions.login(NOBODY._replace(address=f"192.0.2.{number}"), "alice", "wrong password")
    with pytest.raises(TooManyRequests):
        await sessions.login(NOBODY._replace(address="192.0.2.9"), "alice", PASSWORD)
    assert (await sessions.login(NOBODY._replace(address="192.0.2.0"), "bob", PASSWORD)).user.username == "bob"


async def test_an_address_is_watched_whomever_it_tries(make_sessions: MakeSessions, alice: User) -> None:
    sessions = make_sessions(by_address=3)
    for name in ("a", "b", "c"):
        await refused(sessions, name)
    with pytest.raises(TooManyRequests):
        await sessions.login(NOBODY, "alice", PASSWORD)
    for address in ("192.0.2.9", None):
        assert (await sessions.login(NOBODY._replace(address=address), "alice", PASSWORD)).user == alice


async def test_who_is_let_in_failed_at_nothing(make_sessions: MakeSessions, alice: User) -> None:
    sessions = make_sessions(by_account=2, by_address=2)
    for _ in range(4):
        await sessions.login(NOBODY, "alice", PASSWORD)
    for _ in range(2):
        await refused(sessions, "alice")
    with pytest.raises(TooManyRequests):
        await sessions.login(NOBODY, "alice", PASSWORD)


async def test_who_was_not_judged_failed_at_nothing(
    storage: AnyStorage, make_sessions: MakeSessions, alice: User
) -> None:
    sessions = make_sessions(by_account=1, by_address=1)
    before = await everything(storage)
    places = 0
    while hashing._places.acquire(blocking=False):
        places += 1
    try:
        for _ in range(3):
            with pytest.raises(Unavailable, match="at once"):
                await sessions.login(NOBODY, "alice", PASSWORD)
    finally:
        hashing._places.release(places)
    assert await everything(storage) == before
    assert (await sessions.login(NOBODY, "alice", PASSWORD)).user == alice


async def test_the_password_of_who_is_signed_in_is_guessed_no_more_often_than_at_the_door(
    storage: AnyStorage, make_sessions: MakeSessions, alice: User, hashes: list[str]
) -> None:
    sessions = make_sessions(by_account=2)
    for _ in range(3):
        await sessions.require_password(ORIGIN, alice, PASSWORD)
    for _ in range(2):
        with pytest.raises(BadRequest) as refusal:
            await sessions.require_password(ORIGIN, alice, "wrong password")
        assert (refusal.value.code, refusal.value.param) == ("wrong_password", "old")
    hashes.clear()
    with pytest.raises(TooManyRequests):
        await sessions.require_password(ORIGIN, alice, PASSWORD)
    assert hashes == []
    assert (await trail(storage))[1:] == [("user.passwd", alice.id, "refused")] * 2


async def test_a_name_that_nobody_has_is_not_kept(storage: AnyStorage, sessions: Sessions, alice: User) -> None:
    """It may be a password, or a key, that was typed into the wrong field."""
    before = len(await rows(storage, tables.audit))
    for name in (*HOSTILE.values(), "nobody\r\n200 ok", "a password", "x" * 1_000_000):
        await refused(sessions, name)
    told = (await rows(storage, tables.audit))[before:]
    assert {(row["actor"], row["target"], row["outcome"], row["reason"]) for row in told} == {
        (NOBODY.actor, "", "refused", "unknown or disabled")
    }


async def test_a_failure_is_told_in_the_project_of_the_user(
    storage: AnyStorage, sessions: Sessions, users: Users, alice: User
) -> None:
    await refused(sessions, "ALICE")
    await users.disable(ORIGIN, "alice")
    await refused(sessions, "alice")
    await refused(sessions, "nobody")
    told = [row for row in await rows(storage, tables.audit) if row["action"] == "session.login"]
    assert [(row["project"], row["actor"], row["target"], row["reason"]) for row in told] == [
        ("p", "alice", alice.id, "wrong password"),
        ("p", "alice", alice.id, "unknown or disabled"),
        ("default", NOBODY.actor, "", "unknown or disabled"),
    ]
    assert {row["address"] for row in told} == {NOBODY.address}


async def test_sessions_that_are_long_over_are_forgotten(storage: AnyStorage, sessions: Sessions, alice: User) -> None:
    now = now_ms()
    row = {"user_id": alice.id, "stamp": "0", "current": "0", "created_at": 0}
    old, kept = {**row, "id": "old", "expires_at": now - FORGOTTEN_MS - 1}, {**row, "id": "kept", "expires_at": now - 1}
    await add(storage, tables.sessions, old, kept)
    signed_in = await sessions.login(NOBODY, "alice", PASSWORD)
    assert {row["id"] for row in await rows(storage, tables.sessions)} == {"kept", signed_in.session}


async def test_who_is_signed_in_does_not_show_the_token(sessions: Sessions, alice: User) -> None:
    signed_in = await sessions.login(NOBODY, "alice", PASSWORD)
    assert isinstance(signed_in, SignedIn)
    for shown in (repr(signed_in), str(signed_in), repr([signed_in])):
        assert signed_in.refresh_token.partition(".")[2] not in shown
        assert signed_in.session in shown
