"""Several workers behind one port: whoever takes a post, all of them stream it, also while one is killed."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.core.parts import until
from tests.durability.command import command
from tests.durability.ledger import Follower, Ledger, Producer, at_work, events_of, seen_by

if TYPE_CHECKING:
    from pathlib import Path

    from tests.durability.command import Engine

WORKERS = 3
RUNS = 3
CONNECTIONS = 12
"""So many that no worker is left without one, however the kernel hands them out."""


@pytest.mark.parametrize("bus", ["postgres", "redis"])
async def test_workers_stream_what_another_stored(bus: str, postgres_url: str, redis_url: str, tmp_path: Path) -> None:
    sets = [f"server.workers={WORKERS}", "storage.use=postgres", f"storage.url={postgres_url}", f"bus.use={bus}"]
    sets.append(f"bus.url={postgres_url if bus == 'postgres' else redis_url}")
    ledgers = [Ledger(f"run-{number}") for number in range(RUNS)]
    engine: Engine = "uvicorn"
    async with command(tmp_path, engine, *sets) as server:
        with socket.create_server(("127.0.0.1", 0)) as reserved:
            server.address = reserved.getsockname()
        await server.up()
        followers = [
            Follower(server.address, f"{ledgers[number % RUNS].path}/stream", "0") for number in range(CONNECTIONS)
        ]
        producers = [
            Producer(f"p{number}", server.address, ledgers[number % RUNS], Random(number), unsure=True)
            for number in range(CONNECTIONS)
        ]
        async with at_work(*followers):
            async with at_work(*producers):
                for ledger in ledgers:
                    await ledger.grows(50)
                victim = workers_of(server.pid)[0]
                os.kill(victim, signal.SIGKILL)
                await until(lambda: len(workers_of(server.pid)) == WORKERS and victim not in workers_of(server.pid))
                for ledger in ledgers:
                    await ledger.grows(50)
            stored = [await events_of(server.address, ledger) for ledger in ledgers]
            for number, follower in enumerate(followers):
                await follower.has(stored[number % RUNS][-1][0])
    for ledger, events in zip(ledgers, stored, strict=True):
        ledger.verify(events)
    for number, follower in enumerate(followers):
        assert seen_by(follower) == stored[number % RUNS]


def workers_of(pid: int) -> list[int]:
    """Those that serve; beside them there is what multiprocessing needs, and who has died and is not buried yet."""
    found: list[int] = []
    for child in psutil.Process(pid).children():
        with suppress(psutil.NoSuchProcess):
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child.pid)
    return found
