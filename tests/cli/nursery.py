"""Commands as forks of a process that has imported everything: the same program, without a second of imports each."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

_PRELOADED = [
    "agentops.cli",
    "agentops.cli.serving.on_uvicorn",
    "agentops.cli.tailing.following",
    "agentops.cli.transfer.reading",
    "agentops.cli.transfer.writing",
    "agentops.core.config.load",
    "agentops.core.config.schema",
    "agentops.core.kit",
    "agentops.plugins.auth.static_key",
    "agentops.plugins.bus.memory",
    "agentops.plugins.features.runs",
    "agentops.plugins.storage.sqlite",
    "agentops.plugins.telemetry.log",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "tests.cli.nursery",
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
]

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(_PRELOADED)


class Process:
    """A command in a session of its own, with pipes for its three streams."""

    def __init__(self, process: ForkServerProcess, stdin: asyncio.StreamWriter) -> None:
        self.stdin = stdin
        self.stdout = asyncio.StreamReader()
        self.stderr = asyncio.StreamReader()
        self._process = process

    @classmethod
    async def start(cls, arguments: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Process:
        loop = asyncio.get_running_loop()
        pipes = [_forking.Pipe(duplex=False) for _ in range(3)]
        (their_stdin, stdin), (stdout, their_stdout), (stderr, their_stderr) = pipes
        theirs = (their_stdin, their_stdout, their_stderr)
        child = _forking.Process(target=_command, args=(list(arguments), str(folder), dict(environ), theirs))
        child.start()
        for end in theirs:
            end.close()
        writing, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, _file(stdin, "wb"))
        process = cls(child, asyncio.StreamWriter(writing, protocol, None, loop))
        for reader, pipe in ((process.stdout, stdout), (process.stderr, stderr)):
            await loop.connect_read_pipe(partial(asyncio.StreamReaderProtocol, reader), _file(pipe, "rb"))
        return process

    async def wait(self) -> int:
        """Its exit code; negative is the signal that it died of."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    async def communicate(self, stdin: bytes = b"") -> tuple[int, str, str]:
        with suppress(ConnectionError):
            self.stdin.write(stdin)
            await self.stdin.drain()
        self.stdin.close()
        out, err = await asyncio.gather(self.stdout.read(), self.stderr.read())
        return await self.wait(), out.decode(), err.decode()

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Its worker processes as well, which would keep its pipes open."""
        assert self._process.pid is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _file(pipe: Connection, mode: str) -> object:
    file = os.fdopen(os.dup(pipe.fileno()), mode, buffering=0)
    pipe.close()
    return file


def _command(arguments: list[str], folder: str, environ: dict[str, str], pipes: tuple[Connection, ...]) -> None:
    from agentops.cli import main

    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:0] = environ.get("PYTHONPATH", "").split(os.pathsep) if "PYTHONPATH" in environ else []
    for number, pipe in enumerate(pipes):
        os.dup2(pipe.fileno(), number)
        pipe.close()
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    sys.argv = ["agentops", *arguments]
    main(prog_name="agentops")
