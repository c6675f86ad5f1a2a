"""`agentops serve`: what it says, how it stops, and how it fails."""

from __future__ import annotations

import asyncio
import signal
import socket
import sqlite3
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.cli.running import Folder

ENGINES = ["uvicorn", "granian"]

SPANNING_BUS = """
from agentops.plugins.bus.memory import Memory

class Spanning(Memory):
    spans_processes = True
"""


@pytest.mark.parametrize("engine", ENGINES)
async def test_it_says_where_it_listens_also_on_port_0(folder: Folder, engine: str) -> None:
    async with folder.serving("--engine", engine) as server:
        assert server.port != 0
        assert "serves deployment.toml on" in server.said
        assert f"{server.api}  runs; open to whoever reaches it" in server.said
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{server.url}/healthz")).status_code == 200
            assert (await client.get(f"{server.url}/schema")).status_code == 200
            assert (await client.get(f"{server.api}/runs")).json() == []


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_told_to_stop_it_ends_its_streams_and_is_done(
    folder: Folder, engine: str, number: signal.Signals
) -> None:
    async with folder.serving("--engine", engine) as server, httpx.AsyncClient() as client:
        async with client.stream("GET", f"{server.api}/runs/r/stream") as stream:
            pieces = stream.aiter_text()
            assert (await anext(pieces)).startswith(": connected")
            stopping = asyncio.create_task(server.signalled(number))
            assert [piece async for piece in pieces] == []
        done = await asyncio.wait_for(stopping, 5)
    assert done.code == 0
    assert "Traceback" not in done.err


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_thousand_streams_do_not_hold_it_up(folder: Folder, engine: str) -> None:
    async def opened(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /api/runs/r/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b": connected\n\n")
        return reader, writer

    async with folder.serving("--engine", engine) as server:
        streams = await asyncio.gather(*(opened(server.port) for _ in range(1000)))
        done = await asyncio.wait_for(server.signalled(signal.SIGTERM), 5)
        assert done.code == 0
        for _, writer in streams:
            writer.close()


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_port_that_is_taken_is_one_sentence_and_nothing_is_started(folder: Folder, engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await folder.agentops("serve", "-c", "deployment.toml", "--port", port, "--engine", engine)
    assert (done.code, done.out) == (3, "")
    assert (
        done.err
        == f"Error: port {port} of 127.0.0.1 is taken: stop what listens there, or choose another with --port\n"
    )
    assert not (folder.path / "events.sqlite").exists()


async def test_every_mistake_is_a_line_and_nothing_is_started(folder: Folder) -> None:
    wrong = ["--set", "server.prot=1", "--set", "lanes.api.errors=loud", "--set", "storage.path=nowhere/x.sqlite"]
    done = await folder.agentops("serve", "-c", "deployment.toml", *wrong)
    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert len(lines) == 3, lines
    for key in ("server.prot", "lanes.api.errors", "storage.path"):
        assert any(key in line for line in lines)
    assert [path.name for path in folder.path.iterdir()] == ["deployment.toml"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_part_that_cannot_start_is_one_sentence(folder: Folder, engine: str) -> None:
    (folder.path / "events.sqlite").write_text("no database, for sure, " * 50)
    done = await folder.agentops("serve", "-c", "deployment.toml", "--engine", engine)
    assert (done.code, done.out) == (3, "")
    assert done.err.count("\n") == 1, done.err
    assert "file is not a database" in done.err


@pytest.mark.slow
async def test_a_locked_database_is_one_sentence(folder: Folder) -> None:
    other = sqlite3.connect(folder.path / "events.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    done = await folder.agentops("serve", "-c", "deployment.toml")
    other.close()
    assert done.code == 3
    assert done.err.count("\n") == 1, done.err
    assert "another process holds the database" in done.err


async def test_debug_shows_the_traceback(folder: Folder) -> None:
    (folder.path / "events.sqlite").write_text("no database, for sure, " * 50)
    for arguments in (("--debug", "serve"), ("serve", "--debug")):
        done = await folder.agentops(*arguments, "-c", "deployment.toml")
        assert done.code == 3
        assert "Traceback" in done.err


async def test_an_address_of_another_machine(folder: Folder) -> None:
    done = await folder.agentops("serve", "-c", "deployment.toml", "--host", "192.0.2.1", TEST_KEY="k")
    assert done.code == 3
    assert "'192.0.2.1'" in done.err
    assert "no address of this machine" in done.err


async def test_granian_that_is_not_installed_is_said(folder: Folder) -> None:
    (folder.path / "granian").mkdir()
    (folder.path / "granian" / "__init__.py").write_text("raise ImportError('not there')")
    arguments = ("serve", "-c", "deployment.toml", "--engine", "granian")
    done = await folder.agentops(*arguments, PYTHONPATH=str(folder.path))
    assert done.code == 3
    assert 'pip install "agentops-kit[granian]"' in done.err


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
async def test_workers_share_the_port(folder: Folder, engine: str) -> None:
    (folder.path / "spanning.py").write_text(SPANNING_BUS)
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = str(reserved.getsockname()[1])
    arguments = ["--workers", "2", "--port", port, "--engine", engine, "--set", "bus.use=spanning:Spanning"]
    async with folder.serving(*arguments, PYTHONPATH=str(folder.path)) as server:
        async with httpx.AsyncClient(base_url=server.api) as client:
            assert (await client.post("/runs/r/events", json={"type": "x"})).status_code == 201
        done = await asyncio.wait_for(server.signalled(signal.SIGTERM), 10)
    assert done.code == 0
    assert "Traceback" not in done.err


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
async def test_workers_that_cannot_start_end_it(folder: Folder, engine: str) -> None:
    (folder.path / "spanning.py").write_text(SPANNING_BUS)
    (folder.path / "events.sqlite").write_text("no database, for sure, " * 50)
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = str(reserved.getsockname()[1])
    arguments = ["--workers", "2", "--port", port, "--engine", engine, "--set", "bus.use=spanning:Spanning"]
    done = await folder.agentops("serve", "-c", "deployment.toml", *arguments, PYTHONPATH=str(folder.path))
    assert (done.code, done.out) == (3, "")
    assert "file is not a database" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [["--port", "70000"], ["--port", "http"], ["--workers", "0"], ["--engine", "gunicorn"], ["nonsense"]],
    ids=" ".join,
)
async def test_wrong_usage(folder: Folder, arguments: list[str]) -> None:
    done = await folder.agentops("serve", "-c", "deployment.toml", *arguments)
    assert done.code == 2
    assert "Traceback" not in done.err
