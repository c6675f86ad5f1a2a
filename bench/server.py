"""Servers, each in processes and a folder of its own, and what they cost."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import psutil

from bench.client import ask_once, get
from bench.cost import spent_by
from bench.failed import Failed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bench.client import Address
    from bench.cores import Cores

Engine = Literal["uvicorn", "granian"]

START_SECONDS: Final = 30
STOP_SECONDS: Final = 15
AGENTOPS: Final = Path(sys.executable).with_name("agentops")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, or several as one, with whatever processes they are made of."""

    addresses: Sequence[Address]
    processes: Sequence[psutil.Process]
    cores: Sequence[int]
    shares_load: bool
    """Whether the load is made on one of its cores."""
    start_seconds: float
    """From the process to its first answer."""
    behind: Sequence[psutil.Process] = ()
    """What works for it, such as its database."""

    @property
    def address(self) -> Address:
        return self.addresses[0]

    def before(self, *behind: psutil.Process) -> Server:
        return replace(self, behind=behind)

    def cpu_seconds(self) -> float:
        return spent_by(self.processes)

    def memory(self) -> int:
        trees = ([process, *process.children(recursive=True)] for process in self.processes)
        return sum(process.memory_info().rss for tree in trees for process in tree)


def together(servers: Sequence[Server]) -> Server:
    """Whoever asks it asks them in turns."""
    return replace(
        servers[0],
        addresses=[address for server in servers for address in server.addresses],
        processes=[process for server in servers for process in server.processes],
    )


@asynccontextmanager
async def agentops(
    cores: Cores, folder: Path, engine: Engine, *settings: str, workers: int = 1
) -> AsyncIterator[Server]:
    """The default deployment on a fresh database, as anybody would start it, unless the settings name another."""
    port = _free_port()
    usual = () if any(setting.startswith("storage.") for setting in settings) else ("storage.path=bench.sqlite",)
    settings = (*usual, f"server.engine={engine}", f"server.workers={workers}", *settings)
    sets = [part for setting in settings for part in ("--set", setting)]
    command = [str(AGENTOPS), "serve", "--config", "dashboard", "--port", str(port), *sets]
    async with _running(command, port, cores, folder, workers) as server:
        yield server


@asynccontextmanager
async def bare_asgi(cores: Cores, folder: Path, engine: Engine) -> AsyncIterator[Server]:
    """The same engine with the least application there can be."""
    port = _free_port()
    command = [sys.executable, "-m", engine, "--port", str(port), "bench.bare:app"]
    command += ["--interface", "asgi", "--loop", "uvloop"] if engine == "granian" else ["--no-access-log"]
    async with _running(command, port, cores, folder) as server:
        yield server


@asynccontextmanager
async def _running(
    command: Sequence[str], port: int, cores: Cores, folder: Path, workers: int = 1
) -> AsyncIterator[Server]:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        log = Path(own, "server.log")
        began = time.perf_counter()
        process = _start(command, log, cores)
        try:
            await _first_answer(process, ("127.0.0.1", port), log)
            took = time.perf_counter() - began
            if workers > 1:
                await _all_started(workers, log)
            shares_load = cores.load in cores.servers
            yield Server([("127.0.0.1", port)], [psutil.Process(process.pid)], cores.servers, shares_load, took)
        finally:
            process.terminate()
            try:
                await asyncio.to_thread(process.wait, STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _first_answer(process: subprocess.Popen[bytes], address: Address, log: Path) -> None:
    give_up = time.perf_counter() + START_SECONDS
    while True:
        try:
            await ask_once(address, get("/healthz"))
        except (OSError, Failed):
            pass
        else:
            return
        if process.poll() is not None or time.perf_counter() > give_up:
            raise Failed(f"the server did not start:\n{_last_words(log)}")
        await asyncio.sleep(0.005)


async def _all_started(workers: int, log: Path) -> None:
    """They share a socket: whoever connects before the last of them is up is left to the others."""
    give_up = time.perf_counter() + START_SECONDS
    while True:
        if _started(log) >= workers:
            return
        if time.perf_counter() > give_up:
            raise Failed(f"not all of {workers} workers started:\n{_last_words(log)}")
        await asyncio.sleep(0.02)


def _started(log: Path) -> int:
    return log.read_bytes().count(b'"event":"server.started"')


def _start(command: Sequence[str], log: Path, cores: Cores) -> subprocess.Popen[bytes]:
    with log.open("wb") as output, cores.for_server():
        return subprocess.Popen(
            command, cwd=log.parent, env=_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )


def _last_words(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


def _environment() -> dict[str, str]:
    """Nothing that is set for another server may change this one."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AGENTOPS_", "EVENT_", "GRANIAN_"))
    }
    kept.pop("PORT", None)
    checkout = Path(__file__).parents[1]
    return {**kept, "PYTHONPATH": f"{checkout}{os.pathsep}{checkout / 'src'}"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
