"""Users: one of each name and address however it is written, with one role, and none of them above who makes them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from agentops.accounts.hashing import matches
from agentops.accounts.users import EMAIL_MOST, NAME_MOST, PASSWORD_LEAST, PASSWORD_MOST, NewUser, User, refusals_of
from agentops.core.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from agentops.core.permissions import ROLES
from agentops.core.records import now_ms
from agentops.sql import tables
from tests.accounts.parts import (
    HOSTILE,
    ORIGIN,
    PASSWORD,
    UNSTORABLE,
    everything,
    new_user,
    rows,
    together,
    trail,
)

if TYPE_CHECKING:
    from agentops.accounts.sessions import Sessions
    from agentops.accounts.users import Users
    from tests.accounts.parts import AnyStorage

pytestmark = pytest.mark.usefixtures("cheap_hashes")

CANARY = "canary-9f3b"

BAD_NAMES = {**HOSTILE, "blank-before": " alice", "blank-behind": "alice ", "line-break": "a\nb", "turned": "a\u202eb"}
BAD_ADDRESSES = {
    **HOSTILE,
    "no-at": "alice",
    "nobody": "@example.org",
    "nowhere": "alice@",
    "blank": "al ice@example.org",
    "line-break": "alice@example.org\n",
    "wide-blank": "al\N{IDEOGRAPHIC SPACE}ice@example.org",
    "too-long": f"{'a' * EMAIL_MOST}@example.org",
}
BAD_PASSWORDS = {
    "short": CANARY[: PASSWORD_LEAST - 1],
    "long": CANARY + "x" * PASSWORD_MOST,
    **{name: CANARY + text for name, text in UNSTORABLE.items()},
}


async def test_a_user_is_made_and_found_as_told(storage: AnyStorage, users: Users) -> None:
    before = now_ms()
    user = await users.add(ORIGIN, new_user("Alice", role="developer"), {"*"})
    assert user[1:5] == ("p", "Alice", "Alice@example.org", "developer")
    assert before <= user.created_at <= now_ms()
    assert user.disabled_at is None
    assert await users.get(user.id) == await users.named("aLICE") == user
    assert await users.listed("p") == await users.listed(None) == [user]
    (row,) = await rows(storage, tables.users)
    assert await matches(row["password"], PASSWORD)
    assert PASSWORD not in str(await everything(storage))


async def test_users_are_listed_by_name_and_project(users: Users) -> None:
    made = [
        await users.add(ORIGIN._replace(project=project), new_user(name), {"*"})
        for name, project in (("bob", "p"), ("Alice", "p"), ("carol", "q"))
    ]
    bob, alice, carol = made
    assert await users.listed(None) == [alice, bob, carol]
    assert await users.listed("p") == [alice, bob]
    assert await users.listed("none") == []


SAME_NAMES = [("Bob", "bOB"), ("STRASSE", "stra\u00dfe"), ("\u03a3\u03c3", "\u03c3\u03c2")]


async def test_a_name_is_taken_however_it_is_written(storage: AnyStorage, users: Users) -> None:
    for number, (one, other) in enumerate(SAME_NAMES):
        await users.add(ORIGIN, new_user(one, f"one-{number}@example.org"), {"*"})
        before = await everything(storage)
        with pytest.raises(Conflict) as refused:
            await users.add(ORIGIN._replace(project="q"), new_user(other, f"other-{number}@example.org"), {"*"})
        assert (refused.value.code, refused.value.param) == ("username_taken", "username")
        assert await everything(storage) == before


async def test_an_address_is_taken_however_it_is_written(storage: AnyStorage, users: Users) -> None:
    await users.add(ORIGIN, new_user("alice", "Alice@STRASSE.example"), {"*"})
    before = await everything(storage)
    with pytest.raises(Conflict) as refused:
        await users.add(ORIGIN, new_user("bob", "alice@stra\u00dfe.example"), {"*"})
    assert (refused.value.code, refused.value.param) == ("email_taken", "email")
    assert await everything(storage) == before


@pytest.mark.parametrize("same", ["username", "email"])
async def test_of_ten_who_are_made_at_once_with_one_name_one_is(storage: AnyStorage, users: Users, same: str) -> None:
    name = (lambda n: ("STRASSE", "stra\u00dfe")[n % 2]) if same == "username" else "user-{}".format
    email = "user-{}@example.org".format if same == "username" else (lambda n: ("A@b.example", "a@B.example")[n % 2])
    outcomes = await asyncio.gather(
        *(users.add(ORIGIN, new_user(name(number), email(number)), {"*"}) for number in range(10)),
        return_exceptions=True,
    )
    assert Counter(type(outcome) for outcome in outcomes) == {User: 1, Conflict: 9}
    assert {outcome.code for outcome in outcomes if isinstance(outcome, Conflict)} == {f"{same}_taken"}
    assert len(await users.listed(None)) == len(await trail(storage)) == 1


async def test_what_is_no_user_is_not_made(storage: AnyStorage, users: Users) -> None:
    good = new_user()
    for text in BAD_NAMES.values():
        await refused(users, good._replace(username=text), "username")
    await refused(users, good._replace(username="x" * (NAME_MOST + 1)), "username")
    for text in BAD_ADDRESSES.values():
        await refused(users, good._replace(email=text), "email")
    for text in BAD_PASSWORDS.values():
        await refused(users, good._replace(password=text), "password")
    for text in [*HOSTILE.values(), "Admin", "root"]:
        await refused(users, good._replace(role=text), "role")
    for text in UNSTORABLE.values():
        with pytest.raises(BadRequest, match="project"):
            await users.add(ORIGIN._replace(project=text), good, {"*"})
    assert await rows(storage, tables.users) == await rows(storage, tables.audit) == []


def test_everything_that_is_wrong_with_a_user_is_told_at_once() -> None:
    assert list(refusals_of(new_user())) == []
    wrong = NewUser(" alice", "alice", CANARY[:1], "root")
    assert [refusal.param for refusal in refusals_of(wrong)] == ["username", "email", "role", "password"]


async def refused(users: Users, new: NewUser, param: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        await users.add(ORIGIN, new, {"*"})
    assert refusal.value.param == param
    assert len(refusal.value.message) < 200
    assert CANARY not in str(refusal.value)


GOOD_USERS = [
    ("x" * NAME_MOST, "x" * PASSWORD_LEAST),
    ("a", "x" * PASSWORD_MOST),
    ("J\u00f6 O'Neil; --", "  \u2603 \N{PILE OF POO} \t "),
]


async def test_what_is_within_the_rules_is_made(users: Users) -> None:
    for number, (name, password) in enumerate(GOOD_USERS):
        user = await users.add(ORIGIN, NewUser(name, f"{number}@b", password, "viewer"), {"*"})
        assert await users.named(name) == user


async def test_the_role_that_was_meant_is_named(users: Users) -> None:
    with pytest.raises(BadRequest, match="did you mean 'developer'") as refusal:
        await users.add(ORIGIN, new_user(role="develper"), {"*"})
    assert refusal.value.code == "unknown_role"


MAY_MAKE = {
    "admin": {"admin", "developer", "agent_operator", "user", "viewer"},
    "developer": {"developer", "agent_operator", "user", "viewer"},
    "agent_operator": {"agent_operator", "user", "viewer"},
    "user": {"user", "viewer"},
    "viewer": {"viewer"},
}


async def test_nobody_makes_a_user_who_may_do_more_than_they(users: Users) -> None:
    for granter, rights in ROLES.items():
        for role in ROLES:
            new = new_user(f"{granter}-{role}", role=role)
            if role in MAY_MAKE[granter]:
                assert (await users.add(ORIGIN, new, rights)).role == role
            else:
                with pytest.raises(Forbidden) as refusal:
                    await users.add(ORIGIN, new, rights)
                assert refusal.value.code == "beyond_own_rights"
    assert len(await users.listed("p")) == sum(map(len, MAY_MAKE.values()))


async def test_an_unknown_user_is_not_found(storage: AnyStorage, users: Users) -> None:
    await users.add(ORIGIN, new_user(), {"*"})
    before = await everything(storage)
    for name in [*HOSTILE.values(), "bob", "alice ", "%", "a_ice"]:
        for call in (
            users.named(name),
            users.disable(ORIGIN, name),
            users.enable(ORIGIN, name),
            users.set_password(ORIGIN, name, PASSWORD),
            users.set_role(ORIGIN, name, "viewer"),
        ):
            with pytest.raises(NotFound, match="there is no user") as refusal:
                await call
            assert len(refusal.value.message) < 200
            assert refusal.value.message.isprintable()
        assert await users.get(name) is None
    for project in UNSTORABLE.values():
        assert await users.listed(project) == []
    assert await everything(storage) == before


async def test_a_user_is_disabled_once(storage: AnyStorage, users: Users) -> None:
    made = await users.add(ORIGIN, new_user(), {"*"})
    before = now_ms()
    disabled = await users.disable(ORIGIN, "ALICE")
    assert disabled.disabled_at is not None
    assert before <= disabled.disabled_at <= now_ms()
    assert disabled._replace(disabled_at=None) == made
    assert await users.named("alice") == disabled
    assert await users.disable(ORIGIN, "alice") == disabled
    assert await trail(storage) == [("user.add", made.id, "ok"), ("user.disable", made.id, "ok")]


async def test_of_two_who_disable_a_user_at_once_one_does(storage: AnyStorage, users: Users) -> None:
    made = await users.add(ORIGIN, new_user(), {"*"})
    one, other = await together(storage, tables.users, *(users.disable(ORIGIN, "alice") for _ in range(2)))
    assert one == other == await users.named("alice")
    assert await trail(storage) == [("user.add", made.id, "ok"), ("user.disable", made.id, "ok")]


async def test_a_user_who_is_enabled_again_has_to_sign_in_again(
    storage: AnyStorage, users: Users, sessions: Sessions
) -> None:
    made = await users.add(ORIGIN, new_user(), {"*"})
    ended = await sessions.login(ORIGIN, "alice", PASSWORD)
    await users.disable(ORIGIN, "alice")
    for _ in range(2):
        assert await users.enable(ORIGIN, "ALICE") == made == await users.named("alice")
    with pytest.raises(Unauthorized):
        await sessions.refresh(ORIGIN, ended.refresh_token)
    assert (await sessions.login(ORIGIN, "alice", PASSWORD)).user == made
    changes = [entry for entry in await trail(storage) if entry[0].startswith("user.")]
    assert changes == [(f"user.{action}", made.id, "ok") for action in ("add", "disable", "enable")]


async def test_a_password_is_replaced(storage: AnyStorage, users: Users) -> None:
    made = await users.add(ORIGIN, new_user(), {"*"})
    assert await users.set_password(ORIGIN, "ALICE", "another password") == made
    (row,) = await rows(storage, tables.users)
    assert await matches(row["password"], "another password")
    assert not await matches(row["password"], PASSWORD)
    assert (await trail(storage))[1:] == [("user.passwd", made.id, "ok")]


async def test_a_password_that_breaks_the_rules_replaces_none(storage: AnyStorage, users: Users) -> None:
    await users.add(ORIGIN, new_user(), {"*"})
    before = await everything(storage)
    for text in BAD_PASSWORDS.values():
        with pytest.raises(BadRequest) as refusal:
            await users.set_password(ORIGIN, "alice", text)
        assert refusal.value.param == "password"
        assert CANARY not in str(refusal.value)
    assert await everything(storage) == before


async def test_a_role_is_replaced(storage: AnyStorage, users: Users) -> None:
    made = await users.add(ORIGIN, new_user(), {"*"})
    changed = await users.set_role(ORIGIN, "ALICE", "viewer")
    assert changed == made._replace(role="viewer") == await users.named("alice")
    (_, told) = await rows(storage, tables.audit)
    assert (told["action"], told["target"]) == ("user.role", made.id)
    assert told["details"] == '{"was":"user","role":"viewer"}'
    with pytest.raises(BadRequest, match="no role"):
        await users.set_role(ORIGIN, "alice", "root")
    assert await users.set_role(ORIGIN, "alice", "viewer") == changed == await users.named("alice")
    assert len(await trail(storage)) == 2


async def test_of_two_who_replace_a_role_at_once_each_tells_what_was(storage: AnyStorage, users: Users) -> None:
    await users.add(ORIGIN, new_user(), {"*"})
    one, other = users.set_role(ORIGIN, "alice", "viewer"), users.set_role(ORIGIN, "alice", "developer")
    await together(storage, tables.users, *(one, other))
    assert [row["details"] for row in await rows(storage, tables.audit)][1:] == [
        '{"was":"user","role":"viewer"}',
        '{"was":"viewer","role":"developer"}',
    ]


async def test_what_is_asked_for_at_once_is_changed_at_once(storage: AnyStorage, users: Users) -> None:
    assert not await users.anybody()
    made = await users.add(ORIGIN, new_user(), {"*"})
    assert await users.anybody()
    changed = await users.change(ORIGIN, made.id, {"*"}, role="viewer", disabled=True)
    assert changed == await users.named("alice")
    assert changed == made._replace(role="viewer", disabled_at=changed.disabled_at)
    assert changed.disabled_at is not None
    assert await users.change(ORIGIN, made.id, {"*"}) == changed
    assert await users.change(ORIGIN, made.id, {"*"}, role="viewer", disabled=True) == changed
    assert [action for action, _, _ in await trail(storage)] == ["user.add", "user.role", "user.disable"]


async def test_nobody_is_changed_by_who_may_not(storage: AnyStorage, users: Users) -> None:
    made = await users.add(ORIGIN, new_user(role="developer"), {"*"})
    before = await everything(storage)
    for user_id in [*HOSTILE.values(), "alice"]:
        with pytest.raises(NotFound):
            await users.change(ORIGIN, user_id, {"*"}, disabled=True)
    with pytest.raises(NotFound):
        await users.change(ORIGIN._replace(project="q"), made.id, {"*"}, disabled=True)
    with pytest.raises(BadRequest, match="no role"):
        await users.change(ORIGIN, made.id, {"*"}, role="root")
    changes: list[dict[str, Any]] = [{"role": "viewer"}, {"disabled": True}, {"role": "admin"}]
    for change in changes:
        with pytest.raises(Forbidden) as refusal:
            await users.change(ORIGIN, made.id, ROLES["user"], **change)
        assert refusal.value.code == "beyond_own_rights"
    assert await everything(storage) == before


async def test_of_administrators_who_step_down_at_once_one_stays(storage: AnyStorage, users: Users) -> None:
    admins = [await users.add(ORIGIN, new_user(name, role="admin"), {"*"}) for name in ("alice", "bob")]
    await users.add(ORIGIN._replace(project="q"), new_user("carol", role="admin"), {"*"})
    changes = [
        users.change(ORIGIN, admins[0].id, {"*"}, disabled=True),
        users.change(ORIGIN, admins[1].id, {"*"}, role="viewer"),
    ]
    first, second = await together(storage, tables.users, *changes)
    assert isinstance(first, User)
    assert isinstance(second, Conflict)
    assert second.code == "last_admin"


async def test_what_is_done_to_a_user_is_told_in_the_project_of_the_user(storage: AnyStorage, users: Users) -> None:
    await users.add(ORIGIN, new_user(), {"*"})
    elsewhere = ORIGIN._replace(project="q")
    await users.set_role(elsewhere, "alice", "viewer")
    await users.set_password(elsewhere, "alice", PASSWORD)
    await users.disable(elsewhere, "alice")
    assert [row["project"] for row in await rows(storage, tables.audit)] == ["p"] * 4


def test_a_new_user_does_not_show_the_password() -> None:
    for shown in (repr(new_user()), str(new_user()), repr([new_user()])):
        assert PASSWORD not in shown
        assert "alice@example.org" in shown
