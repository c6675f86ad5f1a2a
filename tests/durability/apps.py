"""What runs inside a server process of these tests: a kit on a storage, behind uvicorn or granian."""

from __future__ import annotations

import resource
import signal
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import uvicorn
from litestar import Litestar, get

from agentops.core.config.settings import EventSettings
from agentops.core.kit import Kit
from agentops.core.lanes import Lane
from agentops.core.limits import LimitSettings
from agentops.core.secret import Secret
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.bus.postgres import Postgres as PostgresBus
from agentops.plugins.bus.redis import Redis as RedisBus
from agentops.plugins.features.operations import Operations
from agentops.plugins.features.runs import Runs
from agentops.plugins.features.webhooks import Webhooks
from agentops.plugins.limiter.redis import Redis
from agentops.plugins.storage.postgres import Postgres
from agentops.plugins.storage.sqlite import Sqlite
from tests.durability.census import Census

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    from agentops.core.config.settings import ErrorStyle
    from agentops.core.ports.bus import Bus
    from agentops.core.ports.storage import Storage

StorageName = Literal["sqlite", "postgres"]

KEEP_ALL = EventSettings(retention=0)


@dataclass(frozen=True)
class Database:
    """Which storage, and where it is: survives the servers that use it."""

    storage: StorageName
    place: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Others of a Postgres."""

    def opened(self) -> Storage:
        if self.storage == "sqlite":
            return Sqlite(path=self.place)
        return Postgres(url=Secret(self.place), **self.settings)

    def is_intact(self) -> bool:
        """What SQLite itself says of its file; Postgres checks each page that it reads."""
        if self.storage == "postgres":
            return True
        with closing(sqlite3.connect(self.place)) as connection:
            return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@dataclass(frozen=True)
class Plan:
    """How a server is made; sent to the process that becomes it."""

    database: Database
    events: EventSettings = KEEP_ALL
    errors: ErrorStyle = "plain"
    inside_host: bool = False
    """Whether the kit is a plugin of another Litestar application."""
    webhooks: bool = False
    """Whether those on this machine can subscribe."""
    probes: bool = False
    """Whether `/ops` answers whoever runs the server."""
    bus: str = ""
    """What carries rings between processes: a Redis or a Postgres, by its address."""
    limited_by: str = ""
    """The Redis that counts; then `/api` answers 100 requests an hour, of everybody together."""
    when_down: Literal["open", "closed"] = "open"

    def app(self) -> Litestar:
        limits = LimitSettings(caller=["100/h"], when_down=self.when_down) if self.limited_by else None
        lanes = [Lane("/api", serve=[Runs(), Census()], errors=self.errors, open=True, limits=limits)]
        if self.webhooks:
            lanes.append(Lane("/guarded", auth=["key"], serve=[Webhooks(allow=["127.0.0.1"])]))
        if self.probes:
            lanes.append(Lane("/ops", serve=[Operations()], open=True))
        kit = Kit(
            storage=self.database.opened(),
            auth={"key": StaticKey(keys=[Secret("an operator's key")])},
            lanes=lanes,
            bus=_bus_at(self.bus) if self.bus else None,
            limiter=Redis(url=Secret(self.limited_by), timeout_seconds=0.5) if self.limited_by else None,
            events=self.events,
        )
        return Litestar([hello_from_the_host], plugins=[kit]) if self.inside_host else kit.app()


def _bus_at(url: str) -> Bus:
    where = Secret(url)
    return PostgresBus(url=where) if url.startswith("postgres") else RedisBus(url=where)


@get("/hello", sync_to_thread=False)
def hello_from_the_host() -> str:
    return "hello"


def serve(app: Litestar, listener: socket.socket) -> None:
    """Serve on a socket that outlives this process."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    # uvicorn raises the signal that ended it once more when it is done; this way a clean end has exit code 0.
    signal.signal(signal.SIGTERM, _pass)
    uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="error")).run(sockets=[listener])


def _pass(_number: int, _frame: Any) -> None:
    """Unlike SIG_IGN, this is a handler that the kit can call after its own."""
