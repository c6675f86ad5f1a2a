"""What happens is delivered: signed, in order, as it was stored, and to nobody else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from agentops.plugins.features.webhooks import courier, outbox, sending
from tests.webhooks.client import OPERATOR, STRANGER, deliveries, eventually, fail, operated, settled, subscribe
from tests.webhooks.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from agentops import Kit
    from agentops.testing.server import LiveServer
    from tests.core.parts import Kept
    from tests.webhooks.receiver import Receiver


async def test_a_failed_run_is_told_signed(server: LiveServer, receiver: Receiver) -> None:
    webhook = await subscribe(server, receiver.url)
    await fail(server, "nightly")
    (got,) = await receiver.has(1)
    assert got.is_signed_with(webhook["secret"])
    assert got.headers["content-type"] == "application/json"
    assert got.headers["webhook-id"].startswith("msg_")
    assert abs(int(got.headers["webhook-timestamp"]) - time.time()) < 60
    assert got.json["type"] == "run.failed"
    run = (await server.client.get("/api/runs/nightly")).json()
    assert {"run": "nightly", "status": "error", "title": run["title"]}.items() <= got.json["data"].items()
    assert (got.json["data"]["startedAt"], got.json["data"]["endedAt"]) == (run["startedAt"], run["endedAt"])
    (listed,) = await settled(server, webhook, "delivered")
    assert (listed["event"], listed["attempts"][0]["status"]) == ("run.failed", 200)


async def test_each_way_to_fail_is_told_once(server: LiveServer, receiver: Receiver) -> None:
    await subscribe(server, receiver.url)
    client = server.client
    await client.post("/api/runs", json={"id": "born", "status": "error"})
    await client.post("/api/runs", json={"id": "patched"})
    await client.patch("/api/runs/patched", json={"status": "error"})
    await client.patch("/api/runs/patched", json={"status": "error"})
    await client.patch("/api/runs/patched", json={"title": "another"})
    await client.post("/api/runs", json={"id": "fine"})
    await client.patch("/api/runs/fine", json={"status": "completed"})
    await client.patch("/api/runs/patched", json={"status": "running"})
    await client.patch("/api/runs/patched", json={"status": "error"})
    told = [got.json["data"]["run"] for got in await receiver.has(3)]
    assert told == ["born", "patched", "patched"]


async def test_names_that_could_break_the_format_do_not(server: LiveServer, receiver: Receiver) -> None:
    await subscribe(server, receiver.url)
    title = "\"}\\ \u2028\n<!channel> %s {0} 'x' \U0001f4a5"
    await server.client.post("/api/runs", json={"id": "a/b \"c'", "title": title, "status": "error"})
    (got,) = await receiver.has(1)
    assert (got.json["data"]["run"], got.json["data"]["title"]) == ("a/b \"c'", title)


async def test_what_nobody_subscribed_to_is_not_stored(server: LiveServer, receiver: Receiver) -> None:
    webhook = await subscribe(server, receiver.url, "key.created")
    await fail(server, "nightly")
    assert await deliveries(server, webhook) == []


async def test_keys_are_told_of_without_their_text(server: LiveServer, receiver: Receiver) -> None:
    await subscribe(server, receiver.url, "key.created", "key.rotated", "key.revoked")
    users = "/api/admin/users/ada/api-keys"
    made = (await server.client.post(users, json={"name": 'a "key"', "permissions": ["runs:read"]})).json()
    new = (await server.client.post(f"{users}/{made['key_id']}/rotate", json={})).json()
    await server.client.delete(f"{users}/{new['key_id']}")
    got = await receiver.has(3)
    assert [each.json["type"] for each in got] == ["key.created", "key.rotated", "key.revoked"]
    assert [each.json["data"]["key_id"] for each in got] == [made["key_id"], made["key_id"], new["key_id"]]
    assert got[0].json["data"]["name"] == 'a "key"'
    assert {each.json["data"]["owner"] for each in got} == {"ada"}
    for text in (made["api_key"], new["api_key"]):
        assert not any(text.encode() in each.body for each in got)


async def test_a_slack_channel_reads_a_line(server: LiveServer, receiver: Receiver) -> None:
    await subscribe(server, receiver.url, format="slack")
    await server.client.post("/api/runs", json={"id": "r", "title": "<!channel> & co\nnext: line", "status": "error"})
    (got,) = await receiver.has(1)
    assert got.json.keys() == {"text"}
    assert got.json["text"].startswith("*A run failed*\nrun: r\ntitle: &lt;!channel&gt; &amp; co next: line\n")


async def test_another_project_is_told_nothing(server: LiveServer, receiver: Receiver) -> None:
    webhook = await subscribe(server, receiver.url)
    server.client.headers.update(STRANGER)
    await fail(server, "nightly")
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/secret"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/1/again"),
    ):
        answer = await server.client.request(method, f"/api/webhooks/{webhook['id']}{path}", json={})
        assert answer.status_code == 404, (method, path)
    assert (await server.client.get("/api/webhooks")).json() == {"webhooks": []}
    server.client.headers.update(OPERATOR)
    del server.client.headers["x-other-key"]
    assert await deliveries(server, webhook) == []


async def test_order_is_kept_while_a_target_fails(
    server: LiveServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, kept: Kept
) -> None:
    monkeypatch.setattr(outbox, "DELAYS", (0.01,) * 11)
    receiver.answer(500, 503, 302, head="location: http://127.0.0.1:1/\r\n")
    webhook = await subscribe(server, receiver.url)
    for number in range(5):
        await fail(server, f"run{number}")
    got = await receiver.has(8)
    assert [each.json["data"]["run"] for each in got] == [*["run0"] * 4, "run1", "run2", "run3", "run4"]
    assert len({each.headers["webhook-id"] for each in got[:4]}) == 1
    assert len({each.body for each in got[:4]}) == 1
    first = (await settled(server, webhook, "delivered", 5))[-1]
    assert [attempt["status"] for attempt in first["attempts"]] == [500, 503, 302, 200]
    assert first["attempts"][2]["error"] == "answered 302: redirects are not followed"
    assert [fields["reason"] for fields in kept.named("webhook.failed")][:2] == ["answered 500", "answered 503"]


async def test_a_target_that_is_slow_holds_up_nobody_else(server: LiveServer, receiver: Receiver) -> None:
    receiver.holds.clear()
    async with receiving() as other:
        await subscribe(server, receiver.url)
        await subscribe(server, other.url)
        await fail(server, "nightly")
        assert len(await receiver.has(1)) == len(await other.has(1)) == 1
        await fail(server, "daily")
        assert [each.json["data"]["run"] for each in await other.has(2)] == ["nightly", "daily"]
    assert len(receiver.received) == 1


async def test_what_never_arrives_is_parked_and_can_be_sent_again(
    server: LiveServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, kept: Kept
) -> None:
    monkeypatch.setattr(outbox, "DELAYS", (0.01, 0.01))
    receiver.answer(500, 500, 500)
    webhook = await subscribe(server, receiver.url)
    await fail(server, "lost")
    await fail(server, "next")
    assert [each.json["data"]["run"] for each in await receiver.has(4)] == ["lost", "lost", "lost", "next"]
    (parked,) = await settled(server, webhook, "parked")
    assert [attempt["error"] for attempt in parked["attempts"]] == ["answered 500"] * 3
    assert kept.only("webhook.parked")[0] == "error"
    again = f"/api/webhooks/{webhook['id']}/deliveries/{parked['id']}/again"
    assert (await server.client.post(again)).status_code == 204
    assert (await receiver.has(5))[-1].json["data"]["run"] == "lost"
    assert len(await settled(server, webhook, "delivered", 2)) == 2


async def test_an_attempt_that_breaks_in_a_way_nobody_thought_of_is_an_attempt(
    server: LiveServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be made once more at once, and for ever."""
    monkeypatch.setattr(sending, "signed_headers", lambda *_: {"webhook-id": "\N{PILE OF POO}"})
    webhook = await subscribe(server, receiver.url)
    await fail(server, "nightly")

    async def attempts() -> Any:
        return (await deliveries(server, webhook))[0]["attempts"]

    assert [attempt["error"] for attempt in await eventually(attempts)] == ["UnicodeEncodeError"]
    answer = await server.client.post(f"/api/webhooks/{webhook['id']}/test")
    assert (answer.status_code, answer.json()["delivered"]) == (200, False)


