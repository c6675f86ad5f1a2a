"""A user's own key for a provider is kept sealed, found for that user alone, and sealed anew when the ring changes."""

from __future__ import annotations

import json
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from agentops.accounts import own_keys as module
from agentops.accounts.own_keys import OwnKeys, UnreadableKey, listed, reseal
from agentops.accounts.ring import Ring
from agentops.core.errors import BadRequest, NotFound, Refusal
from agentops.core.ports.storage import Append
from agentops.core.records import now_ms
from agentops.core.secret import Secret
from agentops.core.signals import Signals
from agentops.sql import tables
from tests.accounts.parts import ORIGIN, UNSTORABLE, change, everything, refuse_audit, rows, trail
from tests.accounts.test_ring import NEW, OLD
from tests.core.parts import Kept

if TYPE_CHECKING:
    from agentops.accounts.audit import Origin
    from tests.accounts.parts import AnyStorage

FIRST = Secret("sk-canary-first-0123456789abcd")
SECOND = Secret("sk-canary-second-0123456789wxyz")
PROVIDERS = {"openai", "anthropic"}


@pytest.fixture
def own(storage: AnyStorage) -> OwnKeys:
    return OwnKeys(storage, Ring([OLD]))


def origin_in(project: str) -> Origin:
    return ORIGIN._replace(project=project)


async def move(storage: AnyStorage, **values: str) -> None:
    async with storage.write() as connection:
        await connection.execute(update(tables.provider_keys).values(values))


async def test_a_key_is_found_by_its_owner_alone_and_shown_to_nobody(storage: AnyStorage, own: OwnKeys) -> None:
    before = now_ms()
    made = await own.put(ORIGIN, "alice", "openai", FIRST)
    assert (made.project, made.owner, made.provider, made.shown) == ("p", "alice", "openai", "abcd")
    assert before <= made.created_at <= now_ms()
    assert await own.found("p", "alice", PROVIDERS) == {"openai": FIRST}
    assert await own.of_owner("p", "alice") == [made]
    for project, owner, providers in (("q", "alice", PROVIDERS), ("p", "bob", PROVIDERS), ("p", "alice", {"other"})):
        assert await own.found(project, owner, providers) == {}
    assert await own.of_owner("q", "alice") == await own.of_owner("p", "bob") == []
    assert FIRST.reveal() not in str(await everything(storage))


async def test_each_provider_has_one_and_the_newest_holds(storage: AnyStorage, own: OwnKeys) -> None:
    await own.put(ORIGIN, "alice", "openai", FIRST)
    await own.put(ORIGIN, "alice", "anthropic", FIRST)
    await change(storage, tables.provider_keys, last_used_at=1)
    await own.put(ORIGIN, "alice", "openai", SECOND)
    assert await own.found("p", "alice", PROVIDERS) == {"openai": SECOND, "anthropic": FIRST}
    told = [(key.provider, key.shown, key.last_used_at) for key in await own.of_owner("p", "alice")]
    assert told == [("anthropic", "abcd", 1), ("openai", "wxyz", None)]


async def test_a_deleted_key_is_gone(storage: AnyStorage, own: OwnKeys) -> None:
    await own.put(ORIGIN, "alice", "openai", FIRST)
    for project, owner, provider in (("q", "alice", "openai"), ("p", "bob", "openai"), ("p", "alice", "anthropic")):
        with pytest.raises(NotFound):
            await own.delete(origin_in(project), owner, provider)
    await own.delete(ORIGIN, "alice", "openai")
    assert await own.found("p", "alice", PROVIDERS) == {}
    with pytest.raises(NotFound):
        await own.delete(ORIGIN, "alice", "openai")
    assert await trail(storage) == [("provider_key.put", "openai", "ok"), ("provider_key.delete", "openai", "ok")]


