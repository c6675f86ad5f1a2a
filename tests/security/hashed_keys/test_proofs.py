"""What a secret costs: one hash for a crowd, few for whoever guesses, and none of it spoilt by who goes away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from agentops.accounts.keys import Keys
from agentops.core.errors import Unavailable
from agentops.plugins.auth.hashed_keys import _proofs
from agentops.sql.tables import keys as keys_table
from tests.accounts.parts import hashes_wait, hashing_held
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
    with_other_secret,
)

if TYPE_CHECKING:
    from agentops.core.ports.storage import Storage
    from agentops.plugins.auth.hashed_keys import HashedKeys
    from tests.core.parts import Kept

pytestmark = pytest.mark.usefixtures("cheap_hashes")


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
