"""Runs `agentops` in a folder, to its end or beside the test."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.nursery import Process

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncGenerator, Mapping

PATIENCE = 30

needs_a_full_disk = pytest.mark.skipif(
    not Path("/dev/full").exists(), reason="only Linux has a disk that is always full"
)

CONFIG = """
[server]
port = 0

[storage]
use = "sqlite"
path = "events.sqlite"

[auth.key]
use = "static-key"
keys = [{ env = "TEST_KEY", optional = true }]

[lanes.api]
path = "/api"
auth = ["key"]
serve = ["runs"]
errors = "plain"
"""


class Finished(NamedTuple):
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Folder:
    """Where commands run: `deployment.toml` is in it, and nothing of the caller's environment names another."""

    path: Path

    async def agentops(self, *arguments: str, **environ: str) -> Finished:
        return await self.fed(b"", *arguments, **environ)

    async def fed(self, stdin: bytes, *arguments: str, **environ: str) -> Finished:
        process = await self._start(arguments, environ)
        try:
            return Finished(*await asyncio.wait_for(process.communicate(stdin), PATIENCE))
        finally:
            process.kill()

    @asynccontextmanager
    async def running(self, *arguments: str, **environ: str) -> AsyncGenerator[Running]:
        """A command beside the test; one that still runs at the end is killed."""
        process = await self._start(arguments, environ)
        try:
            yield Running(process)
        finally:
            process.kill()
            await process.communicate()

    @asynccontextmanager
    async def serving(self, *arguments: str, **environ: str) -> AsyncGenerator[Serving]:
        """A server that answers, on a port of its own unless told otherwise."""
        async with self.running("serve", "-c", "deployment.toml", *arguments, **environ) as running:
            said = [await running.line()]
            while not said[-1].endswith("OpenAPI, of every route"):
                said.append(await running.line())
            found = re.search(r"on (http://\S+:(\d+))$", said[0])
            assert found is not None, said
            yield Serving(running.process, found[1], int(found[2]), "\n".join(said))

    def on_a_full_disk(self, *arguments: str) -> tuple[int, str]:
        """How a command ends, and what it says, whose output cannot be written; the interpreter's own end as well."""
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "agentops", *arguments],
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                cwd=self.path,
                env=environment() | {"PYTHONUNBUFFERED": ""},
                check=False,
            )
        return done.returncode, done.stderr

    async def _start(self, arguments: tuple[str, ...], environ: Mapping[str, str]) -> Process:
        return await Process.start(arguments, self.path, {**environment(), **environ})


def environment() -> dict[str, str]:
    """Ours, without what would configure a server."""
    ours = ("AGENTOPS", "EVENT_RETENTION_MAX", "PORT")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


class Running:
    """A command that has not ended."""

    def __init__(self, process: Process) -> None:
        self.process = process

    async def line(self) -> str:
        return await self._line(self.process.stdout)

    async def note(self) -> str:
        """The next line on standard error."""
        return await self._line(self.process.stderr)

    async def signalled(self, number: signal.Signals) -> Finished:
        self.process.send_signal(number)
        return Finished(*await asyncio.wait_for(self.process.communicate(), PATIENCE))

    async def _line(self, stream: asyncio.StreamReader) -> str:
        text = await asyncio.wait_for(stream.readline(), PATIENCE)
        if not text:
            raise EOFError((await self.process.stderr.read()).decode())
        return text.decode().rstrip("\n")


class Serving(Running):
    """A server, and what it said when it began to answer."""

    def __init__(self, process: Process, url: str, port: int, said: str) -> None:
        super().__init__(process)
        self.url = url
        self.api = f"{url}/api"
        self.port = port
        self.said = said