async def test_a_target_that_is_gone_is_asked_no_more(server: LiveServer, receiver: Receiver) -> None:
    receiver.answer(410)
    webhook = await subscribe(server, receiver.url)
    await fail(server, "nightly")
    await receiver.has(1)

    async def why() -> Any:
        return (await server.client.get(f"/api/webhooks/{webhook['id']}")).json()["disabled_because"]

    assert await eventually(why) == "its target answered 410: it is gone"
    await fail(server, "unheard")
    changed = await server.client.patch(f"/api/webhooks/{webhook['id']}", json={"enabled": True})
    assert (changed.json()["enabled"], changed.json()["disabled_because"]) == (True, None)
    await fail(server, "heard")
    events = [each["data"]["run"] for each in await deliveries(server, webhook)]
    assert "unheard" not in events
    assert "heard" in events


async def test_a_target_that_is_gone_ends_no_new_one(server: LiveServer, receiver: Receiver) -> None:
    """Its answer came when the webhook led elsewhere already."""
    receiver.answer(410)
    receiver.holds.clear()
    webhook = await subscribe(server, receiver.url)
    await fail(server, "nightly")
    await receiver.has(1)
    path = f"/api/webhooks/{webhook['id']}"
    assert (await server.client.patch(path, json={"url": f"{receiver.url}/new"})).is_success
    receiver.holds.set()

    async def attempts() -> Any:
        return (await deliveries(server, webhook))[0]["attempts"]

    assert (await eventually(attempts))[0]["status"] == 410
    await fail(server, "daily")
    assert (await server.client.get(path)).json()["enabled"]


