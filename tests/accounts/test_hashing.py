"""Hashing never holds up the loop, never queues without end, and forgets nobody's place."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher, extract_parameters

from agentops.accounts import hashing
from agentops.accounts.hashing import THREADS, WAITING_MOST, hashed, matches, matches_nobody, outdated
from agentops.core.errors import Unavailable
from tests.accounts.parts import hashes_wait, hashing_held

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def every_place_is_given_back() -> Iterator[None]:
    yield
    for _ in range(WAITING_MOST):
        assert hashing._places.acquire(timeout=20)
    assert not hashing._places.acquire(blocking=False)
    hashing._places.release(WAITING_MOST)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> PasswordHasher:
    """A hash that takes so long that the jitter of a busy machine is little beside it."""
    hasher = PasswordHasher(time_cost=8, memory_cost=hashing.MEMORY_KIB, parallelism=1)
    monkeypatch.setattr(hashing, "_hasher", hasher)
    return hasher


async def test_a_secret_matches_its_hash_and_no_other() -> None:
    one, other = await hashed("secret"), await hashed("secret")
    assert one != other
    assert "secret" not in one
    assert await matches(one, "secret")
    assert await matches(other, "secret")
    for wrong in ("", "Secret", "secret ", "secret\0", "\udc80"):
        assert not await matches(one, wrong)


NO_HASHES = ["", "secret", "s\u00e9cret", "\udc80", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$!$!"]


@pytest.mark.parametrize("stored", NO_HASHES, ids=ascii)
async def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    assert not await matches(stored, "secret")
    assert not await matches(stored, stored)


async def test_a_hash_with_other_parameters_is_outdated() -> None:
    assert not outdated(await hashed("secret"))
    old = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash("secret")
    assert outdated(old)
    assert await matches(old, "secret")


def cost_of_a_wrong_secret(stored: str) -> float:
    """The least of several, for a busy machine adds to each."""
    costs: list[float] = []
    for _ in range(5):
        started = time.thread_time()
        assert not hashing._verify(stored, "wrong")
        costs.append(time.thread_time() - started)
    return min(costs)


async def test_nobody_has_a_hash_like_everybody_else() -> None:
    assert extract_parameters(hashing._NOBODYS) == extract_parameters(await hashed("secret"))
    assert not outdated(hashing._NOBODYS)
    nobodys = cost_of_a_wrong_secret(hashing._NOBODYS)
    somebodys = cost_of_a_wrong_secret(hashing._hasher.hash("secret"))
    assert somebodys / 3 < nobodys < somebodys * 3
    await matches_nobody("secret")


async def test_the_loop_goes_on_while_hashes_are_made(slow: PasswordHasher) -> None:
    started = time.perf_counter()
    slow.hash("alone")
    one_hash = time.perf_counter() - started
    delays = [await largest_delay_while_seven_are_hashed() for _ in range(3)]
    assert min(delays) < one_hash / 4


async def largest_delay_while_seven_are_hashed() -> float:
    """How long the loop was kept from what was due, at worst."""
    hashes = asyncio.gather(*(hashed(f"secret {number}") for number in range(7)))
    largest = 0.0
    while not hashes.done():
        due = time.perf_counter() + 0.001
        await asyncio.sleep(0.001)
        largest = max(largest, time.perf_counter() - due)
    await hashes
    return largest


async def test_the_queue_is_bounded_and_says_so() -> None:
    async with hashing_held():
        waiting = [asyncio.create_task(hashed("secret")) for _ in range(WAITING_MOST)]
        await hashes_wait(WAITING_MOST)
        for call in (hashed("secret"), matches("x", "secret"), matches_nobody("secret")):
            with pytest.raises(Unavailable, match="too many credentials") as refusal:
                await call
            assert refusal.value.code == "overloaded"
            assert refusal.value.headers["Retry-After"] == "1"
    assert len(set(await asyncio.gather(*waiting))) == WAITING_MOST
    assert await hashed("secret")


async def test_no_more_are_made_at_once_than_there_are_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, now, most = threading.Lock(), 0, 0
    verify = hashing._verify

    def counted(stored: str, secret: str) -> bool:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        outcome = verify(stored, secret)
        with lock:
            now -= 1
        return outcome

    monkeypatch.setattr(hashing, "_verify", counted)
    await asyncio.gather(*(matches_nobody("secret") for _ in range(8)))
    assert most == THREADS


async def test_a_caller_that_goes_away_while_it_waits_costs_no_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def note(_: str, secret: str) -> bool:
        made.append(secret)
        return False

    monkeypatch.setattr(hashing, "_verify", note)
    async with hashing_held():
        tasks = [asyncio.create_task(matches("stored", f"secret {number}")) for number in range(WAITING_MOST)]
        await hashes_wait(WAITING_MOST)
        for task in tasks[1:]:
            task.cancel()
        await asyncio.wait(tasks[1:])
        again = asyncio.create_task(matches("stored", "one more"))
        await asyncio.sleep(0)
    assert not await again
    assert not await tasks[0]
    assert made == ["secret 0", "one more"]


async def test_a_caller_that_goes_away_while_its_hash_is_made_leaves_no_count(slow: PasswordHasher) -> None:
    for _ in range(3):
        tasks = [asyncio.create_task(hashed("secret")) for _ in range(THREADS)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)


def test_a_loop_that_ends_while_a_hash_is_made_leaves_no_count(slow: PasswordHasher) -> None:
    async def go_away() -> None:
        tasks = [asyncio.create_task(hashed("secret")) for _ in range(THREADS + 1)]
        await asyncio.sleep(0)
        assert not any(task.done() for task in tasks)

    for _ in range(2):
        asyncio.run(go_away())
