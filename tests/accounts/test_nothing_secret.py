"""No password, key or token is written down anywhere: not in a table, an error, a log line or what a debugger shows."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import IntegrityError

from agentops.accounts import hashing
from agentops.accounts.key_text import parse_key
from agentops.core.errors import Refusal
from tests.accounts.parts import ANYTHING, ORIGIN, everything, new_user, refuse_audit, wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agentops.accounts.keys import Keys
    from agentops.accounts.sessions import Sessions
    from agentops.accounts.users import Users
    from tests.accounts.parts import AnyStorage

pytestmark = pytest.mark.usefixtures("cheap_hashes")

PASSWORD = "canary-password-51c9"
ANOTHER = "canary-another-e07d"
WRONG = "canary-wrong-83f2"


class Written:
    """Everything that could be read by somebody else."""

    def __init__(self) -> None:
        self.errors: list[str] = []
        self.shown: list[str] = []

    async def failing(self, call: Coroutine[Any, Any, object]) -> None:
        """Keep all that an error says, and those that led to it."""
        with pytest.raises((Refusal, IntegrityError)) as failure:
            await call
        self.errors += traceback.format_exception(failure.value)
        self.errors += [repr(failure.value), str(getattr(failure.value, "__dict__", ""))]


async def test_a_canary_is_heard_nowhere(
    storage: AnyStorage,
    keys: Keys,
    users: Users,
    make_sessions: Callable[..., Sessions],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    written = Written()
    sessions = make_sessions(grace_seconds=0)
    new = new_user()._replace(password=PASSWORD)
    user = await users.add(ORIGIN, new, {"*"})
    signed_in = await sessions.login(ORIGIN, "alice", PASSWORD)
    refreshed = await sessions.refresh(ORIGIN, signed_in.refresh_token)
    key, first = await keys.create(ORIGIN, wanted(), ANYTHING)
    rotated, second = await keys.rotate(ORIGIN, None, key.id, 60, ANYTHING)
    await keys.revoke(ORIGIN, None, key.id)
    parsed = [parse_key(text, "uc_") for text in (first, second)]
    written.shown += [repr(each) for each in (new, user, signed_in, refreshed, key, rotated, *parsed)]
    written.shown += [repr(vars(each)) for each in (keys, users, sessions, hashing)]

    await written.failing(users.add(ORIGIN, new, {"*"}))
    await written.failing(users.add(ORIGIN, new._replace(username="bob", email="none"), {"*"}))
    await written.failing(users.add(ORIGIN, new._replace(username="bob", password=f"{PASSWORD}\0"), {"*"}))
    await written.failing(users.add(ORIGIN, new._replace(username="bob", role="root"), {"*"}))
    await written.failing(users.add(ORIGIN, new._replace(username="bob", role="admin"), set()))
    await written.failing(users.set_password(ORIGIN, "nobody", ANOTHER))
    await users.set_password(ORIGIN, "alice", ANOTHER)
    await written.failing(sessions.login(ORIGIN, "alice", WRONG))
    await written.failing(sessions.login(ORIGIN, "alice", f"{WRONG}\udc80"))
    await written.failing(sessions.login(ORIGIN, "nobody", WRONG))
    again = await sessions.login(ORIGIN, "alice", ANOTHER)
    newest = await sessions.refresh(ORIGIN, again.refresh_token)
    await written.failing(sessions.refresh(ORIGIN, f"{again.refresh_token}\n"))
    await written.failing(sessions.refresh(ORIGIN, again.refresh_token))
    await written.failing(sessions.refresh(ORIGIN, newest.refresh_token))
    await written.failing(keys.rotate(ORIGIN, None, first, 60, ANYTHING))
    await written.failing(keys.revoke(ORIGIN, None, second))

    stored = str(await everything(storage))
    await refuse_audit(storage)
    await written.failing(users.add(ORIGIN, new._replace(username="bob", email="bob@example.org"), {"*"}))
    await written.failing(users.set_password(ORIGIN, "alice", PASSWORD))
    await written.failing(sessions.login(ORIGIN, "alice", ANOTHER))
    await written.failing(sessions.login(ORIGIN, "alice", WRONG))
    await written.failing(keys.create(ORIGIN, wanted(), ANYTHING))

    tokens = [each.refresh_token.partition(".")[2] for each in (signed_in, refreshed, again, newest)]
    canaries = [PASSWORD, ANOTHER, WRONG, *tokens, *(each.secret for each in parsed if each is not None)]
    assert len(set(canaries)) == 9
    lines = caplog.text + str([vars(record) for record in caplog.records])
    everywhere = {"stored": stored, "errors": "".join(written.errors), "shown": "".join(written.shown), "logged": lines}
    assert user.id in stored
    assert "refused" in everywhere["errors"]
    assert [(place, canary) for place, text in everywhere.items() for canary in canaries if canary in text] == []
