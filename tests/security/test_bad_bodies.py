"""Bodies that are not what they should be: each is refused in the lane's style, and nothing of it is stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.wire.deployed import exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from tests.wire.deployed import Deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")

LINES = {"Content-Type": "application/x-ndjson"}
DEEP = 100_000
MEGABYTE = 1024 * 1024


def event(payload: bytes) -> bytes:
    return b'{"type":"a","payload":%b}' % payload


NOT_JSON = {
    "empty": b"",
    "blank": b" \n ",
    "word": b"hello",
    "cut-off": b'{"type":"a"',
    "more-behind": b'{"type":"a"}{"type":"b"}',
    "comment": b'{"type":"a"} // b',
    "trailing-comma": b'{"type":"a",}',
    "single-quotes": b"{'type':'a'}",
    "byte-order-mark": b'\xef\xbb\xbf{"type":"a"}',
    "utf-16": '{"type":"a"}'.encode("utf-16"),
    "latin-1-in-the-type": b'{"type":"\xe9"}',
    "latin-1-in-the-payload": event(b'"\xe9"'),
    "surrogate-bytes-in-the-payload": event(b'"\xed\xa0\x80"'),
    "overlong-nul-in-the-payload": event(b'"\xc0\x80"'),
    "raw-nul-in-the-type": b'{"type":"a\0"}',
    "raw-nul-in-the-payload": event(b'"\0"'),
    "raw-line-break-in-the-payload": event(b'"a\nb"'),
    "nan": event(b"NaN"),
    "infinity": event(b"-Infinity"),
    "leading-zero": event(b"01"),
    "bad-escape": event(b'"\\x"'),
    "half-an-escape": event(b'"\\u12"'),
    "deep-payload": event(b"[" * DEEP + b"]" * DEEP),
    "deep-payload-of-objects": event(b'{"a":' * DEEP + b"1" + b"}" * DEEP),
    "deep-top-level": b"[" * DEEP + b"]" * DEEP,
    "deep-unknown-field": b'{"type":"a","other":%b}' % (b"[" * DEEP + b"]" * DEEP),
}
NOT_AN_EVENT = {
    "null": b"null",
    "number": b"7",
    "text": b'"a"',
    "no-type": b"{}",
    "type-null": b'{"type":null}',
    "type-number": b'{"type":7}',
    "type-empty": b'{"type":""}',
    "type-too-long": b'{"type":"%b"}' % (b"a" * 201),
    "level-number": b'{"type":"a","level":1}',
    "agent-object": b'{"type":"a","agentId":{}}',
    "key-number": b'{"type":"a","key":1}',
    "key-empty": b'{"type":"a","key":""}',
    "key-too-long": b'{"type":"a","key":"%b"}' % (b"a" * 201),
    "key-with-nul": b'{"type":"a","key":"a\\u0000"}',
    "ts-fraction": b'{"type":"a","ts":1.5}',
    "ts-text": b'{"type":"a","ts":"yesterday"}',
    "ts-number-as-text": b'{"type":"a","ts":"1767225600000"}',
    "ts-boolean": b'{"type":"a","ts":true}',
    "ts-beyond-53-bits": b'{"type":"a","ts":9007199254740993}',
    "ts-beyond-64-bits": b'{"type":"a","ts":18446744073709551616}',
    "ts-huge": b'{"type":"a","ts":1%b}' % (b"0" * 400),
    "array-of-arrays": b'[[{"type":"a"}]]',
    "array-with-null": b'[{"type":"a"},null]',
}
LONE_SURROGATES = {
    "type": b'{"type":"\\ud800"}',
    "level": b'{"type":"a","level":"\\udfff"}',
    "agent": b'{"type":"a","agentId":"\\ud800x"}',
    "task": b'{"type":"a","taskId":"\\udc00\\ud800"}',
    "key": b'{"type":"a","key":"\\ud800"}',
    "payload": event(b'"\\ud800"'),
    "payload-key": event(b'{"\\udc00":1}'),
    "payload-pair-the-wrong-way-round": event(b'"\\udc00\\ud800"'),
}


@pytest_asyncio.fixture(loop_scope="session")
async def nothing_stored(api: httpx.AsyncClient, run: str) -> AsyncIterator[None]:
    """After the test there is no such run, and no event in it."""
    yield
    assert (await api.get(f"/runs/{run}")).status_code == 404
    assert (await api.get(f"/runs/{run}/events")).content == b"[]"


def assert_refused(answer: httpx.Response, *codes: str, status: int = 400) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    said = answer.json()
    assert said["error"] in codes
    assert said.keys() <= {"error", "message"}
    assert "Traceback" not in answer.text


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_what_is_not_json_is_400(api: httpx.AsyncClient, run: str, body: bytes) -> None:
    assert_refused(await api.post(f"/runs/{run}/events", content=body), "invalid_json", "invalid_body", "no_events")
    assert_refused(
        await api.post(f"/runs/{run}/events", content=b'[{"type":"a"},%b]' % body), "invalid_json", "invalid_body"
    )


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("body", (NOT_AN_EVENT | LONE_SURROGATES).values(), ids=[*NOT_AN_EVENT, *LONE_SURROGATES])
async def test_what_is_not_an_event_is_400(api: httpx.AsyncClient, run: str, body: bytes) -> None:
    codes = ("invalid_body", "invalid_json")
    assert_refused(await api.post(f"/runs/{run}/events", content=body), *codes)
    assert_refused(await api.post(f"/runs/{run}/events", content=b'[{"type":"a"},%b]' % body), *codes)
    lines = b'{"type":"a"}\n%b\n{"type":"c"}' % body
    answer = await api.post(f"/runs/{run}/events", content=lines, headers=LINES)
    assert_refused(answer, *codes)


@pytest.mark.usefixtures("nothing_stored")
async def test_a_bad_line_is_named(api: httpx.AsyncClient, run: str) -> None:
    lines = b'{"type":"a"}\n\n{"type":7}\n{"type":"c"}'
    answer = await api.post(f"/runs/{run}/events", content=lines, headers=LINES)
    assert answer.json()["message"].startswith("line 3: ")


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/msgpack",
        "json",
    ],
)
async def test_a_wrong_content_type_is_415(api: httpx.AsyncClient, run: str, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    for answer in (
        await api.post(f"/runs/{run}/events", content=b'{"type":"a"}', headers=headers),
        await api.post("/runs", content=b'{"id":"%b"}' % run.encode(), headers=headers),
        await api.patch(f"/runs/{run}", content=b"{}", headers=headers),
    ):
        assert_refused(answer, "unsupported_media_type", status=415)


@pytest.mark.parametrize(
    "media_type", ["application/json; charset=utf-8", "application/vnd.agent+json", "APPLICATION/JSON"]
)
async def test_every_json_type_is_taken(api: httpx.AsyncClient, run: str, media_type: str) -> None:
    answer = await api.post(f"/runs/{run}/events", content=b'{"type":"a"}', headers={"Content-Type": media_type})
    assert answer.status_code == 201


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("body", [*NOT_JSON.values(), b"null", b"[]", b'"a"'], ids=[*NOT_JSON, "null", "array", "text"])
async def test_a_change_that_is_not_one_is_400(api: httpx.AsyncClient, run: str, body: bytes) -> None:
    if body == NOT_JSON["deep-unknown-field"] or body.startswith(b'{"type":"a","payload":'):
        body = body.replace(b'"payload"', b'"title"')
    assert_refused(await api.patch(f"/runs/{run}", content=body), "invalid_json", "invalid_body")


@pytest.mark.parametrize(
    "run_to_make",
    [
        pytest.param(b'{"id":7}', id="id-number"),
        pytest.param(b'{"id":""}', id="id-empty"),
        pytest.param(b'{"id":"\\ud800"}', id="id-lone-surrogate"),
        pytest.param(b'{"id":"a\\udc2fb"}', id="id-the-surrogate-that-stands-for-a-slash"),
        pytest.param(b'{"id":"a\\u0000b"}', id="id-nul"),
        pytest.param(b'{"id":"a\\r\\nSet-Cookie: x"}', id="id-line-break"),
        pytest.param(b'{"id":"%b"}' % (b"a" * 201), id="id-too-long"),
        pytest.param(b'{"title":7}', id="title-number"),
        pytest.param(b'{"title":"a\\u0000b"}', id="title-nul"),
        pytest.param(b'{"title":"\\ud800"}', id="title-lone-surrogate"),
        pytest.param(b'{"title":"%b"}' % (b"a" * 1001), id="title-too-long"),
        pytest.param(b'{"status":7}', id="status-number"),
        pytest.param(b'{"status":"\\ud800"}', id="status-lone-surrogate"),
    ],
)
async def test_a_run_that_cannot_be_is_400(fresh: httpx.AsyncClient, run_to_make: bytes) -> None:
    codes = ("invalid_json", "invalid_body", "invalid_run_id", "invalid_title", "invalid_status", "bad_request")
    assert_refused(await fresh.post("/runs", content=run_to_make), *codes)
    assert (await fresh.get("/runs")).content == b"[]"


async def test_text_that_is_stored_as_an_escape_comes_back(api: httpx.AsyncClient, run: str) -> None:
    """An escaped NUL is JSON that a client can send, so it is kept as sent."""
    sent = {"type": "a\0b", "level": "\x01", "agentId": "\0", "taskId": "\x7f", "payload": "\0"}
    answer = await api.post(f"/runs/{run}/events", json=sent)
    assert answer.status_code == 201
    assert answer.json() | sent == answer.json()
    assert (await api.get(f"/runs/{run}/events")).json() == [answer.json()]


async def test_numbers_and_repeated_keys_of_a_payload_are_kept_as_sent(api: httpx.AsyncClient, run: str) -> None:
    sent = b'{"a":%b,"a":-0.0,"b":1E+999,"c":18446744073709551616}' % (b"9" * 5000)
    answer = await api.post(f"/runs/{run}/events", content=event(sent))
    assert answer.content.endswith(b'"payload":%b}' % sent)


async def test_of_a_repeated_key_of_an_event_the_last_counts(api: httpx.AsyncClient, run: str) -> None:
    answer = await api.post(f"/runs/{run}/events", content=b'{"type":"a","type":"b"}')
    assert answer.json()["type"] == "b"


async def test_a_deep_payload_within_reason_is_taken(api: httpx.AsyncClient, run: str) -> None:
    deep = b"[" * 200 + b"]" * 200
    answer = await api.post(f"/runs/{run}/events", content=event(deep))
    assert answer.status_code == 201
    assert (await api.get(f"/runs/{run}/events")).content == b"[%b]" % answer.content


async def test_no_depth_of_nesting_is_anything_but_taken_or_refused(api: httpx.AsyncClient, run: str) -> None:
    """A payload over several lines is read twice, and both must end at the same depth."""
    statuses = set()
    for depth in range(900, 1100, 3):
        for opening in (b"[", b"[\n"):
            answer = await api.post(f"/runs/{run}/events", content=event(opening * depth + b"]" * depth))
            statuses.add(answer.status_code)
    assert statuses == {201, 400}


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("headers", [{}, LINES], ids=["json", "lines"])
async def test_ten_megabytes_are_413(api: httpx.AsyncClient, run: str, headers: dict[str, str]) -> None:
    body = event(b'"%b"' % (b"a" * 10 * MEGABYTE))
    answer = await api.post(f"/runs/{run}/events", content=body, headers=headers)
    assert_refused(answer, "payload_too_large", status=413)
    assert answer.headers["connection"] == "close"


@pytest.mark.usefixtures("nothing_stored")
async def test_ten_megabytes_in_chunks_are_413(api: httpx.AsyncClient, run: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"type":"a","payload":"'
        for _ in range(160):
            yield b"a" * 65536

    answer = await api.post(f"/runs/{run}/events", content=chunks())
    assert_refused(answer, "payload_too_large", status=413)


async def test_a_body_in_chunks_is_as_good_as_one_of_known_length(api: httpx.AsyncClient, run: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for byte in b'{"type":"a"}':
            yield bytes([byte])

    assert (await api.post(f"/runs/{run}/events", content=chunks())).status_code == 201


@pytest.mark.usefixtures("nothing_stored")
async def test_a_length_that_promises_more_than_comes_stores_nothing(shared: Deployed, run: str) -> None:
    head = f"POST {shared.path}/runs/{run}/events HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n"
    assert b"HTTP/1.1 2" not in await exchange(shared, head.encode() + b'{"type":"a"}', end=True)


async def test_a_length_that_promises_less_than_comes_takes_what_was_promised(shared: Deployed, run: str) -> None:
    head = (
        f"POST {shared.path}/runs/{run}/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 12\r\n\r\n"
    )
    answer = await exchange(shared, head.encode() + b'{"type":"a"}{"type":"b"}')
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert len((await shared.api.get(f"/runs/{run}/events")).json()) == 1


@pytest.mark.usefixtures("nothing_stored")
@pytest.mark.parametrize("length", ["-1", "abc", "12, 13"])
async def test_a_length_that_is_none_is_refused_by_the_server(shared: Deployed, run: str, length: str) -> None:
    head = f"POST {shared.path}/runs/{run}/events HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
    assert (await exchange(shared, head.encode() + b'{"type":"a"}')).startswith(b"HTTP/1.1 400 ")


async def test_what_is_refused_leaves_the_connection_usable(api: httpx.AsyncClient, run: str) -> None:
    for _ in range(3):
        assert (await api.post(f"/runs/{run}/events", content=b"{")).status_code == 400
    assert (await api.post(f"/runs/{run}/events", json={"type": "a"})).status_code == 201
    assert json.loads((await api.get(f"/runs/{run}/events")).content)[0]["type"] == "a"
