"""A key is replaced by one like it; for a grace both work, and then only the new one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from agentops.accounts.wanted_key import Granter
from agentops.core.errors import BadRequest, Conflict, Forbidden
from agentops.core.records import DAY_MS, now_ms
from agentops.sql import tables
from tests.accounts.parts import (
    ANYTHING,
    ORIGIN,
    REGISTRY,
    change,
    everything,
    hashing_held,
    rows,
    together,
    trail,
    wanted,
)

if TYPE_CHECKING:
    from agentops.accounts.keys import Key, Keys, State
    from tests.accounts.parts import AnyStorage


pytestmark = pytest.mark.usefixtures("cheap_hashes")


@pytest.fixture
def old(key: Key) -> Key:
    """The one that is rotated."""
    return key


async def states(keys: Keys) -> dict[str, State]:
    return {key.id: key.state for key in await keys.of_project("p")}


async def stored(keys: Keys, key: Key) -> Key:
    return next(each for each in await keys.of_project("p") if each.id == key.id)


async def test_the_new_key_is_like_the_old_one(keys: Keys) -> None:
    asked = wanted(days=7, permissions=["runs:*"])._replace(networks=["192.0.2.0/24"])
    old, old_text = await keys.create(ORIGIN, asked, ANYTHING)
    new, text = await keys.rotate(ORIGIN, "alice", old.id, 60, ANYTHING)
    assert text != old_text
    assert new.id != old.id
    assert new.expires_at - new.created_at == 7 * DAY_MS
    assert old == new._replace(id=old.id, shown=old.shown, created_at=old.created_at, expires_at=old.expires_at)
    assert await stored(keys, new) == new


async def test_the_old_key_lives_on_for_the_grace(storage: AnyStorage, keys: Keys, old: Key) -> None:
    before = now_ms()
    new, _ = await keys.rotate(ORIGIN, "alice", old.id, 60, ANYTHING)
    assert await states(keys) == {old.id: "active", new.id: "active"}
    ends = (await stored(keys, old)).revoked_at
    assert ends is not None
    assert before + 60_000 <= ends <= now_ms() + 60_000
    assert (await stored(keys, old)).ends_at == ends
    assert new.ends_at == new.expires_at
    await change(storage, tables.keys, revoked_at=now_ms())
    assert (await stored(keys, old)).state == "revoked"


async def test_without_a_grace_the_old_key_ends_at_once(keys: Keys, old: Key) -> None:
    new, _ = await keys.rotate(ORIGIN, "alice", old.id, 0, ANYTHING)
    assert await states(keys) == {old.id: "revoked", new.id: "active"}


async def test_no_grace_outlives_the_key(storage: AnyStorage, keys: Keys) -> None:
    for grace in (3600, 10**9, 10**30):
        old, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
        end = now_ms() + 1_800_000
        await change(storage, tables.keys, expires_at=end)
        await keys.rotate(ORIGIN, "alice", old.id, grace, ANYTHING)
        assert (await stored(keys, old)).revoked_at == end


async def test_a_grace_is_never_negative(storage: AnyStorage, keys: Keys, old: Key) -> None:
    before = await everything(storage)
    with pytest.raises(BadRequest) as refused:
        await keys.rotate(ORIGIN, "alice", old.id, -1, ANYTHING)
    assert refused.value.param == "grace_seconds"
    assert await everything(storage) == before


async def test_a_key_is_rotated_once_and_while_it_works_and_else_costs_no_hash(storage: AnyStorage, keys: Keys) -> None:
    expired, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    await change(storage, tables.keys, expires_at=now_ms())
    revoked, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    rotated, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    await keys.revoke(ORIGIN, None, revoked.id)
    await keys.rotate(ORIGIN, None, rotated.id, 60, ANYTHING)
    before = await everything(storage)
    async with hashing_held(), asyncio.timeout(10):
        for key in (expired, revoked, rotated):
            with pytest.raises(Conflict, match="that works") as refused:
                await keys.rotate(ORIGIN, None, key.id, 60, ANYTHING)
            assert refused.value.code == "key_not_active"
    assert await everything(storage) == before


async def test_the_new_key_can_be_rotated_in_turn(keys: Keys) -> None:
    key, _ = await keys.create(ORIGIN, wanted(), ANYTHING)
    for _ in range(3):
        key, _ = await keys.rotate(ORIGIN, "alice", key.id, 0, ANYTHING)
    assert sorted((await states(keys)).values()) == ["active", "revoked", "revoked", "revoked"]
    assert (await stored(keys, key)).state == "active"


async def test_nobody_rotates_a_key_that_may_do_more_than_they(storage: AnyStorage, keys: Keys) -> None:
    old, _ = await keys.create(ORIGIN, wanted(permissions=["runs:*"]), ANYTHING)
    before = await everything(storage)
    with pytest.raises(Forbidden):
        await keys.rotate(ORIGIN, "alice", old.id, 0, Granter({"runs:read"}, REGISTRY))
    with pytest.raises(BadRequest, match="no permission"):
        await keys.rotate(ORIGIN, "alice", old.id, 0, Granter({"*"}, {"keys:own"}))
    assert await everything(storage) == before


async def test_of_two_who_rotate_a_key_at_once_one_does(storage: AnyStorage, keys: Keys, old: Key) -> None:
    rotating = [keys.rotate(ORIGIN, "alice", old.id, 60, ANYTHING) for _ in range(3)]
    first, *others = await together(storage, tables.keys, *rotating)
    assert isinstance(first, tuple)
    assert [type(other) for other in others] == [Conflict, Conflict]
    new, _ = first
    assert await states(keys) == {old.id: "active", new.id: "active"}
    assert await trail(storage) == [("key.create", old.id, "ok"), ("key.rotate", old.id, "ok")]


async def test_a_key_revoked_in_its_grace_ends_at_once(storage: AnyStorage, keys: Keys, old: Key) -> None:
    new, _ = await keys.rotate(ORIGIN, "alice", old.id, 3600, ANYTHING)
    await keys.revoke(ORIGIN, "alice", old.id)
    assert await states(keys) == {old.id: "revoked", new.id: "active"}
    assert (await trail(storage))[-1] == ("key.revoke", old.id, "ok")


async def test_a_key_revoked_while_it_is_rotated_leaves_no_other(storage: AnyStorage, keys: Keys, old: Key) -> None:
    revoke, rotate = keys.revoke(ORIGIN, None, old.id), keys.rotate(ORIGIN, None, old.id, 60, ANYTHING)
    revoked, rotated = await together(storage, tables.keys, *(revoke, rotate))
    assert revoked is None
    assert isinstance(rotated, Conflict)
    assert await states(keys) == {old.id: "revoked"}


async def test_all_keys_are_revoked_also_the_one_that_is_just_made_by_rotation(
    storage: AnyStorage, keys: Keys, old: Key
) -> None:
    rotate, revoke_all = keys.rotate(ORIGIN, None, old.id, 60, ANYTHING), keys.revoke_all(ORIGIN, "alice")
    rotated, revoked = await together(storage, tables.keys, *(rotate, revoke_all))
    assert isinstance(rotated, tuple)
    assert revoked == 2
    assert await states(keys) == {old.id: "revoked", rotated[0].id: "revoked"}


async def test_a_rotation_tells_what_replaced_what(storage: AnyStorage, keys: Keys, old: Key) -> None:
    new, _ = await keys.rotate(ORIGIN, "alice", old.id, 60, ANYTHING)
    told = (await rows(storage, tables.audit))[-1]
    ends = (await stored(keys, old)).revoked_at
    assert told["details"] == f'{{"owner":"alice","replaced_by":"{new.id}","old_ends_at":{ends}}}'