async def test_a_change_is_told_in_its_transaction(storage: AnyStorage, own: OwnKeys) -> None:
    await own.put(ORIGIN, "alice", "openai", FIRST)
    (told,) = await rows(storage, tables.audit)
    assert json.loads(told["details"]) == {"owner": "alice", "shown": "abcd"}
    before = await rows(storage, tables.provider_keys)
    await refuse_audit(storage)
    for changing in (own.put(ORIGIN, "alice", "openai", SECOND), own.delete(ORIGIN, "alice", "openai")):
        with pytest.raises(IntegrityError):
            await changing
    with pytest.raises(IntegrityError):
        await reseal(storage, Ring([NEW, OLD]), origin_in)
    assert await rows(storage, tables.provider_keys) == before


@pytest.mark.parametrize("moved", [{"owner": "bob"}, {"provider": "anthropic"}, {"project": "q"}], ids=str)
async def test_a_row_that_was_moved_opens_no_more_and_no_other_key_is_used(
    storage: AnyStorage, moved: dict[str, str]
) -> None:
    told, signals = Kept(), Signals()
    own = OwnKeys(storage, Ring([OLD]), signals)
    await own.put(ORIGIN, "alice", "openai", FIRST)
    assert await own.found("p", "alice", PROVIDERS) == {"openai": FIRST}
    await move(storage, **moved)
    where = {"project": "p", "owner": "alice", "provider": "openai"} | moved
    with signals.told_to(told):
        for _ in range(2):
            with pytest.raises(UnreadableKey, match=f"your own key for '{where['provider']}' cannot be read"):
                await own.found(where["project"], where["owner"], PROVIDERS)
    level, fields = told.only("provider_key.unreadable")
    assert (level, fields["project"]) == ("error", where["project"])


async def test_a_key_that_no_client_could_send_is_refused_without_being_shown(
    storage: AnyStorage, own: OwnKeys
) -> None:
    for text in ("", "short", "x" * 15, "x" * 501, "sk canary with blanks in it", "sk-canary-0123456789\n", "é" * 20):
        with pytest.raises(BadRequest) as refused:
            await own.put(ORIGIN, "alice", "openai", Secret(text))
        assert refused.value.param == "api_key"
        assert not text or text not in refused.value.message
    for name in UNSTORABLE.values():
        with pytest.raises(BadRequest):
            await own.put(ORIGIN, name, "openai", FIRST)
        with pytest.raises(NotFound):
            await own.delete(ORIGIN, "alice", name)
        assert await own.found("p", name, PROVIDERS) == {}
        assert await own.of_owner(name, "alice") == []
    assert await rows(storage, tables.provider_keys) == await rows(storage, tables.audit) == []


async def test_a_use_is_noted_once_a_minute_with_whatever_tells_of_it(storage: AnyStorage, own: OwnKeys) -> None:
    await own.put(ORIGIN, "alice", "openai", FIRST)
    await own.put(ORIGIN, "bob", "openai", FIRST)

    async def use() -> int | None:
        used = OwnKeys(storage, Ring([OLD])).used("p", "alice", "openai")
        (appended,) = await storage.append([Append("", "", (), None, used)])
        assert not isinstance(appended, Refusal)
        return (await own.of_owner("p", "alice"))[0].last_used_at

    before = now_ms()
    first = await use()
    assert first is not None
    assert before <= first <= now_ms()
    await change(storage, tables.provider_keys, last_used_at=first - module.NOTED_EVERY_MS + 30_000)
    assert await use() == first - module.NOTED_EVERY_MS + 30_000
    await change(storage, tables.provider_keys, last_used_at=before - module.NOTED_EVERY_MS)
    assert (await use() or 0) >= first
    assert (await own.of_owner("p", "bob"))[0].last_used_at == before - module.NOTED_EVERY_MS
    assert [len(own.used("p", "alice", "openai")) for _ in range(2)] == [1, 0]


