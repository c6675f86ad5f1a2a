"""A deployment with webhooks, on either database, and a target for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from agentops import Kit, Lane, Secret
from agentops.core.rungs import Rungs
from agentops.plugins.auth.hashed_keys import HashedKeys
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.features.audit import Audit
from agentops.plugins.features.keys import Keys
from agentops.plugins.features.runs import Runs
from agentops.plugins.features.webhooks import Webhooks, courier, watch
from agentops.plugins.storage.postgres import Postgres
from tests.core.parts import Kept, storage_in
from tests.webhooks.client import OPERATOR, STRANGER, operated
from tests.webhooks.receiver import receiving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from agentops import Feature
    from agentops.core.ports.bus import Bus
    from agentops.core.ports.model import Model
    from agentops.core.ports.storage import Storage
    from agentops.testing.server import LiveServer
    from tests.webhooks.receiver import Receiver


@pytest.fixture(params=["sqlite", "postgres"])
def storage_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Storage[Any]]:
    """Makes storages on one database."""
    if request.param == "sqlite":
        return lambda: storage_in(tmp_path)
    url = Secret(request.getfixturevalue("postgres_url"))
    return lambda: Postgres(url=url)


@pytest_asyncio.fixture
async def storage(storage_of: Callable[[], Storage[Any]]) -> AsyncIterator[Storage[Any]]:
    storage = storage_of()
    async with storage.life(Rungs()):
        yield storage


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch, "STEP_SECONDS", 0.1)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def kit_of(storage_of: Callable[[], Storage[Any]], kept: Kept) -> Callable[..., Kit]:
    """Makes deployments on one database, as several instances would be."""

    def make(
        bus: Bus | None = None,
        beside: Sequence[Feature[Any]] = (),
        models: Mapping[str, Model[Any]] | None = None,
        **settings: Any,
    ) -> Kit:
        webhooks = Webhooks(**{"allow": ["127.0.0.1"], **settings})
        return Kit(
            storage=storage_of(),
            bus=bus,
            auth={
                "key": StaticKey(keys=[Secret(OPERATOR["x-api-key"])], permissions=["*"]),
                "other": StaticKey(header="x-other-key", keys=[Secret(STRANGER["x-other-key"])], project="other"),
                "keys": HashedKeys(),
            },
            telemetry={"kept": kept},
            models=models,
            lanes=[
                Lane(
                    "/api",
                    serve=[webhooks, Keys(), Audit(), Runs(), *beside],
                    auth=["other", "key", "keys"],
                    name="api",
                )
            ],
        )

    return make


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest_asyncio.fixture
async def server(kit_of: Callable[..., Kit]) -> AsyncIterator[LiveServer]:
    async with operated(kit_of()) as live:
        yield live
