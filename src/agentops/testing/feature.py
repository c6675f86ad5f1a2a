"""The contract of a feature, as tests: every line that `core/ports/feature.py` promises.

    class TestMine(FeatureContract):
        @pytest.fixture
        def feature(self):
            return Mine()

The feature is served by two lanes of one deployment on SQLite; give a fixture `kit` of your own if it needs more.
The tests are coroutines: run them with pytest-asyncio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import httpx
import msgspec
import pytest
import pytest_asyncio
from litestar import Litestar
from litestar.routes import HTTPRoute

from agentops.core.identity import Identity
from agentops.core.kit import Kit
from agentops.core.lanes import Lane
from agentops.core.permissions import is_permission
from agentops.core.plugin import NoSettings
from agentops.core.ports.auth import Authenticator, Caller
from agentops.core.ports.feature import Feature
from agentops.testing._running import Running, asking, kept_running, storage_in

AnyFeature: TypeAlias = Feature[Any]

LANES: Final = ("/one", "/two/deep")
HEADER: Final = "x-contract"
SAMPLES: Final[dict[str, str]] = {
    "int": "1",
    "float": "1.5",
    "Decimal": "1.5",
    "UUID": "00000000-0000-4000-8000-000000000000",
    "date": "2026-01-01",
    "datetime": "2026-01-01T00:00:00",
    "time": "00:00:00",
    "timedelta": "1",
}


class Route(NamedTuple):
    """One method of one path of a lane, with what it says it needs."""

    lane: str
    method: str
    path: str
    sample: str
    opt: dict[str, Any]
    in_schema: bool

    @property
    def public(self) -> bool:
        return bool(self.opt.get("public"))


class FeatureContract:
    """Subclass, give `feature`, run pytest."""

    @pytest.fixture
    def feature(self) -> AnyFeature:
        raise NotImplementedError("give a fixture `feature`: one that has not started")

    @pytest.fixture
    def kit(self, feature: AnyFeature, tmp_path: Path) -> Kit:
        lanes = [Lane(path, auth=["contract"], serve=[feature]) for path in LANES]
        return Kit(storage=storage_in(tmp_path), auth={"contract": NoRights()}, lanes=lanes)

    @pytest_asyncio.fixture
    async def running(self, kit: Kit) -> AsyncIterator[Running]:
        async with kept_running(kit) as running:
            yield running

    @pytest_asyncio.fixture
    async def client(self, running: Running) -> AsyncIterator[httpx.AsyncClient]:
        async with asking(running.kit) as client:
            yield client

    async def test_says_whether_it_may_be_open(self, feature: AnyFeature) -> None:
        assert feature.may_be_open in {True, False}
        assert isinstance(feature.may_be_open, bool)

    async def test_its_routes_are_new_each_time(self, feature: AnyFeature) -> None:
        first, second = list(feature.routes()), list(feature.routes())
        assert len(first) == len(second) > 0
        assert {id(route) for route in first} & {id(route) for route in second} == set()

    async def test_each_route_says_who_may_use_it(self, kit: Kit) -> None:
        declared = {(route.method, route.path): route for route in routes_of(kit.app())}
        assert declared
        unclear = [
            key
            for key, route in declared.items()
            if route.public is ("permission" in route.opt) or not is_permission(route.opt.get("permission", "*"))
        ]
        assert unclear == []

    async def test_two_lanes_serve_the_same(self, kit: Kit) -> None:
        routes = list(routes_of(kit.app()))
        one, two = (
            sorted((route.method, route.path.removeprefix(lane)) for route in routes if route.lane == lane)
            for lane in LANES
        )
        assert one == two
        assert len(one) > 0

    async def test_it_may_be_served_by_two_applications(self, kit: Kit) -> None:
        assert {route[:4] for route in routes_of(kit.app())} == {route[:4] for route in routes_of(kit.app())}

    async def test_nobody_unknown_passes(self, kit: Kit, client: httpx.AsyncClient) -> None:
        for route in guarded(kit):
            answer = await client.request(route.method, route.sample)
            assert (route.method, route.path, answer.status_code) == (route.method, route.path, 401)

    async def test_nobody_without_the_permission_passes(self, kit: Kit, client: httpx.AsyncClient) -> None:
        for route in guarded(kit):
            answer = await client.request(route.method, route.sample, headers={HEADER: "somebody"})
            assert (route.method, route.path, answer.status_code) == (route.method, route.path, 403)

    async def test_each_route_is_in_the_openapi_document(self, kit: Kit, client: httpx.AsyncClient) -> None:
        document = msgspec.json.decode((await client.get("/schema/openapi.json")).content)
        told = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        shown = {(route.method, route.path) for route in routes_of(kit.app()) if route.in_schema}
        assert shown - told == set()
        operations = [
            operation["operationId"] for methods in document["paths"].values() for operation in methods.values()
        ]
        assert sorted(operations) == sorted(set(operations))

    async def test_it_may_stop_and_start_again(self, kit: Kit, running: Running) -> None:
        for _ in range(2):
            await running.stop()
            await running.start()
            async with asking(kit) as client:
                for route in guarded(kit):
                    assert (await client.request(route.method, route.sample)).status_code == 401


class NoRights(Authenticator[NoSettings]):
    """Knows everybody who gives a name, and lets nobody do anything."""

    async def authenticate(self, caller: Caller) -> Identity | None:
        name = caller.header(HEADER)
        return Identity(name) if name else None


def routes_of(app: Litestar) -> Iterator[Route]:
    """Every route of the lanes, but for what Litestar adds by itself."""
    for route in app.routes:
        lane = next((lane for lane in LANES if route.path.startswith(f"{lane}/") or route.path == lane), None)
        if lane is None or not isinstance(route, HTTPRoute):
            continue
        sample = "/".join(
            part if isinstance(part, str) else SAMPLES.get(part.type.__name__, "x") for part in route.path_components
        )
        for handler in route.route_handlers:
            for method in handler.http_methods:
                if method != "OPTIONS":
                    yield Route(
                        lane,
                        str(method),
                        route.path_format,
                        f"/{sample}",
                        dict(handler.opt),
                        handler.resolve_include_in_schema(),
                    )


def guarded(kit: Kit) -> list[Route]:
    return [route for route in routes_of(kit.app()) if not route.public]