async def test_a_target_that_moves_inward_gets_nothing(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    """What was allowed when it was subscribed is judged again at every attempt."""
    async with operated(kit_of()) as server:
        webhook = await subscribe(server, receiver.url)
    async with operated(kit_of(allow=[])) as server:
        await fail(server, "nightly")

        async def attempts() -> Any:
            return (await deliveries(server, webhook))[0]["attempts"]

        assert (await eventually(attempts))[0]["error"].startswith("its host is not at a public address")
    assert receiver.received == []


async def test_a_database_that_hangs_does_not_hold_up_the_end(
    kit_of: Callable[..., Kit], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is claimed cannot be given back then; the claim lapses."""

    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(courier, "RELEASE_SECONDS", 0.05)
    receiver.holds.clear()
    async with asyncio.timeout(10):
        async with operated(kit_of()) as server:
            await subscribe(server, receiver.url)
            await fail(server, "nightly")
            await receiver.has(1)
            monkeypatch.setattr(outbox.Outbox, "release", hang)


async def test_two_servers_deliver_each_once(kit_of: Callable[..., Kit], receiver: Receiver) -> None:
    async with operated(kit_of()) as one, operated(kit_of()) as two:
        webhook = await subscribe(one, receiver.url)
        for number in range(20):
            await fail((one, two)[number % 2], f"run{number}")
        told = [each.json["data"]["run"] for each in await receiver.has(20)]
        await settled(one, webhook, "delivered", 20)
    assert told == [f"run{number}" for number in range(20)]
    assert len(receiver.received) == 20
