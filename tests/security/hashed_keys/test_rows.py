"""What the row of a key, and that of its owner, say today: rights, networks, ends and withdrawal."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from agentops.accounts.keys import Keys
from agentops.accounts.users import Users
from agentops.core.allowance import Allowance
from agentops.core.identity import Identity
from agentops.core.permissions import BASE, ROLES, covers
from agentops.plugins.auth.hashed_keys import _rows
from agentops.sql.tables import keys as keys_table
from tests.security.key_making import ANYTHING, ORIGIN, PREFIX, caller, change_key, lets_in, made, started, user

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage
    from agentops.plugins.auth.hashed_keys import HashedKeys

pytestmark = pytest.mark.usefixtures("cheap_hashes")


async def test_a_role_taken_away_acts_on_the_next_request(authenticator: HashedKeys, storage: Storage[Any]) -> None:
    owner = await user(storage, role="developer")
    _, key = await made(storage, owner.id, permissions=["runs:*", "agents:read"])
    asked = ("runs:read", "runs:write", "agents:read", "agents:write")
    may: dict[str, list[str]] = {}
    for role in ("developer", "viewer", "admin"):
        await Users(storage).set_role(ORIGIN, "ada", role)
        identity = await authenticator.authenticate(caller(key))
        assert identity is not None
        assert identity.role == role
        may[role] = [permission for permission in asked if identity.may(permission)]
    assert may == {
        "developer": ["runs:read", "runs:write", "agents:read"],
        "viewer": ["runs:read", "agents:read"],
        "admin": ["runs:read", "runs:write", "agents:read"],
    }
    await Users(storage).disable(ORIGIN, "ada")
    assert not await lets_in(authenticator, key)


def test_rights_are_what_both_the_key_and_the_role_allow() -> None:
    """Every key with up to three rights, of every role and of none, against what a reader of the card would say."""
    existing = [*BASE, "runs:read", "runs:write", "keys:own", "users:write", "audit:read"]
    granted = ["*", "runs:*", "agents:*", "keys:*", "runs:read", "runs:write", "agents:write", "keys:own", "audit:read"]
    wrong: list[object] = []
    for role in (*ROLES, "no-such-role", None):
        role_holds = {"*"} if role is None else ROLES.get(role, frozenset[str]())
        for rights in itertools.chain.from_iterable(itertools.combinations(granted, size) for size in range(4)):
            stored = (
                "",
                "1",
                "",
                "",
                "p",
                "u",
                json.dumps(rights),
                "[]",
                "[]",
                "{}",
                1 << 62,
                None,
                None,
                role,
                None,
                "p",
            )
            row = _rows.Row(*stored)
            identity = _rows.identity_of(row)
            assert identity is not None
            for permission in existing:
                allowed = covers(rights, permission) and covers(role_holds, permission)
                if identity.may(permission) != allowed:
                    wrong.append((role, rights, permission))
    assert wrong == []


NETWORKS: dict[str, tuple[list[str], str | None, bool]] = {
    "none listed": ([], "203.0.113.9", True),
    "none listed, no peer": ([], None, True),
    "address": (["192.0.2.7"], "192.0.2.7", True),
    "another address": (["192.0.2.7"], "192.0.2.8", False),
    "network": (["192.0.2.0/24"], "192.0.2.255", True),
    "outside": (["192.0.2.0/24"], "192.0.3.0", False),
    "second of two": (["192.0.2.0/24", "198.51.100.0/24"], "198.51.100.1", True),
    "everything of v4": (["0.0.0.0/0"], "203.0.113.9", True),
    "v6": (["2001:db8::/32"], "2001:db8::1", True),
    "v6 outside": (["2001:db8::/32"], "2001:db9::1", False),
    "v6 with a zone": (["fe80::/10"], "fe80::1%eth0", True),
    "v6 for v4": (["2001:db8::/32"], "192.0.2.7", False),
    "v4 for v6": (["192.0.2.0/24"], "2001:db8::1", False),
    "mapped peer": (["192.0.2.0/24"], "::ffff:192.0.2.7", True),
    "mapped peer outside": (["192.0.2.0/24"], "::ffff:192.0.3.7", False),
    "mapped network": (["::ffff:192.0.2.0/120"], "192.0.2.7", True),
    "mapped network, mapped peer": (["::ffff:192.0.2.0/120"], "::ffff:192.0.2.7", True),
    "mapped network outside": (["::ffff:192.0.2.0/120"], "192.0.3.7", False),
    "wider than what is mapped": (["::/0"], "2001:db8::1", True),
    "no peer": (["0.0.0.0/0", "::/0"], None, False),
    "peer without an address": (["0.0.0.0/0", "::/0"], "", False),
    "peer that is a name": (["0.0.0.0/0", "::/0"], "localhost", False),
}


@pytest.mark.parametrize(("listed", "peer", "allowed"), NETWORKS.values(), ids=NETWORKS)
def test_networks_are_compared_with_the_peer(listed: list[str], peer: str | None, allowed: bool) -> None:
    assert _rows.allowed_from(json.dumps(listed), peer) is allowed


async def test_a_key_works_from_its_networks_only(
    authenticator: HashedKeys, storage: Storage[Any], hashes: list[str]
) -> None:
    _, key = await made(storage, networks=["192.0.2.0/24"])
    hashes.clear()
    assert not await lets_in(authenticator, key, "198.51.100.1")
    assert not await lets_in(authenticator, key, None)
    assert hashes == []
    assert await lets_in(authenticator, key, "192.0.2.1")
    assert not await lets_in(authenticator, key, "198.51.100.1")


async def test_both_work_during_the_grace_and_then_only_the_new_one(
    authenticator: HashedKeys, storage: Storage[Any]
) -> None:
    key, old = await made(storage)
    _, new = await Keys(storage, PREFIX).rotate(ORIGIN, None, key.id, 3600, ANYTHING)
    assert [await lets_in(authenticator, each) for each in (old, new)] == [True, True]
    await change_key(storage, key.id, revoked_at=1)
    assert [await lets_in(authenticator, each) for each in (old, new)] == [False, True]


async def test_what_was_changed_is_withdrawn_of_however_many(storage: Storage[Any]) -> None:
    """More than one query may hold; one row is damaged, and costs the others nothing."""
    async with started(storage) as authenticator:
        first, text_of_first = await made(storage)
        async with storage.read() as connection:
            row = dict((await connection.execute(select(keys_table))).mappings().one())
        many = [{**row, "id": f"{number:016x}", "lookup": f"{number:016x}"} for number in range(_rows.READ_AT_ONCE * 2)]
        async with storage.write() as connection:
            await connection.execute(insert(keys_table), many)
        one = await authenticator.authenticate(caller(text_of_first))
        assert one is not None
        identities = [one, *(Identity(one.subject, one.project, one.permissions, f"key:{row['id']}") for row in many)]
        assert list(await authenticator.withdrawn(identities)) == []
        revoked, damaged, changed, gone = identities[1:5]
        await Keys(storage, PREFIX).revoke(ORIGIN, None, many[0]["id"])
        await change_key(storage, many[1]["id"], permissions="[")
        await change_key(storage, many[2]["id"], permissions='["runs:read"]')
        await change_key(storage, many[3]["id"], id="another")
        assert list(await authenticator.withdrawn(identities)) == [revoked, damaged, changed, gone]
        await change_key(storage, first.id, revoked_at=1 << 62, llm='{"parallel":1}')
        assert one not in await authenticator.withdrawn(identities)


async def test_an_identity_bears_what_the_key_may_ask_of_models_today(
    authenticator: HashedKeys, storage: Storage[Any]
) -> None:
    limited = Allowance(models=("small",), requests_per_minute=60, budget_day=5_000_000)
    key, text = await made(storage, llm=limited)
    _, other = await made(storage)
    first, unlimited = [await authenticator.authenticate(caller(each)) for each in (text, other)]
    assert first is not None
    assert unlimited is not None
    assert (first.allowance, unlimited.allowance) == (limited, None)
    await change_key(storage, key.id, llm='{"parallel":2}')
    second = await authenticator.authenticate(caller(text))
    assert second is not None
    assert second.allowance == Allowance(parallel=2)
    assert list(await authenticator.withdrawn({first, second, unlimited})) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"permissions": "["},
        {"permissions": '["no permission"]'},
        {"networks": '["x"]'},
        {"llm": "["},
        {"llm": '{"later":1}'},
    ],
)
async def test_a_damaged_row_is_a_fault_and_lets_nobody_in(
    authenticator: HashedKeys, storage: Storage[Any], damage: dict[str, str]
) -> None:
    key, good = await made(storage)
    await change_key(storage, key.id, **damage)
    with pytest.raises(ValueError, match=r"damaged|not a permission|does not appear to be"):
        await authenticator.authenticate(caller(good))
