"""Refresh tokens: each is good once, a lost answer may be asked for again, and a stolen one ends its family."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from agentops.accounts.sessions import SignedIn
from agentops.core.errors import Unauthorized
from agentops.core.records import now_ms
from agentops.sql import tables
from tests.accounts.parts import HOSTILE, ORIGIN, PASSWORD, change, everything, rows, said, together, trail

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentops.accounts.sessions import Sessions
    from agentops.accounts.users import User, Users
    from tests.accounts.parts import AnyStorage

    MakeSessions = Callable[..., Sessions]

pytestmark = pytest.mark.usefixtures("cheap_hashes")

NOBODY = ORIGIN._replace(project="default", actor="anonymous", credential=None)


@pytest_asyncio.fixture
async def family(sessions: Sessions, alice: User) -> SignedIn:
    return await sessions.login(NOBODY, "alice", PASSWORD)


async def refused(sessions: Sessions, *tokens: str) -> Unauthorized:
    """Each of the tokens is refused, in the same words."""
    refusals: list[Unauthorized] = []
    for token in tokens:
        with pytest.raises(Unauthorized) as refusal:
            await sessions.refresh(NOBODY, token)
        refusals.append(refusal.value)
    assert len({str(said(each)) for each in refusals}) == 1
    return refusals[0]


async def ends(storage: AnyStorage) -> list[str]:
    """Why sessions ended, as the trail tells it."""
    return [row["reason"] for row in await rows(storage, tables.audit) if row["action"] == "session.end"]


async def current(storage: AnyStorage, *tokens: str) -> list[str]:
    """Those of the tokens whose secret is the one that the only session takes next."""
    (session,) = await rows(storage, tables.sessions)
    return [token for token in tokens if sha256(token.split(".")[1].encode()).hexdigest() == session["current"]]


THEFT = "a spent refresh token was shown again"


async def test_each_token_is_spent_for_the_next(
    storage: AnyStorage, sessions: Sessions, alice: User, family: SignedIn
) -> None:
    tokens = [family.refresh_token]
    for _ in range(3):
        signed_in = await sessions.refresh(NOBODY, tokens[-1])
        assert (signed_in.user, signed_in.session) == (alice, family.session)
        tokens.append(signed_in.refresh_token)
        assert await current(storage, *tokens) == tokens[-1:]
    assert len(set(tokens)) == 4
    assert len({token.partition(".")[2] for token in tokens}) == 4
    assert (await rows(storage, tables.sessions))[0]["ended_at"] is None


async def test_tokens_are_stored_nowhere(storage: AnyStorage, sessions: Sessions, family: SignedIn) -> None:
    tokens = [family.refresh_token]
    for _ in range(3):
        tokens.append((await sessions.refresh(NOBODY, tokens[-1])).refresh_token)
    stored = str(await everything(storage))
    assert family.session in stored
    assert [token for token in tokens if token.partition(".")[2] in stored] == []


async def test_a_token_spent_long_ago_ends_the_whole_family(
    storage: AnyStorage, sessions: Sessions, alice: User, family: SignedIn
) -> None:
    newest = await sessions.refresh(NOBODY, family.refresh_token)
    await change(storage, tables.sessions, rotated_at=now_ms() - 30_001)
    await refused(sessions, family.refresh_token, newest.refresh_token, family.refresh_token)
    told = (await rows(storage, tables.audit))[-1]
    assert (told["action"], told["target"], told["reason"]) == ("session.end", alice.id, THEFT)
    assert (told["project"], told["actor"], told["address"]) == ("p", "alice", NOBODY.address)
    assert told["details"] == f'{{"session":"{family.session}"}}'
    assert await ends(storage) == [THEFT]


async def test_theft_in_one_family_is_nothing_to_another(
    sessions: Sessions, make_sessions: MakeSessions, family: SignedIn
) -> None:
    other = await sessions.login(NOBODY, "alice", PASSWORD)
    newest = await sessions.refresh(NOBODY, family.refresh_token)
    await refused(make_sessions(grace_seconds=0), family.refresh_token, newest.refresh_token)
    assert (await sessions.refresh(NOBODY, other.refresh_token)).session == other.session


async def test_a_token_from_before_the_last_one_ends_the_family_at_once(
    storage: AnyStorage, sessions: Sessions, family: SignedIn
) -> None:
    second = await sessions.refresh(NOBODY, family.refresh_token)
    third = await sessions.refresh(NOBODY, second.refresh_token)
    await refused(sessions, family.refresh_token, second.refresh_token, third.refresh_token)
    assert await ends(storage) == [THEFT]


async def test_a_lost_answer_is_given_again(storage: AnyStorage, sessions: Sessions, family: SignedIn) -> None:
    answers = [await sessions.refresh(NOBODY, family.refresh_token) for _ in range(3)]
    assert answers == answers[:1] * 3
    assert (await sessions.refresh(NOBODY, answers[0].refresh_token)).session == family.session
    assert await ends(storage) == []


async def test_those_who_come_at_once_get_the_same_successor(
    storage: AnyStorage, sessions: Sessions, family: SignedIn
) -> None:
    first, *others = await together(
        storage, tables.sessions, *(sessions.refresh(NOBODY, family.refresh_token) for _ in range(4))
    )
    assert isinstance(first, SignedIn)
    assert others == [first] * 3
    assert (await sessions.refresh(NOBODY, first.refresh_token)).session == family.session
    assert await ends(storage) == []


async def test_without_a_grace_the_second_of_two_is_a_thief(
    storage: AnyStorage, make_sessions: MakeSessions, family: SignedIn
) -> None:
    sessions = make_sessions(grace_seconds=0)
    first, *others = await together(
        storage, tables.sessions, *(sessions.refresh(NOBODY, family.refresh_token) for _ in range(3))
    )
    assert isinstance(first, SignedIn)
    assert [type(other) for other in others] == [Unauthorized] * 2
    await refused(sessions, first.refresh_token)
    assert await ends(storage) == [THEFT]


async def test_of_two_who_end_a_family_at_once_one_tells_of_it(
    storage: AnyStorage, sessions: Sessions, family: SignedIn
) -> None:
    leaving = [sessions.logout(NOBODY, family.session) for _ in range(3)]
    assert await together(storage, tables.sessions, *leaving) == [None] * 3
    assert await ends(storage) == ["signed out"]


async def test_who_signs_out_ends_the_family_and_no_other(
    storage: AnyStorage, sessions: Sessions, alice: User, family: SignedIn
) -> None:
    other = await sessions.login(NOBODY, "alice", PASSWORD)
    for _ in range(2):
        await sessions.logout(ORIGIN, family.session)
    await refused(sessions, family.refresh_token)
    assert (await sessions.refresh(NOBODY, other.refresh_token)).session == other.session
    assert (await trail(storage))[-1] == ("session.end", alice.id, "ok")
    assert await ends(storage) == ["signed out"]


async def test_a_session_that_is_not_there_is_left_alone(
    storage: AnyStorage, sessions: Sessions, family: SignedIn
) -> None:
    before = await everything(storage)
    for session in [*HOSTILE.values(), "0" * 32, family.refresh_token]:
        await sessions.logout(ORIGIN, session)
    assert await everything(storage) == before


async def test_a_session_ends_with_its_days(storage: AnyStorage, sessions: Sessions, family: SignedIn) -> None:
    newest = await sessions.refresh(NOBODY, family.refresh_token)
    assert await current(storage, newest.refresh_token)
    await change(storage, tables.sessions, expires_at=now_ms())
    await refused(sessions, newest.refresh_token, family.refresh_token)
    assert await ends(storage) == []


async def test_who_is_disabled_is_signed_out(
    storage: AnyStorage, sessions: Sessions, users: Users, family: SignedIn
) -> None:
    await users.disable(ORIGIN, "alice")
    assert (await rows(storage, tables.sessions))[0]["ended_at"] is not None
    await refused(sessions, family.refresh_token)


async def test_who_is_disabled_is_refused_also_with_a_session_that_runs(
    storage: AnyStorage, sessions: Sessions, family: SignedIn
) -> None:
    await change(storage, tables.users, disabled_at=now_ms())
    await refused(sessions, family.refresh_token)


async def test_a_refresh_tells_the_role_of_today(sessions: Sessions, users: Users, family: SignedIn) -> None:
    await users.set_role(ORIGIN, "alice", "viewer")
    assert (await sessions.refresh(NOBODY, family.refresh_token)).user.role == "viewer"


async def test_what_is_no_token_is_refused_and_harms_nobody(
    storage: AnyStorage, sessions: Sessions, family: SignedIn
) -> None:
    session, _, secret = family.refresh_token.partition(".")
    malformed = [
        *HOSTILE.values(),
        ".",
        session,
        f"{session}.",
        f".{secret}",
        f"{session}{secret}",
        f"{session}.{secret[1:]}",
        f"{session}.{secret}x",
        f"{session}.{secret[1:]}\n",
        f"{session}.{secret}\n",
        f" {session}.{secret}",
        f"{session}.{secret[1:]}=",
        f"{session}.{secret[1:]}\N{FULLWIDTH DIGIT ONE}",
        f"{session[1:]}\N{FULLWIDTH DIGIT ONE}.{secret}",
        f"{session[1:]}\0.{secret}",
        f"{session[1:]}G.{secret}",
        f"{'0' * 32}.{secret}",
    ]
    before = await everything(storage)
    await refused(sessions, *malformed)
    assert await everything(storage) == before
    assert (await sessions.refresh(NOBODY, family.refresh_token)).session == family.session


async def test_a_made_up_token_of_a_session_ends_nothing(
    storage: AnyStorage, sessions: Sessions, family: SignedIn
) -> None:
    """A session's id is no secret: it is in every access token, and in the audit trail."""
    _, secret, tag = family.refresh_token.split(".")
    made_up = [(f"{'A' * 43}", f"{'A' * 22}"), ("A" * 43, tag), (secret, "A" * 22)]
    before = await everything(storage)
    await refused(sessions, *(f"{family.session}.{one}.{other}" for one, other in made_up))
    assert await everything(storage) == before
    assert (await sessions.refresh(NOBODY, family.refresh_token)).session == family.session
