"""A user who has signed in may do what the role of today allows, for as long as the session runs, and no longer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from agentops.accounts.standing import as_of_now, changed
from agentops.core.identity import Identity
from agentops.core.permissions import ROLES
from agentops.core.records import now_ms
from agentops.sql import tables
from tests.accounts.parts import HOSTILE, ORIGIN, PASSWORD, change, new_user

if TYPE_CHECKING:
    from agentops.accounts.sessions import Sessions
    from agentops.accounts.users import User, Users
    from tests.accounts.parts import AnyStorage


pytestmark = pytest.mark.usefixtures("cheap_hashes")


def shown_by(user: str, session: str, *permissions: str) -> Identity:
    """What a token says that was given out at the sign-in."""
    return Identity(user, "claimed", frozenset(permissions or {"*"}), f"session:{session}", "admin", 99.0)


@pytest_asyncio.fixture
async def session(sessions: Sessions, alice: User) -> str:
    return (await sessions.login(ORIGIN, alice.username, PASSWORD)).session


@pytest.fixture
def claimed(alice: User, session: str) -> Identity:
    return shown_by(alice.id, session)


async def test_project_and_role_are_those_of_the_user(storage: AnyStorage, claimed: Identity) -> None:
    now = await as_of_now(storage, claimed)
    assert now is not None
    assert now == Identity(claimed.subject, "p", ROLES["user"], claimed.credential, "user", 99.0)
    assert await changed(storage, [now]) == []


async def test_rights_are_those_that_token_and_role_both_allow(storage: AnyStorage, alice: User, session: str) -> None:
    now = await as_of_now(storage, shown_by(alice.id, session, "runs:*", "audit:read"))
    assert now is not None
    assert now.permissions == {"runs:read", "runs:write"}


async def test_a_role_acts_at_once(storage: AnyStorage, users: Users, claimed: Identity) -> None:
    before = await as_of_now(storage, claimed)
    assert before is not None
    await users.set_role(ORIGIN, "alice", "viewer")
    assert await changed(storage, [before]) == [before]
    after = await as_of_now(storage, claimed)
    assert after is not None
    assert (after.role, after.permissions) == ("viewer", ROLES["viewer"])
    assert await changed(storage, [before, after]) == [before]
    await change(storage, tables.users, role="dismissed")
    dismissed = await as_of_now(storage, claimed)
    assert dismissed is not None
    assert dismissed.permissions == frozenset()


async def test_nobody_stands_by_a_session_that_is_over(
    storage: AnyStorage, sessions: Sessions, users: Users, claimed: Identity, session: str
) -> None:
    now = await as_of_now(storage, claimed)
    assert now is not None

    async def over() -> bool:
        return await as_of_now(storage, claimed) is None and await changed(storage, [now]) == [now]

    assert not await over()
    await change(storage, tables.sessions, expires_at=now_ms())
    assert await over()
    await change(storage, tables.sessions, expires_at=now_ms() + 60_000)
    assert not await over()
    await sessions.logout(ORIGIN, session)
    assert await over()
    await change(storage, tables.sessions, ended_at=None)
    assert not await over()
    await users.disable(ORIGIN, "alice")
    assert await over()
    await change(storage, tables.sessions, ended_at=None)
    assert await over()


async def test_nobody_stands_by_the_session_of_another(
    storage: AnyStorage, users: Users, claimed: Identity, session: str
) -> None:
    bob = await users.add(ORIGIN, new_user("bob"), {"*"})
    others = [shown_by(bob.id, session), *(shown_by(claimed.subject, text) for text in HOSTILE.values())]
    others.append(Identity(claimed.subject))
    assert [other for other in others if await as_of_now(storage, other) is not None] == []
