"""The bus in memory keeps the contract of buses, and loses nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from agentops.core.ports.bus import Ring
from agentops.core.rungs import Rungs
from agentops.core.signals import Signals
from agentops.plugins.bus.memory import Memory
from agentops.testing.bus import BusContract
from tests.core.parts import Kept

if TYPE_CHECKING:
    from collections.abc import Callable


class TestMemory(BusContract):
    @pytest.fixture
    def make_bus(self) -> Callable[[], Memory]:
        return Memory


def test_every_ring_is_heard_in_order_before_ring_returns() -> None:
    bus, heard = Memory(), list[Ring]()
    bus.listen(heard.append)
    rings = [Ring("p", run, upto) for upto in range(3) for run in ("a", "b")]
    for ring in rings:
        bus.ring(ring)
    assert heard == rings


async def test_a_listener_that_fails_is_told_of() -> None:
    bus, signals, kept, error = Memory(), Signals(), Kept(), RuntimeError("a listener that fails")

    def failing(_ring: Ring) -> None:
        raise error

    with signals.told_to(kept):
        async with bus.life(Rungs(signals=signals)):
            bus.listen(failing)
            bus.ring(Ring("p", "run", 1))
    assert kept.events == [("bus.listener_failed", "error", {"error": error})]
