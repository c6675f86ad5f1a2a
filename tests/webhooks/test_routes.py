"""Subscribing, changing, rotating, testing and removing; and what is said to whoever makes a mistake."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from agentops.plugins.features.webhooks import subscriptions
from tests.webhooks.client import deliveries, fail, settled, subscribe

if TYPE_CHECKING:
    from agentops.testing.server import LiveServer
    from tests.core.parts import Kept
    from tests.webhooks.receiver import Receiver


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ({"events": ["run.failed"]}, "invalid_body", "missing required field `url`"),
        ({"url": "https://example.com/"}, "invalid_body", "missing required field `events`"),
        ({"url": "https://example.com/", "events": []}, "invalid_body", "length >= 1"),
        ({"url": "https://example.com/", "events": ["run.filed"]}, "invalid_body", "'run.filed'"),
        ({"url": "https://example.com/", "events": ["run.failed"], "secret": "x"}, "invalid_body", "`secret`"),
        ({"url": "https://example.com/", "events": ["run.failed"], "format": "xml"}, "invalid_body", "'xml'"),
        ({"url": "http://10.0.0.1/", "events": ["run.failed"]}, "url_not_allowed", "not at a public address"),
        ({"url": "https://169.254.169.254/", "events": ["run.failed"]}, "url_not_allowed", "not at a public address"),
        ({"url": "https://a:b@example.com/", "events": ["run.failed"]}, "url_not_allowed", "a name or a password"),
        ({"url": "file:///etc/passwd", "events": ["run.failed"]}, "url_not_allowed", "https:// and a host"),
        (
            {"url": "http://127.0.0.1/", "events": ["run.failed"], "description": "\0"},
            "bad_request",
            "must be text without NUL",
        ),
    ],
)
async def test_mistakes_are_told(server: LiveServer, body: dict[str, Any], code: str, said: str) -> None:
    answer = await server.client.post("/api/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert said in answer.json()["detail"]
    assert (await server.client.get("/api/webhooks")).json() == {"webhooks": []}


async def test_the_secret_is_in_one_answer_only(server: LiveServer, receiver: Receiver, kept: Kept) -> None:
    webhook = await subscribe(server, receiver.url, "run.failed", "run.failed", description="on call")
    assert webhook["events"] == ["run.failed"]
    (listed,) = (await server.client.get("/api/webhooks")).json()["webhooks"]
    assert listed == (await server.client.get(f"/api/webhooks/{webhook['id']}")).json()
    assert webhook.items() >= listed.items()
    assert "secret" not in listed
    audit = (await server.client.get("/api/audit")).text
    assert webhook["secret"] not in audit + str(kept.events)
    assert '"webhook.create"' in audit
    level, said = kept.only("webhook.create")
    assert (level, said["target"], said["outcome"]) == ("info", webhook["id"], "ok")


async def test_what_may_be_a_credential_is_not_shown(server: LiveServer, receiver: Receiver) -> None:
    chat = await subscribe(server, f"http://127.0.0.1:{receiver.port}/services/T0/B0/XYZ", format="slack")
    assert chat["url"] == f"http://127.0.0.1:{receiver.port}/…"
    plain = await subscribe(server, f"{receiver.url}?token=XYZ")
    assert plain["url"] == f"{receiver.url}?…"
    assert "XYZ" not in (await server.client.get("/api/webhooks")).text + (await server.client.get("/api/audit")).text


async def test_both_secrets_sign_during_a_rotation(server: LiveServer, receiver: Receiver) -> None:
    first = await subscribe(server, receiver.url)
    path = f"/api/webhooks/{first['id']}/secret"
    second = (await server.client.post(path)).json()
    assert second["previous_until"] / 1000 == pytest.approx(time.time() + 24 * 60 * 60, abs=60)
    await fail(server, "during")
    (got,) = await receiver.has(1)
    assert got.is_signed_with(first["secret"])
    assert got.is_signed_with(second["secret"])
    refused = await server.client.post(path)
    assert (refused.status_code, refused.json()["code"]) == (409, "rotation_under_way")
    third = (await server.client.post(path, json={"grace_seconds": 0})).json()
    assert third["previous_until"] is None
    await fail(server, "after")
    got = (await receiver.has(2))[1]
    assert [got.is_signed_with(each["secret"]) for each in (first, second, third)] == [False, False, True]


async def test_a_test_is_sent_at_once_and_listed(server: LiveServer, receiver: Receiver) -> None:
    webhook = await subscribe(server, receiver.url, "key.created")
    receiver.answer(200, 500)
    path = f"/api/webhooks/{webhook['id']}/test"
    good, bad = [(await server.client.post(path)).json() for _ in range(2)]
    assert (good["delivered"], good["attempt"]["status"], good["attempt"]["error"]) == (True, 200, None)
    assert (bad["delivered"], bad["attempt"]["status"], bad["attempt"]["error"]) == (False, 500, "answered 500")
    assert [got.json["type"] for got in receiver.received] == ["test", "test"]
    assert all(got.is_signed_with(webhook["secret"]) for got in receiver.received)
    assert [(each["event"], each["state"]) for each in await deliveries(server, webhook)] == [
        ("test", "parked"),
        ("test", "delivered"),
    ]
    (parked,) = await deliveries(server, webhook, state="parked")
    again = await server.client.post(f"/api/webhooks/{webhook['id']}/deliveries/{parked['id']}/again")
    assert (again.status_code, again.json()["code"]) == (409, "is_a_test")


async def test_a_stopped_webhook_is_told_nothing_more(server: LiveServer, receiver: Receiver) -> None:
    webhook = await subscribe(server, receiver.url)
    path = f"/api/webhooks/{webhook['id']}"
    assert (await server.client.patch(path, json={"enabled": False})).json()["enabled"] is False
    await fail(server, "unheard")
    changed = await server.client.patch(path, json={"enabled": True, "events": ["run.failed", "key.created"]})
    assert changed.json()["events"] == ["run.failed", "key.created"]
    await fail(server, "heard")
    assert [got.json["data"]["run"] for got in await receiver.has(1)] == ["heard"]
    assert (await server.client.patch(path, json={"url": "https://10.0.0.1/"})).status_code == 400
    assert (await server.client.patch(path, json={"format": "slack"})).status_code == 400


async def test_a_removed_webhook_is_gone_with_its_deliveries(server: LiveServer, receiver: Receiver) -> None:
    webhook = await subscribe(server, receiver.url)
    await fail(server, "nightly")
    await settled(server, webhook, "delivered")
    path = f"/api/webhooks/{webhook['id']}"
    assert (await server.client.delete(path)).status_code == 204
    for method, sub in (("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/test")):
        assert (await server.client.request(method, path + sub)).status_code == 404
    await fail(server, "unheard")
    assert len(receiver.received) == 1


async def test_there_are_only_so_many(server: LiveServer, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MOST", 2)
    for _ in range(2):
        await subscribe(server, receiver.url)
    answer = await server.client.post("/api/webhooks", json={"url": receiver.url, "events": ["run.failed"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")


async def test_deliveries_come_a_page_at_a_time(server: LiveServer, receiver: Receiver) -> None:
    webhook = await subscribe(server, receiver.url)
    for number in range(5):
        await fail(server, f"run{number}")
    await settled(server, webhook, "delivered", 5)
    answer = await server.client.get(f"/api/webhooks/{webhook['id']}/deliveries?limit=2")
    told = [each["data"]["run"] for each in answer.json()]
    while "link" in answer.headers:
        answer = await server.client.get(answer.links["next"]["url"])
        told += [each["data"]["run"] for each in answer.json()]
    assert told == ["run4", "run3", "run2", "run1", "run0"]
    for query in ("limit=0", "before=x", "state=lost", f"before={'9' * 19}"):
        answer = await server.client.get(f"/api/webhooks/{webhook['id']}/deliveries?{query}")
        assert answer.status_code == 400, query


@pytest.mark.parametrize("path", ["/nobody", "/%00", "/a%2Fb", "/nobody/deliveries/x/again", "/%F0%9F%92%A5"])
async def test_what_is_not_there_is_not_found(server: LiveServer, path: str) -> None:
    method = "POST" if path.endswith("again") else "GET"
    assert (await server.client.request(method, f"/api/webhooks{path}")).status_code == 404


async def test_no_delivery_of_another_webhook_is_sent_again(server: LiveServer, receiver: Receiver) -> None:
    one, two = [await subscribe(server, receiver.url, event) for event in ("run.failed", "key.created")]
    await fail(server, "nightly")
    (sent,) = await settled(server, one, "delivered")
    for number in (sent["id"], "0", "x", "9" * 30):
        answer = await server.client.post(f"/api/webhooks/{two['id']}/deliveries/{number}/again")
        assert answer.status_code == 404, number
