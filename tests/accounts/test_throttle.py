"""Who failed too often waits until the window has moved on; all who are counted take little room."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest

from agentops.accounts.throttle import REMEMBERED_MOST, Throttle
from agentops.core.addresses import neighbourhood
from agentops.core.errors import TooManyRequests


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wait_of(throttle: Throttle, who: str) -> int:
    """For how long whoever it is has to wait, as the refusal says."""
    with pytest.raises(TooManyRequests) as refusal:
        throttle.take(who)
    assert who not in refusal.value.message
    return int(refusal.value.headers["Retry-After"])


def test_the_window_slides(clock: Clock) -> None:
    throttle = Throttle(3, 60, clock)
    for at in (1000, 1010, 1020):
        clock.now = at
        throttle.take("alice")
    assert wait_of(throttle, "alice") == 40
    clock.now = 1059.9
    assert wait_of(throttle, "alice") == 1
    clock.now = 1060
    throttle.take("alice")
    assert wait_of(throttle, "alice") == 10
    clock.now = 1070
    throttle.take("alice")
    assert wait_of(throttle, "alice") == 10


def test_a_refused_attempt_does_not_prolong_the_wait(clock: Clock) -> None:
    throttle = Throttle(1, 60, clock)
    throttle.take("alice")
    for second in range(59):
        clock.now = 1000 + second
        assert wait_of(throttle, "alice") == 60 - second
    clock.now = 1060
    throttle.take("alice")


def test_each_is_counted_alone(clock: Clock) -> None:
    throttle = Throttle(1, 60, clock)
    names = ["alice", "Alice", "alice ", "", "a\0b", "\udc80", "x" * 100_000, "x" * 100_001]
    for name in names:
        throttle.take(name)
    for name in names:
        with pytest.raises(TooManyRequests):
            throttle.take(name)


def test_an_attempt_that_is_given_back_does_not_count(clock: Clock) -> None:
    throttle = Throttle(2, 60, clock)
    for _ in range(5):
        throttle.take("alice")
        throttle.give_back("alice")
    throttle.take("alice")
    clock.now = 1030
    throttle.take("alice")
    throttle.give_back("alice")
    throttle.take("alice")
    assert wait_of(throttle, "alice") == 30


def test_there_is_nothing_to_give_back_to_a_stranger(clock: Clock) -> None:
    throttle = Throttle(1, 60, clock)
    throttle.give_back("alice")
    throttle.take("alice")
    assert wait_of(throttle, "alice") == 60


async def test_many_at_once_are_counted_before_any_of_them_fails(clock: Clock) -> None:
    throttle = Throttle(5, 60, clock)
    let_through = 0

    async def attempt() -> None:
        nonlocal let_through
        throttle.take("alice")
        let_through += 1
        await asyncio.sleep(0)

    outcomes = await asyncio.gather(*(attempt() for _ in range(100)), return_exceptions=True)
    assert let_through == outcomes.count(None) == 5
    assert all(isinstance(outcome, TooManyRequests) for outcome in outcomes if outcome is not None)


def test_who_was_quiet_the_longest_is_forgotten_first(clock: Clock) -> None:
    throttle = Throttle(2, 60, clock)
    for who in ("busy", "quiet", "quiet", "busy"):
        throttle.take(who)
    for number in range(REMEMBERED_MOST - 1):
        throttle.take(f"stranger {number}")
    assert len(throttle._seen) == REMEMBERED_MOST
    with pytest.raises(TooManyRequests):
        throttle.take("busy")
    throttle.take("quiet")
    assert len(throttle._seen) == REMEMBERED_MOST


def test_a_long_name_takes_no_more_room_than_a_short_one(clock: Clock) -> None:
    throttle = Throttle(2, 60, clock)
    tracemalloc.start()
    try:
        for number in range(100):
            throttle.take(f"{number}{'x' * 100_000}")
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 100_000


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        (None, "", True),
        ("testclient", "unix", False),
    ],
)
def test_whoever_has_one_address_of_a_network_has_them_all(one: str | None, other: str | None, same: bool) -> None:
    assert (neighbourhood(one) == neighbourhood(other)) is same
