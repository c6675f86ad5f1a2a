"""The deployment that records runs, on every storage: one server for tests that name their own runs, or a new one."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.wire.deployed import Deploy, Deployed, deployed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.conftest import PostgresServer


@pytest.fixture(scope="session", params=["dashboard"])
def config(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def storage(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """What the environment says of an empty storage."""
    if engine == "sqlite":
        return on_sqlite(tmp_path)
    return on_postgres(request.getfixturevalue("postgres_url"))


@pytest.fixture
def deploy(config: str, storage: dict[str, str]) -> Deploy:
    def start(*sets: str, **environ: str) -> AbstractAsyncContextManager[Deployed]:
        return deployed(config, sets, storage | environ)

    return start


@pytest.fixture(scope="session")
def shared_storage(
    engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return storage_of_session("shared", engine, request, tmp_path_factory)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(config: str, shared_storage: dict[str, str]) -> AsyncIterator[Deployed]:
    async with deployed(config, (), shared_storage) as it:
        yield it


@pytest.fixture
def api(shared: Deployed) -> httpx.AsyncClient:
    """The server that all tests share; a test that uses it runs in the loop of the session."""
    return shared.api


@pytest_asyncio.fixture(loop_scope="session")
async def fresh(deploy: Deploy) -> AsyncIterator[httpx.AsyncClient]:
    """A server with nothing in it."""
    async with deploy() as it:
        yield it.api


@pytest.fixture
def run() -> str:
    """The name of a run that nobody has made."""
    return uuid4().hex


def storage_of_session(
    name: str, engine: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the environment says of a storage that all tests of a deployment share."""
    if engine == "sqlite":
        return on_sqlite(tmp_path_factory.mktemp(name))
    server: PostgresServer = request.getfixturevalue("postgres_server")
    database = f"{name}_{uuid4().hex[:8]}"
    server.run(f"CREATE DATABASE {database}")
    return on_postgres(server.url_of(database))


def on_sqlite(folder: Path) -> dict[str, str]:
    return {"AGENTOPS__STORAGE__PATH": str(folder / "agentops.sqlite")}


def on_postgres(url: str) -> dict[str, str]:
    return {"AGENTOPS__STORAGE__USE": "postgres", "AGENTOPS__STORAGE__URL": url}
