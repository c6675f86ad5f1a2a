"""The trail: a row for each change, with the change or not at all; read a page at a time, each project its own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from sqlalchemy.exc import IntegrityError

from agentops.accounts import audit
from agentops.accounts.audit import Filter, Origin, everything, page, record
from agentops.core.errors import Unauthorized
from agentops.core.records import now_ms
from agentops.sql import tables
from tests.accounts import parts
from tests.accounts.parts import (
    ANYTHING,
    HOSTILE,
    ORIGIN,
    PASSWORD,
    UNSTORABLE,
    add,
    new_user,
    refuse_audit,
    rows,
    trail,
    wanted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from agentops.accounts.audit import Entry
    from agentops.accounts.keys import Keys
    from agentops.accounts.sessions import Sessions
    from agentops.accounts.users import User, Users
    from tests.accounts.parts import AnyStorage

    MakeSessions = Callable[..., Sessions]

pytestmark = pytest.mark.usefixtures("cheap_hashes")

ALL = Filter(1000)


def ids(entries: Sequence[Entry]) -> list[int]:
    return [int(entry.id) for entry in entries]


def row(number: int, **values: object) -> dict[str, object]:
    return {
        "at": 1000 + number,
        "project": "p",
        "lane": "admin",
        "actor": f"actor-{number % 2}",
        "credential": None,
        "action": f"action-{number % 3}",
        "target": f"target-{number % 5}",
        "outcome": ("ok", "refused")[number % 2],
        "reason": "",
        "address": None,
        "request_id": None,
        "details": "{}",
        **values,
    }


async def test_each_change_is_one_row(
    storage: AnyStorage, keys: Keys, users: Users, sessions: Sessions, alice: User
) -> None:
    key, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    new, _ = await keys.rotate(ORIGIN, None, key.id, 60, ANYTHING)
    await keys.revoke(ORIGIN, None, key.id)
    await keys.revoke_all(ORIGIN, "alice")
    await users.set_role(ORIGIN, "alice", "viewer")
    await users.set_password(ORIGIN, "alice", PASSWORD)
    signed_in = await sessions.login(ORIGIN, "alice", PASSWORD)
    with pytest.raises(Unauthorized):
        await sessions.login(ORIGIN, "alice", "wrong password")
    await sessions.refresh(ORIGIN, signed_in.refresh_token)
    await sessions.logout(ORIGIN, signed_in.session)
    await users.disable(ORIGIN, "alice")
    assert await trail(storage) == [
        ("user.add", alice.id, "ok"),
        ("key.create", key.id, "ok"),
        ("key.rotate", key.id, "ok"),
        ("key.revoke", key.id, "ok"),
        ("key.revoke", new.id, "ok"),
        ("user.role", alice.id, "ok"),
        ("user.passwd", alice.id, "ok"),
        ("session.login", alice.id, "ok"),
        ("session.login", alice.id, "refused"),
        ("session.end", alice.id, "ok"),
        ("user.disable", alice.id, "ok"),
    ]


@pytest.mark.usefixtures("alice")
async def test_a_change_that_cannot_be_told_is_not_made(
    storage: AnyStorage, keys: Keys, users: Users, make_sessions: MakeSessions
) -> None:
    sessions = make_sessions()
    key, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    spent = (await sessions.login(ORIGIN, "alice", PASSWORD)).refresh_token
    signed_in = await sessions.refresh(ORIGIN, spent)
    await refuse_audit(storage)
    before = await parts.everything(storage)
    changes: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
        "add": lambda: users.add(ORIGIN, new_user("bob"), {"*"}),
        "disable": lambda: users.disable(ORIGIN, "alice"),
        "passwd": lambda: users.set_password(ORIGIN, "alice", "another password"),
        "role": lambda: users.set_role(ORIGIN, "alice", "viewer"),
        "create": lambda: keys.create(ORIGIN, wanted(), ANYTHING),
        "revoke": lambda: keys.revoke(ORIGIN, None, key.id),
        "revoke-all": lambda: keys.revoke_all(ORIGIN, "alice"),
        "rotate": lambda: keys.rotate(ORIGIN, None, key.id, 60, ANYTHING),
        "login": lambda: sessions.login(ORIGIN, "alice", PASSWORD),
        "failed-login": lambda: sessions.login(ORIGIN, "alice", "wrong password"),
        "logout": lambda: sessions.logout(ORIGIN, signed_in.session),
        "theft": lambda: make_sessions(grace_seconds=0).refresh(ORIGIN, spent),
    }
    for name, make in changes.items():
        with pytest.raises(IntegrityError):
            await make()
        assert await parts.everything(storage) == before, name


async def test_a_row_tells_who_did_what_from_where(storage: AnyStorage, keys: Keys) -> None:
    before = now_ms()
    key, _ = await keys.create(ORIGIN, wanted(permissions=["runs:write", "runs:read"]), ANYTHING)
    (entry,) = await page(storage, "p", ALL)
    assert before <= entry.at <= now_ms()
    told: dict[str, Any] = json.loads(msgspec.json.encode(entry))
    assert {name: value for name, value in told.items() if name not in {"id", "at"}} == {
        "project": "p",
        "lane": "admin",
        "actor": "boss",
        "credential": "key:1",
        "action": "key.create",
        "target": key.id,
        "outcome": "ok",
        "reason": "",
        "address": "192.0.2.1",
        "requestId": "request-1",
        "details": {
            "owner": "alice",
            "name": "ci",
            "permissions": ["runs:read", "runs:write"],
            "expires_at": key.expires_at,
        },
    }
    assert isinstance(told["id"], str)


async def test_what_strangers_send_is_kept_short_and_printable(storage: AnyStorage) -> None:
    strange = ["a\0b", "\udc80", "x" * 10_240, "\x1b[2J", "a\r\nb", "\u202e", ""]
    async with storage.write() as connection:
        for text in strange:
            origin = Origin("p", text, text, "lane", text, text)
            await audit.record(connection, origin, "test", text)
    (*told,) = await rows(storage, tables.audit)
    kept = ["a\ufffdb", "\ufffd", "x" * 300, "\ufffd[2J", "a\ufffd\ufffdb", "\ufffd", ""]
    for name in ("actor", "credential", "address", "request_id", "target"):
        assert [row[name] for row in told] == kept


async def test_a_page_is_the_newest_first(storage: AnyStorage) -> None:
    await add(storage, tables.audit, *(row(number) for number in range(7)))
    first = ids(await page(storage, "p", Filter(3)))
    second = ids(await page(storage, "p", Filter(3, before=first[-1])))
    third = ids(await page(storage, "p", Filter(3, before=second[-1])))
    assert (len(first), len(second), len(third)) == (3, 3, 1)
    assert first + second + third == sorted(ids(await page(storage, "p", ALL)), reverse=True)
    assert await page(storage, "p", Filter(3, before=third[-1])) == []


async def test_a_cursor_stays_where_it_is_while_rows_are_added(storage: AnyStorage) -> None:
    await add(storage, tables.audit, *(row(number) for number in range(4)))
    first = ids(await page(storage, "p", Filter(2)))
    await add(storage, tables.audit, row(5))
    assert max(ids(await page(storage, "p", Filter(2, before=first[-1])))) < first[-1]
    assert len(await page(storage, "p", Filter(9, before=first[-1]))) == 2


async def test_a_page_shows_what_is_asked_for(storage: AnyStorage) -> None:
    made = [row(number) for number in range(30)]
    await add(storage, tables.audit, *made)
    asked: list[tuple[dict[str, Any], Callable[[dict[str, Any]], bool]]] = [
        ({"actor": "actor-1"}, lambda row: row["actor"] == "actor-1"),
        ({"action": "action-2"}, lambda row: row["action"] == "action-2"),
        ({"target": "target-3"}, lambda row: row["target"] == "target-3"),
        ({"outcome": "refused"}, lambda row: row["outcome"] == "refused"),
        ({"since": 1010}, lambda row: row["at"] >= 1010),
        ({"until": 1010}, lambda row: row["at"] < 1010),
        ({"since": 1010, "until": 1011}, lambda row: row["at"] == 1010),
        (
            {"actor": "actor-0", "action": "action-0", "outcome": "ok", "since": 1005},
            lambda row: row["at"] >= 1005 and row["at"] % 2 == 0 and row["action"] == "action-0",
        ),
        ({"actor": "ACTOR-1"}, lambda _: False),
        ({"actor": "%"}, lambda _: False),
    ]
    for wanted_, chosen in asked:
        shown = await page(storage, "p", ALL._replace(**wanted_))
        assert [entry.at for entry in shown] == [each["at"] for each in reversed(made) if chosen(each)], wanted_
    walked: list[int] = []
    while entries := await page(storage, "p", Filter(4, min(walked, default=None), actor="actor-1")):
        walked += ids(entries)
    assert walked == ids(await page(storage, "p", ALL._replace(actor="actor-1")))
    assert len(walked) == 15


async def test_whatever_is_asked_for_is_answered(storage: AnyStorage) -> None:
    await add(storage, tables.audit, row(0))
    for text in HOSTILE.values():
        for asked in (Filter(9, actor=text), Filter(9, action=text), Filter(9, target=text), Filter(9, outcome=text)):
            assert await page(storage, "p", asked) == []
    for project in UNSTORABLE.values():
        assert await page(storage, project, ALL) == [] == [entry async for entry in everything(storage, project)]
    for number in (2**63 - 1, 2**63, 10**30):
        assert len(await page(storage, "p", ALL._replace(before=number, since=-number, until=number))) == 1
        assert await page(storage, "p", ALL._replace(before=-number)) == []
        assert await page(storage, "p", ALL._replace(since=number)) == []
        assert await page(storage, "p", ALL._replace(until=-number)) == []


async def test_a_strange_name_is_found_by_itself_and_as_it_is_shown(storage: AnyStorage) -> None:
    for name in ("a\0b", "x" * 10_240):
        async with storage.write() as connection:
            await record(connection, ORIGIN._replace(actor=name), "key.create", "")
        (entry,) = await page(storage, "p", ALL._replace(actor=name))
        assert await page(storage, "p", ALL._replace(actor=entry.actor)) == [entry]


async def test_each_project_sees_its_own(storage: AnyStorage) -> None:
    await add(storage, tables.audit, *(row(number, project="pq"[number % 2]) for number in range(6)))
    mine, others = await page(storage, "p", ALL), await page(storage, "q", ALL)
    assert [entry.at for entry in mine] == [1004, 1002, 1000]
    assert [entry.at for entry in others] == [1005, 1003, 1001]
    assert await page(storage, "none", ALL) == []


@pytest.mark.parametrize("stored", [0, 1, 3, 4, 6, 8])
async def test_everything_is_given_once_and_oldest_first(
    storage: AnyStorage, monkeypatch: pytest.MonkeyPatch, stored: int
) -> None:
    monkeypatch.setattr(audit, "EXPORTED_AT_ONCE", 3)
    if stored:
        await add(storage, tables.audit, *(row(number, project="pq"[number % 2]) for number in range(stored)))
    assert [entry.at async for entry in everything(storage, None)] == [1000 + number for number in range(stored)]
    assert [entry.at async for entry in everything(storage, "q")] == [1000 + n for n in range(1, stored, 2)]


async def test_a_long_trail_is_given_whole(storage: AnyStorage) -> None:
    await add(storage, tables.audit, *(row(number) for number in range(2500)))
    assert [entry.at async for entry in everything(storage, "p")] == [1000 + number for number in range(2500)]
