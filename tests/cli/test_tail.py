"""`agentops tail`: what is recorded, once, in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from tests.cli.running import Folder, Running, Serving


async def record(server: Serving, *events: Mapping[str, object], run: str = "r") -> list[str]:
    async with httpx.AsyncClient() as client:
        answers = [await client.post(f"{server.api}/runs/{run}/events", json=event) for event in events]
    return [answer.json()["id"] for answer in answers]


async def numbers(tail: Running, count: int) -> list[int]:
    return [json.loads(await tail.line())["payload"] for _ in range(count)]


async def test_it_prints_what_is_there_and_ends(folder: Folder) -> None:
    events: list[dict[str, object]] = [
        {"type": "began", "ts": 0},
        {"type": "broke", "level": "error", "agentId": "ada", "taskId": "t1", "payload": {"why": "ünïcödé"}},
    ]
    async with folder.serving() as server:
        ids = await record(server, *events)
        done = await folder.agentops("tail", "r", "--url", server.api)
        behind = await folder.agentops("tail", "r", "--url", server.api, "--after", ids[0], "--json")
    assert done.code == 0
    began, broke = done.out.splitlines()
    assert began.split()[2:] == [ids[0], "info", "began"]
    assert broke.split()[2:] == [ids[1], "error", "broke", "ada/t1", '{"why":"ünïcödé"}']
    assert [json.loads(line)["id"] for line in behind.out.splitlines()] == [ids[1]]


async def test_a_run_of_many_pages_is_printed_whole(folder: Folder) -> None:
    async with folder.serving() as server, httpx.AsyncClient() as client:
        many = [{"type": "n", "payload": number} for number in range(2500)]
        assert (await client.post(f"{server.api}/runs/r/events", json=many)).status_code == 201
        done = await folder.agentops("tail", "r", "--url", server.api, "--json")
    assert [json.loads(line)["payload"] for line in done.out.splitlines()] == list(range(2500))


async def test_nothing_that_was_recorded_steers_the_terminal(folder: Folder) -> None:
    async with folder.serving() as server:
        await record(
            server, {"type": "\x1b[2Jwiped", "level": "\x9b31m", "agentId": "\x07", "payload": "\x7f\u2028\x9b"}
        )
        done = await folder.agentops("tail", "r", "--url", server.api)
    line = done.out.removesuffix("\n")
    assert line.isprintable()
    assert "wiped" in line


async def test_followed_over_a_restart_nothing_is_missed_and_nothing_comes_twice(folder: Folder) -> None:
    async with folder.serving() as server:
        await record(server, *({"type": "n", "payload": number} for number in range(3)))
        async with folder.running("tail", "r", "--follow", "--json", "--url", server.api) as tail:
            assert await numbers(tail, 3) == [0, 1, 2]
            await record(server, {"type": "n", "payload": 3})
            assert await numbers(tail, 1) == [3]
            await server.signalled(signal.SIGTERM)
            assert await tail.note() == f"-- lost {server.api} (it closed the stream); trying again"
            async with folder.serving("--port", str(server.port)) as again:
                await record(again, *({"type": "n", "payload": number} for number in (4, 5)))
                assert await numbers(tail, 2) == [4, 5]
                assert await tail.note() == "-- connected again"
                await again.signalled(signal.SIGKILL)
                assert (await tail.note()).startswith("-- lost ")
            async with folder.serving("--port", str(server.port)) as last:
                await record(last, {"type": "n", "payload": 6})
                assert await numbers(tail, 1) == [6]
                done = await tail.signalled(signal.SIGINT)
    assert (done.code, done.out) == (130, "")
    assert "Traceback" not in done.err


async def test_a_run_that_is_not_there_yet_is_waited_for(folder: Folder) -> None:
    name = "a/b ✓"
    async with (
        folder.serving() as server,
        folder.running("tail", name, "--follow", "--json", "--url", server.api) as tail,
    ):
        assert await tail.note() == f"-- no run is called {name!r} yet; waiting for its first event"
        await record(server, {"type": "n", "payload": 1}, run=quote(name, safe=""))
        assert await numbers(tail, 1) == [1]


async def test_what_retention_deleted_is_a_line(folder: Folder) -> None:
    async with folder.serving() as server:
        ids = await record(server, *({"type": "n", "payload": number} for number in range(4)))
        assert (await folder.agentops("prune", "-c", "deployment.toml", "--keep", "1")).code == 0
        async with folder.running("tail", "r", "-f", "--json", "--after", ids[0], "--url", server.api) as tail:
            assert await tail.note() == f"-- gap: what came after {ids[0]} and before {ids[3]} was deleted by retention"
            assert await numbers(tail, 1) == [3]


async def test_ctrl_c_ends_a_quiet_one_at_once(folder: Folder) -> None:
    async with folder.serving() as server, folder.running("tail", "r", "-f", "--url", server.api) as tail:
        await tail.note()
        done = await asyncio.wait_for(tail.signalled(signal.SIGINT), 5)
    assert (done.code, done.out, done.err) == (130, "", "")


async def test_keys(folder: Folder) -> None:
    async with folder.serving(TEST_KEY="sesame") as server:
        none = await folder.agentops("tail", "r", "--url", server.api)
        wrong = await folder.agentops("tail", "r", "-f", "--url", server.api, "--key", "please")
        right = await folder.agentops("tail", "r", "--url", server.api, AGENTOPS_API_KEY="sesame")
    assert (none.code, none.err) == (
        1,
        f"Error: {server.api} asks for a key: set AGENTOPS_API_KEY, or give --key (401)\n",
    )
    assert (wrong.code, wrong.err) == (1, f"Error: {server.api} refused the key (401)\n")
    assert (right.code, right.err) == (1, f"Error: no run is called 'r' at {server.api}\n")


async def test_a_key_that_is_withdrawn_ends_it(folder: Folder) -> None:
    async with (
        folder.serving(TEST_KEY="old") as server,
        folder.running("tail", "r", "-f", "--url", server.api, AGENTOPS_API_KEY="old") as tail,
    ):
        await tail.note()
        await server.signalled(signal.SIGTERM)
        async with folder.serving("--port", str(server.port), TEST_KEY="new"):
            assert await asyncio.wait_for(tail.process.wait(), 20) == 1


async def test_no_server_and_no_lane(folder: Folder) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/api"
        done = await folder.agentops("tail", "r", "-f", "--url", url)
    assert (done.code, done.err) == (3, f"Error: cannot reach {url}: connection refused\n")
    async with folder.serving() as server:
        done = await folder.agentops("tail", "r", "-f", "--url", f"{server.url}/elsewhere")
    assert done.code == 1
    assert f"there is no lane with runs at {server.url}/elsewhere" in done.err


@asynccontextmanager
async def answering(answer: bytes) -> AsyncGenerator[str]:
    """Whatever is asked, this is answered, and the connection closed."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 1, "is no lane with runs"),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 1, "answered 302"),
        (b"HTTP/1.1 503 No\r\nContent-Length: 9\r\n\r\nlater\x1b[2J", 3, "it answered 503 later\\x1b[2J"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhi", 3, "the connection broke off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", 3, "the connection broke off"),
        (b"", 3, "the connection broke off"),
    ],
    ids=["no json", "redirect", "busy", "cut off", "no http", "nothing"],
)
@pytest.mark.parametrize("follow", [[], ["--follow"]], ids=["once", "followed"])
async def test_strangers(folder: Folder, answer: bytes, code: int, said: str, follow: list[str]) -> None:
    async with answering(answer) as url:
        done = await folder.agentops("tail", "r", "--url", url, *follow)
    assert done.code == code
    assert said in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["r", "--url", "localhost:8787"],
        ["r", "--url", "ftp://localhost/api"],
        ["r", "--url", "http://localhost:seven/api"],
        ["r", "--after", "-1"],
        ["r", "--after", "last"],
        ["r", "--key", "two\nlines"],
    ],
    ids=" ".join,
)
async def test_wrong_usage(folder: Folder, arguments: list[str]) -> None:
    done = await folder.agentops("tail", *arguments)
    assert done.code == 2
    assert "Traceback" not in done.err
