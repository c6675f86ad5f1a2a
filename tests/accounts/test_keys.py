"""Keys are made, listed and revoked; nobody gives away more than they hold, or touches what is another's."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from agentops.accounts.hashing import matches
from agentops.accounts.key_text import parse_key
from agentops.accounts.wanted_key import NETWORKS_MOST, Granter
from agentops.core.errors import BadRequest, Forbidden, NotFound
from agentops.core.records import DAY_MS, now_ms
from agentops.sql import tables
from tests.accounts.parts import (
    ANYTHING,
    HOSTILE,
    ORIGIN,
    REGISTRY,
    UNSTORABLE,
    change,
    everything,
    rows,
    said,
    together,
    trail,
    wanted,
)

if TYPE_CHECKING:
    from agentops.accounts.keys import Key, Keys
    from tests.accounts.parts import AnyStorage

pytestmark = pytest.mark.usefixtures("cheap_hashes")

OTHER_PROJECT = ORIGIN._replace(project="q")


async def test_a_key_is_made_and_listed_as_it_was_told(keys: Keys) -> None:
    before = now_ms()
    key, text = await keys.create(ORIGIN, wanted(permissions=["runs:write", "runs:read", "runs:read"]), ANYTHING)
    assert parse_key(text, "uc_") is not None
    assert (key.owner, key.project, key.name, key.shown) == ("alice", "p", "ci", text[:7])
    assert key.permissions == ["runs:read", "runs:write"]
    assert before <= key.created_at <= now_ms()
    assert (key.state, key.revoked_at, key.last_used_at) == ("active", None, None)
    assert await keys.of_owner("p", "alice") == [key]


async def test_a_key_is_found_by_its_look_up_id_and_proved_by_its_secret(storage: AnyStorage, keys: Keys) -> None:
    _, text = await keys.create(ORIGIN, wanted(), ANYTHING)
    parsed = parse_key(text, "uc_")
    (row,) = await rows(storage, tables.keys)
    assert parsed is not None
    assert row["lookup"] == parsed.lookup
    assert await matches(row["hash"], parsed.secret)
    assert not await matches(row["hash"], parsed.secret[:-1])


async def test_the_text_of_a_key_is_stored_nowhere(storage: AnyStorage, keys: Keys) -> None:
    old, first = await keys.create(ORIGIN, wanted(), ANYTHING)
    new, second = await keys.rotate(ORIGIN, "alice", old.id, 60, ANYTHING)
    await keys.revoke(ORIGIN, "alice", old.id)
    stored = str(await everything(storage))
    assert new.id in stored
    for text in (first, second):
        parsed = parse_key(text, "uc_")
        assert parsed is not None
        assert parsed.lookup in stored
        assert parsed.secret not in stored
        assert parsed.secret not in f"{old!r} {new!r} {await keys.of_project('p')!r}"


async def test_a_key_lives_for_1_to_365_days(storage: AnyStorage, keys: Keys) -> None:
    for days in (1, 365):
        key, _ = await keys.create(ORIGIN, wanted(days=days), ANYTHING)
        assert key.expires_at - key.created_at == days * DAY_MS
    before = await everything(storage)
    for days in (-1, 0, 366, 10**30):
        with pytest.raises(BadRequest, match="365 days") as refused:
            await keys.create(ORIGIN, wanted(days=days), ANYTHING)
        assert refused.value.param == "expires_in_days"
    assert await everything(storage) == before


async def test_keys_are_listed_newest_first_and_each_to_its_own(storage: AnyStorage, keys: Keys) -> None:
    first, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    await change(storage, tables.keys, created_at=first.created_at - 1)
    second, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    bobs, _ = await keys.create(ORIGIN, wanted("bob"), ANYTHING)
    await change(storage, tables.keys, revoked_at=None)
    elsewhere, _ = await keys.create(OTHER_PROJECT, wanted(), ANYTHING)
    assert [key.id for key in await keys.of_owner("p", "alice")] == [second.id, first.id]
    assert {key.id for key in await keys.of_project("p")} == {first.id, second.id, bobs.id}
    assert [key.id for key in await keys.of_project("q")] == [elsewhere.id]
    assert await keys.of_owner("q", "bob") == []


MAY_GRANT: list[tuple[set[str], list[str]]] = [
    ({"runs:read"}, ["runs:read"]),
    (set(), []),
    ({"runs:*"}, ["runs:read", "runs:write"]),
    ({"runs:*"}, ["runs:*"]),
    ({"*"}, ["*"]),
    ({"*"}, ["keys:own", "runs:*"]),
]

MAY_NOT_GRANT: list[tuple[set[str], list[str]]] = [
    (set(), ["runs:read"]),
    ({"runs:read"}, ["runs:write"]),
    ({"runs:read"}, ["runs:read", "keys:own"]),
    ({"runs:read"}, ["runs:*"]),
    ({"runs:read", "runs:write"}, ["runs:*"]),
    ({"runs:*"}, ["*"]),
    ({"runs:*", "keys:*"}, ["*"]),
    ({"runs:*"}, ["keys:own"]),
]

NO_PERMISSIONS = ["runs", "runs:", "runs:reed", "rums:*", "runs:re*", "*:read", "*:*", "Runs:read", "runs:read "]


async def test_who_holds_a_right_may_grant_it(keys: Keys) -> None:
    for held, asked in MAY_GRANT:
        key, _ = await keys.create(ORIGIN, wanted(permissions=asked), Granter(held, REGISTRY))
        assert key.permissions == asked


async def test_nobody_grants_what_they_do_not_hold(storage: AnyStorage, keys: Keys) -> None:
    for held, asked in MAY_NOT_GRANT:
        with pytest.raises(Forbidden) as refused:
            await keys.create(ORIGIN, wanted(permissions=asked), Granter(held, REGISTRY))
        assert refused.value.code == "beyond_own_rights"
    assert await rows(storage, tables.keys) == await rows(storage, tables.audit) == []


async def test_a_permission_that_does_not_exist_is_granted_by_nobody(storage: AnyStorage, keys: Keys) -> None:
    for asked in [*NO_PERMISSIONS, *HOSTILE.values()]:
        with pytest.raises(BadRequest) as refused:
            await keys.create(ORIGIN, wanted(permissions=["runs:read", asked]), ANYTHING)
        assert (refused.value.code, refused.value.param) == ("unknown_permission", "permissions")
        assert len(refused.value.message) < 200
    assert await rows(storage, tables.keys) == []


async def test_a_name_or_an_owner_that_is_none_is_refused(storage: AnyStorage, keys: Keys) -> None:
    for text in HOSTILE.values():
        with pytest.raises(BadRequest, match="name is 1 to 200") as refused:
            await keys.create(ORIGIN, wanted(name=text), ANYTHING)
        assert refused.value.param == "name"
        with pytest.raises(BadRequest, match="owner is 1 to 200") as refused:
            await keys.create(ORIGIN, wanted(text), ANYTHING)
        assert refused.value.param == "user_id"
    assert await rows(storage, tables.keys) == await rows(storage, tables.audit) == []


async def test_any_other_text_is_a_name_and_an_owner(keys: Keys) -> None:
    for text in ("x" * 200, 'it\'s "mine"; --', "\N{SNOWMAN}\N{PILE OF POO}", " a b "):
        key, _ = await keys.create(ORIGIN, wanted(text, text), ANYTHING)
        assert await keys.of_owner("p", text) == [key]


async def test_a_project_that_cannot_be_has_no_keys(keys: Keys) -> None:
    for project in UNSTORABLE.values():
        nowhere = ORIGIN._replace(project=project)
        with pytest.raises(BadRequest, match="project"):
            await keys.create(nowhere, wanted(), ANYTHING)
        assert await keys.of_owner(project, "alice") == await keys.of_project(project) == []
        assert await keys.revoke_all(nowhere, "alice") == 0
        with pytest.raises(NotFound):
            await keys.revoke(nowhere, None, "1")


async def test_an_owner_that_cannot_be_has_no_keys(keys: Keys) -> None:
    await keys.create(ORIGIN, wanted(), ANYTHING)
    for owner in HOSTILE.values():
        assert await keys.of_owner("p", owner) == []
        assert await keys.revoke_all(ORIGIN, owner) == 0


NETWORKS = ["192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::1", "2001:db8::/32", "::/0"]

NO_NETWORKS = [
    "192.0.2.7/24",
    "192.0.2",
    "192.0.2.256",
    "192.0.2.0/33",
    "example.org",
    " 192.0.2.7",
    "192.0.2.0/" + "0" * 60 + "24",
    "\N{ARABIC-INDIC DIGIT ONE}92.0.2.7",
    "fe80::1%eth0",
    "fe80::1%\0",
    "fe80::1%\udc80",
]


async def test_a_key_may_be_kept_to_networks(storage: AnyStorage, keys: Keys) -> None:
    key, _ = await keys.create(ORIGIN, wanted()._replace(networks=NETWORKS), ANYTHING)
    assert key.networks == NETWORKS
    assert await keys.of_owner("p", "alice") == [key]
    (told,) = await rows(storage, tables.audit)
    assert json.loads(told["details"])["networks"] == NETWORKS


async def test_what_is_no_network_is_refused(storage: AnyStorage, keys: Keys) -> None:
    for network in [*NO_NETWORKS, *HOSTILE.values()]:
        with pytest.raises(BadRequest, match="no address or network") as refused:
            await keys.create(ORIGIN, wanted()._replace(networks=["192.0.2.7", network]), ANYTHING)
        assert refused.value.param == "allowed_ips"
        assert len(refused.value.message) < 200
    assert await rows(storage, tables.keys) == []


async def test_a_key_is_kept_to_so_many_networks(keys: Keys) -> None:
    networks = [f"192.0.2.{number}" for number in range(NETWORKS_MOST + 1)]
    key, _ = await keys.create(ORIGIN, wanted()._replace(networks=networks[1:]), ANYTHING)
    assert key.networks == networks[1:]
    with pytest.raises(BadRequest, match="networks at most"):
        await keys.create(ORIGIN, wanted()._replace(networks=networks), ANYTHING)


async def test_a_key_that_is_revoked_stays_listed(keys: Keys, key: Key) -> None:
    await keys.revoke(ORIGIN, "alice", key.id)
    (listed,) = await keys.of_owner("p", "alice")
    assert listed.state == "revoked"
    assert listed._replace(revoked_at=None) == key


async def test_a_key_may_be_revoked_twice_and_is_once(storage: AnyStorage, keys: Keys, key: Key) -> None:
    await keys.revoke(ORIGIN, "alice", key.id)
    (revoked,) = await keys.of_owner("p", "alice")
    await keys.revoke(ORIGIN, None, key.id)
    assert await keys.of_owner("p", "alice") == [revoked]
    assert await trail(storage) == [("key.create", key.id, "ok"), ("key.revoke", key.id, "ok")]


async def test_of_two_who_revoke_a_key_at_once_one_does(storage: AnyStorage, keys: Keys, key: Key) -> None:
    revoking = [keys.revoke(ORIGIN, None, key.id) for _ in range(3)]
    assert await together(storage, tables.keys, *revoking) == [None] * 3
    assert await trail(storage) == [("key.create", key.id, "ok"), ("key.revoke", key.id, "ok")]


async def test_of_two_who_revoke_all_keys_at_once_one_does(storage: AnyStorage, keys: Keys) -> None:
    made = {(await keys.create(ORIGIN, wanted(), ANYTHING))[0].id for _ in range(3)}
    assert await together(storage, tables.keys, *(keys.revoke_all(ORIGIN, "alice") for _ in range(2))) == [3, 0]
    assert sorted((await trail(storage))[3:]) == sorted(("key.revoke", key_id, "ok") for key_id in made)


async def test_an_expired_key_is_so_and_can_still_be_revoked(storage: AnyStorage, keys: Keys, key: Key) -> None:
    await change(storage, tables.keys, expires_at=now_ms())
    (expired,) = await keys.of_owner("p", "alice")
    assert expired.state == "expired"
    await keys.revoke(ORIGIN, "alice", key.id)
    (revoked,) = await keys.of_owner("p", "alice")
    assert revoked.state == "revoked"


async def test_the_key_of_another_is_not_there(storage: AnyStorage, keys: Keys, key: Key) -> None:
    before = await everything(storage)
    for origin, owner in ((ORIGIN, "bob"), (ORIGIN, ""), (OTHER_PROJECT, "alice"), (OTHER_PROJECT, None)):
        with pytest.raises(NotFound) as unknown:
            await keys.revoke(origin, owner, "unknown")
        with pytest.raises(NotFound) as revoking:
            await keys.revoke(origin, owner, key.id)
        with pytest.raises(NotFound) as rotating:
            await keys.rotate(origin, owner, key.id, 0, ANYTHING)
        assert said(revoking.value) == said(rotating.value) == said(unknown.value)
    assert await everything(storage) == before


async def test_an_id_or_an_owner_that_cannot_be_is_not_there(storage: AnyStorage, keys: Keys, key: Key) -> None:
    before = await everything(storage)
    for owner, key_id in [
        pair for text in HOSTILE.values() for pair in ((None, text), ("alice", text), (text, key.id))
    ]:
        with pytest.raises(NotFound):
            await keys.revoke(ORIGIN, owner, key_id)
        with pytest.raises(NotFound):
            await keys.rotate(ORIGIN, owner, key_id, 0, ANYTHING)
    assert await everything(storage) == before


async def test_all_keys_of_an_owner_are_revoked_and_those_that_worked_counted(storage: AnyStorage, keys: Keys) -> None:
    expired, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    await change(storage, tables.keys, expires_at=now_ms())
    revoked, rotated, bobs = [
        (await keys.create(ORIGIN, wanted(owner), ANYTHING))[0] for owner in ("alice", "alice", "bob")
    ]
    elsewhere, _ = await keys.create(OTHER_PROJECT, wanted(), ANYTHING)
    await keys.revoke(ORIGIN, None, revoked.id)
    new, _ = await keys.rotate(ORIGIN, None, rotated.id, 60, ANYTHING)
    before = len(await trail(storage))
    assert await keys.revoke_all(ORIGIN, "alice") == 2
    states = {key.id: key.state for project in "pq" for key in await keys.of_project(project)}
    assert states == {
        expired.id: "expired",
        **dict.fromkeys((revoked.id, rotated.id, new.id), "revoked"),
        **dict.fromkeys((bobs.id, elsewhere.id), "active"),
    }
    told = (await trail(storage))[before:]
    assert sorted(told) == sorted(("key.revoke", key_id, "ok") for key_id in (rotated.id, new.id))
    assert await keys.revoke_all(ORIGIN, "alice") == 0


async def test_many_keys_are_made_at_once(keys: Keys) -> None:
    made = await asyncio.gather(*(keys.create(ORIGIN, wanted(), ANYTHING) for _ in range(12)))
    assert len({text for _, text in made}) == 12
    assert {key.id for key in await keys.of_owner("p", "alice")} == {key.id for key, _ in made}
