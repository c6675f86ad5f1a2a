"""What hashed keys must withstand: keys made up, guessed, revoked or taken elsewhere, and crowds of good ones."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from sqlalchemy import insert, select

from agentops import Kit, Lane
from agentops.accounts.key_text import make_key
from agentops.accounts.keys import Keys
from agentops.accounts.users import NewUser, Users
from agentops.core.errors import Rejected, Unavailable
from agentops.core.identity import Identity
from agentops.core.permissions import BASE, ROLES, covers
from agentops.core.ports.auth import Caller
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.auth.hashed_keys import HashedKeys, _proofs, _rows, _uses
from agentops.plugins.features.runs import Runs
from agentops.plugins.telemetry.log import Log
from agentops.sql.tables import keys as keys_table
from agentops.sql.tables import metadata
from agentops.testing._auth.base import answer_of
from agentops.testing.auth import verdict
from agentops.testing.server import following, serving
from tests.accounts.parts import hashes_wait, hashing_held
from tests.core.parts import Kept, Probe, until
from tests.security.key_making import (
    ANYTHING,
    ORIGIN,
    PREFIX,
    caller,
    change_key,
    hashes,
    last_used,
    lets_in,
    made,
    quick_hashes,
    secret_of,
    started,
    storages,
    with_checksum,
    with_other_secret,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from agentops.accounts.users import User
    from agentops.core.ports.storage import Storage
    from tests.security.key_making import CountedStorage

__all__ = ["hashes", "quick_hashes"]

pytestmark = pytest.mark.usefixtures("quick_hashes")

NOW = 1_800_000_000_000


@pytest.fixture
def make_storage(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], CountedStorage]:
    return storages(engine, request, tmp_path)


@pytest_asyncio.fixture
async def storage(make_storage: Callable[[], CountedStorage]) -> AsyncIterator[CountedStorage]:
    storage = make_storage()
    async with storage.life(Rungs()):
        yield storage


@pytest.fixture
def told() -> Kept:
    return Kept()


@pytest_asyncio.fixture
async def authenticator(storage: CountedStorage, told: Kept) -> AsyncIterator[HashedKeys]:
    async with started(storage, told) as it:
        yield it


async def user(
    storage: Storage[Any], name: str = "ada", role: str = "developer", project: str = ORIGIN.project
) -> User:
    new = NewUser(name, f"{name}@example.org", "correct horse", role)
    return await Users(storage).add(ORIGIN._replace(project=project), new, {"*"})


MALFORMED: dict[str, Callable[[str], str]] = {
    "another-checksum": lambda key: key[:-1] + ("1" if key.endswith("0") else "0"),
    "another-secret-with-the-old-checksum": lambda key: key[:-9] + ("1" if key[-9] == "0" else "0") + key[-8:],
    "shorter": lambda key: with_checksum(key[:-9]),
    "longer": lambda key: with_checksum(f"{key[:-8]}0"),
    "upper-case": lambda key: with_checksum(PREFIX + key[len(PREFIX) : -8].upper()),
    "not-hex": lambda key: with_checksum(f"{key[:-9]}g"),
    "digits-of-another-script": lambda key: with_checksum(f"{key[:-9]}٣"),
    "line-break-behind": lambda key: f"{key[:-1]}\n",
    "only-the-prefix": lambda _: PREFIX,
    "64-kb": lambda key: key * 1000,
}


@pytest.mark.parametrize("change", MALFORMED.values(), ids=MALFORMED)
async def test_what_cannot_be_a_key_costs_no_query_and_no_hash(
    authenticator: HashedKeys, storage: CountedStorage, hashes: list[str], change: Callable[[str], str]
) -> None:
    _, key = await made(storage)
    hashes.clear()
    before = storage.asked
    assert isinstance(await verdict(authenticator, caller(change(key))), Rejected)
    assert (storage.asked - before, len(hashes)) == (0, 0)
    assert isinstance(await verdict(authenticator, caller(make_key(PREFIX))), Rejected)
    assert (storage.asked - before, len(hashes)) == (1, 0)
    assert await lets_in(authenticator, key)
    assert (storage.asked - before, len(hashes)) == (2, 1)


async def spoilt(storage: Storage[Any]) -> dict[str, str]:
    """A key for every reason for which one can be refused."""
    service = Keys(storage, PREFIX)
    _, good = await made(storage, "somebody")
    (revoked, revoked_text), (expired, expired_text) = await made(storage), await made(storage)
    await service.revoke(ORIGIN, None, revoked.id)
    await change_key(storage, expired.id, expires_at=1)
    (rotated, rotated_text) = await made(storage)
    await service.rotate(ORIGIN, None, rotated.id, 0, ANYTHING)
    disabled, elsewhere = await user(storage, "bob"), await user(storage, "eve", project="elsewhere")
    _, of_disabled = await made(storage, disabled.id)
    await Users(storage).disable(ORIGIN, "bob")
    _, of_another_project = await made(storage, elsewhere.id)
    _, from_elsewhere = await made(storage, networks=["192.0.2.0/24"])
    return {
        "unknown": make_key(PREFIX),
        "malformed": good[:-1],
        "wrong": with_other_secret(good),
        "revoked": revoked_text,
        "expired": expired_text,
        "rotated": rotated_text,
        "disabled owner": of_disabled,
        "owner of another project": of_another_project,
        "wrong network": from_elsewhere,
        "other prefix": with_checksum(f"xx_{good[len(PREFIX) : -8]}"),
    }


async def test_whatever_is_wrong_with_a_key_is_rejected_alike(authenticator: HashedKeys, storage: Storage[Any]) -> None:
    refused = await spoilt(storage)
    del refused["other prefix"]
    answers = {why: answer_of(await verdict(authenticator, caller(key))) for why, key in refused.items()}
    assert {why for why, answer in answers.items() if answer != answers["unknown"]} == set()


@pytest.mark.parametrize("path", ["/runs", "/runs/r/stream", "/runs/r/events"])
async def test_whatever_is_wrong_with_a_key_gets_the_same_bytes(
    make_storage: Callable[[], CountedStorage], path: str
) -> None:
    storage = make_storage()
    kit = Kit(storage=storage, auth={"keys": HashedKeys()}, lanes=[Lane("/api", [Runs()], ["keys"], "plain")])
    async with serving(kit) as server:
        answers: dict[str, Any] = {}
        refused = await spoilt(storage)
        guessed = {f"guess {number}": with_other_secret(refused["malformed"] + "0") for number in range(15)}
        for why, key in (refused | guessed | {"missing": ""}).items():
            answer = await server.client.get(f"/api{path}", headers={"Authorization": f"Bearer {key}"} if key else {})
            head = [line for line in answer.headers.raw if line[0].lower() not in {b"x-request-id", b"date"}]
            answers[why] = (answer.status_code, head, answer.content)
    assert answers["missing"][::2] == (401, b'{"error":"unauthorized"}')
    assert {why for why, answer in answers.items() if answer != answers["missing"]} == set()


async def test_a_hundred_first_uses_at_once_cost_one_hash(
    authenticator: HashedKeys, storage: Storage[Any], hashes: list[str]
) -> None:
    _, key = await made(storage)
    hashes.clear()
    assert all(await asyncio.gather(*(lets_in(authenticator, key) for _ in range(100))))
    assert len(hashes) == 1
    assert await lets_in(authenticator, key)
    assert len(hashes) == 1


async def test_a_proof_is_of_one_hash_only(authenticator: HashedKeys, storage: Storage[Any]) -> None:
    """A row whose hash is another is another key, whoever was let in by it before."""
    (one, key), (_, other) = await made(storage), await made(storage)
    assert await lets_in(authenticator, key)
    async with storage.read() as connection:
        query = select(keys_table.c.hash).where(keys_table.c.id != one.id)
        another_hash = (await connection.execute(query)).scalar_one()
    await change_key(storage, one.id, hash=another_hash)
    assert not await lets_in(authenticator, key)
    assert await lets_in(authenticator, other)


async def test_those_not_used_for_the_longest_time_are_forgotten(
    authenticator: HashedKeys, storage: Storage[Any], hashes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_proofs, "PROOFS_MOST", 2)
    (_, first), (_, second), (_, third) = [await made(storage) for _ in range(3)]
    hashes.clear()
    for key in (first, second, first, third, first):
        assert await lets_in(authenticator, key)
    assert len(hashes) == 3
    assert await lets_in(authenticator, second)
    assert len(hashes) == 4


async def test_guesses_cost_few_hashes_and_a_proved_key_works_on(
    authenticator: HashedKeys, storage: Storage[Any], told: Kept, hashes: list[str]
) -> None:
    key, good = await made(storage)
    assert await lets_in(authenticator, good)
    hashes.clear()
    for _ in range(5):
        guesses = [with_other_secret(good) for _ in range(20)]
        let_in = await asyncio.gather(
            *(lets_in(authenticator, guess) for guess in guesses), lets_in(authenticator, good)
        )
        assert let_in == [False] * 20 + [True]
    assert len(hashes) == _proofs.WRONG_MOST
    (warning,) = told.named("key.guessed")
    assert warning["key"] == key.id
    assert secret_of(good) not in str(warning)


async def test_a_key_not_proved_yet_is_refused_while_it_is_guessed_at_and_its_successor_is_not(
    authenticator: HashedKeys, storage: Storage[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who guesses at it knows a part of its text; `key.guessed` tells its owner to rotate it."""
    key, good = await made(storage)
    for _ in range(_proofs.WRONG_MOST):
        assert not await lets_in(authenticator, with_other_secret(good))
    assert not await lets_in(authenticator, good)
    _, rotated = await Keys(storage, PREFIX).rotate(ORIGIN, None, key.id, 3600, ANYTHING)
    assert await lets_in(authenticator, rotated)
    clock = authenticator._proofs._wrong._clock
    monkeypatch.setattr(authenticator._proofs._wrong, "_clock", lambda: clock() + _proofs.WRONG_SECONDS)
    assert await lets_in(authenticator, good)


