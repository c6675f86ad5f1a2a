"""Runs: made, listed, read and changed."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.wire.deployed import followed

if TYPE_CHECKING:
    import httpx

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def make(api: httpx.AsyncClient, **run: str) -> dict[str, Any]:
    made: dict[str, Any] = (await api.post("/runs", json=run)).raise_for_status().json()
    return made


async def ids(api: httpx.AsyncClient, query: str = "") -> list[str]:
    return [run["id"] for run in (await api.get(f"/runs?{query}")).raise_for_status().json()]


async def make_three(api: httpx.AsyncClient) -> None:
    """Three runs that began in different milliseconds, one of each status."""
    for name, status in (("first", "running"), ("second", "completed"), ("third", "error")):
        await make(api, id=name, title=f"The {name} run", status=status)
        await asyncio.sleep(0.003)


async def test_a_new_run_is_answered_201_with_the_whole_run(api: httpx.AsyncClient, run: str) -> None:
    before = time.time_ns() // 1_000_000
    answer = await api.post("/runs", json={"id": run, "title": "Report", "status": "running"})
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert list(made) == ["id", "title", "status", "startedAt", "endedAt", "eventCount"]
    assert made == {
        "id": run,
        "title": "Report",
        "status": "running",
        "startedAt": made["startedAt"],
        "endedAt": None,
        "eventCount": 0,
    }
    assert before <= made["startedAt"] <= time.time_ns() // 1_000_000


@pytest.mark.parametrize("body", [b"", b"{}", b'{"id":null}'])
async def test_a_run_without_an_id_is_given_one(api: httpx.AsyncClient, body: bytes) -> None:
    now = time.time_ns() // 1_000_000
    run = (await api.post("/runs", content=body)).raise_for_status().json()
    assert (match := re.fullmatch(r"run-(\d{13})-[0-9a-z]{9}", run["id"]))
    assert abs(int(match[1]) - now) < 60_000
    assert run["title"]
    assert run["status"] == "running"


async def test_two_runs_without_an_id_are_two_runs(api: httpx.AsyncClient) -> None:
    assert (await make(api))["id"] != (await make(api))["id"]


async def test_an_id_that_exists_is_answered_200_with_that_run_unchanged(api: httpx.AsyncClient, run: str) -> None:
    made = await make(api, id=run, title="Mine", status="completed")
    again = await api.post("/runs", json={"id": run, "title": "Yours", "status": "running"})
    assert again.status_code == 200
    assert again.json() == made
    assert (await api.get(f"/runs/{run}")).json() == made


async def test_a_run_that_is_made_ended_has_an_end(api: httpx.AsyncClient, run: str) -> None:
    assert (await make(api, id=run, status="error"))["endedAt"] is not None


async def test_fields_that_are_not_known_are_passed_over(api: httpx.AsyncClient, run: str) -> None:
    answer = await api.post("/runs", json={"id": run, "colour": "red"})
    assert answer.status_code == 201


async def test_a_run_is_read_by_its_id(api: httpx.AsyncClient, run: str) -> None:
    made = await make(api, id=run)
    answer = await api.get(f"/runs/{run}")
    assert answer.status_code == 200
    assert answer.json() == made


@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_an_unknown_run_is_404(api: httpx.AsyncClient, method: str) -> None:
    answer = await api.request(method, "/runs/none", json={"title": "x"} if method == "PATCH" else None)
    assert answer.status_code == 404
    assert answer.content == b'{"error":"not_found"}'


async def test_a_change_is_answered_with_the_run_as_it_is_then(api: httpx.AsyncClient, run: str) -> None:
    made = await make(api, id=run, title="Old")
    answer = await api.patch(f"/runs/{run}", json={"title": "New", "status": "completed"})
    changed = answer.json()
    assert answer.status_code == 200
    assert changed == made | {"title": "New", "status": "completed", "endedAt": changed["endedAt"]}
    assert changed["endedAt"] >= made["startedAt"]
    assert (await api.get(f"/runs/{run}")).json() == changed


async def test_what_a_change_leaves_out_stays(api: httpx.AsyncClient, run: str) -> None:
    made = await make(api, id=run, title="Old")
    assert (await api.patch(f"/runs/{run}", json={})).json() == made
    assert (await api.patch(f"/runs/{run}", json={"title": "New"})).json() == made | {"title": "New"}


async def test_a_run_that_runs_again_has_no_end(api: httpx.AsyncClient, run: str) -> None:
    await make(api, id=run, status="completed")
    assert (await api.patch(f"/runs/{run}", json={"status": "running"})).json()["endedAt"] is None


async def test_an_end_stays_where_it_was(api: httpx.AsyncClient, run: str) -> None:
    ended = (await make(api, id=run, status="completed"))["endedAt"]
    await asyncio.sleep(0.003)
    assert (await api.patch(f"/runs/{run}", json={"status": "error"})).json()["endedAt"] == ended


@pytest.mark.parametrize("status", ["done", "RUNNING", "", " running"])
async def test_a_status_that_is_none_of_the_three_is_400(fresh: httpx.AsyncClient, status: str) -> None:
    made = await make(fresh, id="r")
    for answer in (
        await fresh.patch("/runs/r", json={"title": "New", "status": status}),
        await fresh.post("/runs", json={"id": "other", "status": status}),
    ):
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_status"
    assert await ids(fresh) == ["r"]
    assert (await fresh.get("/runs/r")).json() == made


async def test_runs_are_listed_newest_first(fresh: httpx.AsyncClient) -> None:
    await make_three(fresh)
    answer = await fresh.get("/runs")
    assert answer.status_code == 200
    assert [run["id"] for run in answer.json()] == ["third", "second", "first"]
    assert answer.json()[2] == (await fresh.get("/runs/first")).json()
    assert "link" not in answer.headers


async def test_the_list_is_empty_at_first(fresh: httpx.AsyncClient) -> None:
    assert (await fresh.get("/runs")).content == b"[]"


async def test_the_list_can_be_narrowed(fresh: httpx.AsyncClient) -> None:
    await make_three(fresh)
    for query, expected in (
        ("limit=2", ["third", "second"]),
        ("limit=99999", ["third", "second", "first"]),
        ("limit=", ["third", "second", "first"]),
        ("before=second", ["first"]),
        ("before=first", []),
        ("before=", ["third", "second", "first"]),
        ("status=completed", ["second"]),
        ("status=", ["third", "second", "first"]),
        ("q=SECOND", ["second"]),
        ("q=thi", ["third"]),
        ("q=%25", []),
        ("q=_", []),
        ("q=run&status=error", ["third"]),
        ("q=", ["third", "second", "first"]),
        ("colour=red", ["third", "second", "first"]),
    ):
        assert (query, await ids(fresh, query)) == (query, expected)


async def test_before_takes_a_time_as_well(fresh: httpx.AsyncClient) -> None:
    await make_three(fresh)
    second = (await fresh.get("/runs/second")).json()
    assert await ids(fresh, f"before={second['startedAt']}") == ["first"]
    assert await ids(fresh, f"before={second['startedAt'] + 1}") == ["second", "first"]


async def test_q_matches_beyond_ascii_in_any_case(fresh: httpx.AsyncClient) -> None:
    await make(fresh, id="r", title="Größe ÄNDERN")
    assert await ids(fresh, "q=ändern") == ["r"]


async def test_the_links_followed_to_the_end_show_every_run_once(fresh: httpx.AsyncClient) -> None:
    names = [f'a&b="#{number}' for number in range(7)]
    await asyncio.gather(*(make(fresh, id=name) for name in names))
    for query in ("", "&status=running", "&q=a%26b%3D%22%23"):
        pages = [page async for page in followed(fresh, f"/runs?limit=3{query}")]
        assert [len(page) for page in pages] == [3, 3, 1]
        assert sorted(run["id"] for page in pages for run in page) == names


async def test_no_page_is_promised_behind_a_full_one_that_is_the_last(fresh: httpx.AsyncClient) -> None:
    await make_three(fresh)
    assert "link" not in (await fresh.get("/runs?limit=3")).headers
    assert "link" in (await fresh.get("/runs?limit=2")).headers


async def test_a_run_counts_its_events(api: httpx.AsyncClient, run: str) -> None:
    await api.post(f"/runs/{run}/events", json=[{"type": "a"}, {"type": "b", "key": "k"}])
    await api.post(f"/runs/{run}/events", json={"type": "b", "key": "k"})
    assert (await api.get(f"/runs/{run}")).json()["eventCount"] == 2
