"""A deployment that is up: what a configuration file describes, on a storage of the test's own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from agentops import Kit
from agentops.plugins.features.runs import Runs
from agentops.testing.server import LiveServer, client_of, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    import httpx
    from litestar import Litestar

    from agentops.core.deployment import Deployment


@dataclass(frozen=True, slots=True)
class Deployed:
    """A server, and a client whose paths are relative to the lane that serves runs."""

    server: LiveServer
    api: httpx.AsyncClient
    path: str
    deployment: Deployment
    app: Litestar
    drain: Callable[[], None]


class Deploy(Protocol):
    """Start the deployment of this test once more: with keys set as `--set` does, and with an environment."""

    def __call__(self, *sets: str, **environ: str) -> AbstractAsyncContextManager[Deployed]: ...


@asynccontextmanager
async def deployed(config: str, sets: Sequence[str], environ: dict[str, str]) -> AsyncIterator[Deployed]:
    kit = Kit.from_config(config, environ=environ, sets=sets)
    app = kit.app()
    lane = next(lane for lane in kit.deployment.lanes if any(isinstance(part, Runs) for part in lane.serve))
    async with serving(app, kit) as server, client_of(f"{server.url}{lane.path}") as api:
        yield Deployed(server, api, lane.path, kit.deployment, app, kit.drain)


async def followed(api: httpx.AsyncClient, path: str) -> AsyncIterator[list[Any]]:
    """This page, and each that a `Link` leads to."""
    answer = (await api.get(path)).raise_for_status()
    yield answer.json()
    while "next" in answer.links:
        answer = (await api.get(str(answer.url.join(answer.links["next"]["url"])))).raise_for_status()
        yield answer.json()


async def exchange(up: Deployed, request: bytes, *, end: bool = False) -> bytes:
    """Send bytes as they are, say perhaps that no more follow, and return all until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", up.server.port)
    try:
        writer.write(request)
        if end:
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()
