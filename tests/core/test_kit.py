"""The kit: what it is made from, the order of its life, and what it tells."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from agentops import (
    Authenticator,
    ConfigurationError,
    EventSettings,
    Feature,
    Kit,
    Lane,
    Limiter,
    NoSettings,
    Rungs,
    ServerSettings,
    StartError,
    Telemetry,
)
from agentops.core.plugin import LADDER
from agentops.core.ports.model import Model
from agentops.core.rungs import NotBelow
from agentops.plugins.bus.memory import Memory
from agentops.plugins.features.runs import Runs
from agentops.plugins.retry.none import NoRetry
from agentops.plugins.storage.sqlite import Sqlite
from agentops.plugins.telemetry.log import Log
from agentops.testing.server import serving
from tests.core.parts import Kept, Probe, Steps, events_of, storage_in, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

KINDS: dict[str, type[Any]] = {
    "telemetry": Kept,
    "storage": Sqlite,
    "bus": Memory,
    "limiter": Limiter,
    "retry": NoRetry,
    "model": Model,
    "auth": Authenticator,
    "feature": Feature,
}


def stepping(kind: str, name: str, steps: Steps, folder: Path, *, fails: bool = False) -> Any:
    """A plugin of a kind that says when it starts and stops, and what it finds below itself."""
    base: Any = KINDS[kind]

    class Stepping(base):  # type: ignore[misc, valid-type, unused-ignore]
        def life(self, rungs: Rungs) -> AbstractAsyncContextManager[Any]:
            reachable = [
                part for part in ("storage", "bus", "limiter", "retry", "models", "events") if reaches(rungs, part)
            ]
            steps.below[name] = reachable
            return steps.around(name, base.life(self, rungs), fails=fails)

        async def authenticate(self, caller: object) -> None: ...

        async def hit(self, *_: object) -> Any: ...

        async def answer(self, *_: object) -> Any: ...

        def stream(self, *_: object) -> Any: ...

        def routes(self) -> Sequence[object]:
            return []

    return Stepping(path=str(folder / "agentops.sqlite")) if kind == "storage" else Stepping()


def reaches(rungs: Rungs, part: str) -> bool:
    try:
        getattr(rungs, part)
    except NotBelow:
        return False
    return True


def stepping_kit(steps: Steps, folder: Path, failing: str = "") -> Kit:
    def make(kind: str, name: str | None = None) -> Any:
        return stepping(kind, name or kind, steps, folder, fails=(name or kind) == failing)

    return Kit(
        telemetry={"sink": make("telemetry")},
        storage=make("storage"),
        bus=make("bus"),
        limiter=make("limiter"),
        retry=make("retry"),
        models={"provider": make("model")},
        auth={"first": make("auth"), "second": make("auth", "second auth")},
        lanes=[Lane("/api", serve=[make("feature"), make("feature", "second feature")], auth=["first", "second"])],
    )


@pytest.fixture
def kit(tmp_path: Path) -> Kit:
    return Kit(storage=storage_in(tmp_path), lanes=[Lane("/api", serve=[Runs()])])


ORDER = [*LADDER[:7], "second auth", "feature", "second feature"]


async def test_parts_start_in_ladder_order_and_stop_in_reverse(tmp_path: Path) -> None:
    steps = Steps()
    async with stepping_kit(steps, tmp_path).running():
        assert steps.taken == [f"{name} starts" for name in ORDER]
        steps.taken.clear()
    assert steps.taken == [f"{name} stops" for name in reversed(ORDER)]


@pytest.mark.parametrize("failing", [name for name in ORDER if "auth" not in name])
async def test_what_was_started_is_stopped_when_a_later_part_fails(tmp_path: Path, failing: str) -> None:
    steps = Steps()
    with pytest.raises(StartError, match=r"could not start: OSError") as raised:
        async with stepping_kit(steps, tmp_path, failing).running():
            pytest.fail("it started")
    started = ORDER[: ORDER.index(failing)]
    expected = [f"{name} starts" for name in started] + [f"{name} stops" for name in reversed(started)]
    assert steps.taken == expected
    assert failing.removeprefix("second ") in str(raised.value)


async def test_what_was_started_is_stopped_when_the_block_fails(tmp_path: Path) -> None:
    steps = Steps()
    with pytest.raises(ZeroDivisionError):
        async with stepping_kit(steps, tmp_path).running():
            raise ZeroDivisionError
    assert steps.taken[-len(ORDER) :] == [f"{name} stops" for name in reversed(ORDER)]


async def test_each_part_reaches_what_is_below_it_and_nothing_else(tmp_path: Path) -> None:
    steps = Steps()
    async with stepping_kit(steps, tmp_path).running():
        pass
    assert steps.below == {
        "telemetry": [],
        "storage": [],
        "bus": ["storage"],
        "limiter": ["storage", "bus", "events"],
        "retry": ["storage", "bus", "limiter", "events"],
        "model": ["storage", "bus", "limiter", "retry", "events"],
        "auth": ["storage", "bus", "limiter", "retry", "models", "events"],
        "second auth": ["storage", "bus", "limiter", "retry", "models", "events"],
        "feature": ["storage", "bus", "limiter", "retry", "models", "events"],
        "second feature": ["storage", "bus", "limiter", "retry", "models", "events"],
    }


async def test_reaching_for_what_is_not_there_says_so(tmp_path: Path) -> None:
    class Reaching(Probe):
        def life(self, rungs: Rungs) -> AbstractAsyncContextManager[object]:
            return rungs.limiter.life(rungs)

    kit = Kit(storage=storage_in(tmp_path), lanes=[Lane("/api", serve=[Reaching()])])
    with pytest.raises(StartError, match=r"feature Reaching could not start: 'limiter' is not below this plugin"):
        async with kit.running():
            pytest.fail("it started")


async def test_a_kit_can_run_again(kit: Kit) -> None:
    for expected in (201, 200):
        async with serving(kit) as server:
            assert (await server.client.post("/api/runs", json={"id": "r"})).status_code == expected


async def test_a_feature_that_two_lanes_serve_is_started_once(tmp_path: Path) -> None:
    steps = Steps()
    feature = stepping("feature", "shared", steps, tmp_path)
    lanes = [Lane("/a", serve=[feature]), Lane("/b", serve=[feature])]
    async with Kit(storage=storage_in(tmp_path), lanes=lanes).running():
        assert steps.taken == ["shared starts"]


def test_every_mistake_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Kit(
            storage=Sqlite(path=str(tmp_path / "missing" / "agentops.sqlite")),
            lanes=[Lane("/a", serve=[Runs()], auth=["nobody"]), Lane("/a/b", serve=[]), Lane("c", serve=[Runs()])],
            server=ServerSettings(workers=2),
        )
    said = str(raised.value)
    for word in ("missing", "nobody", "lies inside", "nothing is served", "'c'", "2 workers"):
        assert word in said


def test_what_is_left_out_has_a_default(kit: Kit) -> None:
    parts = kit.deployment
    assert isinstance(parts.bus, Memory)
    assert (parts.server, parts.events) == (ServerSettings(), EventSettings())
    assert [type(sink) for sink in parts.telemetry.values()] == [Log]
    assert (parts.auth, parts.limiter, parts.retry) == ({}, None, None)


async def test_a_kit_is_composed_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "mine.toml"
    file.write_text('[lanes.mine]\npath = "/mine"\nserve = ["runs"]\n')
    kit = Kit.from_config(file, environ={}, sets=["lanes.mine.errors=plain"])
    async with serving(kit) as server:
        assert (await server.client.get("/mine/none")).json() == {"error": "not_found"}
    monkeypatch.setenv("AGENTOPS__LANES__MINE__PATH", "/yours")
    assert Kit.from_config(file).deployment.lanes[0].path == "/yours"


def test_draining_before_the_start_does_nothing(kit: Kit) -> None:
    kit.drain()


class Broken(Telemetry[NoSettings]):
    """Fails at everything it is told."""

    def event(self, name: str, level: str, fields: dict[str, object]) -> None:
        raise RuntimeError("broken")

    count = observe = gauge = event  # type: ignore[assignment]


async def test_a_sink_that_raises_costs_its_own_data_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept()
    kit = Kit(
        storage=storage_in(tmp_path),
        telemetry={"broken": Broken(), "kept": kept},
        lanes=[Lane("/api", serve=[Probe(), Runs()])],
    )
    with caplog.at_level(logging.WARNING, logger="agentops"):
        async with serving(kit) as server:
            assert (await server.client.get("/api/boom")).status_code == 500
            assert (await server.client.post("/api/runs/r/events", json={"type": "a"})).status_code == 201
    assert [name for name, _, _ in kept.events][:3] == ["lane.open", "server.started", "request.failed"]
    assert kept.events[-1][0] == "server.stopping"
    assert [record.message for record in caplog.records if record.name == "agentops"] == [
        "telemetry sink Broken failed and loses data: RuntimeError"
    ]


@pytest.fixture
def handled() -> list[int]:
    return []


@contextmanager
def handling(number: int, handler: Any) -> Iterator[None]:
    """Let a signal have this handler; afterwards it has the one from before, whatever was set meanwhile."""
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


async def running_until_told(kit: Kit, number: int) -> bool:
    """Send the process a signal while the kit runs, and say whether an open stream ended of it."""
    async with kit.running():
        stream = await events_of(kit).follow("default", "r", None)
        os.kill(os.getpid(), number)
        await until(lambda: stream.ended)
        stream.close()
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_a_signal_ends_the_streams_and_is_passed_on(kit: Kit, number: int, handled: list[int]) -> None:
    def handler(given: int, _frame: object) -> None:
        handled.append(given)

    with handling(number, handler):
        assert await running_until_told(kit, number)
        assert signal.getsignal(number) is handler
        assert handled == [number]


async def test_a_signal_that_nobody_handles_does_what_it_would_have(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, handled: list[int]
) -> None:
    monkeypatch.setattr(signal, "raise_signal", handled.append)
    with handling(signal.SIGTERM, signal.SIG_DFL):
        assert await running_until_told(kit, signal.SIGTERM)
        assert handled == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


async def test_a_signal_that_is_ignored_stays_ignored(kit: Kit) -> None:
    with handling(signal.SIGTERM, signal.SIG_IGN):
        async with kit.running():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


async def test_a_handler_that_was_set_meanwhile_stays(kit: Kit) -> None:
    with handling(signal.SIGTERM, signal.getsignal(signal.SIGTERM)):
        async with kit.running():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN


def test_a_kit_runs_in_a_thread_and_leaves_the_signals_alone(kit: Kit) -> None:
    seen: list[object] = []

    async def run() -> None:
        async with kit.running():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()
    assert seen == [before]
