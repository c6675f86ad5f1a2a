"""Events on their way in, and read back in pages."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.wire.deployed import followed

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="session")

NDJSON = {"Content-Type": "application/x-ndjson"}


async def stored(api: httpx.AsyncClient, run: str, query: str = "") -> list[Any]:
    events: list[Any] = (await api.get(f"/runs/{run}/events?{query}")).raise_for_status().json()
    return events


async def test_an_event_is_answered_201_as_it_is_stored(api: httpx.AsyncClient, run: str) -> None:
    sent = {
        "type": "tool.called",
        "ts": 1767225600000,
        "level": "warning",
        "agentId": "writer",
        "taskId": "t-1",
        "payload": {"query": "snow"},
    }
    answer = await api.post(f"/runs/{run}/events", json=sent)
    event = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert list(event) == ["id", "runId", "ts", "type", "level", "agentId", "taskId", "payload"]
    assert event == sent | {"id": event["id"], "runId": run}
    assert isinstance(event["id"], str)
    assert int(event["id"]) > 0
    assert await stored(api, run) == [event]


async def test_what_is_left_out_of_an_event_has_a_default(api: httpx.AsyncClient, run: str) -> None:
    before = time.time_ns() // 1_000_000
    event = (await api.post(f"/runs/{run}/events", json={"type": "log"})).json()
    assert before <= event.pop("ts") <= time.time_ns() // 1_000_000
    assert event == {
        "id": event["id"],
        "runId": run,
        "type": "log",
        "level": "info",
        "agentId": None,
        "taskId": None,
        "payload": {},
    }


async def test_an_explicit_null_is_as_good_as_left_out(api: httpx.AsyncClient, run: str) -> None:
    sent = {"type": "log", "ts": None, "level": None, "agentId": None, "taskId": None, "key": None}
    event = (await api.post(f"/runs/{run}/events", json=sent)).json()
    assert event["level"] == "info"
    assert isinstance(event["ts"], int)


async def test_a_time_may_be_written_out(api: httpx.AsyncClient, run: str) -> None:
    for text in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T02:00:00+02:00"):
        event = (await api.post(f"/runs/{run}/events", json={"type": "log", "ts": text})).json()
        assert event["ts"] == 1767225600000


@pytest.mark.parametrize("payload", [None, 0, -1.5, "text", [], [1, [2]], {"a": {"b": None}}, True], ids=repr)
async def test_a_payload_may_be_any_json(api: httpx.AsyncClient, run: str, payload: object) -> None:
    event = (await api.post(f"/runs/{run}/events", json={"type": "log", "payload": payload})).json()
    assert event["payload"] == payload
    assert (await stored(api, run))[0]["payload"] == payload


async def test_the_first_event_makes_its_run(api: httpx.AsyncClient, run: str) -> None:
    await api.post(f"/runs/{run}/events", json={"type": "log"})
    made = (await api.get(f"/runs/{run}")).json()
    assert made["status"] == "running"
    assert made["eventCount"] == 1
    assert made["endedAt"] is None


async def test_an_array_is_answered_with_its_count_and_ids(api: httpx.AsyncClient, run: str) -> None:
    answer = await api.post(f"/runs/{run}/events", json=[{"type": "a"}, {"type": "b"}, {"type": "c"}])
    events = await stored(api, run)
    assert answer.status_code == 201
    assert answer.json() == {"count": 3, "first": events[0]["id"], "last": events[2]["id"]}
    assert [event["type"] for event in events] == ["a", "b", "c"]


async def test_lines_are_answered_as_an_array_is(api: httpx.AsyncClient, run: str) -> None:
    body = b'{"type":"a"}\r\n\n  \n{"type":"b","payload":"x\\ny"}\n{"type":"c"}'
    answer = await api.post(f"/runs/{run}/events", content=body, headers=NDJSON)
    events = await stored(api, run)
    assert answer.status_code == 201
    assert answer.json() == {"count": 3, "first": events[0]["id"], "last": events[2]["id"]}
    assert [event["type"] for event in events] == ["a", "b", "c"]


@pytest.mark.parametrize("media_type", ["application/x-ndjson; charset=utf-8", "APPLICATION/X-NDJSON"])
async def test_the_media_type_is_read_as_http_has_it(api: httpx.AsyncClient, run: str, media_type: str) -> None:
    body = b'{"type":"a"}\n{"type":"b"}\n'
    answer = await api.post(f"/runs/{run}/events", content=body, headers={"Content-Type": media_type})
    assert answer.json()["count"] == 2


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b'[{"type":"a"},{"type":7},{"type":"c"}]', {}, id="array"),
        pytest.param(b'{"type":"a"}\n{"kind":"b"}\n{"type":"c"}\n', NDJSON, id="lines"),
        pytest.param(b'{"type":"a"}\n{"type":\n{"type":"c"}\n', NDJSON, id="a-line-that-is-not-json"),
    ],
)
async def test_all_are_stored_or_none(api: httpx.AsyncClient, run: str, body: bytes, headers: dict[str, str]) -> None:
    answer = await api.post(f"/runs/{run}/events", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] in {"invalid_body", "invalid_json"}
    assert await stored(api, run) == []
    assert (await api.get(f"/runs/{run}")).status_code == 404


@pytest.mark.parametrize(("body", "headers"), [(b"[]", {}), (b" [ ] ", {}), (b"\n \n", NDJSON)], ids=repr)
async def test_no_events_at_all_are_400(api: httpx.AsyncClient, run: str, body: bytes, headers: dict[str, str]) -> None:
    answer = await api.post(f"/runs/{run}/events", content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["error"] == "no_events"
    assert (await api.get(f"/runs/{run}")).status_code == 404


async def test_the_same_key_answers_with_the_event_already_stored(api: httpx.AsyncClient, run: str) -> None:
    first = await api.post(f"/runs/{run}/events", json={"type": "a", "key": "k", "payload": 1})
    again = await api.post(f"/runs/{run}/events", json={"type": "b", "key": "k", "payload": 2})
    assert again.status_code == 201
    assert again.content == first.content
    assert await stored(api, run) == [first.json()]


async def test_a_key_counts_within_its_run_only(api: httpx.AsyncClient, run: str) -> None:
    first = (await api.post(f"/runs/{run}/events", json={"type": "a", "key": "k"})).json()
    other = (await api.post(f"/runs/{run}-2/events", json={"type": "a", "key": "k"})).json()
    assert first["id"] != other["id"]


async def test_a_key_that_is_repeated_inside_an_array_is_stored_once(api: httpx.AsyncClient, run: str) -> None:
    body = [{"type": "a", "key": "k"}, {"type": "b"}, {"type": "c", "key": "k"}]
    answer = (await api.post(f"/runs/{run}/events", json=body)).json()
    events = await stored(api, run)
    assert [event["type"] for event in events] == ["a", "b"]
    assert answer == {"count": 3, "first": events[0]["id"], "last": events[0]["id"]}


async def test_a_key_sent_by_many_at_once_is_stored_once(api: httpx.AsyncClient, run: str) -> None:
    sendings = (api.post(f"/runs/{run}/events", json={"type": str(n), "key": "k"}) for n in range(20))
    answers = await asyncio.gather(*sendings)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await stored(api, run) == [answers[0].json()]


async def test_a_key_has_at_most_200_characters(api: httpx.AsyncClient, run: str) -> None:
    longest = await api.post(f"/runs/{run}/events", json={"type": "a", "key": "ä" * 200})
    too_long = await api.post(f"/runs/{run}/events", json={"type": "a", "key": "k" * 201})
    assert (longest.status_code, too_long.status_code) == (201, 400)
    assert len(await stored(api, run)) == 1


async def test_ids_grow_in_the_order_of_the_answers(api: httpx.AsyncClient, run: str) -> None:
    ids = [int((await api.post(f"/runs/{run}/events", json={"type": "a"})).json()["id"]) for _ in range(5)]
    assert ids == sorted(set(ids))
    assert [int(event["id"]) for event in await stored(api, run)] == ids


async def test_events_of_many_senders_are_all_there_in_order(api: httpx.AsyncClient, run: str) -> None:
    sendings = (api.post(f"/runs/{run}/events", json={"type": str(n)}) for n in range(50))
    answered = sorted(int(answer.json()["id"]) for answer in await asyncio.gather(*sendings))
    assert [int(event["id"]) for event in await stored(api, run)] == answered


async def test_a_page_begins_behind_after_and_ends_at_the_limit(api: httpx.AsyncClient, run: str) -> None:
    await api.post(f"/runs/{run}/events", json=[{"type": str(n)} for n in range(5)])
    ids = [event["id"] for event in await stored(api, run)]
    pages = [
        await stored(api, run, query) for query in (f"after={ids[1]}&limit=2", f"after={ids[4]}", "after=0&limit=1")
    ]
    assert [[event["id"] for event in page] for page in pages] == [ids[2:4], [], ids[:1]]


@pytest.mark.parametrize("name", ["a-{}", "a/{}"])
async def test_the_links_followed_to_the_end_show_every_event_once(api: httpx.AsyncClient, run: str, name: str) -> None:
    path = f"/runs/{quote(name.format(run), safe='')}/events"
    await api.post(path, json=[{"type": str(n)} for n in range(6)])
    for limit, sizes in (("4", [4, 2]), ("3", [3, 3]), ("7", [6])):
        pages = [page async for page in followed(api, f"{path}?limit={limit}")]
        assert [len(page) for page in pages] == sizes
        assert [event["type"] for page in pages for event in page] == list("012345")


async def test_a_page_has_500_by_default_and_1000_at_most(api: httpx.AsyncClient, run: str) -> None:
    await api.post(f"/runs/{run}/events", json=[{"type": "a"}] * 1001)
    sizes = {
        query: len(await stored(api, run, query))
        for query in ("", "limit=", "limit=1000", "limit=1001", "limit=9" + "0" * 30)
    }
    assert list(sizes.values()) == [500, 500, 1000, 1000, 1000]


async def test_an_unknown_run_has_no_events(api: httpx.AsyncClient, run: str) -> None:
    answer = await api.get(f"/runs/{run}/events")
    assert answer.status_code == 200
    assert answer.content == b"[]"
    assert (await api.get(f"/runs/{run}")).status_code == 404


@pytest.mark.parametrize(
    ("kind", "status"), [("run.completed", "completed"), ("run.error", "error"), ("error", "error"), ("log", "running")]
)
async def test_an_event_may_say_how_its_run_ended(api: httpx.AsyncClient, run: str, kind: str, status: str) -> None:
    await api.post(f"/runs/{run}/events", json={"type": kind})
    made = (await api.get(f"/runs/{run}")).json()
    assert made["status"] == status
    assert (made["endedAt"] is None) == (status == "running")


async def test_a_payload_comes_back_as_it_was_sent(api: httpx.AsyncClient, run: str) -> None:
    """A dashboard that shows 1.0 where 1 was sent, or a rounded number, shows what nobody said."""
    sent = b'{"b":1.0,"a":123456789012345678901234567890,"c":1e400,"d":"\\u00e4\\/","a":2}'
    body = b'{"type":"a","payload":%b}' % sent
    answer = await api.post(f"/runs/{run}/events", content=body)
    page = await api.get(f"/runs/{run}/events")
    assert answer.content.endswith(b'"payload":%b}' % sent)
    assert page.content == b"[%b]" % answer.content


async def test_a_payload_over_several_lines_is_put_on_one(api: httpx.AsyncClient, run: str) -> None:
    body = b'{"type":"a","payload":{\r\n  "a": [1,\n 2]\n}}'
    answer = await api.post(f"/runs/{run}/events", content=body)
    assert answer.content.endswith(b'"payload":{"a":[1,2]}}')
    assert json.loads(answer.content)["payload"] == {"a": [1, 2]}
