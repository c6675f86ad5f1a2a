"""What hashed keys must withstand: keys made up, guessed, revoked or respelt; and nothing of them is written down."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from agentops import Authenticator, Kit, Lane, NoSettings
from agentops.accounts.key_text import make_key
from agentops.accounts.keys import Keys
from agentops.accounts.users import Users
from agentops.core.errors import Rejected
from agentops.core.identity import Identity
from agentops.core.ports.auth import Caller
from agentops.plugins.auth.hashed_keys import HashedKeys, _proofs
from agentops.plugins.features.runs import Runs
from agentops.plugins.telemetry.log import Log
from agentops.sql.tables import metadata
from agentops.testing._auth.base import answer_of
from agentops.testing.auth import verdict
from agentops.testing.server import following, serving
from tests.core.parts import Kept, Probe
from tests.security.key_making import (
    ANYTHING,
    ORIGIN,
    PREFIX,
    caller,
    change_key,
    lets_in,
    made,
    secret_of,
    started,
    user,
    with_checksum,
    with_other_secret,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from agentops.core.ports.storage import Storage
    from agentops.core.rungs import Rungs
    from tests.security.key_making import CountedStorage

pytestmark = pytest.mark.usefixtures("cheap_hashes")


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


async def test_a_key_may_be_sent_in_another_header_and_two_keys_are_nobodys(
    storage: CountedStorage, hashes: list[str]
) -> None:
    (_, mine), (_, other) = await made(storage), await made(storage)
    async with started(storage, more_headers=["x-api-key"]) as authenticator, started(storage) as narrow:
        alone, bearer, both = ([(b"x-api-key", key.encode())] for key in (mine, mine, other))
        bearer += caller(mine).headers
        both += caller(mine).headers
        assert isinstance(await verdict(authenticator, Caller(alone)), Identity)
        assert isinstance(await verdict(authenticator, Caller(bearer)), Identity)
        assert isinstance(await verdict(authenticator, caller(mine)), Identity)
        hashes.clear()
        before = storage.asked
        assert isinstance(await verdict(authenticator, Caller(both)), Rejected)
        assert (storage.asked - before, hashes) == (0, [])
        beside_a_token = [*alone, (b"authorization", b"Bearer eyJhbGciOi")]
        assert isinstance(await verdict(authenticator, Caller(beside_a_token)), Identity)
        assert await verdict(narrow, Caller(alone)) is None
    assert [scheme["type"] for scheme in authenticator.more_credentials()] == ["apiKey"]
    assert "named twice" in str(next(iter(HashedKeys(more_headers=["authorization"]).check())))


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


class Failing(Authenticator[NoSettings]):
    """Finds something to complain about in a key that it has read, as a bug would."""

    def __init__(self) -> None:
        super().__init__()
        self._keys = HashedKeys()

    @asynccontextmanager
    async def life(self, rungs: Rungs) -> AsyncIterator[None]:
        async with self._keys.life(rungs):
            yield

    async def authenticate(self, caller: Caller) -> Identity | None:
        await self._keys.authenticate(caller)
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
