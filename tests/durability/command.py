"""`agentops serve` as an operator runs it, on either engine."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.durability.wire import Address

Engine = Literal["uvicorn", "granian"]


class Command:
    """A command that is started again at the address at which it was first."""

    def __init__(self, folder: Path, engine: Engine, *sets: str, source: Path | None = None) -> None:
        """`source` holds another version of the program."""
        self.address: Address = ("127.0.0.1", 0)
        self._source = {"PYTHONPATH": str(source)} if source is not None else {}
        self._folder = folder
        self._arguments = ["--engine", engine]
        for each in ("events.retention=0", *sets):
            self._arguments += ["--set", each]
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def up(self) -> None:
        """Return once it has said where it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agentops", "serve", "--port", str(self.address[1]), *self._arguments),
            cwd=self._folder,
            env={k: value for k, value in os.environ.items() if not k.startswith("AGENTOPS")} | self._source,
            stdout=PIPE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            said = (await self._process.stdout.readline()).decode()
        found = re.search(r"on http://127\.0\.0\.1:(\d+)$", said)
        assert found is not None, said
        self.address = ("127.0.0.1", int(found[1]))

    def terminate(self) -> None:
        assert self._process is not None
        self._process.terminate()

    async def ended(self, within: float) -> int | None:
        """The exit code, or nothing when it is still there after so many seconds."""
        assert self._process is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                return await self._process.wait()
        return None

    async def close(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.communicate()


@asynccontextmanager
async def command(folder: Path, engine: Engine, *sets: str, source: Path | None = None) -> AsyncIterator[Command]:
    made = Command(folder, engine, *sets, source=source)
    try:
        yield made
    finally:
        await made.close()