async def test_all_are_sealed_anew_by_the_first_key_of_the_ring(
    storage: AnyStorage, own: OwnKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In many transactions; one cannot be read and keeps the others from nothing."""
    monkeypatch.setattr(module, "AT_ONCE", 2)
    for number in range(5):
        await own.put(origin_in("p" if number % 2 else "q"), f"u{number}", "openai", FIRST)
    await own.put(ORIGIN, "lost", "openai", FIRST)
    async with storage.write() as connection:
        lost = tables.provider_keys.c.owner == "lost"
        await connection.execute(update(tables.provider_keys).where(lost).values(owner="found"))
    ring = Ring([NEW, OLD])
    await OwnKeys(storage, ring).put(ORIGIN, "new", "openai", SECOND)
    done = await reseal(storage, ring, origin_in)
    assert (done.anew, [key.owner for key in done.unreadable]) == (5, ["found"])
    narrow = OwnKeys(storage, Ring([NEW]))
    for number in range(5):
        assert await narrow.found("p" if number % 2 else "q", f"u{number}", PROVIDERS) == {"openai": FIRST}
    assert await narrow.found("p", "new", PROVIDERS) == {"openai": SECOND}
    told = [row for row in await rows(storage, tables.audit) if row["action"] == "provider_key.reseal"]
    assert {row["target"] for row in told} == {ring.first}
    by_project = {project: sum(json.loads(row["details"])["keys"] for row in told if row["project"] == project)
                  for project in "pq"}  # fmt: skip
    assert by_project == {"p": 2, "q": 3}
    again = await reseal(storage, ring, origin_in)
    assert (again.anew, len(again.unreadable)) == (0, 1)
    assert {key.ring for key in await listed(storage, None) if key.owner != "found"} == {ring.first}


async def test_what_is_replaced_while_all_are_sealed_anew_stays_as_its_owner_wants_it(
    storage: AnyStorage, own: OwnKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    await own.put(ORIGIN, "alice", "openai", FIRST)
    await own.put(ORIGIN, "bob", "openai", FIRST)
    ring = Ring([NEW, OLD])
    replaced = module._replaced

    async def after_a_change(*given: Any) -> int:
        await own.put(ORIGIN, "alice", "openai", SECOND)
        await own.delete(ORIGIN, "bob", "openai")
        return await replaced(*given)

    monkeypatch.setattr(module, "_replaced", after_a_change)
    assert await reseal(storage, ring, origin_in) == (0, [])
    assert await own.found("p", "alice", PROVIDERS) == {"openai": SECOND}
    assert await own.found("p", "bob", PROVIDERS) == {}


async def test_a_canary_is_heard_nowhere(storage: AnyStorage, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ring = Ring([NEW, OLD])
    own, errors = OwnKeys(storage, ring, Signals()), list[str]()
    made = await own.put(ORIGIN, "alice", "openai", FIRST)
    shown = [repr(each) for each in (made, own, vars(own), ring, vars(ring), await own.found("p", "alice", PROVIDERS))]
    await reseal(storage, ring, origin_in)
    stored = str(await everything(storage))
    await move(storage, owner="bob")
    await refuse_audit(storage)
    for failing in (
        own.found("p", "bob", PROVIDERS),
        own.put(ORIGIN, "alice", "openai", Secret(f"{FIRST.reveal()} ")),
        own.put(ORIGIN, "alice", "openai", FIRST),
        own.delete(ORIGIN, "alice", FIRST.reveal()),
    ):
        with pytest.raises((Refusal, IntegrityError)) as failure:
            await failing
        errors += traceback.format_exception(failure.value)
        errors += [repr(failure.value), str(vars(failure.value))]
    lines = caplog.text + str([vars(record) for record in caplog.records])
    everywhere = {"stored": stored, "errors": "".join(errors), "shown": "".join(shown), "logged": lines}
    canaries = [key.reveal() for key in (FIRST, NEW, OLD)]
    assert "alice" in stored
    assert [(place, canary) for place, text in everywhere.items() for canary in canaries if canary in text] == []
