"""Published keys: rotated, withdrawn, asked for in vain, and a publisher that fails in every way there is."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops.core.errors import Rejected, Unavailable
from agentops.core.identity import Identity
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.auth.jwt import Jwt, _fetching, _published_keys
from agentops.plugins.auth.jwt._fetching import MOST_BYTES
from agentops.plugins.auth.jwt._key_set import MOST_KEYS
from tests.core.parts import Kept
from tests.security.jwt_making import (
    AUDIENCE,
    ISSUER,
    NOW,
    StillClock,
    assert_refused,
    claims,
    let_in,
    on,
    private_key,
    signed,
    verdict,
)
from tests.security.jwt_publisher import Publisher, jwk, publishing

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

FIRST, SECOND = private_key("ed25519"), private_key("ed25519", 1)
OLD, NEW = jwk(FIRST, "EdDSA", kid="old"), jwk(SECOND, "EdDSA", kid="new")
BY_OLD = signed(claims(), "EdDSA", FIRST, kid="old")
BY_NEW = signed(claims(), "EdDSA", SECOND, kid="new")
OF_BOB_BY_NEW = signed(claims(sub="bob"), "EdDSA", SECOND, kid="new")

LONG_ENOUGH = 3600.0
LATE = NOW + 36_000
"""When any key here has grown stale."""


class Told(Kept):
    """Why keys could not be fetched."""

    @property
    def reasons(self) -> list[object]:
        return [fields["reason"] for fields in self.named("jwks.failed")]


@pytest_asyncio.fixture
async def publisher() -> AsyncIterator[Publisher]:
    async with publishing(OLD) as publisher:
        yield publisher


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest_asyncio.fixture
async def authenticator(publisher: Publisher, clock: StillClock, told: Told) -> AsyncIterator[Jwt]:
    """One that knows the old key."""
    async with started(reading(publisher, clock), told) as authenticator:
        yield authenticator


def reading(publisher: Publisher, clock: StillClock, **values: object) -> Jwt:
    """The clock on the wall decides nothing, unless the test says so."""
    usual: dict[str, Any] = {
        "jwks_refresh_seconds": LONG_ENOUGH,
        "jwks_stale_seconds": LONG_ENOUGH,
        "jwks_wait_seconds": 60,
    }
    issuer: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["EdDSA"]}
    return on(clock, Jwt(**{**usual, **issuer, "jwks_url": publisher.url, **values}))


@asynccontextmanager
async def started(authenticator: Jwt, told: Told | None = None) -> AsyncGenerator[Jwt]:
    signals = Signals()
    with signals.told_to(told or Told()):
        async with authenticator.life(Rungs(signals=signals)):
            yield authenticator


async def refreshed(authenticator: Jwt) -> None:
    """What happens every `jwks_refresh_seconds`."""
    (keys,) = authenticator._issuers.published
    async with asyncio.timeout(10):
        await asyncio.wait([keys.fetch()])


async def until(authenticator: Jwt, token: str, wanted: type[Identity | Rejected]) -> None:
    """Until the keys that were published last have arrived; only the thread that fetches them knows when."""
    async with asyncio.timeout(10):
        while not isinstance(await verdict(authenticator, token), wanted):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


async def test_keys_are_there_when_the_start_is_over(publisher: Publisher, authenticator: Jwt) -> None:
    await let_in(authenticator, BY_OLD)
    assert publisher.asked == 1


async def test_a_rotated_key_works_at_the_first_try(publisher: Publisher, authenticator: Jwt) -> None:
    publisher.keys = [OLD, NEW]
    await let_in(authenticator, BY_NEW)
    await let_in(authenticator, BY_OLD)
    assert publisher.asked == 2


async def test_keys_are_fetched_again_and_again(publisher: Publisher, clock: StillClock) -> None:
    async with started(reading(publisher, clock, jwks_refresh_seconds=0.01)) as authenticator:
        await publisher.until_asked(3)
        publisher.keys = [NEW]
        await until(authenticator, BY_OLD, Rejected)
        await let_in(authenticator, BY_NEW)
    left = [task for task in asyncio.all_tasks() if "keep_fresh" in repr(task)]
    assert left == [], "nothing is fetched behind the end"


async def test_a_withdrawn_key_stops_also_for_tokens_seen_before(publisher: Publisher, clock: StillClock) -> None:
    publisher.keys = [OLD, NEW]
    async with started(reading(publisher, clock)) as authenticator:
        by_old, by_new = await let_in(authenticator, BY_OLD), await let_in(authenticator, OF_BOB_BY_NEW)
        assert await authenticator.withdrawn([by_old, by_new]) == []
        publisher.keys = [NEW]
        await refreshed(authenticator)
        assert await authenticator.withdrawn([by_old, by_new]) == [by_old]
        assert_refused(await verdict(authenticator, BY_OLD))
        await let_in(authenticator, OF_BOB_BY_NEW)


async def test_the_token_shown_last_stands_for_whoever_has_two(publisher: Publisher, clock: StillClock) -> None:
    publisher.keys = [OLD, NEW]
    async with started(reading(publisher, clock)) as authenticator:
        identity = await let_in(authenticator, BY_OLD)
        assert await let_in(authenticator, BY_NEW) == identity
        publisher.keys = [NEW]
        await refreshed(authenticator)
        assert await authenticator.withdrawn([identity]) == []


async def test_when_all_keys_are_withdrawn_nobody_is_let_in(publisher: Publisher, authenticator: Jwt) -> None:
    await let_in(authenticator, BY_OLD)
    publisher.keys = []
    await refreshed(authenticator)
    assert_refused(await verdict(authenticator, BY_OLD))


async def test_another_key_of_the_same_name_takes_its_place(publisher: Publisher, authenticator: Jwt) -> None:
    await let_in(authenticator, BY_OLD)
    publisher.keys = [{**NEW, "kid": "old"}]
    await refreshed(authenticator)
    assert_refused(await verdict(authenticator, BY_OLD))
    await let_in(authenticator, signed(claims(), "EdDSA", SECOND, kid="old"))


async def test_an_unchanged_set_costs_no_signature(authenticator: Jwt) -> None:
    await let_in(authenticator, BY_OLD)
    remembered = authenticator._seen.get(BY_OLD)
    await refreshed(authenticator)
    await let_in(authenticator, BY_OLD)
    assert authenticator._seen.get(BY_OLD) is remembered


async def test_an_unknown_key_causes_no_second_fetch_before_its_time(
    publisher: Publisher, clock: StillClock, authenticator: Jwt
) -> None:
    assert_refused(await verdict(authenticator, BY_NEW))
    publisher.keys = [OLD, NEW]
    clock.advance(29.9)
    assert_refused(await verdict(authenticator, BY_NEW))
    assert publisher.asked == 2
    clock.advance(0.2)
    await let_in(authenticator, BY_NEW)
    assert publisher.asked == 3


async def test_ten_thousand_unknown_keys_cause_one_fetch_and_hold_up_nobody(
    publisher: Publisher, authenticator: Jwt
) -> None:
    tokens = [signed(claims(), "EdDSA", SECOND, kid=f"made-up-{number}") for number in range(10_000)]
    outcomes: set[type[object]] = set()
    longest = 0.0

    async def sending() -> None:
        while tokens:
            outcomes.add(type(await verdict(authenticator, tokens.pop())))
            await asyncio.sleep(0)

    async def watching() -> None:
        """By the time that this thread computed, for another process may have had the processor meanwhile."""
        nonlocal longest
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    watch = asyncio.create_task(watching())
    await asyncio.gather(*(sending() for _ in range(200)))
    watch.cancel()
    assert publisher.asked == 2
    assert outcomes == {Rejected}
    assert longest < 0.05


async def test_only_some_wait_for_a_fetch_that_takes_long(publisher: Publisher, clock: StillClock) -> None:
    async with started(reading(publisher, clock, jwks_wait_seconds=60)) as authenticator:
        publisher.answering.clear()
        publisher.keys = [OLD, NEW]
        asking = [asyncio.create_task(verdict(authenticator, BY_NEW)) for _ in range(200)]
        await publisher.until_asked(2)
        await let_in(authenticator, BY_OLD)
        done = [task for task in asking if task.done()]
        assert len(done) == 200 - _published_keys.MOST_WAITING
        for task in done:
            assert_refused(task.result())
        publisher.answering.set()
        outcomes = await asyncio.gather(*asking)
    assert sum(isinstance(outcome, Identity) for outcome in outcomes) == _published_keys.MOST_WAITING
    assert publisher.asked == 2


async def test_nobody_waits_longer_than_was_said(publisher: Publisher, clock: StillClock) -> None:
    async with started(reading(publisher, clock, jwks_wait_seconds=0.05)) as authenticator:
        await refreshed(authenticator)
        publisher.answering.clear()
        async with asyncio.timeout(5):
            assert_refused(await verdict(authenticator, BY_NEW))
        publisher.answering.set()


@pytest.mark.parametrize(
    "token",
    [
        signed(claims(exp=1), "EdDSA", SECOND, kid="new"),
        signed(claims(aud="other"), "EdDSA", SECOND, kid="new"),
        signed(claims(iss="other"), "EdDSA", SECOND, kid="new"),
        signed(claims(), "EdDSA", SECOND, kid="new", alg="none"),
        signed(claims(), "EdDSA", SECOND, kid="new", crit=["x"]),
        signed(claims(), "EdDSA", SECOND, kid="old"),
    ],
    ids=["expired", "audience", "issuer", "none", "crit", "signature"],
)
async def test_a_token_that_is_wrong_anyway_causes_no_fetch(
    token: str, publisher: Publisher, authenticator: Jwt
) -> None:
    assert not isinstance(await verdict(authenticator, token), Identity)
    assert publisher.asked == 1


async def test_an_outage_leaves_known_keys_good_for_a_while_and_then_none(
    publisher: Publisher, clock: StillClock, told: Told, authenticator: Jwt
) -> None:
    token = signed(claims(exp=LATE), "EdDSA", FIRST, kid="old")
    identity = await let_in(authenticator, token)
    await publisher.close()
    await refreshed(authenticator)
    assert told.reasons == ["ConnectionRefusedError"]
    clock.advance(LONG_ENOUGH - 0.1)
    await let_in(authenticator, token)
    await let_in(authenticator, signed(claims(exp=LATE, sub="bob"), "EdDSA", FIRST, kid="old"))
    assert await authenticator.withdrawn([identity]) == []
    clock.advance(0.2)
    assert_unavailable(await verdict(authenticator, token))
    assert await authenticator.withdrawn([identity]) == [identity]
    await publisher.open()
    clock.advance(30)
    await let_in(authenticator, token)


async def test_a_start_succeeds_without_keys_and_goes_on_with_them(clock: StillClock, told: Told) -> None:
    publisher = Publisher()
    await publisher.open()
    publisher.keys = [OLD]
    await publisher.close()
    async with started(reading(publisher, clock), told) as authenticator:
        assert_unavailable(await verdict(authenticator, BY_OLD))
        assert_refused(await verdict(authenticator, signed(claims(exp=1), "EdDSA", FIRST, kid="old")))
        assert told.reasons == ["ConnectionRefusedError"] * 2
        await publisher.open()
        clock.advance(30)
        await let_in(authenticator, BY_OLD)
    await publisher.close()


async def test_after_a_failure_the_next_fetch_comes_sooner(publisher: Publisher, clock: StillClock) -> None:
    publisher.status = "500 Internal Server Error"
    async with started(reading(publisher, clock, jwks_cooldown_seconds=0.01)) as authenticator:
        await publisher.until_asked(3)
        publisher.status = "200 OK"
        await until(authenticator, BY_OLD, Identity)


async def test_a_start_does_not_wait_for_a_slow_publisher(publisher: Publisher, clock: StillClock) -> None:
    publisher.answering.clear()
    async with asyncio.timeout(5), started(reading(publisher, clock, jwks_wait_seconds=0.05)) as authenticator:
        assert_unavailable(await verdict(authenticator, BY_OLD))
        publisher.answering.set()
        await refreshed(authenticator)
        await let_in(authenticator, BY_OLD)
    assert publisher.asked == 1


async def test_what_was_asked_for_before_a_new_start_comes_too_late(publisher: Publisher, clock: StillClock) -> None:
    authenticator = reading(publisher, clock, jwks_wait_seconds=0.05)
    held = publisher.answering
    held.clear()
    async with started(authenticator):
        await publisher.until_asked(1)
        (late,) = [thread for thread in threading.enumerate() if thread.name == f"jwks of {ISSUER}"]
    publisher.answering, publisher.keys = asyncio.Event(), [NEW]
    publisher.answering.set()
    async with started(authenticator):
        await until(authenticator, BY_NEW, Identity)
        held.set()
        await asyncio.to_thread(late.join)
        await asyncio.sleep(0)
        assert_refused(await verdict(authenticator, BY_OLD))
        await let_in(authenticator, BY_NEW)


def test_it_starts_again_in_another_loop_while_an_old_fetch_hangs(clock: StillClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        publisher = Publisher()
        publisher.url, publisher.keys = f"http://127.0.0.1:{listener.getsockname()[1]}/", [OLD]
        authenticator = reading(publisher, clock, jwks_wait_seconds=0.05)

        async def hanging() -> None:
            async with started(authenticator):
                assert_unavailable(await verdict(authenticator, BY_OLD))

        async def answered() -> None:
            await publisher.open(listener)
            async with started(authenticator):
                await until(authenticator, BY_OLD, Identity)
            await publisher.close()

        asyncio.run(hanging())
        asyncio.run(answered())


BAD_BODIES = {
    "empty": b"",
    "page": b"<html>sign in</html>",
    "list": b"[]",
    "null": b"null",
    "keys-table": b'{"keys":{}}',
    "keys-null": b'{"keys":null}',
    "no-keys": b"{}",
    "keys-twice": json.dumps({"keys": [OLD]}).encode()[:-1] + b',"keys":[]}',
    "not-a-number": json.dumps({"keys": [OLD], "x": float("nan")}).encode(),
    "not-utf-8": b'{"keys":[],"x":"\xff"}',
    "nested": b"[" * 100_000,
    "too-many": json.dumps({"keys": [OLD] * (MOST_KEYS + 1)}).encode(),
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_what_is_no_set_of_keys_is_an_outage_and_not_an_empty_set(
    body: bytes, publisher: Publisher, told: Told, authenticator: Jwt
) -> None:
    publisher.body = body
    await refreshed(authenticator)
    assert told.reasons == ["what is there is no set of keys"]
    await let_in(authenticator, BY_OLD)


async def test_a_document_that_is_too_long_is_not_read(publisher: Publisher, clock: StillClock, told: Told) -> None:
    keys = json.dumps({"keys": [OLD]}).encode()
    publisher.body = keys + b" " * (MOST_BYTES - len(keys))
    async with started(reading(publisher, clock), told) as authenticator:
        assert told.reasons == []
        publisher.body += b" "
        await refreshed(authenticator)
        assert told.reasons == [f"it is longer than {MOST_BYTES} bytes"]
        await let_in(authenticator, BY_OLD)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(status: str, publisher: Publisher, told: Told, authenticator: Jwt) -> None:
    async with publishing(NEW) as elsewhere:
        publisher.status = status
        publisher.headers = [f"Location: {elsewhere.url}"]
        assert_refused(await verdict(authenticator, BY_NEW))
        assert told.reasons == [f"it answered {status[:3]}"]
        assert elsewhere.asked == 0


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "404 Not Found", "500 Oops"])
async def test_any_other_answer_is_an_outage(status: str, publisher: Publisher, told: Told, authenticator: Jwt) -> None:
    publisher.status, publisher.keys = status, [NEW]
    assert_refused(await verdict(authenticator, BY_NEW))
    await let_in(authenticator, BY_OLD)
    assert told.reasons == [f"it answered {status[:3]}"]


async def test_an_answer_that_trickles_is_given_up(
    publisher: Publisher, told: Told, monkeypatch: pytest.MonkeyPatch, authenticator: Jwt
) -> None:
    monkeypatch.setattr(_fetching, "MOST_SECONDS", 0.3)
    publisher.chunk = 1
    await refreshed(authenticator)
    assert told.reasons in (["it took longer than 0.3 seconds"], ["TimeoutError"])
    await let_in(authenticator, BY_OLD)


async def test_plain_http_to_this_machine_goes_past_the_proxy(
    publisher: Publisher, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with publishing(NEW) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with started(reading(publisher, clock)) as authenticator:
            await let_in(authenticator, BY_OLD)
        assert proxy.asked == 0


async def test_one_publisher_that_is_down_harms_no_other(publisher: Publisher, clock: StillClock) -> None:
    usual = {"audience": AUDIENCE, "algorithms": ["EdDSA"]}
    down = {"issuer": "down", "jwks_url": "http://127.0.0.1:1/", **usual}
    authenticator = on(clock, Jwt(issuers=[down, {"issuer": ISSUER, "jwks_url": publisher.url, **usual}]))
    async with started(authenticator):
        await let_in(authenticator, BY_OLD)
        assert_unavailable(await verdict(authenticator, signed(claims(iss="down"), "EdDSA", FIRST, kid="old")))


def assert_unavailable(outcome: object) -> None:
    assert isinstance(outcome, Unavailable)
    assert (outcome.status, outcome.code) == (503, "auth_unavailable")
