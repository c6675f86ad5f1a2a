"""The contract of a bus, as tests: every line that `core/ports/bus.py` promises.

    class TestMine(BusContract):
        @pytest.fixture
        def make_bus(self):
            return lambda: Mine(url="…")

`make_bus` gives a function that makes buses, not yet started, that hear each other if they span processes, and none
of another test. The tests are coroutines: run them with pytest-asyncio.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeAlias

import pytest
import pytest_asyncio

from agentops.core.ports.bus import Bus, Ring
from agentops.core.rungs import Rungs

AnyBus: TypeAlias = Bus[Any]
MakeBus: TypeAlias = Callable[[], AnyBus]

PATIENCE: Final = 10

NAMES: Final = {
    "plain": "run-1",
    "empty": "",
    "unicode": "żółw 🐢 \u2028",
    "line-breaks": "a\r\nb\n\nc",
    "quotes": 'it\'s "quoted" \\ and {braced} %s',
    "nul": "a\0b",
    "slashes-and-dots": "../a/b:c*d[e]?",
    "long": "ü" * 2_000,
}


class Ear:
    """A listener that keeps what it hears, and can wait for it."""

    def __init__(self) -> None:
        self.heard: list[Ring] = []
        self._more = asyncio.Event()

    def __call__(self, ring: Ring) -> None:
        self.heard.append(ring)
        self._more.set()

    async def hears(self, ring: Ring) -> None:
        async with asyncio.timeout(PATIENCE):
            while ring not in self.heard:
                self._more.clear()
                await self._more.wait()


class BusContract:
    """Subclass, give `make_bus`, run pytest."""

    @pytest.fixture
    def make_bus(self) -> MakeBus:
        raise NotImplementedError("give a fixture `make_bus`: a function that makes buses which hear each other")

    @pytest_asyncio.fixture
    async def bus(self, make_bus: MakeBus) -> AsyncIterator[AnyBus]:
        bus = make_bus()
        async with bus.life(Rungs()):
            yield bus

    async def test_a_listener_hears_its_own_bus(self, bus: AnyBus) -> None:
        ear = Ear()
        bus.listen(ear)
        bus.ring(Ring("p", "run", 7))
        await ear.hears(Ring("p", "run", 7))
        assert ear.heard == [Ring("p", "run", 7)]

    async def test_a_listener_is_called_on_the_event_loop(self, bus: AnyBus) -> None:
        ear, threads = Ear(), list[int]()
        bus.listen(lambda _ring: threads.append(threading.get_ident()))
        bus.listen(ear)
        bus.ring(Ring("p", "run", 1))
        await ear.hears(Ring("p", "run", 1))
        assert threads == [threading.get_ident()]

    async def test_nobody_need_listen(self, bus: AnyBus) -> None:
        bus.ring(Ring("p", "unheard", 1))
        ear = Ear()
        bus.listen(ear)
        bus.ring(Ring("p", "run", 2))
        await ear.hears(Ring("p", "run", 2))

    async def test_every_listener_hears_every_run(self, bus: AnyBus) -> None:
        ears = [Ear() for _ in range(20)]
        for ear in ears:
            bus.listen(ear)
        rings = [Ring("p", f"run-{number}", number) for number in range(200)]
        for ring in rings:
            bus.ring(ring)
        for ear in ears:
            for ring in rings:
                await ear.hears(ring)
            assert len(ear.heard) == len(rings)

    async def test_the_newest_ring_of_a_run_is_heard_and_none_out_of_order(self, bus: AnyBus) -> None:
        ear = Ear()
        bus.listen(ear)
        for upto in range(1, 501):
            bus.ring(Ring("p", "a", upto))
            bus.ring(Ring("p", "b", upto))
        await ear.hears(Ring("p", "a", 500))
        await ear.hears(Ring("p", "b", 500))
        for run in ("a", "b"):
            heard = [ring.upto for ring in ear.heard if ring.run == run]
            assert heard == sorted(set(heard))

    async def test_one_name_in_two_projects_is_two_runs(self, bus: AnyBus) -> None:
        ear = Ear()
        bus.listen(ear)
        bus.ring(Ring("p", "run", 9))
        bus.ring(Ring("q", "run", 3))
        await ear.hears(Ring("p", "run", 9))
        await ear.hears(Ring("q", "run", 3))

    @pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
    async def test_names_arrive_as_they_are(self, bus: AnyBus, name: str) -> None:
        ear = Ear()
        bus.listen(ear)
        for ring in (Ring("p", name, 1), Ring(name, "run", 2), Ring(name, name, 2**63 - 1)):
            bus.ring(ring)
            await ear.hears(ring)

    async def test_after_silence_nothing_is_heard(self, bus: AnyBus) -> None:
        silenced, other = Ear(), Ear()
        silence = bus.listen(silenced)
        bus.listen(other)
        bus.ring(Ring("p", "before", 1))
        await silenced.hears(Ring("p", "before", 1))
        silence()
        bus.ring(Ring("p", "after", 2))
        await other.hears(Ring("p", "after", 2))
        assert silenced.heard == [Ring("p", "before", 1)]

    async def test_silence_twice_is_silence(self, bus: AnyBus) -> None:
        ear = Ear()
        silence_one, silence_two = bus.listen(ear), bus.listen(ear)
        silence_one()
        silence_one()
        bus.ring(Ring("p", "run", 1))
        await ear.hears(Ring("p", "run", 1))
        assert len(ear.heard) == 1
        silence_two()

    async def test_a_listener_may_silence_others_while_it_hears(self, bus: AnyBus) -> None:
        silenced, last = Ear(), Ear()
        silences: list[Callable[[], None]] = []

        def silencing(_ring: Ring) -> None:
            for silence in silences:
                silence()

        silences.append(bus.listen(silencing))
        silences.append(bus.listen(silenced))
        bus.listen(last)
        bus.ring(Ring("p", "run", 1))
        await last.hears(Ring("p", "run", 1))
        assert silenced.heard == []

    async def test_a_listener_that_fails_costs_nobody_else(self, bus: AnyBus) -> None:
        before, after = Ear(), Ear()

        def failing(_ring: Ring) -> None:
            raise RuntimeError("a listener that fails")

        for listener in (before, failing, after):
            bus.listen(listener)
        for upto in (1, 2):
            bus.ring(Ring("p", "run", upto))
        for ear in (before, after):
            await ear.hears(Ring("p", "run", 2))

    async def test_others_hear_it_if_it_spans_processes(self, bus: AnyBus, make_bus: MakeBus) -> None:
        own, elsewhere = Ear(), Ear()
        other = make_bus()
        async with other.life(Rungs()):
            bus.listen(own)
            other.listen(elsewhere)
            bus.ring(Ring("p", "run", 5))
            await own.hears(Ring("p", "run", 5))
            if bus.spans_processes:
                await elsewhere.hears(Ring("p", "run", 5))
            assert elsewhere.heard == ([Ring("p", "run", 5)] if bus.spans_processes else [])

    async def test_it_may_stop_and_start_again(self, make_bus: MakeBus) -> None:
        bus = make_bus()
        for upto in (1, 2, 3):
            async with bus.life(Rungs()):
                ear = Ear()
                silence = bus.listen(ear)
                bus.ring(Ring("p", "run", upto))
                await ear.hears(Ring("p", "run", upto))
                silence()
                assert ear.heard == [Ring("p", "run", upto)]
