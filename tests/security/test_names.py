"""Names, numbers and cursors as a hostile client would write them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from agentops.testing.server import following
from tests.wire.deployed import exchange

if TYPE_CHECKING:
    import httpx

    from tests.wire.deployed import Deployed

pytestmark = pytest.mark.asyncio(loop_scope="session")

LEGAL = {
    "slash": "a/b",
    "slashes": "//a//b/",
    "like-a-route": "x/events",
    "percent": "100%2F",
    "space": " a b ",
    "query": "a?b=c&d#e;f",
    "quotes": "a'b\"c`d\\e",
    "angles": '<a>; rel="next", <b>',
    "emoji": "🤖👩‍👩‍👧",
    "right-to-left": "\u202eabc",
    "combining": "e\u0301",
    "sql": "'; DROP TABLE runs; --",
    "template": "${x}{{y}}%s",
    "200-characters": "ä" * 200,
}
ILLEGAL = {
    "line-feed": "%0a",
    "carriage-return": "a%0d",
    "header-injection": "a%0d%0aSet-Cookie:%20b=c",
    "frame-injection": "a%0a%0adata:%20b",
    "nul": "a%00b",
    "escape": "a%1b[31m",
    "delete": "a%7f",
    "next-line": "a%c2%85b",
    "line-separator": "a%e2%80%a8b",
    "lone-surrogate": "%ed%a0%80",
    "not-utf-8": "%ff",
    "201-characters": "a" * 201,
    "201-emoji": "%f0%9f%a4%96" * 201,
}


def unique(name: str, run: str) -> str:
    return name if len(name) == 200 else f"{name}{run}"


@pytest.mark.parametrize("name", LEGAL.values(), ids=LEGAL)
async def test_a_legal_name_goes_round(api: httpx.AsyncClient, run: str, name: str) -> None:
    name = unique(name, run)
    path = f"/runs/{quote(name, safe='')}"
    async with following(api, f"{path}/stream") as frames:
        event = (await api.post(f"{path}/events", json={"type": "a"})).json()
        assert event["runId"] == name
        assert await frames.events(1) == [event]
    assert (await api.get(f"{path}/events")).json() == [event]
    assert (await api.get(path)).json()["id"] == name
    assert (await api.patch(path, json={"title": name})).json()["title"] == name
    again = await api.post("/runs", json={"id": name})
    assert (again.status_code, again.json()["id"]) == (200, name)


@pytest.mark.parametrize("name", [".", "..", "...", "%2e%2e", "..%2f..%2fetc"])
async def test_dots_are_a_name_and_lead_nowhere(shared: Deployed, name: str) -> None:
    decoded = name.replace("%2e", ".").replace("%2f", "/")
    head = (
        f"POST {shared.path}/runs/{name}/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 12\r\n\r\n"
    )
    answer = await exchange(shared, head.encode() + b'{"type":"a"}')
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert f'"runId":"{decoded}"'.encode() in answer


@pytest.mark.parametrize("name", ILLEGAL.values(), ids=ILLEGAL)
async def test_an_illegal_name_is_400_everywhere(shared: Deployed, name: str) -> None:
    for method, behind in (("GET", ""), ("PATCH", ""), ("POST", "/events"), ("GET", "/events"), ("GET", "/stream")):
        head = f"{method} {shared.path}/runs/{name}{behind} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        answer = await exchange(shared, f"{head}Content-Length: 12\r\n\r\n".encode() + b'{"type":"a"}')
        headers, _, body = answer.partition(b"\r\n\r\n")
        assert headers.startswith(b"HTTP/1.1 400 ")
        assert body.startswith(b'{"error":"invalid_run_id"')
        assert b"set-cookie" not in headers.lower()


async def test_an_empty_name_is_no_run(api: httpx.AsyncClient) -> None:
    answer = await api.post("/runs//events", json={"type": "a"})
    assert answer.status_code in {400, 404, 405}
    assert answer.json().keys() <= {"error", "message"}


@pytest.mark.parametrize("limit", ["0", "-1", "1.5", "ten", "1e3", "+1", " 1", "٣", "0x10", "0" * 50])
async def test_a_limit_that_is_no_whole_number_is_400(api: httpx.AsyncClient, run: str, limit: str) -> None:
    for path in ("/runs", f"/runs/{run}/events", "/events"):
        answer = await api.get(path, params={"limit": limit})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_limit")


@pytest.mark.parametrize("limit", ["1001", "9" * 18, "9" * 19, "9" * 5000])
async def test_a_huge_limit_is_taken_as_the_most(api: httpx.AsyncClient, run: str, limit: str) -> None:
    for path in ("/runs", f"/runs/{run}/events", "/events"):
        assert (await api.get(path, params={"limit": limit})).status_code == 200


@pytest.mark.parametrize("cursor", ["-1", "9" * 5000, "\0", "x'", "ä", "1\n2"])
async def test_a_cursor_that_is_none_is_400(api: httpx.AsyncClient, run: str, cursor: str) -> None:
    for path in (f"/runs/{run}/events", f"/runs/{run}/stream", "/events", "/stream"):
        answer = await api.get(path, params={"after": cursor})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_cursor")


@pytest.mark.parametrize("before", ["-1", "x'; --", "\0", "9" * 5000, "\ud7ff", "1.5"])
async def test_a_place_in_the_list_that_is_none_is_400(api: httpx.AsyncClient, before: str) -> None:
    answer = await api.get("/runs", params={"before": before})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_cursor")


async def test_any_text_can_be_looked_for_and_is_no_pattern(fresh: httpx.AsyncClient) -> None:
    await fresh.post("/runs", json={"id": "r", "title": "title"})
    for text in ("\0", "%", "_", "t_tle", "\\", "'; --", "🤖", "\u202e", "a" * 5000):
        assert (await fresh.get("/runs", params={"q": text})).content == b"[]"


@pytest.mark.parametrize(
    ("query", "status"), [(b"q=%ff", 200), (b"q=%ed%a0%80", 200), (b"q=%zz", 200), (b"q=\xff", 400)], ids=repr
)
async def test_a_query_that_is_not_utf_8_finds_nothing(shared: Deployed, query: bytes, status: int) -> None:
    """Bytes that are not even a request are refused by the HTTP server itself."""
    head = b"GET %b/runs?%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % (shared.path.encode(), query)
    answer = await exchange(shared, head)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert status == 400 or answer.endswith(b"\r\n\r\n[]")


async def test_a_link_holds_nothing_but_what_belongs_in_it(fresh: httpx.AsyncClient) -> None:
    names = [f'{number}>; rel="prev", <http://evil.example/ä' for number in range(3)]
    for name in names:
        await fresh.post("/runs", json={"id": name})
    query = {"limit": "1", "q": 'evil>; rel="next"\r\nSet-Cookie: a=b', 'x>"\r\n': "y"}
    await fresh.post("/runs", json={"id": "r", "title": query["q"]})
    await fresh.post("/runs", json={"id": "s", "title": query["q"]})
    for params in ({"limit": "1"}, query):
        answer = await fresh.get("/runs", params=params)
        link = answer.headers["link"]
        assert link.startswith("<")
        assert link.endswith('>; rel="next"')
        assert link.count("<") == link.count(">") == 1
        assert link.isascii()
        assert "set-cookie" not in answer.headers
        assert (await fresh.get(str(answer.url.join(answer.links["next"]["url"])))).status_code == 200


@pytest.mark.parametrize("value", ["a b", "\xff", "x" * 20_000])
async def test_a_hostile_header_changes_nothing(api: httpx.AsyncClient, value: str) -> None:
    answer = await api.get("/runs?limit=1", headers=[(b"X-Request-ID", value.encode("latin-1"))])
    assert answer.status_code == 200
    assert len(answer.headers["x-request-id"]) <= 128
