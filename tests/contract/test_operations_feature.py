"""The operator's routes: health and probes for whoever asks, figures for those who may."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agentops import Kit, Lane, Secret
from agentops.core.config.settings import EventSettings
from agentops.core.errors import Unavailable
from agentops.core.ports.health import Health
from agentops.plugins.auth.static_key import StaticKey
from agentops.plugins.bus.memory import Memory
from agentops.plugins.features.operations import Operations
from agentops.plugins.features.operations.performance import Performance
from agentops.plugins.features.runs import Runs
from agentops.plugins.telemetry.prometheus import Prometheus
from agentops.testing.feature import FeatureContract
from agentops.testing.server import serving
from tests.core.parts import Kept, storage_in

if TYPE_CHECKING:
    from pathlib import Path

KEY = {"x-api-key": "an operator's key"}


class TestOperations(FeatureContract):
    @pytest.fixture
    def feature(self) -> Operations:
        return Operations()


class Told(Memory):
    """A bus that says how it is."""

    critical = True
    answer: Health | Exception = Health()

    async def health(self) -> Health:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def kit(folder: Path, bus: Memory | None = None, *, open_metrics: bool = False, keeps: bool = True) -> Kit:
    return Kit(
        storage=storage_in(folder),
        bus=bus or Told(),
        auth={"key": StaticKey(keys=[Secret(KEY["x-api-key"])], permissions=["*"])},
        telemetry={"prometheus": Prometheus()} if keeps else {"kept": Kept()},
        lanes=[Lane("/api", serve=[Operations(open_metrics=open_metrics), Runs()], auth=["key"], name="api")],
        events=EventSettings(),
    )


async def test_health_tells_of_each_part(tmp_path: Path) -> None:
    async with serving(kit(tmp_path)) as server:
        answer = await server.client.get("/api/health")
        assert answer.status_code == 200
        assert answer.json()["status"] == "healthy"
        assert {"storage", "bus"} <= answer.json()["components"].keys()
        for component in answer.json()["components"].values():
            assert component.keys() == {"status", "response_time_ms", "critical", "checked_at", "details"}
        one = await server.client.get("/api/health/component/storage")
        assert (one.status_code, one.json()["status"], one.json()["critical"]) == (200, "healthy", True)
        assert (await server.client.get("/api/health/component/nobody")).status_code == 404
        assert (await server.client.get("/api/system/status")).json() == {"status": "healthy"}
        assert (await server.client.get("/api/ready")).json() == {"status": "ready"}
        assert (await server.client.get("/api/live")).json() == {"status": "alive"}


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [(Health("degraded"), "degraded", 200), (Unavailable("it is away"), "unhealthy", 503)],
    ids=["degraded", "unhealthy"],
)
async def test_what_fails_is_seen_by_those_who_route_to_it_and_kills_nobody(
    tmp_path: Path, answer: Health | Exception, status: str, code: int
) -> None:
    bus = Told()
    bus.answer = answer
    async with serving(kit(tmp_path, bus)) as server:
        found = {path: await server.client.get(f"/api{path}") for path in ("/health", "/ready", "/live")}
        assert {path: each.status_code for path, each in found.items()} == {
            "/health": code,
            "/ready": code,
            "/live": 200,
        }
        assert found["/health"].json()["status"] == status
        assert (await server.client.get("/api/health/component/bus")).status_code == code
        assert (await server.client.get("/api/system/status")).json() == {"status": status}


async def test_a_server_that_drains_is_alive_and_not_ready(tmp_path: Path) -> None:
    made = kit(tmp_path)
    async with serving(made) as server:
        made.drain()
        answer = await server.client.get("/api/ready")
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
        assert (await server.client.get("/api/live")).status_code == 200
        assert (await server.client.get("/api/health")).status_code == 200


async def test_each_request_is_a_figure_by_its_route(tmp_path: Path) -> None:
    async with serving(kit(tmp_path)) as server:
        for run in ("a", "b%2Fc"):
            await server.client.post(f"/api/runs/{run}/events", json={"type": "x"}, headers=KEY)
        for _ in range(3):
            await server.client.get("/api/runs", headers=KEY)
        await server.client.get("/api/runs")
        await server.client.get("/nowhere")
        await server.client.put("/api/runs", headers=KEY)
        await server.client.request("PROPFIND", "/api/runs", headers=KEY)
        answer = await server.client.get("/api/metrics", headers=KEY)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    counts = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if sample.name == "agentops_http_request_seconds_count"
    }
    assert counts[("POST", "/api/runs/{run_id}/events", "201")] == 2
    assert counts[("GET", "/api/runs", "200")] == 3
    assert counts[("GET", "/api/runs", "401")] == 1
    assert counts[("GET", "unrouted", "404")] == 1
    assert counts[("PUT", "unrouted", "405")] == 1
    assert counts[("other", "unrouted", "405")] == 1


async def test_figures_are_for_those_who_may_unless_they_are_open(tmp_path: Path) -> None:
    async with serving(kit(tmp_path)) as server:
        for path in ("/api/metrics", "/api/performance"):
            assert (await server.client.get(path)).status_code == 401
            assert (await server.client.get(path, headers=KEY)).status_code == 200
    async with serving(kit(tmp_path, open_metrics=True)) as server:
        assert (await server.client.get("/api/metrics")).status_code == 200
        assert (await server.client.get("/api/performance")).status_code == 401


async def test_without_a_sink_that_keeps_figures_there_are_none(tmp_path: Path) -> None:
    async with serving(kit(tmp_path, keeps=False)) as server:
        answer = await server.client.get("/api/metrics", headers=KEY)
    assert (answer.status_code, answer.json()["code"]) == (404, "no_metrics")


async def test_performance_is_told_by_route(tmp_path: Path) -> None:
    async with serving(kit(tmp_path)) as server:
        for _ in range(4):
            await server.client.get("/api/runs", headers=KEY)
        (found,) = [
            each
            for each in (await server.client.get("/api/performance", headers=KEY)).json()
            if each["route"] == "/api/runs"
        ]
    assert (found["method"], found["count"], found["errors"]) == ("GET", 4, 0)
    assert 0 < found["p50"] <= found["p95"] <= found["p99"] < 5000


def test_percentiles_are_right_to_a_twentieth() -> None:
    performance = Performance()
    labels = {"method": "GET", "route": "/x", "status": "200"}
    for number in range(1, 1001):
        performance.observe(
            "http.request.seconds", number / 1000, labels | {"status": "500" if number > 990 else "200"}
        )
    performance.observe("something.else", 1, {})
    performance.observe("http.request.seconds", 0.0, labels | {"route": "/zero"})
    figures = {each.route: each for each in performance.figures()}
    assert (figures["/x"].count, figures["/x"].errors) == (1000, 10)
    assert figures["/x"].p50 == pytest.approx(500, rel=0.05)
    assert figures["/x"].p95 == pytest.approx(950, rel=0.05)
    assert figures["/x"].p99 == pytest.approx(990, rel=0.05)
    assert re.fullmatch(r"0\.00\d", str(figures["/zero"].p50))
