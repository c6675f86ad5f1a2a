"""What `agentops doctor` says of a server that is not well."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import pytest

from agentops import __version__
from agentops.sql.migrating import HEAD
from tests.cli.doctor.asking import SECRET, migrated, told

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tests.cli.running import Folder


async def test_a_frozen_server(folder: Folder) -> None:
    async with folder.serving() as server:
        server.process.send_signal(signal.SIGSTOP)
        found = await told(folder, "--url", server.url)
        server.process.send_signal(signal.SIGCONT)
    assert found.code == 3
    assert found.of("server")["what"].endswith("no answer within 3 s")
    assert f"schema {HEAD}" in found.said["fine"]


Answers = dict[str, tuple[int, str]]
WELL: Answers = {
    "/healthz": (200, '{"status": "ok"}'),
    "/api/live": (200, '{"status": "alive"}'),
    "/api/ready": (200, '{"status": "ready"}'),
    "/api/health": (200, '{"status": "healthy", "components": {}}'),
    "/api/performance": (200, "[]"),
    "/schema/openapi.json": (200, f'{{"info": {{"version": "{__version__}"}}}}'),
}


@asynccontextmanager
async def answering(answers: Answers, headers: str = "") -> AsyncGenerator[str]:
    """Something that answers as it is told, and not as it should."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        status, body = answers.get(path, (404, ""))
        writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(body)}\r\n{headers}\r\n{body}".encode())
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


FIGURES = '[{"method": "GET", "route": "/a", "count": 100, "errors": 2}]'


def health(status: str) -> str:
    component = {"status": status, "response_time_ms": 1, "critical": True, "checked_at": 1, "details": {"why": "gone"}}
    return json.dumps({"status": status, "components": {"bus": component}})


class Ill(NamedTuple):
    """What a server answers otherwise than a healthy one, and what is said of that."""

    answers: Answers
    weight: str
    said: str
    code: int
    headers: str = ""


ILL = {
    "a stranger": Ill({"/healthz": (200, "hello")}, "failing", "is no agentops server", 1),
    "an old one": Ill(
        {"/schema/openapi.json": (200, '{"info": {"version": "0.0.9"}}')}, "risk", "it is version '0.0.9'", 1
    ),
    "no version": Ill({"/schema/openapi.json": (404, "")}, "unanswered", "/schema/openapi.json answers 404", 3),
    "draining": Ill({"/api/ready": (503, '{"status": "draining"}')}, "failing", "/api/ready answers 503 draining", 1),
    "not alive": Ill({"/api/live": (500, "")}, "failing", "/api/live answers 500", 1),
    "another": Ill({"/api/live": (404, "")}, "failing", "this server has no /api/live", 1),
    "unhealthy": Ill({"/api/health": (503, health("unhealthy"))}, "failing", "bus is unhealthy: why gone", 1),
    "degraded": Ill({"/api/health": (200, health("degraded"))}, "risk", "bus is degraded: why gone", 1),
    "no report": Ill({"/api/health": (200, "hello")}, "unanswered", "/api/health answers 200 and no report", 3),
    "failing routes": Ill({"/api/performance": (200, FIGURES)}, "risk", "GET /a failed 2 of 100 times", 1),
    "no figures": Ill({"/api/performance": (200, "hello")}, "unanswered", "no figures", 3),
    "key refused": Ill({"/api/performance": (403, "")}, "advice", "the key was refused (403)", 0),
    "late": Ill({}, "risk", "s behind this machine's", 1, "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"),
}


@pytest.mark.parametrize("ill", ILL.values(), ids=ILL)
async def test_a_server_that_is_not_well(folder: Folder, ill: Ill) -> None:
    await migrated(folder)
    async with answering(WELL | ill.answers, ill.headers) as url:
        found = await told(folder, "--url", url, "--key", SECRET)
    assert found.code == ill.code
    (finding,) = found.said["findings"]
    assert (finding["weight"], finding["key"]) == (ill.weight, "server")
    assert ill.said in finding["what"]


async def test_few_failures_of_many_are_no_finding(folder: Folder) -> None:
    await migrated(folder)
    few = FIGURES.replace("100", "1000")
    async with answering(WELL | {"/api/performance": (200, few)}) as url:
        assert (await told(folder, "--url", url, "--key", SECRET)).code == 0


async def test_what_drips_does_not_hold_the_page(folder: Folder) -> None:
    gone = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while not gone.is_set():
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)
        writer.close()
        gone.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        found = await told(folder, "--url", f"http://127.0.0.1:{port}")
        await gone.wait()
    assert found.code == 3
    assert "no answer within 3 s" in found.of("server")["what"]