async def test_too_many_first_uses_at_once_are_unavailable_and_not_wrong(
    authenticator: HashedKeys, storage: Storage[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not compared is nobody's failure, and nothing of it is kept."""
    _, key = await made(storage)

    async def overloaded(stored: str, secret: str) -> bool:
        raise Unavailable("too many", code="overloaded")

    with monkeypatch.context() as patched:
        patched.setattr(_proofs, "matches", overloaded)
        for _ in range(_proofs.WRONG_MOST + 1):
            with pytest.raises(Unavailable):
                await authenticator.authenticate(caller(key))
    assert await lets_in(authenticator, key)


async def test_who_goes_away_while_a_key_is_proved_spoils_it_for_nobody(
    authenticator: HashedKeys, storage: Storage[Any], hashes: list[str]
) -> None:
    _, key = await made(storage)
    hashes.clear()
    async with hashing_held():
        first, second = (asyncio.create_task(authenticator.authenticate(caller(key))) for _ in range(2))
        await hashes_wait(1)
        first.cancel()
    assert await second is not None
    assert len(hashes) == 1
    assert authenticator._proofs._asking == {}


async def test_it_stops_while_keys_are_proved(storage: Storage[Any], caplog: pytest.LogCaptureFixture) -> None:
    several = [(await made(storage))[1] for _ in range(3)]
    async with asyncio.timeout(10), hashing_held():
        async with started(storage) as authenticator:
            tasks = [asyncio.create_task(authenticator.authenticate(caller(key))) for key in several]
            await hashes_wait(len(tasks))
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * len(tasks)
    assert authenticator._proofs._asking == {}
    assert caplog.records == []


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
            row = _rows.Row("", "1", "", "", "p", "u", json.dumps(rights), "[]", 1 << 62, None, None, role, None, "p")
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


@pytest.mark.parametrize(("prefix", "another"), [("ak_", "uc_"), ("jean_sk_", "jean_skx_")])
async def test_a_key_of_another_prefix_is_left_to_the_next_and_is_not_to_be_respelt(
    storage: Storage[Any], prefix: str, another: str
) -> None:
    """The second two begin with the same seven letters, which is all that is shown of a key."""
    _, key = await made(storage, prefix=another)
    async with started(storage, prefix=prefix) as authenticator, started(storage, prefix=another) as its_own:
        assert await authenticator.authenticate(caller(key)) is None
        assert not await lets_in(authenticator, with_checksum(prefix + key[len(another) : -8]))
        assert await lets_in(its_own, key)


async def test_a_header_of_its_own_holds_the_key_alone(storage: Storage[Any]) -> None:
    _, key = await made(storage)
    async with started(storage, header="X-Agent-Key") as authenticator:
        own = {
            value: await verdict(authenticator, Caller([(b"x-agent-key", value.encode())]))
            for value in (key, f"Bearer {key}", make_key(PREFIX))
        }
        assert await authenticator.authenticate(caller(key)) is None
    assert [type(outcome) for outcome in own.values()] == [Identity, type(None), Rejected]


@pytest.mark.parametrize("value", ["bearer {}", "BEARER {}", "Bearer   {}"])
async def test_the_case_of_the_scheme_and_the_blanks_behind_it_do_not_matter(
    authenticator: HashedKeys, storage: Storage[Any], value: str
) -> None:
    _, key = await made(storage)
    sent = Caller([(b"authorization", value.format(key).encode())])
    assert isinstance(await verdict(authenticator, sent), Identity)


@pytest.mark.parametrize("value", ["Basic {}", "{}", "Bearer{}", "Bearer\t{}", "Token {}"])
async def test_another_scheme_is_left_to_the_next(authenticator: HashedKeys, storage: Storage[Any], value: str) -> None:
    _, key = await made(storage)
    sent = Caller([(b"authorization", value.format(key).encode())])
    assert await verdict(authenticator, sent) is None


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
        await change_key(storage, first.id, revoked_at=1 << 62)
        assert one not in await authenticator.withdrawn(identities)


@pytest.mark.parametrize("damage", [{"permissions": "["}, {"permissions": '["no permission"]'}, {"networks": '["x"]'}])
async def test_a_damaged_row_is_a_fault_and_lets_nobody_in(
    authenticator: HashedKeys, storage: Storage[Any], damage: dict[str, str]
) -> None:
    key, good = await made(storage)
    await change_key(storage, key.id, **damage)
    with pytest.raises(ValueError, match=r"damaged|not a permission|does not appear to be"):
        await authenticator.authenticate(caller(good))


class Clock:
    """What `now_ms` is told, where it says when a key was used."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(_uses, "now_ms", clock)
    return clock


async def test_the_last_use_is_written_at_most_once_a_minute(storage: Storage[Any], clock: Clock) -> None:
    key, good = await made(storage)
    written: list[int | None] = []
    for later in (0, 1, 59_999, 60_000, 60_001, 200_000):
        clock.now = NOW + later
        async with started(storage) as authenticator:
            for _ in range(20):
                assert await lets_in(authenticator, good)
        written.append(await last_used(storage, key.id))
    assert written == [NOW, NOW, NOW, NOW + 60_000, NOW + 60_000, NOW + 200_000]


async def test_two_instances_write_it_once(storage: Storage[Any], clock: Clock) -> None:
    """Both read the row before the other wrote."""
    key, _ = await made(storage)
    first, second = (_uses.Uses(storage, Signals()) for _ in range(2))
    async with second.life():
        async with first.life():
            first.note(key.id, None)
        clock.now += 59_999
        second.note(key.id, None)
    assert await last_used(storage, key.id) == NOW


async def test_it_is_written_while_the_server_runs(authenticator: HashedKeys, storage: Storage[Any]) -> None:
    key, good = await made(storage)
    assert await lets_in(authenticator, good)
    async with asyncio.timeout(10):
        while await last_used(storage, key.id) is None:  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.002)


class Held:
    """A storage of which every write waits, or fails, until it is let go."""

    def __init__(self, storage: Storage[Any], error: Exception | None = None) -> None:
        self._storage = storage
        self._error = error
        self.go = asyncio.Event()
        self.begun = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        self.begun += 1
        if self._error is not None and not self.go.is_set():
            raise self._error
        await self.go.wait()
        async with self._storage.write() as connection:
            yield connection


async def test_no_request_waits_for_it(storage: Storage[Any]) -> None:
    (key, good), (other_key, other) = await made(storage), await made(storage)
    held: Any = Held(storage)
    async with started(held) as authenticator:
        async with asyncio.timeout(10):
            assert await lets_in(authenticator, good)
            await until(lambda: held.begun)
            for each in (good, other) * 20:
                assert await lets_in(authenticator, each)
        assert held.begun == 1
        held.go.set()
    assert None not in [await last_used(storage, each.id) for each in (key, other_key)]


async def test_a_key_in_use_costs_one_write(storage: Storage[Any]) -> None:
    """However often it is used: before that write, while it is under way, and after it."""
    _, good = await made(storage)
    held: Any = Held(storage)
    async with started(held) as authenticator:
        assert all(await asyncio.gather(*(lets_in(authenticator, good) for _ in range(20))))
        await until(lambda: held.begun)
        assert all(await asyncio.gather(*(lets_in(authenticator, good) for _ in range(20))))
        held.go.set()
        await until(lambda: authenticator._uses._writing == {})
        assert all(await asyncio.gather(*(lets_in(authenticator, good) for _ in range(20))))
    assert held.begun == 1


async def test_what_could_not_be_written_is_written_later(
    storage: Storage[Any], told: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentops.core.forever.PAUSE_SECONDS", 0.01)
    key, good = await made(storage)
    held: Any = Held(storage, Unavailable("the disk is full"))
    async with started(held, told) as authenticator:
        assert await lets_in(authenticator, good)
        await until(lambda: told.named("keys.used.postponed"))
        held.go.set()
        await until(lambda: authenticator._uses._unwritten == authenticator._uses._writing == {})
        assert await last_used(storage, key.id) is not None


async def test_a_write_that_hangs_does_not_keep_the_server_from_stopping(
    storage: Storage[Any], told: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_uses, "STOP_SECONDS", 0.05)
    _, good = await made(storage)
    async with asyncio.timeout(5), started(Held(storage), told) as authenticator:  # type: ignore[arg-type]
        assert await lets_in(authenticator, good)
    assert [fields["reason"] for fields in told.named("keys.used.lost")] == ["TimeoutError"]


class Failing(HashedKeys):
    """Finds something to complain about in a key that it has read, as a bug would."""

    async def authenticate(self, caller: Caller) -> Identity | None:
        await super().authenticate(caller)
        raise RuntimeError("out of luck")


async def test_the_secret_of_a_key_is_written_down_nowhere(
    make_storage: Callable[[], CountedStorage], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """It is made, used, guessed at, rotated and revoked; handlers and the authenticator itself fail under it."""
    caplog.set_level(logging.DEBUG)
    storage, kept, keys = make_storage(), Kept(), HashedKeys()
    kit = Kit(
        storage=storage,
        auth={"keys": keys, "failing": Failing()},
        telemetry={"kept": kept, "log": Log()},
        lanes=[Lane("/api", [Runs(), Probe()], ["keys"]), Lane("/failing", [Probe()], ["failing"])],
    )
    shown: list[str] = []
    async with serving(kit) as server:
        service = Keys(storage, PREFIX)
        key, good = await made(storage, (await user(storage, role="admin")).id, permissions=["*"])
        rotated, new = await service.rotate(ORIGIN, None, key.id, 3600, ANYTHING)
        guesses = [with_other_secret(good) for _ in range(_proofs.WRONG_MOST + 2)]
        unknown, malformed = make_key(PREFIX), good[:-1]
        for each in (good, new, *guesses, unknown, malformed):
            headers = {"Authorization": f"Bearer {each}"}
            for path in (
                "/api/who",
                "/api/boom",
                "/api/refusals/InternalError",
                "/failing/who",
                f"/api/runs/r?{each[:2]}",
            ):
                answer = await server.client.get(path, headers=headers)
                shown.append(f"{answer.headers} {answer.text}")
        async with following(server.client, "/api/runs/r/stream", Authorization=f"Bearer {good}") as frames:
            assert frames.response.status_code == 200
            shown += map(repr, (keys, vars(keys), vars(keys._proofs), vars(keys._uses), kit._vouched._readers))
            await service.revoke(ORIGIN, None, key.id)
            kit._vouched.changed()
            with pytest.raises(StopAsyncIteration):
                await frames.next()
        await service.revoke_all(ORIGIN, rotated.owner)
        async with storage.read() as connection:
            for table in metadata.sorted_tables:
                shown += map(repr, (await connection.execute(select(table))).all())
    output = capsys.readouterr()
    shown += [output.out, output.err, repr(kept.events), repr(kept.figures)]
    shown += [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert {"request.failed", "auth.failed", "key.guessed"} <= {name for name, _, _ in kept.events}
    told = "\n".join(shown)
    assert key.id in told
    secrets = [secret_of(each) for each in (good, new, *guesses, unknown)]
    assert [secret for secret in secrets if secret in told or secret[:20] in told] == []
    assert malformed not in told
